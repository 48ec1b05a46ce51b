"""LoadBalancer Services get an address of the sandbox's network in `status.loadBalancer.ingress`.

istio-ingressgateway always gets the first one; the others follow in order of creation. Who listens there is not decided
here: the gateway's Envoy binds the addresses of the Services that select it.

Source: kubernetes/cloud-provider controllers/service (Events and status; the addresses are this sandbox's own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import SERVICES, key_of
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context
    from tcpshift_helpers.sandbox.network import Subnet

GATEWAY: tuple[str, str] = ("istio-system", "istio-ingressgateway")


class ServiceController:
    """Hands load balancer addresses to Services and takes them back."""

    def __init__(self, context: Context, subnet: Subnet) -> None:
        self._context = context
        self._subnet = subnet
        self._services = context.informer(SERVICES)
        self._events = context.recorder.source("service-controller")
        # Addresses promised to Services whose status is being written.
        self._promised: dict[Key, str] = {}
        self.queue = WorkQueue("service", self.sync)
        self._services.on_change(self._changed)

    def _changed(self, event_type: str, service: dict[str, Any]) -> None:
        self.queue.add(key_of(service))
        if event_type == "DELETED" and address_of(service):
            # The freed address may be what another Service waits for.
            for key, other in self._services.objects.items():
                if wants_address(other) and not address_of(other):
                    self.queue.add(key)

    async def sync(self, key: Key) -> None:
        """Give one Service its address, or take it away if it is no LoadBalancer any more."""
        service = self._services.objects.get(key)
        if service is None or is_being_deleted(service):
            return
        address = address_of(service)
        if wants_address(service) and not address:
            await self._assign(key, service)
        elif address and not wants_address(service):
            await self._context.write_status(SERVICES, service, {"loadBalancer": {"ingress": None}})

    async def _assign(self, key: Key, service: dict[str, Any]) -> None:
        self._events.normal(service, "EnsuringLoadBalancer", "Ensuring load balancer")
        address = self._choose(key)
        if address is None:
            message = (
                "Error syncing load balancer: failed to ensure load balancer: all "
                f"{len(list(self._subnet.load_balancers()))} addresses of this sandbox are in use; "
                "delete a Service of type LoadBalancer"
            )
            self._events.warning(service, "SyncLoadBalancerFailed", message)
            return
        self._promised[key] = address
        try:
            status = {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}
            await self._context.write_status(SERVICES, service, status)
        finally:
            del self._promised[key]
        self._events.normal(service, "EnsuredLoadBalancer", "Ensured load balancer")

    def _choose(self, key: Key) -> str | None:
        if key == GATEWAY:
            return self._subnet.gateway
        taken = {address_of(service) for service in self._services.objects.values()} | set(self._promised.values())
        taken.add(self._subnet.gateway)
        return next((address for address in self._subnet.load_balancers() if address not in taken), None)


def wants_address(service: Mapping[str, Any]) -> bool:
    """Whether it is a LoadBalancer that no other implementation is named for."""
    return service["spec"].get("type") == "LoadBalancer" and not service["spec"].get("loadBalancerClass")


def address_of(service: Mapping[str, Any]) -> str | None:
    """The first load balancer address in the status."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return ingress[0].get("ip") if ingress else None
