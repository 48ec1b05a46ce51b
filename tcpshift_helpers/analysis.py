"""What `istioctl analyze` would say about the TCP routes of a namespace, with its codes and in its words.

No istioctl is needed: the objects are read through the API and looked at here. Of istioctl's analyzers it has those
that a TCP route can run into; what they leave unsaid (a port in `match` that no Gateway opens) stays unsaid here, too.
It changes nothing and opens no connection.
Source: istio.io/istio, pkg/config/analysis (analyzers virtualservice, gateway, destinationrule, injection, conditions).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.errors import NotFoundError
from tcpshift_helpers.ingress import SYSTEM_NAMESPACE
from tcpshift_helpers.steps import has_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

ERROR, WARNING, INFO = "Error", "Warning", "Info"
_LEVELS = (ERROR, WARNING, INFO)
_KINDS = {
    "Namespace": "namespaces",
    "Service": "services",
    "Pod": "pods",
    "Gateway": "gateways.networking.istio.io",
    "VirtualService": "virtualservices.networking.istio.io",
    "DestinationRule": "destinationrules.networking.istio.io",
}


@dataclass(frozen=True)
class Finding:
    """One message.

    Attributes:
        level: `Error`, `Warning` or `Info`.
        code: such as `IST0101`; istio.io/latest/docs/reference/config/analysis explains each.
        kind: of the object it is about.
        namespace: of that object; its own name for a Namespace.
        name: of that object.
        message: in istioctl's words.
    """

    level: str
    code: str
    kind: str
    namespace: str
    name: str
    message: str

    def __str__(self) -> str:
        origin = self.name if self.kind == "Namespace" else f"{self.namespace}/{self.name}"
        return f"{self.level} [{self.code}] ({self.kind} {origin}) {self.message}"


class Findings(list[Finding]):
    """Findings, the gravest first. A notebook shows nothing for it, because they were printed already."""

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


@dataclass(frozen=True)
class Mesh:
    """The objects of a cluster that the analyzers look at, by kind."""

    objects: Mapping[str, list[Object]] = field(default_factory=dict)

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind."""
        return self.objects.get(kind, [])

    def service(self, host: str, namespace: str) -> Object | None:
        """The Service that a host means, written short or in full."""
        name, _, rest = host.partition(".")
        where = rest.partition(".")[0] or namespace
        return next((one for one in self.all("Service") if _key(one) == (where, name)), None)


def analyze(cluster: Cluster) -> Findings:
    """Look at the cluster's namespace and print what is found, as `istioctl analyze -n` does.

    Returns:
        The findings; an empty list is a good sign and no proof: ask the gateway for that.
    """
    print(f"$ istioctl analyze -n {cluster.namespace}")
    found = Findings(one for one in find(_read(cluster)) if one.namespace == cluster.namespace)
    if not found:
        print(f"✔ No validation issues found when analyzing namespace: {cluster.namespace}.")
    for one in found:
        print(one)
    return found


def find(mesh: Mesh) -> list[Finding]:
    """The findings about all objects of a mesh, the gravest first."""
    found = [
        Finding(level, code, obj["kind"], *_key(obj), message)
        for analyzer in (_routes, _gateways, _subsets, _injection, _conditions)
        for obj, level, code, message in analyzer(mesh)
    ]
    return sorted(found, key=lambda one: (_LEVELS.index(one.level), one.code, one.kind, one.namespace, one.name))


_Message = tuple["Object", str, str, str]


def _routes(mesh: Mesh) -> Iterator[_Message]:
    gateways = {_key(gateway): gateway for gateway in mesh.all("Gateway")}
    for obj in mesh.all("VirtualService"):
        namespace, name = _key(obj)
        for word in obj["spec"].get("gateways") or []:
            if word == "mesh":
                continue
            key = _reference(word, namespace)
            if key not in gateways:
                yield obj, ERROR, "IST0101", f'Referenced gateway not found: "{word}"'
            hosts = obj["spec"].get("hosts") or []
            if not any(_matches(open_to, host) for open_to in _hosts(gateways.get(key)) for host in hosts):
                words = " ".join(hosts)
                yield (obj, WARNING, "IST0132",
                       f"one or more host [{words}] defined in VirtualService {namespace}/{name} not found in Gateway {'/'.join(key)}.")  # fmt: skip
        for destination in _destinations(obj):
            yield from ((obj, *rest) for rest in _destination(mesh, destination, namespace))


