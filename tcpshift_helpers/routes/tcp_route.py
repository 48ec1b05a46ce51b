"""TCPRoute of the Gateway API: weights by backend Service, and a status that tells when istiod has taken it on.

That status comes before Envoy has the route, and of two routes for one listener only the older one is in force although
both are accepted: Envoy has the last word.

Source: Gateway API 1.6 (gateway.networking.k8s.io, kinds Gateway and TCPRoute); istio.io/istio, 1.31 line:
pilot/pkg/config/kube/gateway (conversion.go); recorded in tests/unit/sandbox/mesh/recorded/gateway_api.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tcpshift_helpers import conditions
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.routes.base import Awaited, Route, Served, Told, check_weights, gateways_named
from tcpshift_helpers.routes.splits import Destination, Split, destination, split_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.api import Object

GROUP = "gateway.networking.k8s.io"
CLASS, CONTROLLER = "istio", "istio.io/gateway-controller"
GATEWAY_NAME = f"{GROUP}/gateway-name"  # label of the pods that istiod makes for a Gateway
INSTALL = (
    "kubectl apply --server-side -f "
    "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.0/experimental-install.yaml"
)
ENABLE = "kubectl -n istio-system set env deployment/istiod PILOT_ENABLE_ALPHA_GATEWAY_API=true"
LARGEST_WEIGHT = 1_000_000
# Conditions that have to be true, in the order in which a no is told. The last is written where Envoy refused it, and
# only by the sandbox; istiod keeps that to its log.
_DEMANDED, _REFUSED = ("Accepted", "ResolvedRefs"), "Reconciled"
# Where istiod sends connections when no backend has a weight above 0: to a cluster that does not exist.
_NOWHERE = Destination("internal.cluster.local", 65535, "zero-weight")


class TcpRoute(Route):
    """A TCPRoute, of version v1 or v1alpha2."""

    GROUP: ClassVar[str] = GROUP
    KIND: ClassVar[str] = "TCPRoute"
    NAMES: ClassVar[tuple[str, ...]] = ("tcproutes", "tcproute")
    NOT_INSTALLED: ClassVar[str] = mark(
        "This cluster does not know TCPRoute: the definitions of the Gateway API are not installed, or are those of the "
        "standard channel, which has TCPRoute only since version 1.6.\n"
        "Install the experimental channel with: {install}\n"
        "An older Istio looks at TCPRoute only when told to: {enable}",
        install=INSTALL,
        enable=ENABLE,
    )
    NOT_APPLIED: ClassVar[str] = mark(
        "Apply one first, for instance: {command}",
        command='kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")',
    )
    # istiod may see a Service or a Gateway later than the route that was applied after it: such a no does not last.
    REFUSAL_SECONDS: ClassVar[float] = 2.0
    AFTER_REFUSAL: ClassVar[str] = mark("Correct the route, or create what it names, and wait again.")

    def weights(self) -> dict[str, int]:
        """By the names of backends; a missing weight is 1, as the Gateway API says."""
        result: dict[str, int] = {}
        for backend in self._backends():
            name = str(backend["name"])
            result[name] = result.get(name, 0) + _weight(backend)
        return result

    def patch(self, new: Mapping[str, int]) -> list[dict[str, Any]]:
        """The backends it had keep their references; a new one is a Service of the route's namespace."""
        check_weights(
            new,
            example='{"tcp-echo-v1": 80, "tcp-echo-v2": 20}',
            all_zero=_(
                "With every weight 0 the gateway would accept connections and cut each of them: give at least one "
                "backend a weight above 0."
            ),
            most=LARGEST_WEIGHT,
        )
        backends = self._backends()
        known = {str(backend["name"]): backend for backend in reversed(backends)}
        port = next((backend["port"] for backend in backends if backend.get("port")), None)
        chosen = {name: known.get(name) or {"name": name, "port": port} for name in new}
        self._check_services(chosen)
        value = [{**_short(chosen[name]), "weight": weight} for name, weight in new.items()]
        return [{"op": "replace", "path": "/spec/rules/0/backendRefs", "value": value}]

    def told(self) -> Told:
        """By what istiod says of it at each Gateway that it names."""
        return self._judge(self.obj, self._parents())

    def statuses(self) -> list[Awaited]:
        """That its Gateways are programmed, and that istiod accepts it at each of them."""
        gateways = self.gateways()
        there = {_key(gateway["metadata"]) for gateway in gateways}
        parents = [parent for parent in self._parents() if (self._namespace_of(parent), parent["name"]) in there]
        programmed_advice = _("Look at: kubectl -n {namespace} describe gtw").format(namespace=self.namespace)
        advice = _(
            "Look at: kubectl -n istio-system get pods. An older Istio looks at TCPRoute only when told to: {enable}"
        ).format(enable=ENABLE)
        return [
            *(Awaited(gateway, programmed, _("programmed"), advice=programmed_advice) for gateway in gateways),
            Awaited(self.obj, lambda seen: self._judge(seen, parents), advice=advice),
        ]

    @property
    def status_is_proof(self) -> bool:
        """Never: see the module."""
        return False

    def served(self) -> list[Served]:
        """By the label of the pods that istiod makes for a Gateway, or by the Services whose names it has as addresses."""
        split = self._split()
        splits: dict[tuple[str, str], dict[int, Split]] = {}
        for gateway, listener in self.attached():
            splits.setdefault(_key(gateway["metadata"]), {})[int(listener["port"])] = split
        return [
            Served(selector, gateway["metadata"]["namespace"], splits[_key(gateway["metadata"])])
            for gateway in self.gateways()
            if _key(gateway["metadata"]) in splits
            for selector in self._selectors(gateway)
        ]

    def gateways(self) -> list[Object]:
        """The Gateways that it names and that are there.

        Raises:
            NotFoundError: none is there.
            UsageError: it names none.
        """
        names = [(self._namespace_of(parent), str(parent["name"])) for parent in self._parents()]
        if not names:
            raise UsageError(
                _("TCPRoute {name} names no Gateway in spec.parentRefs, so no connection comes to it.").format(
                    name=self.name
                )
            )
        return gateways_named(self, GROUP, names)

    def attached(self) -> list[tuple[Object, dict[str, Any]]]:
        """Each of its Gateways with each TCP listener that it names there, by section or port or all of them."""
        gateways = {_key(gateway["metadata"]): gateway for gateway in self.gateways()}
        return [
            (gateway, listener)
            for parent in self._parents()
            if (gateway := gateways.get((self._namespace_of(parent), parent["name"])))
            for listener in gateway["spec"].get("listeners") or []
            if listener["protocol"] == "TCP"
            and parent.get("sectionName") in {None, listener["name"]}
            and parent.get("port") in {None, listener["port"]}
        ]

    def _selectors(self, gateway: Object) -> list[dict[str, str]]:
        """Labels of the pods of a Gateway."""
        metadata, addresses = gateway["metadata"], gateway["spec"].get("addresses") or []
        hosts = [str(one["value"]) for one in addresses if one.get("type") == "Hostname"]
        if not hosts:
            return [{GATEWAY_NAME: metadata["name"]}]
        services = self.cluster.api.resource_named("services")
        read = (self.cluster.read_or_none(services, host.partition(".")[0], metadata["namespace"]) for host in hosts)
        return [dict(service["spec"]["selector"]) for service in read if service and service["spec"].get("selector")]

    def _backends(self) -> list[dict[str, Any]]:
        # Version v1 has one rule; of several in v1alpha2 the first decides, for nothing tells connections apart.
        for rule in self.obj["spec"].get("rules") or []:
            if rule.get("backendRefs"):
                return list(rule["backendRefs"])
        raise UsageError(
            _("TCPRoute {name} has no backendRefs, so there is no split of TCP connections to look at.").format(
                name=self.name
            )
        )

    def _parents(self) -> list[dict[str, Any]]:
        references = self.obj["spec"].get("parentRefs") or []
        return [
            one for one in references if (one.get("group", GROUP), one.get("kind", "Gateway")) == (GROUP, "Gateway")
        ]

    def _namespace_of(self, reference: Mapping[str, Any]) -> str:
        return str(reference.get("namespace") or self.namespace)

    def _split(self) -> Split:
        weighted = [
            (destination(str(one["name"]), int(one.get("port", 0)), "", self._namespace_of(one)), weight)
            for one in self._backends()
            if (weight := _weight(one))
        ]
        return split_of(weighted or [(_NOWHERE, 1)])

    def _judge(self, seen: Object, parents: list[dict[str, Any]]) -> Told:
        """A no at one parent is a no; a yes takes all of them."""
        answers = [self._judge_at(seen, parent) for parent in parents] or [Told(None)]
        refused = [told for told in answers if told.answer is False]
        waiting = [told for told in answers if told.answer is None]
        return [*refused, *waiting, *answers][0]

    def _judge_at(self, seen: Object, parent: Mapping[str, Any]) -> Told:
        wanted = self._parent_key(parent)
        for entry in seen.get("status", {}).get("parents") or []:
            if entry.get("controllerName") == CONTROLLER and self._parent_key(entry["parentRef"]) == wanted:
                told = [_told(entry, kind, seen) for kind in (*_DEMANDED, _REFUSED)]
                refused = [one for one in told if one.answer is False]
                demanded = told[: len(_DEMANDED)]
                waiting = [one for one in demanded if one.answer is None]
                return [*refused, *waiting, *demanded][0]
        return Told(None)

    def _parent_key(self, reference: Mapping[str, Any]) -> tuple[Any, ...]:
        section, port = reference.get("sectionName"), reference.get("port")
        return self._namespace_of(reference), reference["name"], section, port

    def _check_services(self, chosen: Mapping[str, Mapping[str, Any]]) -> None:
        services = self.cluster.api.resource_named("services")
        unknown = [
            name
            for name, backend in chosen.items()
            if (backend.get("group") or "", backend.get("kind", "Service")) == ("", "Service")
            and self.cluster.read_or_none(services, name, self._namespace_of(backend)) is None
        ]
        if unknown:
            there = listed(one["metadata"]["name"] for one in self.cluster.list(services, self.namespace))
            raise UsageError(
                _(
                    "There is no Service {names} in {namespace}. Services there: {services}. "
                    "Create it first, or correct the name; nothing was changed."
                ).format(names=listed(unknown), namespace=self.namespace, services=there or _("none"))
            )


def programmed(gateway: Object) -> Told:
    """Whether a Gateway is programmed; a no may still become a yes, when its pod is up and its address is there."""
    told = _told(gateway.get("status", {}), "Programmed", gateway)
    return told._replace(answer=told.answer or None)


def _told(holder: Mapping[str, Any], kind: str, obj: Object) -> Told:
    """What a condition says of the object's present generation."""
    found = conditions.condition({"status": dict(holder)}, kind)
    is_present = int(found.get("observedGeneration", 0)) == int(obj["metadata"].get("generation", 0))
    answer = {"True": True, "False": False}.get(str(found.get("status"))) if is_present else None
    return Told(answer, str(found.get("reason", "")), str(found.get("message", "")))


def _key(metadata: Mapping[str, Any]) -> tuple[str, str]:
    return str(metadata["namespace"]), str(metadata["name"])


def _weight(backend: Mapping[str, Any]) -> int:
    weight = backend.get("weight")
    return 1 if weight is None else int(weight)


def _short(backend: Mapping[str, Any]) -> dict[str, Any]:
    """A reference without what the API server fills in."""
    filled_in = {("group", ""), ("kind", "Service")}
    return {key: value for key, value in backend.items() if (key, value) not in filled_in}
