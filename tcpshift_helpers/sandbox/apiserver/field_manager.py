"""What a write does to the managers of fields, and what applying makes of an object.

Pure. Every write passes here once, between decoding and admission: `updated` for all that states a whole object or patches one,
`applied` for server-side apply. It asks types of `merge_types`, and knows no registry and no HTTP.

Source: kubernetes/apimachinery pkg/util/managedfields and sigs.k8s.io/structured-merge-diff v6 merge/update.go; words measured on
kube-apiserver 1.34.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_sets, managers, typed_merge, typed_values
from tcpshift_helpers.sandbox.apiserver.go_values import compact_json
from tcpshift_helpers.sandbox.apiserver.managers import APPLY, UPDATE, Manager, Managers, Owned
from tcpshift_helpers.sandbox.apiserver.merge_types import ANYTHING
from tcpshift_helpers.sandbox.apiserver.metadata_rules import validate_annotations
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error
from tcpshift_helpers.sandbox.apiserver.typed_comparison import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet, Path
    from tcpshift_helpers.sandbox.apiserver.merge_types import MergeTypes, Type

Object = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"
_BEFORE_FIRST_APPLY = "before-first-apply"
_NEVER_OWNED = field_sets.of(
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    *(
        ("metadata", name)
        for name in (
            *("name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"),
            *("managedFields", "resourceVersion"),
        )
    ),
)


@dataclass(frozen=True)
class Write:
    """Who writes what.

    Attributes:
        group: API group of the object.
        version: version in which the client speaks.
        kind: of the object.
        manager: name of the manager; empty means that nothing is known of the client.
        subresource: through which the write comes, or empty.
        ignored: fields that the server resets for this subresource, so nobody comes to own them here.
        now: the time.
    """

    group: str
    version: str
    kind: str
    manager: str
    subresource: str = ""
    ignored: FieldSet = field(default_factory=dict)
    now: str = ""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def identity(self, operation: str, name: str | None = None) -> Manager:
        """The entry that this write is counted to."""
        named = name or self.manager or "unknown"
        return Manager(named, operation, self.api_version if operation == UPDATE else "", self.subresource)


class ConflictsError(Exception):
    """Others own fields that are to be applied with other values."""

    def __init__(self, conflicts: Managers) -> None:
        super().__init__("conflicts")
        self.conflicts = {manager: list(field_sets.paths(owned.fields)) for manager, owned in conflicts.items()}

    def without(self, allowed: FieldSet) -> ConflictsError:
        """The conflicts but for those about some fields."""
        left = ConflictsError({})
        for manager, paths in self.conflicts.items():
            kept = [path for path in paths if not field_sets.has(allowed, path)]
            if kept:
                left.conflicts[manager] = kept
        return left

    def status(self) -> StatusError:
        """The answer to the client."""
        listed = [(manager, path) for manager, paths in self.conflicts.items() for path in paths]
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {manager.text()}",
                "field": field_sets.path_text(path),
            }
            for manager, path in listed
        ]
        return StatusError(409, "Conflict", f"Apply failed with {_listed(listed)}", {"causes": causes})


def _listed(conflicts: list[tuple[Manager, Path]]) -> str:
    if len(conflicts) == 1:
        manager, path = conflicts[0]
        return f"1 conflict: conflict with {manager.text()}: {field_sets.path_text(path)}"
    lines = []
    for manager in sorted({manager for manager, _ in conflicts}, key=managers.identifier):
        lines.append(f"conflicts with {manager.text()}:")
        lines += [f"- {field_sets.path_text(path)}" for other, path in conflicts if other == manager]
    return f"{len(conflicts)} conflicts: " + "\n".join(lines)


class FieldManager:
    """Keeps `metadata.managedFields`."""

    def __init__(self, types: MergeTypes) -> None:
        """Tell fields apart by `types`."""
        self._types = types

    def updated(self, live: Object, obj: Object, write: Write, empty: Object | None = None) -> Object:
        """The object with its managers after a create, an update or a patch.

        Args:
            live: the stored object.
            obj: the wished object, decoded and defaulted; its own `managedFields` may state others.
            write: who writes.
            empty: given for a create: an object of the kind without anything in it.
        """
        known = self._managers_before(live, obj, write)
        if not known and empty is None:
            return _with_managers(obj, {})  # nothing is known of the object's past; only an apply begins to count
        try:
            after = self._update(live if empty is None else empty, obj, known, write, write.identity(UPDATE))
        except typed_values.TypedValueError:
            after = {}
        return _with_managers(obj, managers.cap(after))

    def applied(
        self, live: Object, config: Object, write: Write, *, force: bool, empty: Object | None = None
    ) -> Object:
        """What applying makes of the stored object, with its managers; not defaulted.

        Args:
            live: the stored object, in the version of the write.
            config: what is applied.
            write: who applies.
            force: take over what others own.
            empty: an object of the kind without anything in it; in place of `live` if there is none yet.

        Raises:
            StatusError: 400, 409 for conflicts, 500 for what does not fit the kind's schema.
        """
        stored = live.get("metadata", {}).get("managedFields") or []
        known = self._reconciled(managers.decode(stored, trusted=True), write)
        live = _without_managers(live)
        if not known and live:
            before = replace(write, manager=_BEFORE_FIRST_APPLY)
            with self._of_stored(
                live, write, "failed to create manager for existing fields: failed to convert new object"
            ):
                known = self._update(empty or {}, live, known, before, before.identity(UPDATE))
        live = live or empty or {}
        type_ = self._checked(config, write)
        try:
            with self._of_stored(live, write, "failed to create typed live object"):
                try:
                    merged, after = self._apply(live, config, known, write, type_, force=force)
                except ConflictsError as conflicts:
                    if not self._left_by_client_side_apply(live, conflicts, write, type_):
                        raise
                    merged, after = self._apply(live, config, known, write, type_, force=True)
        except ConflictsError as conflicts:
            raise conflicts.status() from None
        if write.manager == _KUBECTL:
            merged = _with_last_applied(merged, config)
        return _with_managers(merged, after)

    @contextlib.contextmanager
    def _of_stored(self, live: Object, write: Write, what_failed: str) -> Iterator[None]:
        """Say that the stored object is one that nothing can be applied to: items of a list of it cannot be told apart."""
        try:
            yield
        except typed_values.TypedValueError:
            (problem, *_) = typed_values.problems(live, self._type(write, write.api_version))
            metadata = live.get("metadata", {})
            named = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
            whole = f"({named}; {write.group}/{write.version}, Kind={write.kind}) to smd typed"
            raise internal_error(f"{what_failed} {whole}: {problem}") from None

    def _managers_before(self, live: Object, obj: Object, write: Write) -> Managers:
        """Those the request states, if it may and they are any; else the stored ones. One empty entry clears them."""
        stored = live.get("metadata", {}).get("managedFields") or []
        stated = obj["metadata"].get("managedFields")
        if not write.subresource and stated is not None and stated != stored:
            if stated == [{}]:
                return {}
            with contextlib.suppress(ValueError, AttributeError):
                decoded = managers.decode(stated, trusted=False)
                if decoded:
                    return self._reconciled(decoded, write)
        return self._reconciled(managers.decode(stored, trusted=True), write)

    def _reconciled(self, known: Managers, write: Write) -> Managers:
        """The managers, where what has become atomic since they were noted is one field, of the versions that are still served."""
        found: Managers = {}
        for manager, owned in known.items():
            type_ = self._served_type(write, owned.api_version)
            if type_ is None and owned.api_version == write.api_version:
                type_ = ANYTHING
            if type_ is not None:
                fields = typed_values.reconciled(owned.fields, type_)
                found[manager] = owned if fields is owned.fields else replace(owned, fields=fields)
        return found

    def _update(self, live: Object, obj: Object, known: Managers, write: Write, identity: Manager) -> Managers:
        comparison, after, _ = self._passed_on(live, obj, known, write, None)
        owned = field_sets.difference(comparison.written, _NEVER_OWNED)
        if owned:
            before = after.get(identity)
            fields = owned if before is None else field_sets.union(owned, before.fields)
            after[identity] = Owned(write.api_version, field_sets.in_order(fields), write.now)
        return after

    def _passed_on(
        self, live: Object, obj: Object, known: Managers, write: Write, applying: Manager | None
    ) -> tuple[Comparison, Managers, Managers]:
        """What changed, what the managers still own after that, and what was taken from them."""
        live, obj = _without_managers(live), _without_managers(obj)
        type_ = self._type(write, write.api_version)
        by_type: dict[int, Comparison] = {id(type_): compare(live, obj, type_).without(write.ignored)}
        after: Managers = {}
        taken: Managers = {}
        for manager, owned in known.items():
            if manager == applying:
                after[manager] = owned
                continue
            of_version = self._type(write, owned.api_version)
            if id(of_version) not in by_type:
                by_type[id(of_version)] = compare(live, obj, of_version).without(write.ignored)
            changed = by_type[id(of_version)]
            lost = field_sets.intersection(owned.fields, changed.written)
            if lost:
                taken[manager] = replace(owned, fields=lost)
            left = field_sets.difference(field_sets.difference(owned.fields, lost), changed.removed)
            if left:
                after[manager] = replace(owned, fields=left)
        return by_type[id(type_)], after, taken

    def _apply(
        self, live: Object, config: Object, known: Managers, write: Write, type_: Type, *, force: bool
    ) -> tuple[Object, Managers]:
        identity = write.identity(APPLY)
        merged = typed_merge.merge(live, config, type_)
        last = known.get(identity)
        fields = field_sets.without_subtrees(typed_values.fields_of(config, type_), write.ignored)
        known = {**known, identity: Owned(write.api_version, fields, last.time if last else None)}
        if last is not None:
            merged = self._pruned(merged, known, last, write, fields)
        _, after, taken = self._passed_on(live, merged, known, write, identity)
        if taken and not force:
            raise ConflictsError(taken)
        owned = field_sets.difference(fields, _NEVER_OWNED)
        if not owned:
            after.pop(identity, None)
        else:
            time = known[identity].time if merged == live else write.now
            after[identity] = Owned(write.api_version, field_sets.in_order(owned), time)
        return merged, after

    def _pruned(self, merged: Object, known: Managers, last: Owned, write: Write, fields: FieldSet) -> Object:
        """Without what was applied the last time, is not any more, and is nobody else's."""
        type_ = self._type(write, last.api_version)
        named = typed_values.ensure_named_fields(last.fields, type_)
        if not field_sets.difference(named, typed_values.ensure_named_fields(fields, type_)):
            return merged
        pruned = typed_merge.remove(merged, named, type_)
        by_version: dict[str, FieldSet] = {}
        for owned in known.values():
            by_version[owned.api_version] = field_sets.union(by_version.get(owned.api_version, {}), owned.fields)
        for version in sorted(by_version, key=lambda version: version != last.api_version):
            pruned = _with_owned(merged, pruned, by_version[version], self._type(write, version))
        gone = field_sets.difference(_named_fields(merged, type_), _named_fields(pruned, type_))
        left: Object = typed_merge.remove(merged, field_sets.intersection(gone, named), type_)
        return left

    def _left_by_client_side_apply(self, live: Object, conflicts: ConflictsError, write: Write, type_: Type) -> bool:
        """Whether kubectl itself wrote all that is in conflict, when it applied without the server's help.

        Raises:
            ConflictsError: it wrote some of it.
        """
        if write.manager != _KUBECTL:
            return False
        annotation = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        try:
            last = json.loads(annotation or "")
            if not isinstance(last, dict) or last.get("apiVersion") != write.api_version:
                return False
            if any(typed_values.problems(last, type_)):
                return False
            changed = compare(last, live, type_)
        except (ValueError, typed_values.TypedValueError):
            return False
        allowed = typed_values.fields_of(last, type_)
        for part in (changed.modified, changed.added, changed.removed):
            allowed = field_sets.difference(allowed, part)
        left = conflicts.without(allowed)
        if left.conflicts:
            raise left
        return True

    def _checked(self, config: Object, write: Write) -> Type:
        metadata = config.get("metadata") or {}
        if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        type_ = self._type(write, write.api_version)
        found = list(typed_values.problems(config, type_))
        if found:
            named = metadata if isinstance(metadata, dict) else {}
            what = f"{named.get('namespace', '')}/{named.get('name', '')}; {write.group}/{write.version}, Kind={write.kind}"
            listed = found[0] if len(found) == 1 else "\n  ".join(["errors:", *found])
            raise internal_error(f"failed to create typed patch object ({what}): {listed}")
        return type_

    def _type(self, write: Write, api_version: str) -> Type:
        """The type of the kind in a version that is served; anything goes where a kind has no schema."""
        return self._served_type(write, api_version) or ANYTHING

    def _served_type(self, write: Write, api_version: str) -> Type | None:
        group, _, version = api_version.rpartition("/")
        return self._types.of(group, version, write.kind)


