"""Envoy clusters and endpoints for Services and their subsets. Pure.

Names and shape are Istio's: `outbound|9000|v1|tcp-echo.default.svc.cluster.local`, type EDS, LEAST_REQUEST, ten
seconds to connect, never in panic mode. Each cluster's endpoints are a resource of their own, in a file of their own.
A gateway gets the clusters of the Services its routes name, as istiod does with PILOT_FILTER_GATEWAY_CLUSTER_CONFIG:
Envoy holds one inotify instance a file, and a user has 128 of them.

Of traffic policies only `loadBalancer.simple` and the two limits `connectionPool.tcp.maxConnections` and
`connectTimeout` are taken; `ignored_policy` names the rest.

Source: istio.io/istio, 1.31 line: pilot/pkg/networking/core (cluster_builder.go, cluster_traffic_policy.go);
tests/unit/sandbox/mesh/recorded/gateway.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import hostnames, xds_files
from tcpshift_helpers.sandbox.mesh.model import is_subset
from tcpshift_helpers.sandbox.mesh.validation import duration_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.mesh.model import Rules, Snapshot, Subset

    Obj = Mapping[str, Any]
    Resource = dict[str, Any]

CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_UNLIMITED = 4294967295
_CONNECT_TIMEOUT = "10s"
_UNKNOWN_SERVICE = "UnknownService"
_LB_POLICIES = {"ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM"}


def outbound_name(port: int, subset: str, host: str) -> str:
    """The name of the cluster for one port and subset (empty: all endpoints) of a host."""
    return f"outbound|{port}|{subset}|{host}"


def destination_cluster(destination: Obj, namespace: str, listener_port: int, snapshot: Snapshot) -> str:
    """The cluster a route's destination means; it need not exist.

    Args:
        destination: `host`, and optionally `port` and `subset`.
        namespace: of the VirtualService: short hosts are looked up there.
        listener_port: stands in for a missing port when the Service has several.
        snapshot: to look up the Service.
    """
    if not destination.get("host"):  # a backend of the Gateway API that may not be used
        return _UNKNOWN_SERVICE
    host = hostnames.fully_qualified(str(destination.get("host", "")), namespace)
    service = snapshot.services_by_host.get(host)
    ports = (service["spec"].get("ports") or []) if service is not None else []
    if destination.get("port"):
        port = int(destination["port"].get("number", 0))
    else:
        port = int(ports[0]["port"]) if len(ports) == 1 else listener_port
    return outbound_name(port, str(destination.get("subset") or ""), host)


def service_clusters(service: Obj, rules: Rules, snapshot: Snapshot, xds: Path) -> Iterator[tuple[Resource, Resource]]:
    """(cluster, endpoints) of a Service: for each port one of all endpoints and one a subset."""
    metadata = service["metadata"]
    host = hostnames.service_host(metadata["name"], metadata["namespace"])
    for port in service["spec"].get("ports") or []:
        if port.get("protocol", "TCP") != "TCP":
            continue
        for subset in (None, *rules.subsets.values()):
            name = outbound_name(int(port["port"]), subset.name if subset else "", host)
            cluster = _cluster(name, service, rules, subset, xds)
            yield cluster, _endpoints(name, ready_addresses(service, port, subset, snapshot))


def _cluster(name: str, service: Obj, rules: Rules, subset: Subset | None, xds: Path) -> Resource:
    metadata = service["metadata"]
    host = hostnames.service_host(metadata["name"], metadata["namespace"])
    istio: Resource = {"services": [{"host": host, "name": metadata["name"], "namespace": metadata["namespace"]}]}
    rule = subset.rule if subset else (rules.rules[0] if rules.rules else None)
    if rule is not None:
        where = rule["metadata"]
        istio["config"] = (
            f"/apis/networking.istio.io/v1/namespaces/{where['namespace']}/destination-rule/{where['name']}"
        )
    if subset is not None:
        istio["subset"] = subset.name
    policy = {**rules.policy, **(subset.policy if subset else {})}
    tcp = (policy.get("connectionPool") or {}).get("tcp") or {}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), _UNLIMITED)
    if tcp.get("maxConnections"):
        limits["max_connections"] = int(tcp["maxConnections"])
    return {
        "@type": CLUSTER_TYPE,
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"service_name": name, "eds_config": xds_files.source(xds / xds_files.endpoints(name))},
        "connect_timeout": _connect_timeout(tcp),
        "lb_policy": _LB_POLICIES.get((policy.get("loadBalancer") or {}).get("simple", ""), "LEAST_REQUEST"),
        "circuit_breakers": {"thresholds": [limits]},
        "common_lb_config": {"healthy_panic_threshold": {}},
        "metadata": {"filter_metadata": {"istio": istio}},
        "alt_stat_name": f"{name};",
    }


def _connect_timeout(tcp: Obj) -> str:
    seconds = duration_seconds(tcp.get("connectTimeout"))
    return _CONNECT_TIMEOUT if seconds is None else f"{seconds:g}s"


def ready_addresses(service: Obj, port: Obj, subset: Subset | None, snapshot: Snapshot) -> list[tuple[str, int]]:
    """(address, port) of the ready endpoints; a subset's are those whose pod has its labels."""
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    found: set[tuple[str, int]] = set()
    for endpoint_slice in snapshot.endpoint_slices:
        metadata = endpoint_slice["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if owner != name or metadata["namespace"] != namespace:
            continue
        number = _slice_port(endpoint_slice, port.get("name") or "")
        for endpoint in endpoint_slice.get("endpoints") or [] if number else []:
            ready = (endpoint.get("conditions") or {}).get("ready", True) is not False
            if ready and (subset is None or _in_subset(endpoint, namespace, subset, snapshot)):
                found.update((address, number) for address in endpoint.get("addresses") or [])
    return sorted(found)


def _slice_port(endpoint_slice: Obj, name: str) -> int:
    ports = endpoint_slice.get("ports") or []
    return next((int(p["port"]) for p in ports if (p.get("name") or "") == name and p.get("port")), 0)


def _in_subset(endpoint: Obj, namespace: str, subset: Subset, snapshot: Snapshot) -> bool:
    pod = snapshot.pods_by_name.get((namespace, (endpoint.get("targetRef") or {}).get("name", "")))
    return pod is not None and is_subset(subset.labels, pod["metadata"].get("labels") or {})


def _endpoints(cluster: str, addresses: list[tuple[str, int]]) -> Resource:
    return {"@type": ENDPOINTS_TYPE, **assignment(cluster, addresses)}


def assignment(cluster: str, addresses: list[tuple[str, int]]) -> Resource:
    """A ClusterLoadAssignment: these (address, port) pairs, each with the same weight."""
    assigned: Resource = {"cluster_name": cluster}
    if addresses:
        endpoints = [
            {
                "endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}},
                "health_status": "HEALTHY",
                "load_balancing_weight": 1,
            }
            for address, port in addresses
        ]
        assigned["endpoints"] = [{"locality": {}, "lb_endpoints": endpoints, "load_balancing_weight": len(addresses)}]
    return assigned


def inbound_cluster(port: int, address: str) -> Resource:
    """The cluster of a sidecar that leads to the application's own port."""
    name = f"inbound|{port}||"
    endpoint = {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
    return {
        "@type": CLUSTER_TYPE,
        "name": name,
        "type": "STATIC",
        "connect_timeout": _CONNECT_TIMEOUT,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {
            "thresholds": [
                dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), _UNLIMITED)
            ]
        },
        "alt_stat_name": f"{name};",
    }


def ignored_policy(rules: Rules) -> list[str]:
    """Fields of the merged traffic policies that are written but not acted on, such as `outlierDetection`."""
    taken = {"loadBalancer", "connectionPool"}
    policies = [rules.policy, *(subset.policy for subset in rules.subsets.values())]
    ignored = {name for policy in policies for name in policy if name not in taken}
    for policy in policies:
        ignored |= {f"loadBalancer.{name}" for name in policy.get("loadBalancer") or {} if name != "simple"}
        pool = policy.get("connectionPool") or {}
        ignored |= {f"connectionPool.{name}" for name in pool if name != "tcp"}
        limits = {"maxConnections", "connectTimeout"}
        ignored |= {f"connectionPool.tcp.{name}" for name in pool.get("tcp") or {} if name not in limits}
    return sorted(ignored)
