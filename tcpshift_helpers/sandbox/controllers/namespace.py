"""Namespaces: what a new one gets, and how a deleted one is emptied and let go.

A new namespace gets the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`; both come back when deleted.
A terminating one has all its content deleted, tells what remains in its conditions, and is finalized when nothing does.

Source: kubernetes 1.34 pkg/controller/namespace/deletion, serviceaccount, and certificates/rootcacertpublisher.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    DESTINATION_RULES,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    GATEWAYS,
    JOBS,
    KUBERNETES_GATEWAYS,
    LEASES,
    NAMESPACES,
    PODS,
    REFERENCE_GRANTS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    TCP_ROUTES,
    VIRTUAL_SERVICES,
    ApiError,
    Resource,
    key_of,
)
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

ROOT_CA = "kube-root-ca.crt"
DEFAULT_ACCOUNT = "default"
FINALIZER = "kubernetes"

# Makers before what they make, so that nothing is made anew; Events last, as the others' end may bring some.
_CONTENT = (
    KUBERNETES_GATEWAYS,
    DEPLOYMENTS,
    REPLICA_SETS,
    JOBS,
    PODS,
    SERVICES,
    ENDPOINTS,
    ENDPOINT_SLICES,
    LEASES,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    GATEWAYS,
    VIRTUAL_SERVICES,
    DESTINATION_RULES,
    TCP_ROUTES,
    REFERENCE_GRANTS,
    EVENTS,
)
# A pod that goes wakes the namespace at once; this is for content held by a finalizer of somebody else.
_LOOK_AGAIN_SECONDS = 5.0

_OK = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class NamespaceController:
    """Furnishes new namespaces and empties deleted ones."""

    def __init__(self, context: Context, root_certificate: str) -> None:
        self._context = context
        self._root_certificate = root_certificate
        self._namespaces = context.informer(NAMESPACES)
        self.queue = WorkQueue("namespace", self.sync)
        self._namespaces.on_change(lambda _, obj: self.queue.add(("", obj["metadata"]["name"])))
        for resource, name in ((SERVICE_ACCOUNTS, DEFAULT_ACCOUNT), (CONFIG_MAPS, ROOT_CA), (PODS, "")):
            context.informer(resource).on_change(partial(self._content_changed, name))

    def _content_changed(self, name: str, event_type: str, obj: dict[str, Any]) -> None:
        # A furnishing that was deleted comes back; the last pod of a terminating namespace lets it end.
        namespace = obj["metadata"]["namespace"]
        holder = self._namespaces.objects.get(("", namespace))
        if event_type != "DELETED" or holder is None:
            return
        if is_being_deleted(holder) or obj["metadata"]["name"] == name:
            self.queue.add(("", namespace))

    async def sync(self, key: Key) -> float | None:
        """Furnish one namespace, or take one step of its end."""
        namespace = self._namespaces.objects.get(key)
        if namespace is None:
            return None
        if is_being_deleted(namespace):
            return await self._end(namespace)
        await asyncio.gather(self._ensure_account(key[1]), self._ensure_root_certificate(key[1]))
        return None

    async def _ensure_account(self, namespace: str) -> None:
        if (namespace, DEFAULT_ACCOUNT) not in self._context.informer(SERVICE_ACCOUNTS).objects:
            account = {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": DEFAULT_ACCOUNT, "namespace": namespace},
            }
            await self._create(SERVICE_ACCOUNTS, account)

    async def _ensure_root_certificate(self, namespace: str) -> None:
        data = {"ca.crt": self._root_certificate}
        known = self._context.informer(CONFIG_MAPS).objects.get((namespace, ROOT_CA))
        if known is None:
            config_map = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ROOT_CA, "namespace": namespace},
                "data": data,
            }
            await self._create(CONFIG_MAPS, config_map)
        elif known.get("data") != data:
            await self._context.client.replace(CONFIG_MAPS, {**known, "data": data})

    async def _create(self, resource: Resource, obj: dict[str, Any]) -> None:
        try:
            self._context.informer(resource).remember(await self._context.client.create(resource, obj))
        except ApiError as error:
            terminating = error.code == 403 and "being terminated" in error.message
            if error.reason != "AlreadyExists" and error.code != 404 and not terminating:
                raise

    async def _end(self, namespace: dict[str, Any]) -> float | None:
        name = namespace["metadata"]["name"]
        if FINALIZER not in (namespace["spec"].get("finalizers") or []):
            return None
        remaining = await self._delete_content(name)
        conditions = _conditions(namespace, remaining)
        if remaining:
            if conditions != (namespace.get("status") or {}).get("conditions"):
                await self._context.write_status(NAMESPACES, namespace, {"conditions": conditions})
            return _LOOK_AGAIN_SECONDS
        others = [entry for entry in namespace["spec"]["finalizers"] if entry != FINALIZER]
        fresh = await self._context.client.get(NAMESPACES, name)
        if fresh["metadata"]["uid"] == namespace["metadata"]["uid"]:
            fresh["spec"]["finalizers"] = others
            await self._context.client.replace(NAMESPACES, fresh, "finalize")
        return None

    async def _delete_content(self, name: str) -> dict[Resource, list[dict[str, Any]]]:
        """Ask for the deletion of everything in it; returns what is still there afterwards."""
        for resource in _CONTENT:
            found = await self._list(resource, name)
            await asyncio.gather(*(self._delete(resource, obj) for obj in found if not is_being_deleted(obj)))
        remaining = {resource: await self._list(resource, name) for resource in _CONTENT}
        return {resource: found for resource, found in remaining.items() if found}

    async def _list(self, resource: Resource, namespace: str) -> list[dict[str, Any]]:
        try:
            return (await self._context.client.list(resource, namespace))[0]
        except ApiError as error:
            if error.code == 404:  # This API server does not know the kind.
                return []
            raise

    async def _delete(self, resource: Resource, obj: dict[str, Any]) -> None:
        namespace, name = key_of(obj)
        try:
            await self._context.client.delete(
                resource, name, namespace, uid=obj["metadata"]["uid"], propagation_policy="Background"
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _conditions(namespace: dict[str, Any], remaining: dict[Resource, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    found = {condition_type: ("False", *words) for condition_type, words in _OK.items()}
    if remaining:
        counts = sorted(
            f"{resource.plural}.{resource.group} has {len(objects)} resource instances"
            for resource, objects in remaining.items()
        )
        message = f"Some resources are remaining: {', '.join(counts)}"
        found["NamespaceContentRemaining"] = ("True", "SomeResourcesRemain", message)
    holders: dict[str, int] = {}
    for objects in remaining.values():
        for obj in objects:
            for finalizer in obj["metadata"].get("finalizers") or []:
                holders[finalizer] = holders.get(finalizer, 0) + 1
    if holders:
        words = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(holders.items()))
        message = f"Some content in the namespace has finalizers remaining: {words}"
        found["NamespaceFinalizersRemaining"] = ("True", "SomeFinalizersRemain", message)
    return [_condition(namespace, condition_type, *words) for condition_type, words in found.items()]


def _condition(
    namespace: dict[str, Any], condition_type: str, status: str, reason: str, message: str
) -> dict[str, Any]:
    known = next(
        (
            entry
            for entry in (namespace.get("status") or {}).get("conditions") or []
            if entry["type"] == condition_type and (entry["status"], entry["message"]) == (status, message)
        ),
        None,
    )
    return known or {
        "type": condition_type,
        "status": status,
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }
