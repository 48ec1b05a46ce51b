"""VirtualService: weights by subset, and a status that tells when Envoy has it (condition `Reconciled`).

Of Istio itself only some versions write that condition; where there is none, only Envoy can tell.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from tcpshift_helpers import conditions
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.routes.base import Awaited, Route, Served, Told, check_weights, gateways_named
from tcpshift_helpers.routes.splits import Split, destination, split_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

GROUP = "networking.istio.io"
CONDITION = "Reconciled"


class VirtualService(Route):
    """A VirtualService with TCP routes."""

    GROUP: ClassVar[str] = GROUP
    KIND: ClassVar[str] = "VirtualService"
    NAMES: ClassVar[tuple[str, ...]] = ("virtualservices", "virtualservice", "vs")
    NOT_INSTALLED: ClassVar[str] = mark(
        "This cluster does not know VirtualService: Istio is not installed. See https://istio.io/latest/docs/setup/"
    )
    NOT_APPLIED: ClassVar[str] = mark(
        "Apply one first, for instance: {command}", command='kubectl.apply(cluster, "tcp-echo-all-v1.yaml")'
    )
    AFTER_REFUSAL: ClassVar[str] = mark("What was in force before stays so. Correct the object and apply it again.")

    def weights(self) -> dict[str, int]:
        """By subset; a lone destination without a weight counts as 100."""
        return weights_of(self.obj)

    def patch(self, new: Mapping[str, int]) -> list[dict[str, Any]]:
        """Every route to the same service gets the split; one to another service keeps its own."""
        check_weights(
            new,
            example='{"v1": 80, "v2": 20}',
            all_zero=_("total destination weight = 0: give at least one subset a weight above 0."),
        )
        host = _first_route(self.obj)[0]["destination"]["host"]
        operations = []
        for index, entry in enumerate(self.obj["spec"]["tcp"]):
            route = entry.get("route") or []
            # A route of another port may lead to another service; its weights are not meant.
            if route and route[0]["destination"]["host"] == host:
                value = self._split(route, new)
                operations.append({"op": "replace", "path": f"/spec/tcp/{index}/route", "value": value})
        return operations

    def told(self) -> Told:
        """By its condition `Reconciled`."""
        return reconciled(self.obj)

    def statuses(self) -> list[Awaited]:
        """Its own and, as that can be older than a Gateway or a DestinationRule made anew, theirs."""
        gateways = self._gateways()
        if not self.status_is_proof:
            return []
        routes = [entry.get("route") or [] for entry in self.obj["spec"].get("tcp") or []]
        hosts = {str(one["destination"]["host"]) for route in routes for one in route}
        others = [*gateways, *destination_rules(self.cluster, hosts)]
        awaited = [Awaited(obj, _looked_at, required=False) for obj in others if self._has_status(obj)]
        return [*awaited, Awaited(self.obj, reconciled)]

    @property
    def status_is_proof(self) -> bool:
        """Where there is one."""
        return self._has_status(self.obj)

    def served(self) -> list[Served]:
        """By the labels that its Gateways select pods with, in any namespace."""
        splits = wanted_splits(self.obj, self.namespace)
        return [Served(gateway["spec"].get("selector") or {}, None, splits) for gateway in self._gateways()]

    def _has_status(self, obj: Object) -> bool:
        return self.cluster.is_sandbox or bool(conditions.condition(obj, CONDITION))

    def _gateways(self) -> list[Object]:
        words = [str(word) for word in self.obj["spec"].get("gateways") or [] if word != "mesh"]
        parts = [word.rpartition("/") for word in words]
        return gateways_named(self, GROUP, [(namespace or self.namespace, name) for namespace, _slash, name in parts])

    def _split(self, route: list[dict[str, Any]], new: Mapping[str, int]) -> list[dict[str, Any]]:
        """A route with these weights, to the destinations it had and, where a subset is new in it, to others like them."""
        first = route[0]["destination"]
        known = {one["destination"].get("subset"): one["destination"] for one in route}
        missing = [subset for subset in new if subset not in known]
        if missing:
            there = [
                subset["name"]
                for rule in destination_rules(self.cluster, [first["host"]])
                for subset in rule["spec"].get("subsets") or []
            ]
            unknown = [subset for subset in missing if subset not in there]
            if unknown:
                raise UsageError(
                    _(
                        "There is no subset {names} of {host}. Subsets there are: {subsets}. "
                        "Add it to the DestinationRule first, or correct the name; nothing was changed."
                    ).format(names=listed(unknown), host=first["host"], subsets=listed(there) or _("none"))
                )
            known |= {subset: {**first, "subset": subset} for subset in missing}
        return [{"destination": known[subset], "weight": weight} for subset, weight in new.items()]


def weights_of(virtual_service: Object) -> dict[str, int]:
    """The weights of its first TCP route, by subset.

    Raises:
        UsageError: it has no TCP route by subset.
    """
    name = virtual_service["metadata"]["name"]
    result: dict[str, int] = {}
    for entry in _first_route(virtual_service):
        subset = entry.get("destination", {}).get("subset")
        if not subset:
            raise UsageError(
                _(
                    "VirtualService {name} routes to {host} without a subset, so there are no weights by version."
                ).format(name=name, host=entry.get("destination", {}).get("host"))
            )
        result[subset] = result.get(subset, 0) + int(entry.get("weight", 0))
    if len(result) == 1 and not any(result.values()):
        return dict.fromkeys(result, 100)
    return result


def wanted_splits(virtual_service: Object, namespace: str) -> dict[int, Split]:
    """What it wants, by the port it matches; 0 where it matches any. The first route for a port decides."""
    result: dict[int, Split] = {}
    for entry in virtual_service["spec"].get("tcp") or []:
        split = split_of(
            (
                destination(
                    str(one["destination"]["host"]),
                    int(one["destination"].get("port", {}).get("number", 0)),
                    str(one["destination"].get("subset", "")),
                    namespace,
                ),
                int(one.get("weight", 0)),
            )
            for one in entry.get("route") or []
        )
        for match in entry.get("match") or [{}]:
            if 0 not in result:
                result.setdefault(int(match.get("port", 0)), split)
    return result


def reconciled(virtual_service: Object) -> Told:
    """What its status says about its present generation."""
    answer = {"True": True, "False": False}.get(str(_present_condition(virtual_service).get("status")))
    return _told(virtual_service, answer)


def _looked_at(obj: Object) -> Told:
    """Whether the status says anything about this generation: the VirtualService's own decides."""
    return _told(obj, True if _present_condition(obj) else None)


