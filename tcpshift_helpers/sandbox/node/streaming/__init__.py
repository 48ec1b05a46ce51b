"""Streams into containers: exec, attach and port-forward, as the kubelet and its container runtime serve them.

`requests` answers the HTTP requests, `remote_command` is one exec or attach session, `command` the process of an exec,
`port_forward` one port-forward session. Pure: `channels` and `status` (what goes over a websocket) and `spdy` (the frames that
kubectl sends through one).

Every session ends with its client, with its container and with the node; what it started ends with it.
"""
