"""Garbage collection: what belonged to a deleted owner goes too.

An object whose owners are all gone is deleted (background). An owner deleted in the foreground is kept until the
dependents that block it are gone; an orphaning one lets go of its dependents first. Which of the three was wished is in the
owner's finalizers, which the API server sets from `propagationPolicy`.

It watches the kinds that own or are owned here; owners of other kinds are left alone.

Source: kubernetes 1.34 pkg/controller/garbagecollector/garbagecollector.go (attemptToDeleteItem).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    KUBERNETES_GATEWAYS,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    ApiError,
    Resource,
    key_of,
)
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.controllers.context import Context

log = logging.getLogger(__name__)

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

_WATCHED = {
    "Gateway": KUBERNETES_GATEWAYS,  # Istio's own kind of that name owns nothing
    "Deployment": DEPLOYMENTS,
    "ReplicaSet": REPLICA_SETS,
    "Job": JOBS,
    "Pod": PODS,
    "Service": SERVICES,
    "EndpointSlice": ENDPOINT_SLICES,
    "ConfigMap": CONFIG_MAPS,
    "Secret": SECRETS,
    "ServiceAccount": SERVICE_ACCOUNTS,
}

Item = tuple[str, str, str]  # kind, namespace, name


class GarbageCollector:
    """Deletes dependents of owners that are gone."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Dependents by the uid of their owner; kept here because the owner is gone when they are needed.
        self._dependents: dict[str, set[Item]] = {}
        self._owners: dict[Item, set[str]] = {}
        self.queue = WorkQueue("garbage", self.sync)
        for kind, resource in _WATCHED.items():
            context.informer(resource).on_change(partial(self._changed, kind))

    def _changed(self, kind: str, event_type: str, obj: dict[str, Any]) -> None:
        item = (kind, *key_of(obj))
        owners = set() if event_type == "DELETED" else {entry["uid"] for entry in _references(obj)}
        self._index(item, owners)
        if event_type == "DELETED":
            for dependent in self._dependents.get(obj["metadata"]["uid"], ()):
                self.queue.add(dependent)
            self._wake_waiting_owners(obj)
            return
        leaving = is_being_deleted(obj) and _finalizers(obj) & {FOREGROUND, ORPHAN}
        if leaving or (event_type == "ADDED" and owners):
            self.queue.add(item)

    def _index(self, item: Item, owners: set[str]) -> None:
        for uid in self._owners.pop(item, set()) - owners:
            self._dependents[uid].discard(item)
            if not self._dependents[uid]:
                del self._dependents[uid]
        if owners:
            self._owners[item] = owners
            for uid in owners:
                self._dependents.setdefault(uid, set()).add(item)

    def _wake_waiting_owners(self, obj: dict[str, Any]) -> None:
        for reference in _references(obj):
            item = (reference["kind"], obj["metadata"].get("namespace", ""), reference["name"])
            owner = self._object(item)
            if owner is not None and FOREGROUND in _finalizers(owner):
                self.queue.add(item)

    def _object(self, item: Item) -> dict[str, Any] | None:
        kind, namespace, name = item
        resource = _WATCHED.get(kind)
        return self._context.informer(resource).objects.get((namespace, name)) if resource else None

    async def sync(self, item: Item) -> None:
        """Judge one object: as an owner on its way out, and as a dependent."""
        obj = self._object(item)
        if obj is None:
            return
        if is_being_deleted(obj):
            if ORPHAN in _finalizers(obj):
                await self._orphan_dependents(obj)
            elif FOREGROUND in _finalizers(obj):
                await self._finish_foreground(obj)
            return
        if _references(obj):
            await self._judge_dependent(obj)

    async def _judge_dependent(self, obj: dict[str, Any]) -> None:
        present, waiting, gone = [], [], []
        for reference in _references(obj):
            owner = await self._owner(obj, reference)
            if owner is None:
                gone.append(reference)
            elif is_being_deleted(owner) and FOREGROUND in _finalizers(owner):
                waiting.append(reference)
            else:
                present.append(reference)
        if present:
            if gone or waiting:
                await self._patch(obj, {"ownerReferences": present})
        elif waiting and self._dependents.get(obj["metadata"]["uid"]):
            await self._delete(obj, "Foreground")
        elif waiting or gone:
            policies = {ORPHAN: "Orphan", FOREGROUND: "Foreground"}
            wished = [policies[entry] for entry in (ORPHAN, FOREGROUND) if entry in _finalizers(obj)]
            await self._delete(obj, wished[0] if wished else "Background")

    async def _owner(self, obj: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any] | None:
        """The owner, if it still exists; owners of unknown kinds count as existing."""
        resource = _WATCHED.get(reference["kind"])
        if resource is None or resource.api_version != reference["apiVersion"]:
            return {"metadata": {}}
        namespace = obj["metadata"].get("namespace", "")
        known = self._object((reference["kind"], namespace, reference["name"]))
        if known is not None and known["metadata"]["uid"] == reference["uid"]:
            return known
        # The copy may lag behind: before anything is deleted the server itself is asked.
        try:
            owner = await self._context.client.get(resource, reference["name"], namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise
        return owner if owner["metadata"]["uid"] == reference["uid"] else None

    async def _finish_foreground(self, owner: dict[str, Any]) -> None:
        blocking = False
        for dependent in list(self._dependents.get(owner["metadata"]["uid"], ())):
            obj = self._object(dependent)
            if obj is None:
                continue
            references = [entry for entry in _references(obj) if entry["uid"] == owner["metadata"]["uid"]]
            blocking = blocking or any(entry.get("blockOwnerDeletion") for entry in references)
            self.queue.add(dependent)
        if not blocking:
            await self._drop_finalizer(owner, FOREGROUND)

    async def _orphan_dependents(self, owner: dict[str, Any]) -> None:
        uid = owner["metadata"]["uid"]
        for dependent in list(self._dependents.get(uid, ())):
            obj = self._object(dependent)
            if obj is not None:
                rest = [entry for entry in _references(obj) if entry["uid"] != uid]
                await self._patch(obj, {"ownerReferences": rest})
        await self._drop_finalizer(owner, ORPHAN)

    async def _drop_finalizer(self, obj: dict[str, Any], finalizer: str) -> None:
        rest = [entry for entry in obj["metadata"].get("finalizers") or [] if entry != finalizer]
        await self._patch(obj, {"finalizers": rest})

    async def _patch(self, obj: dict[str, Any], metadata: dict[str, Any]) -> None:
        namespace, name = key_of(obj)
        versioned = {**metadata, "resourceVersion": obj["metadata"]["resourceVersion"]}
        try:
            await self._context.client.merge_patch(_resource(obj), name, namespace, {"metadata": versioned})
        except ApiError as error:
            if error.code != 404:
                raise

    async def _delete(self, obj: dict[str, Any], policy: str) -> None:
        namespace, name = key_of(obj)
        log.debug("deleting %s %s/%s: its owners are gone", obj["kind"], namespace, name)
        try:
            await self._context.client.delete(
                _resource(obj), name, namespace, uid=obj["metadata"]["uid"], propagation_policy=policy
            )
        except ApiError as error:
            if error.code != 404:
                raise


def _resource(obj: dict[str, Any]) -> Resource:
    return _WATCHED[obj["kind"]]


def _references(obj: dict[str, Any]) -> list[dict[str, Any]]:
    return obj["metadata"].get("ownerReferences") or []


def _finalizers(obj: dict[str, Any]) -> set[str]:
    return set(obj["metadata"].get("finalizers") or [])
