"""The Gateway API's objects as Istio's, and what is to be said of each. Pure.

A Gateway's listeners become Istio Gateways, TCPRoutes become VirtualServices, as istiod does it; everything below knows
only those. The status of each object follows from the same.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gateway (gateway_collection.go, route_collections.go);
recorded in tests/unit/sandbox/mesh/recorded/gateway_api.json.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh.gateway_api import classes, gateways, routes
from tcpshift_helpers.sandbox.mesh.gateway_api.addresses import is_managed
from tcpshift_helpers.sandbox.mesh.model import in_creation_order, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition
    from tcpshift_helpers.sandbox.mesh.gateway_api.gateways import ServedGateway
    from tcpshift_helpers.sandbox.mesh.gateway_api.routes import Attachment, Backends
    from tcpshift_helpers.sandbox.mesh.model import Key, Snapshot

    Obj = Mapping[str, Any]


@dataclass(frozen=True)
class BoundRoute:
    """A TCPRoute and what came of it.

    Attributes:
        route: the TCPRoute.
        attached: what came of its parent references.
        leads: where it leads.
    """

    route: Obj
    attached: Sequence[Attachment]
    leads: Backends


@dataclass(frozen=True)
class Translation:
    """What the Gateway API's objects mean.

    Attributes:
        snapshot: the objects.
        served: the Gateways of Istio's class.
        bound: the TCPRoutes, oldest first.
    """

    snapshot: Snapshot
    served: Sequence[ServedGateway] = ()
    bound: Sequence[BoundRoute] = ()

    @property
    def managed(self) -> list[Obj]:
        """Gateways whose Deployment and Service istiod makes."""
        return [one.gateway for one in self.served if is_managed(one.gateway)]

    def with_istio(self) -> Snapshot:
        """The snapshot with Istio's own objects and the translated ones side by side."""
        gateways_ = (listener.istio_gateway(one.hosts) for one in self.served for listener in one.open_listeners)
        made = (one for b in self.bound for one in routes.virtual_services(b.route, b.attached, b.leads))
        return replace(
            self.snapshot,
            gateways=[*self.snapshot.gateways, *gateways_],
            virtual_services=[*self.snapshot.virtual_services, *made],
        )

    def statuses(self, now: str, refusals: Mapping[Key, Condition] | None = None) -> list[tuple[Obj, dict[str, Any]]]:
        """Objects, and the status each should have.

        Args:
            now: RFC 3339 time for conditions that change.
            refusals: by the key of a TCPRoute, what Envoy says of it if it refused it.
        """
        refusals = refusals or {}
        attached: dict[tuple[str, str], Counter[str]] = {one.key: Counter() for one in self.served}
        for b in self.bound:
            for listener in {
                one.listener.bound_name: one.listener for one in b.attached if one.denied is None
            }.values():
                attached[listener.key][listener.name] += 1
        ours = filter(classes.is_ours, self.snapshot.gateway_classes)
        found: list[tuple[Obj, dict[str, Any]]] = [(one, gateways.class_status(one, now)) for one in ours]
        for b in self.bound:
            refused = refusals.get(key_of(b.route))
            found.append((b.route, routes.status(b.route, b.attached, b.leads, now, refused)))
        found += [(one.gateway, one.status(attached[one.key], self.snapshot, now)) for one in self.served]
        return found + gateways.remote_statuses(self.snapshot, now)


def translate(snapshot: Snapshot) -> Translation:
    """Translate everything."""
    served = gateways.served_gateways(snapshot)
    listeners = {one.key: one.open_listeners for one in served}
    bound = [
        BoundRoute(route, routes.attachments(route, listeners), routes.backends(route, snapshot))
        for route in in_creation_order(snapshot.tcp_routes)
    ]
    return Translation(snapshot, served, bound)