def _named_fields(value: Object, type_: Type) -> FieldSet:
    return typed_values.ensure_named_fields(typed_values.fields_of(value, type_), type_)


def _with_owned(merged: Object, pruned: Object, owned: FieldSet, type_: Type) -> Object:
    """`pruned` with what others own put back."""
    kept = field_sets.union(_named_fields(pruned, type_), typed_values.ensure_named_fields(owned, type_))
    left: Object = typed_merge.remove(merged, field_sets.difference(_named_fields(merged, type_), kept), type_)
    return left


def _without_managers(obj: Object) -> Object:
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _with_managers(obj: Object, known: Managers) -> Object:
    return {**obj, "metadata": managers.stated(obj.get("metadata") or {}, managers.encode(known))}


def _with_last_applied(obj: Object, config: Object) -> Object:
    """With the annotation of client-side apply brought up to date, if it is there."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return obj
    stated = dict(config.get("metadata") or {})
    if stated.get("annotations"):
        stated["annotations"] = {key: text for key, text in stated["annotations"].items() if key != LAST_APPLIED}
    annotations = {**annotations, LAST_APPLIED: compact_json({**config, "metadata": stated}) + "\n"}
    if validate_annotations(annotations, "metadata.annotations"):
        del annotations[LAST_APPLIED]
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