def _destination(mesh: Mesh, destination: Mapping[str, Any], namespace: str) -> Iterator[tuple[str, str, str]]:
    host, subset = str(destination.get("host", "")), destination.get("subset")
    service = mesh.service(host, namespace)
    if service is None:
        yield ERROR, "IST0101", f'Referenced host not found: "{host}"'
    else:
        there = [entry["port"] for entry in service["spec"].get("ports") or []]
        wanted = destination.get("port", {}).get("number")
        if wanted is None and len(there) > 1:
            words = " ".join(str(port) for port in there)
            yield (ERROR, "IST0112",
                   f'This VirtualService routes to a service "{host}" that exposes multiple ports [{words}]. Specifying a port in the destination is required to disambiguate.')  # fmt: skip
        elif wanted is not None and wanted not in there:
            yield ERROR, "IST0101", f'Referenced host:port not found: "{host}:{wanted}"'
    if subset and subset not in _subsets_of(mesh, host, namespace):
        yield ERROR, "IST0101", f'Referenced host+subset in destinationrule not found: "{host}+{subset}"'


def _gateways(mesh: Mesh) -> Iterator[_Message]:
    listening: dict[tuple[str, int], list[Object]] = defaultdict(list)
    for obj in mesh.all("Gateway"):
        for port in _ports(obj):
            listening[_selector(obj), port].append(obj)
    for obj in mesh.all("Gateway"):
        selector = _selector(obj)
        pods = [pod for pod in mesh.all("Pod") if _selects(obj["spec"].get("selector"), pod)]
        if not pods:
            yield obj, ERROR, "IST0101", f'Referenced selector not found: "{selector}"'
            continue
        exposed = {
            number
            for service in mesh.all("Service")
            if any(_key(pod)[0] == _key(service)[0] and _selects(service["spec"].get("selector"), pod) for pod in pods)
            for entry in service["spec"].get("ports") or []
            if entry.get("protocol", "TCP") == "TCP"
            for number in (entry["port"], entry.get("targetPort"))
        }
        for server in obj["spec"].get("servers") or []:
            port = int(server.get("port", {}).get("number", 0))
            if port not in exposed:
                yield (obj, WARNING, "IST0162",
                       f"The gateway is listening on a target port (port {port}) that is not defined in the Service associated with its workload instances (Pod selector {selector}). If you need to access the gateway port through the gateway Service, it will not be available.")  # fmt: skip
            hosts = server.get("hosts") or []
            rivals = sorted(
                "/".join(_key(other))
                for other in listening[selector, port]
                if other is not obj and set(hosts) & set(_hosts(other, port))
            )
            if rivals:
                yield (obj, ERROR, "IST0145",
                       f"Conflict with gateways {','.join(rivals)} (workload selector {selector}, port {port}, hosts {','.join(hosts)}).")  # fmt: skip


def _subsets(mesh: Mesh) -> Iterator[_Message]:
    for obj in mesh.all("DestinationRule"):
        namespace, _ = _key(obj)
        host = str(obj["spec"].get("host", ""))
        service = mesh.service(host, namespace)
        if service is None:
            yield (
                obj,
                WARNING,
                "IST0174",
                f"The host {host} defined in the DestinationRule does not match any services in the mesh.",
            )
            continue
        pods = [pod for pod in mesh.all("Pod") if _key(pod)[0] == _key(service)[0]]
        for subset in obj["spec"].get("subsets") or []:
            selector = {**(service["spec"].get("selector") or {}), **(subset.get("labels") or {})}
            if not any(_selects(selector, pod) for pod in pods):
                yield (obj, ERROR, "IST0173",
                       f"The Subset {subset['name']} defined in the DestinationRule does not select any pods. Which may lead to 503 UH (NoHealthyUpstream).")  # fmt: skip


