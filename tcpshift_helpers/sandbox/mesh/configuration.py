"""The whole configuration of one proxy: listeners, clusters, endpoints, and which objects they come from. Pure.

`build` is all that istiod computes; delivering it and telling how it went are `delivery` and `status`.

A sidecar gets inbound listeners alone, for the ports that its containers declare and Services target: a port declared
nowhere is refused, where Istio passes it through, and nothing captures what the application sends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import hostnames, listeners
from tcpshift_helpers.sandbox.mesh.clusters import ignored_policy, inbound_cluster, service_clusters
from tcpshift_helpers.sandbox.mesh.injection import PROXY_CONTAINER
from tcpshift_helpers.sandbox.mesh.model import (
    ROUTER,
    Key,
    Version,
    gateway_name,
    is_opaque_tcp,
    key_of,
    may_open,
    services_of,
    version_of,
)
from tcpshift_helpers.sandbox.network import ENVOY_ADMIN_PORT, ENVOY_STATUS_PORT, behind_sidecar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.mesh.model import Proxy, Route, Snapshot

    Obj = Mapping[str, Any]
    Resource = dict[str, Any]

# Istio's name for "no address of its own"; what is bound is the pod's address.
_ANY = "0.0.0.0"  # noqa: S104
_PORTS_OF_ENVOY = frozenset({ENVOY_ADMIN_PORT, ENVOY_STATUS_PORT, 15090})


@dataclass
class Configuration:
    """What one Envoy is to have.

    Attributes:
        listeners: by name.
        clusters: by name.
        endpoints: by name of the cluster; only of clusters of type EDS.
        concerns: objects this was made from, and which version of them.
        owners: for each listener and cluster name, the objects that a refusal of it is the fault of.
        notes: for an object, what of it is written but not served here.
    """

    listeners: dict[str, Resource] = field(default_factory=dict)
    clusters: dict[str, Resource] = field(default_factory=dict)
    endpoints: dict[str, Resource] = field(default_factory=dict)
    concerns: dict[Key, Version] = field(default_factory=dict)
    owners: dict[str, set[Key]] = field(default_factory=dict)
    notes: dict[Key, list[str]] = field(default_factory=dict)

    def concern(self, obj: Obj, *names: str) -> None:
        """Note that listeners or clusters of these names come from an object."""
        key = key_of(obj)
        self.concerns[key] = version_of(obj)
        for name in names:
            self.owners.setdefault(name, set()).add(key)

    def note(self, obj: Obj, text: str) -> None:
        """Note that a part of an object is not served."""
        self.concern(obj)
        notes = self.notes.setdefault(key_of(obj), [])
        if text not in notes:
            notes.append(text)


def build(proxy: Proxy, snapshot: Snapshot, xds: Path) -> Configuration:
    """Compute a proxy's configuration.

    Args:
        proxy: the pod.
        snapshot: all objects.
        xds: the directory the files will be in; clusters name the files of their endpoints.
    """
    configuration = Configuration()
    if proxy.kind == ROUTER:
        _gateway(proxy, snapshot, xds, configuration)
    else:
        _sidecar(proxy, snapshot, configuration)
    return configuration


def _gateway(proxy: Proxy, snapshot: Snapshot, xds: Path, configuration: Configuration) -> None:
    status = listeners.status_listener(f"{_ANY}_{ENVOY_STATUS_PORT}", proxy.address)
    configuration.listeners[status["name"]] = status
    balanced = snapshot.load_balancer_ports(proxy)
    for address, port in balanced:
        if port.target == ENVOY_STATUS_PORT:
            listener = listeners.status_listener(f"{address}_{port.port}", address, port.port)
            configuration.listeners[listener["name"]] = listener
    for server in snapshot.servers(proxy):
        route = snapshot.route(server)
        if route is None:
            continue
        network_filter = listeners.tcp_filter(route, server, snapshot)
        places = [(f"{server.bind or _ANY}_{server.target}", server.bind or proxy.address, server.target)]
        if not server.bind:
            places += [(f"{a}_{p.port}", a, p.port) for a, p in balanced if p.target == server.target]
        for name, address, number in places:
            configuration.listeners[name] = listeners.gateway_listener(name, address, number, network_filter)
            configuration.concern(server.gateway, name)
            configuration.concern(route.virtual_service, name)
        _outbound(route, proxy, snapshot, xds, configuration)
    _notes_on_gateways(proxy, snapshot, configuration)


def _outbound(route: Route, proxy: Proxy, snapshot: Snapshot, xds: Path, configuration: Configuration) -> None:
    namespace = route.virtual_service["metadata"]["namespace"]
    for destination in route.destinations:
        host = hostnames.fully_qualified(str(destination["destination"].get("host", "")), namespace)
        service = snapshot.services_by_host.get(host)
        if service is None:
            continue
        rules = snapshot.rules(host, proxy.namespace)
        names = []
        for cluster, endpoints in service_clusters(service, rules, snapshot, xds):
            names.append(cluster["name"])
            configuration.clusters[cluster["name"]] = cluster
            configuration.endpoints[cluster["name"]] = endpoints
        for rule in rules.rules:
            configuration.concern(rule, *names)
        ignored = ignored_policy(rules)
        if ignored:
            configuration.note(rules.rules[0], f"trafficPolicy {', '.join(ignored)} is not acted on in the sandbox")


def _notes_on_gateways(proxy: Proxy, snapshot: Snapshot, configuration: Configuration) -> None:
    names = set()
    for gateway in snapshot.gateways:
        if services_of(gateway) or not may_open(gateway, proxy):
            continue  # what a translated one cannot have, its own status says
        names.add(f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}")
        for server in gateway["spec"].get("servers") or []:
            if not is_opaque_tcp(server):
                port = server.get("port") or {}
                text = f"server on port {port.get('number')} ({port.get('protocol')}) is not served"
                configuration.note(gateway, f"{text}: the sandbox's gateway passes plain TCP only")
    for virtual_service in snapshot.virtual_services:
        namespace = virtual_service["metadata"]["namespace"]
        bound = {gateway_name(name, namespace) for name in virtual_service["spec"].get("gateways") or []}
        for kind in ("http", "tls"):
            if bound & names and virtual_service["spec"].get(kind):
                configuration.note(virtual_service, f"{kind} routes are not served: the sandbox routes plain TCP only")


def _sidecar(proxy: Proxy, snapshot: Snapshot, configuration: Configuration) -> None:
    status = listeners.status_listener(f"{proxy.address}_{ENVOY_STATUS_PORT}", proxy.address)
    configuration.listeners[status["name"]] = status
    ports = {port.target for port in snapshot.service_ports(proxy)}
    for container in proxy.pod["spec"].get("containers") or []:
        if container.get("name") != PROXY_CONTAINER:
            ports |= {
                int(port["containerPort"])
                for port in container.get("ports") or []
                if port.get("protocol", "TCP") == "TCP"
            }
    application = behind_sidecar(proxy.address)
    for port in sorted(ports - _PORTS_OF_ENVOY):
        listener = listeners.inbound_listener(proxy.address, port)
        configuration.listeners[listener["name"]] = listener
        cluster = inbound_cluster(port, application)
        configuration.clusters[cluster["name"]] = cluster
