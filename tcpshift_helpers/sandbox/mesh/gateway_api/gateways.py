"""Gateways: which are served here, by which listeners, and their status. Pure.

`infrastructure.parametersRef` is refused: nothing here would act on the ConfigMap it names.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gateway (gateway_collection.go, conversion.go
`reportGatewayStatus`); recorded in tests/unit/sandbox/mesh/recorded/gateway_api.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh.gateway_api import addresses, classes
from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition, update
from tcpshift_helpers.sandbox.mesh.gateway_api.listeners import Listener, listeners_of
from tcpshift_helpers.sandbox.mesh.model import in_creation_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.model import Snapshot

    Obj = Mapping[str, Any]

_REMOTE = "This Gateway is remote; Istio will not program it"
_ACCEPTED = Condition("True", "Accepted", "Resource accepted")


@dataclass(frozen=True)
class ServedGateway:
    """A Gateway of Istio's class.

    Attributes:
        gateway: the Gateway.
        hosts: full names of the Services it is reached by; if empty, nothing of it is served.
        problem: what is wrong with it as a whole, as (reason, message).
        listeners: its listeners, in order.
    """

    gateway: Obj
    hosts: tuple[str, ...]
    problem: tuple[str, str] | None
    listeners: tuple[Listener, ...]

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.gateway["metadata"]["namespace"], self.gateway["metadata"]["name"]

    @property
    def open_listeners(self) -> list[Listener]:
        """Listeners that routes may name."""
        return [one for one in self.listeners if not one.conflict] if self.hosts else []

    def status(self, attached: Mapping[str, int], snapshot: Snapshot, now: str) -> dict[str, Any]:
        """The Gateway's status.

        Args:
            attached: how many routes each listener has, by its name.
            snapshot: the Services and endpoints it is reached by.
            now: RFC 3339 time for conditions that change.
        """
        old = self.gateway.get("status") or {}
        ports = [one.port for one in self.open_listeners]
        reached = addresses.reach(self.key[0], self.hosts, ports, snapshot)
        wanted = {
            "Accepted": self._accepted(),
            "Programmed": reached.programmed(self.hosts),
            "ResolvedRefs": Condition("True", "ResolvedRefs", "All references resolved"),
        }
        status = {"conditions": update(old.get("conditions") or [], wanted, _generation(self.gateway), now)}
        # An address that was told once stays.
        told = reached.addresses or old.get("addresses")
        if told:
            status["addresses"] = told
        known = {one["name"]: one.get("conditions") or [] for one in old.get("listeners") or []}
        if self.hosts:
            status["listeners"] = [
                one.status(known.get(one.name, ()), attached.get(one.name, 0), now) for one in self.listeners
            ]
        return status

    def _accepted(self) -> Condition:
        valid = sum(one.is_valid for one in self.listeners)
        if self.problem is not None:
            return Condition("False", *self.problem)
        if not valid and self.listeners:
            return Condition("False", "ListenersNotValid", "None of the Gateway's listeners are valid")
        if valid < len(self.listeners):
            return Condition("True", "ListenersNotValid", "One or more of the Gateway's listeners are invalid")
        return _ACCEPTED


def served_gateways(snapshot: Snapshot) -> list[ServedGateway]:
    """The Gateways whose class is Istio's, oldest first."""
    found = []
    for gateway in _of_controller(snapshot, classes.CONTROLLER):
        hosts, problem = addresses.service_hosts(gateway)
        listeners = tuple(listeners_of(gateway, snapshot.namespaces))
        found.append(ServedGateway(gateway, tuple(hosts), problem or _parameters_problem(gateway), listeners))
    return found


def _parameters_problem(gateway: Obj) -> tuple[str, str] | None:
    reference = (gateway["spec"].get("infrastructure") or {}).get("parametersRef")
    if not reference:
        return None
    what = f"{reference.get('group', '')}/{reference['kind']}"
    return "InvalidParameters", f"Unsupported parametersRef group/kind {what}: the sandbox acts on none"


def remote_statuses(snapshot: Snapshot, now: str) -> list[tuple[Obj, dict[str, Any]]]:
    """Gateways of the class for those that another cluster serves, and the status of each."""
    wanted = {"Accepted": _ACCEPTED, "Programmed": Condition("True", "Programmed", _REMOTE)}
    found: list[tuple[Obj, dict[str, Any]]] = []
    for gateway in _of_controller(snapshot, classes.REMOTE_CONTROLLER):
        old = gateway.get("status") or {}
        status = {"conditions": update(old.get("conditions") or [], wanted, _generation(gateway), now)}
        if gateway["spec"].get("addresses"):
            status["addresses"] = list(gateway["spec"]["addresses"])
        found.append((gateway, status))
    return found


def class_status(gateway_class: Obj, now: str) -> dict[str, Any]:
    """The status of a GatewayClass of ours."""
    old = (gateway_class.get("status") or {}).get("conditions") or []
    wanted = {"Accepted": Condition("True", "Accepted", "Handled by Istio controller")}
    return {"conditions": update(old, wanted, _generation(gateway_class), now)}


def _of_controller(snapshot: Snapshot, controller: str) -> Sequence[Obj]:
    controllers = classes.controllers(snapshot.gateway_classes)
    gateways = in_creation_order(snapshot.kubernetes_gateways)
    return [one for one in gateways if controllers.get(one["spec"]["gatewayClassName"]) == controller]


def _generation(obj: Obj) -> int:
    return int(obj["metadata"].get("generation", 0))
