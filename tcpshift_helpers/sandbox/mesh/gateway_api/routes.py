"""TCPRoutes: which listeners they attach to, where they lead, and the Istio VirtualServices they become. Pure.

A route attaches to Gateways alone: one whose parent is a Service (traffic within the mesh) is left to others, because
nothing captures what an application sends here.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gateway (conversion.go, route_collections.go, conditions.go);
recorded in tests/unit/sandbox/mesh/recorded/gateway_api.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import hostnames
from tcpshift_helpers.sandbox.mesh.gateway_api.classes import CONTROLLER, GROUP
from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition, update
from tcpshift_helpers.sandbox.mesh.gateway_api.listeners import ROUTE_KIND
from tcpshift_helpers.sandbox.mesh.model import ORIGIN, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.gateway_api.listeners import Listener
    from tcpshift_helpers.sandbox.mesh.model import Snapshot

    Obj = Mapping[str, Any]
    ByGateway = Mapping[tuple[str, str], Sequence[Listener]]

RECONCILED = "Reconciled"
_HOSTNAME = ("networking.istio.io", "Hostname")
_SERVICE = ("", "Service")
# Where istiod sends connections of a route without a positive weight: a cluster that never exists.
_NOWHERE = {"host": "internal.cluster.local", "subset": "zero-weight", "port": {"number": 65535}}
_NOT_ALLOWED = "NotAllowedByListeners"
_NO_PARENT = "NoMatchingParent"


@dataclass(frozen=True)
class Attachment:
    """What came of one parent reference at one listener.

    Attributes:
        reference: the parent reference as written.
        listener: the listener.
        denied: why it may not attach, as (reason, message); None if it may.
    """

    reference: Obj
    listener: Listener
    denied: tuple[str, str] | None


@dataclass(frozen=True)
class Backends:
    """Where a route leads.

    Attributes:
        destinations: as in a VirtualService's route; empty if the whole rule cannot be used.
        error: what is wrong with a backend, as (reason, message); the last of several.
    """

    destinations: tuple[dict[str, Any], ...]
    error: tuple[str, str] | None = None


def attachments(route: Obj, listeners: ByGateway) -> list[Attachment]:
    """Every parent reference that names a Gateway of ours, at each of its listeners."""
    namespace = route["metadata"]["namespace"]
    found: list[Attachment] = []
    for reference in route["spec"].get("parentRefs") or []:
        if (reference.get("group", GROUP), reference.get("kind", "Gateway")) == (GROUP, "Gateway"):
            gateway = (reference.get("namespace") or namespace, reference["name"])
            own = listeners.get(gateway, ())
            found += [Attachment(reference, one, _denied(reference, one, namespace)) for one in own]
    return found


def _denied(reference: Obj, listener: Listener, namespace: str) -> tuple[str, str] | None:
    port, section = reference.get("port"), reference.get("sectionName")
    if port and port != listener.port:
        return _NO_PARENT, f"port {port} not found"
    if section and section != listener.name:
        return _NO_PARENT, f'sectionName "{section}" not found'
    if not listener.admits(namespace):
        host = listener.spec.get("hostname", "")
        words = f'hostnames matched parent hostname "{host}", but namespace "{namespace}" is not allowed by the parent'
        return _NOT_ALLOWED, words
    if (GROUP, ROUTE_KIND) not in listener.kinds:
        return _NOT_ALLOWED, f"kind {GROUP}/v1/{ROUTE_KIND} is not allowed"
    return None


def backends(route: Obj, snapshot: Snapshot) -> Backends:
    """The destinations of the route's rule; a backend without a weight has weight 1, one of weight 0 is left out."""
    rules = route["spec"].get("rules") or []
    weighted = [(one, int(one.get("weight", 1))) for rule in rules for one in rule.get("backendRefs") or []]
    chosen = [(one, weight) for one, weight in weighted if weight > 0]
    if not chosen:
        return Backends(({"destination": _NOWHERE},))
    destinations, error = [], None
    for backend, weight in chosen:
        destination, problem = _destination(backend, route, snapshot)
        if destination is None:
            return Backends((), problem)
        error = problem or error
        destinations.append({"destination": destination, "weight": weight})
    return Backends(tuple(destinations), error)


def _destination(backend: Obj, route: Obj, snapshot: Snapshot) -> tuple[dict[str, Any] | None, tuple[str, str] | None]:
    """The destination, None if the whole rule is unusable by it, and what is wrong."""
    own = route["metadata"]["namespace"]
    name, namespace = str(backend["name"]), str(backend.get("namespace") or own)
    kind = (backend.get("group", ""), backend.get("kind", "Service"))
    if namespace != own and not _granted(kind, name, namespace, own, snapshot.reference_grants):
        words = f'backendRef {name}/{namespace} not accessible to a TCPRoute in namespace "{own}" (missing a ReferenceGrant?)'
        return {}, ("RefNotPermitted", words)
    if kind == _SERVICE:
        if "." in name:
            why = "service name invalid; the name of the Service must be used, not the hostname."
            return None, ("InvalidDestination", why)
        host = hostnames.service_host(name, namespace)
    elif kind == _HOSTNAME:
        if backend.get("namespace"):
            return None, ("InvalidDestination", "namespace may not be set with Hostname type")
        host = name
    else:
        words = f'referencing unsupported backendRef: group "{kind[0]}" kind "{kind[1]}"'
        return {}, ("InvalidKind", words)
    if not backend.get("port"):
        return None, ("InvalidDestination", "port is required in backendRef")
    known = host in snapshot.services_by_host
    return {"host": host, "port": {"number": int(backend["port"])}}, (
        None if known else ("BackendNotFound", f"backend({host}) not found")
    )


