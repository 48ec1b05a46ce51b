"""Which Istio object concerns which proxy: selection rules, without a word of Envoy. Pure.

A `Snapshot` holds the objects of one moment. From it come the proxies (pods with a container `istio-proxy`), the
Gateway servers a proxy opens, the TCP route behind each, and the subsets of a Service. Objects are the API's own dicts.
Those of the Gateway API are translated to Istio's Gateways and VirtualServices before (`gateway_api`), as istiod does;
such a Gateway names the Services it is reached by in place of a selector.

Not here: `exportTo` and `workloadSelector` (taken as exported to all), `http` and `tls` routes (never served), match
conditions other than port and gateways, which a gateway of the real one does not look at either.

Source: istio.io/istio, 1.31 line: pilot/pkg/model (gateway.go, push_context.go, virtualservice.go) and
pilot/pkg/networking/core/gateway.go; checked against tests/unit/sandbox/mesh/recorded/gateway.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import hostnames
from tcpshift_helpers.sandbox.mesh.injection import PROXY_CONTAINER, STATUS_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Obj = Mapping[str, Any]

ROOT_NAMESPACE = "istio-system"
MESH = "mesh"
ROUTER = "router"
SIDECAR = "sidecar"
# Annotation of a translated Gateway: the full names of the Services it is reached by, separated by commas.
GATEWAY_SERVICE = "internal.istio.io/gateway-service"
# Field of a translated object: the `Key` of the object it was made from.
ORIGIN = "origin"
_OPAQUE_PROTOCOLS = frozenset({"tcp", "mongo", "mysql", "redis"})

Key = tuple[str, str, str]
Version = tuple[str, int]


def key_of(obj: Obj) -> Key:
    """(kind, namespace, name) of the object, or of the one it was translated from."""
    metadata = obj["metadata"]
    origin: Key | None = obj.get(ORIGIN)
    return origin or (obj["kind"], metadata.get("namespace", ""), metadata["name"])


def version_of(obj: Obj) -> Version:
    """(uid, generation): an object that was deleted and made anew is another one, whatever its name and generation."""
    metadata = obj["metadata"]
    return metadata.get("uid", ""), int(metadata.get("generation", 0))


def in_creation_order(objs: Iterable[Obj]) -> list[Obj]:
    """Oldest first; of the same second, by name and namespace."""

    def age(obj: Obj) -> tuple[str, str, str]:
        metadata = obj["metadata"]
        return metadata.get("creationTimestamp") or "", metadata["name"], metadata.get("namespace", "")

    return sorted(objs, key=age)


@dataclass(frozen=True)
class Proxy:
    """A pod whose Envoy we configure.

    Attributes:
        pod: the Pod.
        address: the pod's address.
        kind: `router` (a gateway) or `sidecar`.
    """

    pod: Obj
    address: str
    kind: str

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.pod["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """The pod's uid: names its directory."""
        return str(self.pod["metadata"]["uid"])

    @property
    def node_id(self) -> str:
        """`pod.namespace`, as istiod's log calls it."""
        return f"{self.name}.{self.namespace}"

    @property
    def labels(self) -> Mapping[str, str]:
        """The pod's labels."""
        return self.pod["metadata"].get("labels") or {}

    @property
    def is_leaving(self) -> bool:
        """Whether the pod is being deleted."""
        return bool(self.pod["metadata"].get("deletionTimestamp"))

    @property
    def restarts(self) -> int:
        """How often the proxy's container was started again."""
        statuses = (self.pod.get("status") or {}).get("containerStatuses") or []
        return next((int(s.get("restartCount", 0)) for s in statuses if s.get("name") == PROXY_CONTAINER), 0)


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service as one pod serves it.

    Attributes:
        service: the Service.
        port: the Service's port.
        target: the pod's port behind it.
    """

    service: Obj
    port: int
    target: int


@dataclass(frozen=True)
class Server:
    """One opaque TCP server of a Gateway, on one proxy.

    Attributes:
        gateway: the Gateway.
        number: the port written in the Gateway; VirtualServices match on it.
        target: the pod's port behind it: a Service may translate.
        hosts: the server's hosts, their namespace part resolved.
        bind: an address the Gateway wants to bind instead of the pod's; empty if none.
    """

    gateway: Obj
    number: int
    target: int
    hosts: tuple[str, ...]
    bind: str = ""


@dataclass(frozen=True)
class Route:
    """Where a server's connections go.

    Attributes:
        virtual_service: the VirtualService.
        destinations: its route: destinations with weights, at least one.
    """

    virtual_service: Obj
    destinations: Sequence[Obj]


@dataclass(frozen=True)
class Subset:
    """A named part of a Service's endpoints.

    Attributes:
        name: the subset's name.
        labels: what its pods are labelled with.
        policy: its own traffic policy.
        rule: the DestinationRule that names it.
    """

    name: str
    labels: Mapping[str, str]
    policy: Obj
    rule: Obj


@dataclass(frozen=True)
class Rules:
    """The DestinationRules of one Service, merged.

    Attributes:
        rules: the DestinationRules, oldest first.
        subsets: their subsets by name; the oldest rule wins.
        policy: the traffic policy of the oldest rule that has one.
    """

    rules: tuple[Obj, ...] = ()
    subsets: Mapping[str, Subset] = field(default_factory=dict)
    policy: Obj = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All objects that matter, at one moment."""

    pods: Sequence[Obj] = ()
    services: Sequence[Obj] = ()
    endpoint_slices: Sequence[Obj] = ()
    gateways: Sequence[Obj] = ()
    virtual_services: Sequence[Obj] = ()
    destination_rules: Sequence[Obj] = ()
    namespaces: Sequence[Obj] = ()
    gateway_classes: Sequence[Obj] = ()
    kubernetes_gateways: Sequence[Obj] = ()
    tcp_routes: Sequence[Obj] = ()
    reference_grants: Sequence[Obj] = ()

    @cached_property
    def proxies(self) -> list[Proxy]:
        """Pods with a proxy and an address, oldest first."""
        found = (_proxy(pod) for pod in in_creation_order(self.pods))
        return [proxy for proxy in found if proxy is not None]

    @cached_property
    def services_by_host(self) -> dict[str, Obj]:
        """Services by their full name."""
        return {_host_of(service): service for service in self.services}

    @cached_property
    def pods_by_name(self) -> dict[tuple[str, str], Obj]:
        """Pods by (namespace, name)."""
        return {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in self.pods}

    def service_ports(self, proxy: Proxy) -> list[ServicePort]:
        """Ports of the Services that select this pod, oldest Service first."""
        return [
            ServicePort(service, int(port["port"]), target)
            for service in in_creation_order(self.services)
            if service["metadata"]["namespace"] == proxy.namespace and _selects(service, proxy)
            for port in service["spec"].get("ports") or []
            if (target := _target_port(port, proxy.pod)) is not None
        ]

    def load_balancer_ports(self, proxy: Proxy) -> list[tuple[str, ServicePort]]:
        """(address, port) pairs of LoadBalancer Services that this proxy is to answer in place of kube-proxy.

        One address can be bound by one process: of several gateway pods the oldest that is not leaving has it.
        """
        return [
            (str(ingress["ip"]), port)
            for port in self.service_ports(proxy)
            if port.service["spec"].get("type") == "LoadBalancer" and self.gateway_of(port.service) == proxy.uid
            for ingress in ((port.service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            if ingress.get("ip")
        ]

    def gateway_of(self, service: Obj) -> str | None:
        """The uid of the gateway pod that holds a LoadBalancer Service's address; None if no gateway answers for it."""
        namespace = service["metadata"]["namespace"]
        able = (
            proxy.uid
            for proxy in self.proxies
            if proxy.kind == ROUTER
            and not proxy.is_leaving
            and proxy.namespace == namespace
            and _selects(service, proxy)
        )
        return next(able, None)

    def servers(self, proxy: Proxy) -> list[Server]:
        """The TCP servers this gateway opens; of several Gateways on one port the oldest wins."""
        ports, taken, servers = self.service_ports(proxy), set(), []
        for gateway in in_creation_order(self.gateways):
            if not may_open(gateway, proxy):
                continue
            for server in gateway["spec"].get("servers") or []:
                if not is_opaque_tcp(server):
                    continue
                number = int(server["port"]["number"])
                target = _server_port(gateway, number, ports)
                bind = str(server.get("bind") or "")
                if target is not None and (target, bind) not in taken:
                    taken.add((target, bind))
                    hosts = _server_hosts(server.get("hosts") or [], gateway["metadata"]["namespace"])
                    servers.append(Server(gateway, number, target, hosts, bind))
        return servers

    def route(self, server: Server) -> Route | None:
        """The first TCP rule, by age of VirtualServices, that this server's connections match."""
        name = f"{server.gateway['metadata']['namespace']}/{server.gateway['metadata']['name']}"
        for virtual_service in in_creation_order(self.virtual_services):
            namespace, spec = virtual_service["metadata"]["namespace"], virtual_service["spec"]
            bound = [gateway_name(reference, namespace) for reference in spec.get("gateways") or [MESH]]
            if name not in bound or not _hosts_match(server.hosts, spec.get("hosts") or [], namespace):
                continue
            for rule in spec.get("tcp") or []:
                if rule.get("route") and _rule_matches(rule.get("match") or [], server.number, name, namespace):
                    return Route(virtual_service, rule["route"])
        return None

    def rules(self, host: str, proxy_namespace: str) -> Rules:
        """DestinationRules for a Service: of the proxy's namespace, else the Service's, else the root namespace."""
        service = self.services_by_host.get(host)
        places = [] if proxy_namespace == ROOT_NAMESPACE else [proxy_namespace]
        if service is not None:
            places.append(service["metadata"]["namespace"])
        for place in [*places, ROOT_NAMESPACE]:
            found = self._rules_of_namespace(host, place)
            if found:
                return _merge(found)
        return Rules()

    def _rules_of_namespace(self, host: str, namespace: str) -> list[Obj]:
        """Rules for exactly this host, else those of the longest wildcard that covers it."""
        by_host: dict[str, list[Obj]] = {}
        for rule in in_creation_order(self.destination_rules):
            if rule["metadata"]["namespace"] == namespace:
                by_host.setdefault(hostnames.fully_qualified(rule["spec"].get("host", ""), namespace), []).append(rule)
        if host in by_host:
            return by_host[host]
        covering = [name for name in by_host if name.startswith("*") and hostnames.matches(name, host)]
        return by_host[max(covering, key=len)] if covering else []


def gateway_name(reference: str, namespace: str) -> str:
    """`namespace/name` of a Gateway that a VirtualService of this namespace refers to; `mesh` stays."""
    if reference == MESH:
        return reference
    before, slash, name = reference.partition("/")
    if slash:
        return f"{namespace if before == '.' else before}/{name}"
    # The old form: name.namespace.svc.cluster.local
    parts = reference.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else f"{namespace}/{reference}"


def services_of(gateway: Obj) -> list[str]:
    """Full names of the Services that a translated Gateway is reached by; empty for Istio's own, which select pods."""
    names = (gateway["metadata"].get("annotations") or {}).get(GATEWAY_SERVICE, "")
    return names.split(",") if names else []


def may_open(gateway: Obj, proxy: Proxy) -> bool:
    """Whether the Gateway selects this proxy; a translated one is open to all that its Services select."""
    return bool(services_of(gateway)) or is_subset(gateway["spec"].get("selector") or {}, proxy.labels)


def is_opaque_tcp(server: Obj) -> bool:
    """Whether a Gateway's server passes bytes through as they come: the only kind served here."""
    port = server.get("port") or {}
    return str(port.get("protocol", "")).lower() in _OPAQUE_PROTOCOLS and server.get("tls") is None


def is_subset(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all wanted labels are there."""
    return all(labels.get(name) == value for name, value in wanted.items())


def _proxy(pod: Obj) -> Proxy | None:
    status, metadata = pod.get("status") or {}, pod["metadata"]
    containers = [*(pod["spec"].get("containers") or []), *(pod["spec"].get("initContainers") or [])]
    container = next((c for c in containers if c.get("name") == PROXY_CONTAINER), None)
    if container is None or not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    injected = STATUS_ANNOTATION in (metadata.get("annotations") or {})
    kind = ROUTER if ROUTER in (container.get("args") or []) or not injected else SIDECAR
    return Proxy(pod, str(status["podIP"]), kind)


def _selects(service: Obj, proxy: Proxy) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and is_subset(selector, proxy.labels)


def _target_port(port: Obj, pod: Obj) -> int | None:
    """The pod's port behind a Service's port; None for a name that no container port has."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or str(target).isdigit():
        return int(target)
    for container in pod["spec"].get("containers") or []:
        for container_port in container.get("ports") or []:
            if container_port.get("name") == target:
                return int(container_port["containerPort"])
    return None


def _server_port(gateway: Obj, number: int, ports: Sequence[ServicePort]) -> int | None:
    """The pod's port behind a server's; a translated Gateway opens none that its Services do not have."""
    names = services_of(gateway)
    if not names:
        return next((port.target for port in ports if port.port == number), number)
    namespace = gateway["metadata"]["namespace"]
    own = (p for p in ports if p.service["metadata"]["namespace"] == namespace and _host_of(p.service) in names)
    return next((port.target for port in own if port.port == number), None)


def _host_of(service: Obj) -> str:
    return hostnames.service_host(service["metadata"]["name"], service["metadata"]["namespace"])


def _server_hosts(hosts: Sequence[str], namespace: str) -> tuple[str, ...]:
    resolved = []
    for host in hosts:
        before, slash, name = host.partition("/")
        if not slash or before == "*":
            resolved.append(name if slash else host)
        else:
            resolved.append(f"{namespace if before == '.' else before}/{name}")
    return tuple(resolved)


def _hosts_match(server_hosts: Sequence[str], hosts: Sequence[str], namespace: str) -> bool:
    for server_host in server_hosts:
        before, slash, name = server_host.partition("/")
        if slash and before != namespace:
            continue
        wanted = name if slash else server_host
        if any(hostnames.matches(wanted, hostnames.fully_qualified(host, namespace)) for host in hosts):
            return True
    return False


def _rule_matches(matches: Sequence[Obj], number: int, gateway: str, namespace: str) -> bool:
    """Whether any of the predicates holds; no predicate at all matches everything."""
    return not matches or any(
        match.get("port") in (None, 0, number)
        and (not match.get("gateways") or gateway in [gateway_name(name, namespace) for name in match["gateways"]])
        for match in matches
    )


def _merge(rules: Sequence[Obj]) -> Rules:
    subsets: dict[str, Subset] = {}
    policy: Obj = {}
    for rule in rules:
        policy = policy or rule["spec"].get("trafficPolicy") or {}
        for subset in rule["spec"].get("subsets") or []:
            named = Subset(subset["name"], subset.get("labels") or {}, subset.get("trafficPolicy") or {}, rule)
            subsets.setdefault(named.name, named)
    return Rules(tuple(rules), subsets, policy)
