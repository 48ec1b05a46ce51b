"""Writes what `translation` finds: GatewayClasses, what a Gateway needs to be served, and the status of each object.

It writes only what differs from what is there, so that one look too many does no harm. What is made for a Gateway is
applied on the server's side, so that what the Gateway no longer asks for goes; whatever it owns goes with it by garbage collection.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gatewaycommon (gatewayclass.go, deploymentcontroller.go).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox import client as api
from tcpshift_helpers.sandbox.controllers.selectors import labels_of
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.informer import Informer
from tcpshift_helpers.sandbox.mesh import status
from tcpshift_helpers.sandbox.mesh.gateway_api import classes, infrastructure
from tcpshift_helpers.sandbox.mesh.gateway_api.addresses import MANAGED
from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition
from tcpshift_helpers.sandbox.mesh.model import key_of
from tcpshift_helpers.sandbox.mesh.rounds import Rounds, attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.gateway_api.translation import Translation
    from tcpshift_helpers.sandbox.mesh.model import Key

    Obj = dict[str, Any]

log = logging.getLogger("gateway")

_MADE_BY_US = f"{MANAGED}={infrastructure.MANAGED_BY}"
_FIELDS = {"GatewayClass": "gateway_classes", "Gateway": "kubernetes_gateways", "TCPRoute": "tcp_routes"}


class GatewayApiController(Rounds):
    """Keeps true what the Gateway API says of its objects, and what it promises for Gateways."""

    def __init__(
        self,
        client: api.Client,
        informers: Mapping[str, Informer],
        translation: Callable[[], Translation],
        proxies: Callable[[], list[status.ProxyState]],
    ) -> None:
        """Nothing is written yet.

        Args:
            client: to write with.
            informers: what is translated, by the fields of a `Snapshot`.
            translation: gives what the objects mean, as proxies were last told.
            proxies: gives how far each proxy is now.
        """
        super().__init__()
        self._client = client
        self._translation = translation
        self._proxies = proxies
        self._written = {kind: informers[name] for kind, name in _FIELDS.items()}
        self._made = {
            "ServiceAccount": Informer(client, api.SERVICE_ACCOUNTS, label_selector=_MADE_BY_US),
            "Deployment": Informer(client, api.DEPLOYMENTS, label_selector=_MADE_BY_US),
            "Service": informers["services"],
        }
        self._applied: dict[tuple[str, api.Key], Obj] = {}

    async def run(self) -> None:
        """Write for ever."""
        own = (self._made["ServiceAccount"], self._made["Deployment"])
        async with asyncio.TaskGroup() as group:
            for informer in own:
                informer.on_change(lambda _event, _obj: self.wake())
                group.create_task(informer.run())
            for informer in own:
                await informer.synced.wait()
            group.create_task(super().run())

    async def _write_all(self) -> None:
        translation = self._translation()
        try:
            statuses = translation.statuses(now(), self._refusals(translation.snapshot.tcp_routes))
        except Exception:
            # One object that no validation saw must not take the control plane down.
            log.exception("cannot tell how the objects of the Gateway API fare; what was told of them stays")
            return
        known = self._written["GatewayClass"]
        for gateway_class in classes.built_in():
            if ("", gateway_class["metadata"]["name"]) not in known.objects:
                await self._attempt(known, self._client.create(known.resource, gateway_class))
        for gateway in translation.managed:
            if not gateway["metadata"].get("deletionTimestamp"):
                for made in infrastructure.objects(gateway):
                    await self._make(made)
        for obj, wanted in statuses:
            await self._tell(obj, wanted)

    def _refusals(self, routes: Sequence[Mapping[str, Any]]) -> dict[Key, Condition]:
        proxies = self._proxies()
        verdicts = {key_of(route): status.verdict(route, proxies) for route in routes}
        return {
            key: Condition(found.status, found.reason, found.message)
            for key, found in verdicts.items()
            if found is not None and found.reason == status.REJECTED
        }

    async def _make(self, wanted: Obj) -> None:
        informer, key = self._made[wanted["kind"]], api.key_of(wanted)
        known = informer.objects.get(key)
        if known is not None and labels_of(known).get(MANAGED) != infrastructure.MANAGED_BY:
            return  # somebody else's
        if known is None or self._applied.get((wanted["kind"], key)) != wanted or not _has(known, wanted):
            await self._attempt(informer, self._client.apply(informer.resource, wanted, classes.CONTROLLER))
            self._applied[wanted["kind"], key] = wanted

    async def _tell(self, obj: Mapping[str, Any], wanted: Obj) -> None:
        informer, metadata = self._written[obj["kind"]], obj["metadata"]
        old: Obj = obj.get("status") or {}
        if old == wanted:
            return
        patch = {"status": dict.fromkeys(old) | wanted}
        name, namespace = metadata["name"], metadata.get("namespace")
        await self._attempt(informer, self._client.merge_patch(informer.resource, name, namespace, patch, "status"))

    async def _attempt(self, informer: Informer, write: Awaitable[Obj]) -> None:
        with attempt(log, f"write to {informer.resource.plural}"):
            informer.remember(await write)


def _has(known: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; what the API server or others added does not count."""
    if isinstance(wanted, dict):
        return isinstance(known, dict) and all(key in known and _has(known[key], one) for key, one in wanted.items())
    if isinstance(wanted, list):
        return isinstance(known, list) and len(known) == len(wanted) and all(map(_has, known, wanted))
    return bool(known == wanted)