def _granted(kind: tuple[str, str], name: str, namespace: str, own: str, grants: Iterable[Obj]) -> bool:
    return any(
        (source["group"], source["kind"], source["namespace"]) == (GROUP, ROUTE_KIND, own)
        and (target["group"], target["kind"]) == kind
        and target.get("name", name) == name
        for grant in grants
        if grant["metadata"]["namespace"] == namespace
        for source in grant["spec"].get("from") or []
        for target in grant["spec"].get("to") or []
    )


def virtual_services(route: Obj, attached: Sequence[Attachment], leads: Backends) -> list[dict[str, Any]]:
    """The VirtualServices that stand for the route: one a listener it is attached to."""
    metadata = route["metadata"]
    bound = sorted(one.listener.bound_name for one in attached if one.denied is None)
    tcp = [{"route": list(leads.destinations)}] if leads.destinations else []
    return [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            ORIGIN: key_of(route),
            "metadata": {
                "name": f"{metadata['name']}~tcp~{number}~istio-autogenerated-k8s-gateway",
                "namespace": metadata["namespace"],
                "uid": metadata.get("uid", ""),
                "creationTimestamp": metadata.get("creationTimestamp"),
                "generation": metadata.get("generation", 0),
            },
            "spec": {"hosts": ["*"], "gateways": [gateway], "tcp": tcp},
        }
        for number, gateway in enumerate(bound)
    ]


def status(
    route: Obj,
    attached: Sequence[Attachment],
    leads: Backends,
    now: str,
    refused: Condition | None = None,
) -> dict[str, Any]:
    """The route's status: our parents' entries anew, those of other controllers as they are.

    Args:
        route: the route as it is.
        attached: what came of its parent references.
        leads: where it leads.
        now: RFC 3339 time for conditions that change.
        refused: what Envoy says of it, if it refused it. istiod tells that nowhere but in its log; here it is a
            condition `Reconciled` of the parents, as on Istio's own objects.
    """
    generation = int(route["metadata"].get("generation", 0))
    namespace = route["metadata"]["namespace"]
    results: dict[str, list[Attachment]] = {}
    for one in attached:
        results.setdefault(_reference_text(one.reference, namespace), []).append(one)

    def parent(text: str, existing: Sequence[Obj]) -> dict[str, Any]:
        wanted = _conditions(results[text], leads, refused)
        kept = [one for one in existing if one["type"] != RECONCILED or RECONCILED in wanted]
        return {
            "parentRef": {"group": GROUP, "kind": "Gateway", **results[text][0].reference},
            "controllerName": CONTROLLER,
            "conditions": update(kept, wanted, generation, now),
        }

    parents, told = [], set()
    for entry in (route.get("status") or {}).get("parents") or []:
        text = _reference_text(entry["parentRef"], namespace)
        if entry.get("controllerName") != CONTROLLER:
            parents.append(dict(entry))
        elif text in results and text not in told:
            told.add(text)
            parents.append(parent(text, entry.get("conditions") or []))
    parents += [parent(text, []) for text in sorted(results.keys() - told, reverse=True)]
    return {"parents": parents}


def _conditions(results: Sequence[Attachment], leads: Backends, refused: Condition | None) -> dict[str, Condition]:
    accepted = sum(one.denied is None for one in results)
    conditions = {
        "Accepted": _accepted(accepted, [one.denied for one in results if one.denied is not None]),
        "ResolvedRefs": Condition("True", "ResolvedRefs", "All references resolved"),
    }
    if leads.error is not None:
        conditions["ResolvedRefs"] = Condition("False", *leads.error)
    if refused is not None and accepted:
        conditions[RECONCILED] = refused
    return conditions


def _accepted(accepted: int, denied: Sequence[tuple[str, str]]) -> Condition:
    """One verdict of several listeners: accepted if one accepts, else the reason that comes closest to it."""
    if accepted:
        bound = f", bound to {accepted} parents" if accepted > 1 else ""
        return Condition("True", "Accepted", f"Route was valid{bound}")
    reason = _NOT_ALLOWED if any(one[0] == _NOT_ALLOWED for one in denied) else _NO_PARENT
    return Condition("False", reason, "; ".join(message for word, message in denied if word == reason))


def _reference_text(reference: Obj, namespace: str) -> str:
    """A parent reference as one text, by which istiod tells and orders them."""
    group, kind = reference.get("group", GROUP), reference.get("kind", "Gateway")
    where = f"{reference.get('sectionName', '')}/{reference.get('port', 0)}.{reference.get('namespace') or namespace}"
    return f"{group}/{kind}/{reference['name']}/{where}"
