"""The Gateway API's objects as Istio's, and what is to be said of each. Pure.

A Gateway's listeners become Istio Gateways, TCPRoutes become VirtualServices, as istiod does it; everything below knows
only those. The status of each object is computed along with it.

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
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition
    from tcpshift_helpers.sandbox.mesh.model import Key, Snapshot

    Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Translation:
    """What the Gateway API's objects mean.

    Attributes:
        gateways: Istio Gateways.
        virtual_services: VirtualServices.
        managed: Gateways whose Deployment and Service istiod makes.
        statuses: objects and the status each should have.
    """

    gateways: list[dict[str, Any]]
    virtual_services: list[dict[str, Any]]
    managed: list[Obj]
    statuses: list[tuple[Obj, dict[str, Any]]]

    def added_to(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with Istio's own objects and the translated ones side by side."""
        return replace(
            snapshot,
            gateways=[*snapshot.gateways, *self.gateways],
            virtual_services=[*snapshot.virtual_services, *self.virtual_services],
        )


def translate(snapshot: Snapshot, now: str, refusals: Mapping[Key, Condition] | None = None) -> Translation:
    """Translate everything.

    Args:
        snapshot: all objects.
        now: RFC 3339 time for conditions that change.
        refusals: by the key of a TCPRoute, what Envoy says of it if it refused it.
    """
    served = gateways.served_gateways(snapshot)
    listeners = {one.key: one.open_listeners for one in served}
    virtual_services: list[dict[str, Any]] = []
    statuses: list[tuple[Obj, dict[str, Any]]] = [
        (one, gateways.class_status(one, now)) for one in snapshot.gateway_classes if classes.is_ours(one)
    ]
    attached: dict[tuple[str, str], Counter[str]] = {one.key: Counter() for one in served}
    for route in in_creation_order(snapshot.tcp_routes):
        results = routes.attachments(route, listeners)
        leads = routes.backends(route, snapshot)
        virtual_services += routes.virtual_services(route, results, leads)
        statuses.append((route, routes.status(route, results, leads, now, (refusals or {}).get(key_of(route)))))
        for bound in {one.listener.bound_name: one.listener for one in results if one.denied is None}.values():
            attached[bound.key][bound.name] += 1
    statuses += [(one.gateway, one.status(attached[one.key], snapshot, now)) for one in served]
    statuses += gateways.remote_statuses(snapshot, now)
    return Translation(
        gateways=[listener.istio_gateway(one.hosts) for one in served for listener in one.open_listeners],
        virtual_services=virtual_services,
        managed=[one.gateway for one in served if is_managed(one.gateway)],
        statuses=statuses,
    )