def _present_condition(obj: Object) -> dict[str, Any]:
    """The condition about the object's present generation; empty while there is none."""
    found = conditions.condition(obj, CONDITION)
    is_present = int(found.get("observedGeneration", 0)) == int(obj["metadata"].get("generation", 0))
    return found if is_present else {}


def _told(obj: Object, answer: bool | None) -> Told:
    found = conditions.condition(obj, CONDITION)
    return Told(answer, str(found.get("reason", "")), str(found.get("message", "")))


def destination_rules(cluster: Cluster, hosts: Collection[str]) -> list[Object]:
    """The DestinationRules of the namespace for these hosts, whether written short or in full."""
    wanted = {host.partition(".")[0] for host in hosts}
    rules = cluster.list(cluster.api.resource_named(f"destinationrules.{GROUP}"))
    return [rule for rule in rules if str(rule["spec"].get("host", "")).partition(".")[0] in wanted]


def _first_route(virtual_service: Object) -> list[dict[str, Any]]:
    for entry in virtual_service["spec"].get("tcp") or []:
        if entry.get("route"):
            return copy.deepcopy(list(entry["route"]))
    raise UsageError(
        _("VirtualService {name} has no TCP route, so there is no split of TCP connections to look at.").format(
            name=virtual_service["metadata"]["name"]
        )
    )
