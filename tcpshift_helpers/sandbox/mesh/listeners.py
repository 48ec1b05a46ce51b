"""Envoy listeners: TCP routes of a gateway, inbound ports of a sidecar, and the readiness port. Pure.

A gateway's listener is called `0.0.0.0_31400` as in Istio, but binds the pod's own address: the sandbox has no network
namespaces. For each LoadBalancer address a second listener with the same filters does kube-proxy's part; it is a
listener of its own because Envoy cannot change one of several addresses of a listener in place.
`enable_reuse_port` is off, so that a port that another process holds is an error and not a silent share.

Source: istio.io/istio, 1.31 line: pilot/pkg/networking/core (networkfilter.go, gateway.go);
tests/unit/sandbox/mesh/recorded/gateway.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh.clusters import destination_cluster
from tcpshift_helpers.sandbox.network import ENVOY_STATUS_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.model import Route, Server, Snapshot

    Obj = Mapping[str, Any]
    Resource = dict[str, Any]

LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
_TCP_PROXY_TYPE = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_HTTP_TYPE = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER_TYPE = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def tcp_filter(route: Route, server: Server, snapshot: Snapshot) -> Resource:
    """The tcp_proxy filter of a gateway's route.

    One destination: its weight does not matter. Several: those with a weight above 0 share by weight; if there is
    none, the zeros are passed on, and Envoy refuses them and keeps what it had (istiod would panic).
    """
    metadata = route.virtual_service["metadata"]
    clusters = [
        (destination_cluster(one["destination"], metadata["namespace"], server.number, snapshot), _weight(one))
        for one in route.destinations
    ]
    if len(clusters) == 1:
        return tcp_proxy(clusters[0][0], {"cluster": clusters[0][0]})
    weighted = [(name, weight) for name, weight in clusters if weight > 0] or [(name, 0) for name, _ in clusters]
    shares = [{"name": name, "weight": weight} for name, weight in weighted]
    return tcp_proxy(f"{metadata['name']}.{metadata['namespace']}", {"weighted_clusters": {"clusters": shares}})


def gateway_listener(name: str, address: str, port: int, network_filter: Resource) -> Resource:
    """A gateway's listener with one filter chain."""
    chain = {"filters": [network_filter], "transport_socket_connect_timeout": "15s"}
    return _listener(name, address, port, [chain], "OUTBOUND")


def inbound_listener(pod_address: str, port: int) -> Resource:
    """A sidecar's listener in front of one port of the application."""
    cluster = f"inbound|{port}||"
    chain = {"filters": [tcp_proxy(cluster, {"cluster": cluster})]}
    return _listener(f"{pod_address}_{port}", pod_address, port, [chain], "INBOUND")


def status_listener(name: str, address: str, port: int = ENVOY_STATUS_PORT) -> Resource:
    """Answers 200 to `/healthz/ready`: its being there says that the proxy has its configuration."""
    ready = {"match": {"path": "/healthz/ready"}, "direct_response": {"status": 200}}
    http = {
        "@type": _HTTP_TYPE,
        "stat_prefix": "agent",
        "route_config": {"name": "agent", "virtual_hosts": [{"name": "agent", "domains": ["*"], "routes": [ready]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER_TYPE}}],
    }
    manager = {"name": "envoy.filters.network.http_connection_manager", "typed_config": http}
    return _listener(name, address, port, [{"filters": [manager]}], "INBOUND")


def _weight(destination: Obj) -> int:
    return int(destination.get("weight") or 0)


def tcp_proxy(stat_prefix: str, target: Resource) -> Resource:
    """A tcp_proxy filter; `target` is its `cluster` or `weighted_clusters`."""
    return {"name": TCP_PROXY, "typed_config": {"@type": _TCP_PROXY_TYPE, "stat_prefix": stat_prefix, **target}}


def _listener(name: str, address: str, port: int, chains: Sequence[Resource], direction: str) -> Resource:
    return {
        "@type": LISTENER_TYPE,
        "name": name,
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": list(chains),
        "traffic_direction": direction,
        "max_connections_to_accept_per_socket_event": 1,
        "enable_reuse_port": False,
    }
