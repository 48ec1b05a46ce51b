"""The node: makes pods that are bound to it run, as local processes with loopback addresses of their own.

`kubelet` knows the pods, `pod_worker` one pod, `container` one container; `processes`, `container_log`, `probes`,
`addresses`, `environment`, `images` and `status` are what they work with. `kubelet_server` is the port at which the API server
asks for logs (`log_requests`) and for streams into containers (`streaming`).
There are no cgroups, file systems or network namespaces: a container sees the host's files and runs as the user.
"""
