"""The service proxy's configuration: for each address of a Service a listener, behind it the ready endpoints. Pure.

An Envoy stands where kube-proxy has the kernel translate addresses. As with kube-proxy each connection goes to a ready
endpoint drawn at random, whatever weights a mesh has set, and a port without a ready endpoint is refused. Served are
cluster addresses, node ports, and addresses of load balancers that no gateway answers for (a gateway's Envoy binds those
itself). Not as kube-proxy: TCP alone, no session affinity, and an endpoint that refuses shows as a connection that is reset.

Source: kubernetes 1.34 pkg/proxy/iptables/proxier.go (random choice, REJECT without endpoints, node ports).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import clusters, listeners
from tcpshift_helpers.sandbox.mesh.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcpshift_helpers.sandbox.mesh.model import Snapshot

    Obj = Mapping[str, Any]
    Resource = dict[str, Any]

HEALTH_PORT = 10256


def build(snapshot: Snapshot, proxy_address: str, node_address: str) -> Configuration:
    """Compute the configuration.

    Args:
        snapshot: Services, their EndpointSlices, and pods (to know which of them are gateways).
        proxy_address: the proxy's own pod address, for its health.
        node_address: the node's address, for node ports.
    """
    configuration = Configuration()
    health = listeners.status_listener("healthz", proxy_address, HEALTH_PORT)
    configuration.listeners[health["name"]] = health
    for service in snapshot.services:
        for port in service["spec"].get("ports") or []:
            places = list(_places(service, port, snapshot, node_address))
            addresses = clusters.ready_addresses(service, port, None, snapshot) if places else []
            if not addresses:
                continue
            name = _name(service, port)
            configuration.clusters[name] = _cluster(name, addresses)
            network_filter = listeners.tcp_proxy(name, {"cluster": name})
            for address, number in places:
                listener = listeners.gateway_listener(f"{address}_{number}", address, number, network_filter)
                configuration.listeners[listener["name"]] = listener
    return configuration


def _places(service: Obj, port: Obj, snapshot: Snapshot, node_address: str) -> Iterator[tuple[str, int]]:
    """(address, port) pairs where this port of the Service answers."""
    if port.get("protocol", "TCP") != "TCP":
        return
    for address in service["spec"].get("clusterIPs") or []:
        if address != "None":
            yield address, int(port["port"])
    if port.get("nodePort"):
        yield node_address, int(port["nodePort"])
    if snapshot.gateway_of(service) is None:
        for ingress in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
            if ingress.get("ip"):
                yield ingress["ip"], int(port["port"])


def _name(service: Obj, port: Obj) -> str:
    """`default/tcp-echo:tcp`, as kube-proxy's log calls it."""
    metadata = service["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    return f"{name}:{port['name']}" if port.get("name") else name


def _cluster(name: str, addresses: list[tuple[str, int]]) -> Resource:
    """Endpoints stand in the cluster itself: a file of their own would cost one of a user's 128 inotify instances."""
    return {
        "@type": clusters.CLUSTER_TYPE,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "RANDOM",
        "load_assignment": clusters.assignment(name, addresses),
        "common_lb_config": {"healthy_panic_threshold": {}},
    }
