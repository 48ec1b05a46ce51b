"""Brings custom resource definitions into force: settles their names, serves their kinds, and takes them away again.

It reads what was written to definitions since it last looked, as a controller reads a watch, so a restart or several writes at
once make no difference. It runs right after the write, before the next request: a kind is served as soon as its definition was
answered. It knows no HTTP.

Source: apiextensions-apiserver pkg/controller/{status/naming_controller.go,establish,finalizer}; order of writes and words of
conditions measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.definitions import (
    CLEANUP_FINALIZER,
    DEFINITIONS,
    is_true,
    resource_type,
    schema_of,
    settle_names,
    with_condition,
)
from tcpshift_helpers.sandbox.apiserver.deletion import delete
from tcpshift_helpers.sandbox.apiserver.registry import Registry, Target, timestamp
from tcpshift_helpers.sandbox.apiserver.request import DeleteOptions
from tcpshift_helpers.sandbox.apiserver.store import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]
Schema = dict[str, Any]

_TERMINATING = "Terminating"


class Established:
    """The definitions that are in force.

    Attributes:
        on_change: called with a kind's name, such as `widgets.example.com`, when what is served under it changed or ended.
    """

    def __init__(self, registry: Registry, catalog: Catalog) -> None:
        """Serve the kinds of `registry`'s definitions by way of `catalog`."""
        self.on_change: Callable[[str], None] = lambda name: None
        self._registry = registry
        self._store = registry.store
        self._catalog = catalog
        self._kinds: dict[str, ResourceType] = {}
        self._served: dict[str, tuple[Any, ...]] = {}
        self._terminating: set[str] = set()
        self._read_up_to = 0
        self._schedule: Callable[[Callable[[], None]], object] | None = None
        self._scheduled = False
        self._store.on_change(self._note)

    def begin(self, schedule: Callable[[Callable[[], None]], object]) -> None:
        """Bring all definitions into force, and from now on have changes handled by `schedule` (an event loop's `call_soon`)."""
        self._schedule = schedule
        self.catch_up()

    def catch_up(self) -> None:
        """Handle all that was written since the last time."""
        self._scheduled = False
        while names := self._changed():
            for name in names:
                self._settle(name)
        for name in sorted(self._terminating):
            self._finish(name)

    def _note(self, resource: str) -> None:
        if self._schedule and not self._scheduled and (resource == DEFINITIONS or resource in self._terminating):
            self._scheduled = True
            self._schedule(self.catch_up)

    def _changed(self) -> list[str]:
        """Names of definitions that were written, each once."""
        after, self._read_up_to = self._read_up_to, self._store.revision
        if not after or after < self._store.oldest_watchable(DEFINITIONS):
            every = [definition["metadata"]["name"] for definition in self._store.list_objects(DEFINITIONS)]
            return [*every, *(name for name in self._kinds if name not in every)]
        found: dict[str, None] = {}
        while changes := self._store.changes(DEFINITIONS, after):
            after = changes[-1].revision
            found.update((json.loads(change.text)["metadata"]["name"], None) for change in changes)
        return list(found)

    def _settle(self, name: str) -> None:
        definition = self._store.get(Key(DEFINITIONS, "", name))
        if definition is None:
            self._terminating.discard(name)
            self._serve(name, None)
            self._settle_group(name.partition(".")[2])
            return
        definition = self._with_settled_names(definition)
        metadata = definition["metadata"]
        if "deletionTimestamp" in metadata and CLEANUP_FINALIZER in (metadata.get("finalizers") or ()):
            definition = self._end(definition)
        self._serve(name, definition if is_true(definition, "Established") else None)

    def _with_settled_names(self, definition: Object) -> Object:
        group = definition["spec"]["group"]
        others = [one for one in self._definitions(group) if one["metadata"]["name"] != definition["metadata"]["name"]]
        settled = settle_names(definition, others, timestamp())
        if settled is definition:
            return definition
        if settled != definition:
            settled = self._write(settled)
        if is_true(settled, "NamesAccepted") and not is_true(settled, "Established"):
            why = ("InitialNamesAccepted", "the initial names have been accepted")
            settled = self._write(with_condition(settled, timestamp(), "Established", "True", *why))
        return settled

    def _settle_group(self, group: str) -> None:
        """Names became free: perhaps another definition waits for them."""
        for definition in list(self._definitions(group)):
            if not is_true(definition, "NamesAccepted"):
                self._settle(definition["metadata"]["name"])

    def _definitions(self, group: str) -> Iterator[Object]:
        every = self._store.list_objects(DEFINITIONS)
        return (one for one in every if one["spec"]["group"] == group)

    def _write(self, definition: Object) -> Object:
        return self._store.put(Key(DEFINITIONS, "", definition["metadata"]["name"]), definition)

    def _serve(self, name: str, definition: Object | None) -> None:
        before, now = self._served.get(name), None
        if definition is not None:
            metadata, names = definition["metadata"], definition["status"]["acceptedNames"]
            ending = is_true(definition, _TERMINATING)
            now = (metadata["uid"], metadata.get("generation"), json.dumps(names), ending)
        if before == now:
            return
        if definition is None or now is None:
            del self._served[name], self._kinds[name]
        else:
            self._served[name] = now
            kind = resource_type(definition, functools.partial(self._schema, name))
            self._kinds[name] = dataclasses.replace(kind, is_ending=now[-1])
        self._catalog.set_custom(kind for _, kind in sorted(self._kinds.items()))
        if before is not None and (now is None or before[:-1] != now[:-1]):
            self.on_change(name)

    def _schema(self, name: str, version: str) -> Schema:
        definition = self._store.get(Key(DEFINITIONS, "", name))
        if definition is None:
            raise LookupError(name)
        return schema_of(definition, version)

    def _end(self, definition: Object) -> Object:
        """Delete the instances of a definition that is being deleted."""
        name = definition["metadata"]["name"]
        kind = self._kinds.get(name)
        if name not in self._terminating:
            why = ("InstanceDeletionInProgress", "CustomResource deletion is in progress")
            definition = self._write(with_condition(definition, timestamp(), _TERMINATING, "True", *why))
            self._terminating.add(name)
            if kind is not None:
                self._delete_instances(kind)
        return definition

    def _delete_instances(self, kind: ResourceType) -> None:
        for obj in list(self._registry.list_objects(kind)):
            metadata = obj["metadata"]
            target = Target(kind, kind.storage_version, metadata.get("namespace", ""), metadata["name"])
            delete(self._registry, target, DeleteOptions())

    def _finish(self, name: str) -> None:
        """Let go of a definition whose instances are gone."""
        definition = self._store.get(Key(DEFINITIONS, "", name))
        if definition is None or next(self._store.list_objects(name), None) is not None:
            return
        self._terminating.discard(name)
        finalizers = [one for one in definition["metadata"].get("finalizers") or () if one != CLEANUP_FINALIZER]
        if finalizers:
            definition["metadata"]["finalizers"] = finalizers
            why = ("InstanceDeletionCompleted", "removed all instances")
            self._write(with_condition(definition, timestamp(), _TERMINATING, "False", *why))
        else:
            self._store.remove(Key(DEFINITIONS, "", name))
        self.catch_up()