def _injection(mesh: Mesh) -> Iterator[_Message]:
    enabled = set()
    for obj in mesh.all("Namespace"):
        name, labels = obj["metadata"]["name"], obj["metadata"].get("labels") or {}
        if name == SYSTEM_NAMESPACE or labels.get("istio.io/dataplane-mode") == "ambient":
            continue
        if labels.get("istio-injection") == "enabled":
            enabled.add(name)
        elif not labels.get("istio-injection") and "istio.io/rev" not in labels:
            yield (obj, INFO, "IST0102",
                   f"The namespace is not enabled for Istio injection. Run 'kubectl label namespace {name} istio-injection=enabled' to enable it, or 'kubectl label namespace {name} istio-injection=disabled' to explicitly mark it as not needing injection.")  # fmt: skip
    for pod in mesh.all("Pod"):
        metadata, spec = pod["metadata"], pod["spec"]
        asked = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}.get("sidecar.istio.io/inject")
        if metadata["namespace"] not in enabled or str(asked).lower() == "false" or spec.get("hostNetwork"):
            continue
        if not has_sidecar(pod):
            yield (pod, WARNING, "IST0103",
                   f"The pod {metadata['namespace']}/{metadata['name']} is missing the Istio proxy. This can often be resolved by restarting or redeploying the workload.")  # fmt: skip


def _conditions(mesh: Mesh) -> Iterator[_Message]:
    for kind in ("Gateway", "VirtualService", "DestinationRule"):
        for obj in mesh.all(kind):
            for condition in obj.get("status", {}).get("conditions") or []:
                if condition.get("status") == "False":
                    yield (obj, WARNING, "IST0171",
                           f"A condition with a negative status is present: type={condition['type']}, reason={condition.get('reason', '')}, message={condition.get('message', '')}.")  # fmt: skip


def _read(cluster: Cluster) -> Mesh:
    objects = {}
    for kind, word in _KINDS.items():
        try:
            resource = cluster.api.resource_named(word)
        except NotFoundError:
            continue  # Istio is not installed
        listing = cluster.api.request("GET", resource.path())
        items = [{"apiVersion": resource.api_version, "kind": kind, **item} for item in listing["items"]]
        objects[kind] = [item for item in items if not item["metadata"].get("deletionTimestamp")]
    return Mesh(objects)


def _key(obj: Object) -> tuple[str, str]:
    """Namespace and name; a Namespace counts as its own."""
    metadata = obj["metadata"]
    return metadata.get("namespace", metadata["name"]), metadata["name"]


def _reference(word: str, namespace: str) -> tuple[str, str]:
    before, _, name = word.rpartition("/")
    return before or namespace, name


def _ports(gateway: Object) -> set[int]:
    return {int(server.get("port", {}).get("number", 0)) for server in gateway["spec"].get("servers") or []}


def _hosts(gateway: Object | None, port: int | None = None) -> list[str]:
    """The hosts that a Gateway is open to, at a port or at any; the namespace before a `/` is left out."""
    servers = (gateway or {"spec": {}})["spec"].get("servers") or []
    return [
        host.rpartition("/")[2]
        for server in servers
        if port in {None, server.get("port", {}).get("number")}
        for host in server.get("hosts") or []
    ]


def _matches(one: str, other: str) -> bool:
    """Whether two host names, each perhaps with a leading `*`, have a host in common."""
    if "*" in one and "*" in other:
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    if "*" in one or "*" in other:
        wildcard, name = (one, other) if "*" in one else (other, one)
        return name.endswith(wildcard[1:])
    return one == other


def _destinations(virtual_service: Object) -> list[Mapping[str, Any]]:
    routes = [entry.get("route") or [] for entry in virtual_service["spec"].get("tcp") or []]
    return [one.get("destination") or {} for route in routes for one in route]


def _subsets_of(mesh: Mesh, host: str, namespace: str) -> set[str]:
    service = mesh.service(host, namespace)
    found: set[str] = set()
    for rule in mesh.all("DestinationRule"):
        rule_host = str(rule["spec"].get("host", ""))
        same = mesh.service(rule_host, _key(rule)[0]) is service if service else rule_host == host
        found |= {subset["name"] for subset in rule["spec"].get("subsets") or [] if same}
    return found


def _selector(gateway: Object) -> str:
    labels = gateway["spec"].get("selector") or {}
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def _selects(selector: Mapping[str, str] | None, pod: Object) -> bool:
    """Whether a selector takes a pod; an empty one takes none."""
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())
