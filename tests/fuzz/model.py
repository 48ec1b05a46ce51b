"""What an API server is supposed to do, told as simply as can be: a dictionary of objects and a list of what happened to them.

It is written from Kubernetes' documentation and a real server's answers, and shares no code with the server: bodies here state every
field that would be defaulted, patches are small, and who owns a field is a set of names a leaf. The machine in `test_model` asks a
server and this model the same, and holds every answer against it. Of `metadata.managedFields` only the consequences are modelled.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
Leaves = dict[tuple[str, ...], Any]
Owners = dict[tuple[str, ...], frozenset[str]]

UPDATER, APPLIER = "updater", "applier"
MADE_BY_THE_SERVER = ("uid", "creationTimestamp", "resourceVersion", "managedFields")
_POLICY_FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}


@dataclass(frozen=True)
class Kind:
    """A kind of object, and what is particular to it.

    Attributes:
        counts_generations: `metadata.generation` counts changes of all but metadata and status.
        is_custom: it is a custom resource's: updates name a version, there are no strategic merge patches, items of lists carry their kind.
        content: everything below the metadata, from one of a few values.
    """

    group: str
    version: str
    name: str
    plural: str
    content: Callable[[int], Object]
    counts_generations: bool = False
    is_custom: bool = False

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        """How Hypothesis shows it."""
        printer.text(self.name)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str) -> str:
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}"

    def body(self, name: str, value: int, labels: Object, finalizers: list[str]) -> Object:
        metadata: Object = {"name": name}
        if labels:
            metadata["labels"] = labels
        if finalizers:
            metadata["finalizers"] = finalizers
        return {"apiVersion": self.api_version, "kind": self.name, "metadata": metadata, **self.content(value)}


def _deployment(value: int) -> Object:
    container = {
        **{"name": "c", "image": f"image:{value}", "resources": {}, "terminationMessagePath": "/dev/termination-log"},
        **{"terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"},
    }
    pod = {
        **{"containers": [container], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30},
        **{"dnsPolicy": "ClusterFirst", "securityContext": {}, "schedulerName": "default-scheduler"},
    }
    spec = {
        **{"replicas": value, "selector": {"matchLabels": {"app": "a"}}, "revisionHistoryLimit": 10},
        **{"template": {"metadata": {"labels": {"app": "a"}}, "spec": pod}, "progressDeadlineSeconds": 600},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    }
    return {"spec": spec, "status": {}}


CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", lambda value: {"data": {"a": str(value)}})
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", _deployment, counts_generations=True)
VIRTUAL_SERVICE = Kind(
    *("networking.istio.io", "v1", "VirtualService", "virtualservices"),
    lambda value: {"spec": {"hosts": [f"host-{value}"]}},
    counts_generations=True,
    is_custom=True,
)
KINDS = (CONFIG_MAP, DEPLOYMENT, VIRTUAL_SERVICE)


@dataclass(frozen=True)
class Outcome:
    """What a request should lead to.

    Attributes:
        code: status code.
        reason: of an error.
        obj: the object in the answer, without what the server makes; None for an error or a Status.
        old: the object before, as it was stored.
        owners: who owns its leaves afterwards.
        changes: the request makes a new version.
        removes: the object is gone afterwards.
        conflicts: of a server-side apply: owner and field.
    """

    code: int
    reason: str = ""
    obj: Object | None = None
    old: Object | None = None
    owners: Owners = field(default_factory=dict)
    changes: bool = False
    removes: bool = False
    conflicts: frozenset[tuple[str, str]] = frozenset()


@dataclass
class Event:
    """One thing that happened to an object.

    Attributes:
        type: ADDED, MODIFIED or DELETED.
        obj: as it was left; of a deletion, as it was before.
        previous: as it was before.
        version: None until a watch has told it, for a deletion whose answer does not.
    """

    kind: Kind
    type: str
    obj: Object
    previous: Object | None
    version: int | None


def refused(code: int, reason: str) -> Outcome:
    return Outcome(code, reason)


class Model:
    """The objects of one namespace.

    Attributes:
        objects: as they are stored, by kind and name.
        log: all that happened, in order.
    """

    def __init__(self, version: int) -> None:
        self.objects: dict[tuple[Kind, str], Object] = {}
        self.log: list[Event] = []
        self._owners: dict[tuple[Kind, str], Owners] = {}
        self._newest = version

    # What should come of a request.

    def create(self, kind: Kind, body: Object) -> Outcome:
        if (kind, body["metadata"]["name"]) in self.objects:
            return refused(409, "AlreadyExists")
        obj = normal(body)
        if kind.counts_generations:
            obj["metadata"]["generation"] = 1
        return Outcome(201, obj=obj, owners=dict.fromkeys(leaves(obj), frozenset({UPDATER})), changes=True)

    def update(self, kind: Kind, name: str, body: Object) -> Outcome:
        old = self.objects.get((kind, name))
        if old is None:
            return refused(404, "NotFound")
        if kind.is_custom and not body["metadata"].get("resourceVersion"):
            return refused(422, "Invalid")
        return self._updated(kind, name, old, body)

    def patch(self, kind: Kind, name: str, apply: Callable[[Object], Object | None]) -> Outcome:
        """A patch is a function from an object to the wished one, or None if it cannot be applied."""
        old = self.objects.get((kind, name))
        if old is None:
            return refused(404, "NotFound")
        wished = apply(copy.deepcopy(old))
        return refused(422, "Invalid") if wished is None else self._updated(kind, name, old, wished)

    def _updated(self, kind: Kind, name: str, old: Object, wished: Object) -> Outcome:
        asked = wished["metadata"].get("resourceVersion")
        if asked and asked != old["metadata"]["resourceVersion"]:
            return refused(409, "Conflict")
        before, after = leaves(normal(old)), leaves(normal(wished))
        changed = {leaf for leaf in after if leaf not in before or before[leaf] != after[leaf]}
        owners = {leaf: names for leaf, names in self._owners[kind, name].items() if leaf in after}
        owners |= dict.fromkeys(changed, frozenset({UPDATER}))
        return self._written(kind, name, wished, owners)

    def apply(self, kind: Kind, name: str, config: Object, *, force: bool) -> Outcome:
        old = self.objects.get((kind, name))
        applied = leaves(config)
        if old is None:
            created = self.create(kind, config)
            return Outcome(201, obj=created.obj, owners=dict.fromkeys(applied, frozenset({APPLIER})), changes=True)
        present, owners = leaves(normal(old)), dict(self._owners[kind, name])
        changed = {leaf for leaf, value in applied.items() if leaf not in present or present[leaf] != value}
        conflicts = {(owner, leaf) for leaf in changed for owner in owners.get(leaf, ()) if owner != APPLIER}
        if conflicts and not force:
            return Outcome(409, "Conflict", conflicts=frozenset((owner, shown(leaf)) for owner, leaf in conflicts))
        given_up = [leaf for leaf, names in owners.items() if APPLIER in names and leaf not in applied]
        wished = copy.deepcopy(old)
        for leaf in given_up:
            owners[leaf] -= {APPLIER}
            if not owners[leaf]:
                del owners[leaf]
                remove(wished, leaf)
        for leaf, value in applied.items():
            owners[leaf] = frozenset({APPLIER}) | (frozenset() if leaf in changed else owners.get(leaf, frozenset()))
            insert(wished, leaf, value)
        return self._written(kind, name, wished, owners)

    def _written(self, kind: Kind, name: str, wished: Object, owners: Owners) -> Outcome:
        """What is the same for all ways to change an object that is there."""
        old = self.objects[kind, name]
        obj, before = normal(wished), normal(old)
        finalizers = obj["metadata"].get("finalizers", [])
        is_ending = "deletionTimestamp" in old["metadata"]
        if is_ending and set(finalizers) - set(before["metadata"].get("finalizers", [])):
            return refused(422, "Invalid")
        for name_of_field in ("generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            obj["metadata"].pop(name_of_field, None)
            if name_of_field in before["metadata"]:
                obj["metadata"][name_of_field] = before["metadata"][name_of_field]
        obj["status"] = before.get("status")
        if obj["status"] is None:
            del obj["status"]
        if kind.counts_generations and obj.get("spec") != before.get("spec"):
            obj["metadata"]["generation"] += 1
        changes = obj != before or owners != self._owners[kind, name]
        return Outcome(200, obj=obj, old=old, owners=owners, changes=changes, removes=is_ending and not finalizers)

    def delete(self, kind: Kind, name: str, policy: str | None, preconditions: Object) -> Outcome:
        old = self.objects.get((kind, name))
        if old is None:
            return refused(404, "NotFound")
        if any(value != old["metadata"][field_name] for field_name, value in preconditions.items()):
            return refused(409, "Conflict")
        obj = normal(old)
        metadata = obj["metadata"]
        before = metadata.get("finalizers", [])
        after = before
        if policy:
            after = [one for one in before if one not in _POLICY_FINALIZERS.values()]
            after += [_POLICY_FINALIZERS[policy]] if policy in _POLICY_FINALIZERS else []
        if not after:
            return Outcome(200, old=old, changes=True, removes=True)
        changes = after != before
        if "deletionTimestamp" not in metadata:
            metadata |= {"deletionTimestamp": True, "deletionGracePeriodSeconds": 0}
            if "generation" in metadata:
                metadata["generation"] += 1
            changes = True
        metadata["finalizers"] = after
        return Outcome(200, obj=obj, old=old, owners=self._owners[kind, name], changes=changes)

    # What came of it.

    def happened(self, kind: Kind, name: str, outcome: Outcome, answered: Object | None) -> None:
        """Note the outcome of a request that was no dry run; the object is what was answered, if it was an object."""
        if not outcome.changes:
            return
        previous = self.objects.get((kind, name))
        if outcome.removes:
            assert previous is not None
            del self.objects[kind, name], self._owners[kind, name]
            self.log.append(Event(kind, "DELETED", previous, previous, None))
            return
        assert answered is not None
        version = int(answered["metadata"]["resourceVersion"])
        self.saw(version)
        self.objects[kind, name], self._owners[kind, name] = answered, outcome.owners
        self.log.append(Event(kind, "MODIFIED" if previous else "ADDED", answered, previous, version))

    def saw(self, version: int) -> None:
        """Versions only grow."""
        assert version > self._newest, f"version {version} after {self._newest}"
        self._newest = version

    # What is to be seen.

    def listed(self, kind: Kind, matches: Callable[[Object], bool]) -> list[Object]:
        found = sorted((name, obj) for (of, name), obj in self.objects.items() if of == kind)
        return [obj for _, obj in found if matches(obj)]


def events_for(log: list[Event], kind: Kind, matches: Callable[[Object], bool]) -> Iterator[tuple[str, Object, Event]]:
    """What a watch tells of a log: type, object (its version aside), and the event it comes from."""
    for event in log:
        if event.kind != kind:
            continue
        before = event.previous is not None and matches(event.previous)
        after = event.type != "DELETED" and matches(event.obj)
        if after:
            yield ("MODIFIED" if before else "ADDED"), event.obj, event
        elif before:
            assert event.previous is not None
            yield "DELETED", event.previous, event


def normal(obj: Object) -> Object:
    """An object without what the server makes and without empty maps and lists; of times only that they are there."""
    bare = copy.deepcopy(obj)
    metadata = bare["metadata"]
    for name in (*MADE_BY_THE_SERVER, "namespace"):
        metadata.pop(name, None)
    for name in ("labels", "finalizers"):
        if name in metadata and not metadata[name]:
            del metadata[name]
    if "deletionTimestamp" in metadata:
        metadata["deletionTimestamp"] = True
    if bare.get("data") == {}:
        del bare["data"]
    return bare


def leaves(obj: Object) -> Leaves:
    """The fields that can be owned: values by their path. Finalizers are owned one by one, other lists as a whole."""
    metadata = obj["metadata"]
    shown_parts = {"data": obj.get("data", {}), "spec": obj.get("spec", {})}
    found = {path: value for part, below in shown_parts.items() for path, value in _leaves(below, (part,))}
    found |= {("metadata", "labels", key): value for key, value in metadata.get("labels", {}).items()}
    return found | {("metadata", "finalizers", name): True for name in metadata.get("finalizers", [])}


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, (*path, name))
    elif path[-1] == "containers":
        for container in value:
            yield from _leaves(container, (*path, container["name"]))
    elif value != {}:
        yield path, json.dumps(value)


def insert(obj: Object, leaf: tuple[str, ...], value: Any) -> None:
    """Set a leaf; those of lists whose items are owned one by one are not applied here."""
    for name in leaf[:-1]:
        obj = obj.setdefault(name, {})
    obj[leaf[-1]] = value if leaf[:2] == ("metadata", "labels") else json.loads(value)


def remove(obj: Object, leaf: tuple[str, ...]) -> None:
    for name in leaf[:-1]:
        obj = obj[name]
    del obj[leaf[-1]]


def shown(leaf: tuple[str, ...]) -> str:
    """A path as conflicts name it."""
    return "".join(f".{name}" for name in leaf)


# Patches.


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_merge_patch(obj: Object, patch: Object) -> Object:
    """As far as patches are made here: finalizers are added to those that are there."""
    added = patch.get("metadata", {}).get("finalizers")
    if not added:
        return merge_patch(obj, patch)
    present = obj["metadata"].get("finalizers", [])
    united = list(dict.fromkeys(itertools.chain(present, added)))
    return merge_patch(obj, {**patch, "metadata": {**patch["metadata"], "finalizers": united}})


def json_patch(obj: Object, operations: list[Object]) -> Object | None:
    """RFC 6902, of maps alone, but that what is not there can be replaced, as a real server does it; None where it cannot be applied."""
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        holder: Any = obj
        for name in way:
            if not isinstance(holder.get(name), dict):
                return None
            holder = holder[name]
        if operation["op"] in ("remove", "test") and last not in holder:
            return None
        if operation["op"] == "test" and holder[last] != operation["value"]:
            return None
        if operation["op"] == "remove":
            del holder[last]
        elif operation["op"] != "test":
            holder[last] = operation["value"]
    return obj
