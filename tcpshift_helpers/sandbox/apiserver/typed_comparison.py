"""What changed between two objects, field by field, as their type tells fields apart.

Pure. Equal parts are skipped at once, so that the cost is that of what changed and of the way to it.

Source: sigs.k8s.io/structured-merge-diff v6 typed/compare.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_sets
from tcpshift_helpers.sandbox.apiserver.typed_values import ABSENT, element_of, form_of

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet, Path
    from tcpshift_helpers.sandbox.apiserver.merge_types import ListType, MapType, Type


@dataclass(frozen=True)
class Comparison:
    """The differences, as three sets of fields.

    Attributes:
        removed: fields of the first object only.
        modified: fields of both with different values.
        added: fields of the second object only.
    """

    removed: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    added: FieldSet = field(default_factory=dict)

    @property
    def written(self) -> FieldSet:
        """What was modified or added."""
        return field_sets.union(self.modified, self.added)

    def without(self, ignored: FieldSet) -> Comparison:
        """The differences but for some fields and what is below them."""
        if not ignored:
            return self
        return Comparison(
            field_sets.without_subtrees(self.removed, ignored),
            field_sets.without_subtrees(self.modified, ignored),
            field_sets.without_subtrees(self.added, ignored),
        )


def compare(left: Any, right: Any, type_: Type) -> Comparison:
    """Compare two objects of a type.

    Raises:
        TypedValueError: an item of a list cannot be told apart.
    """
    found = Comparison()
    _compare(left, right, type_, (), found)
    return found


def _compare(left: Any, right: Any, type_: Type, path: Path, found: Comparison) -> None:
    if left is not ABSENT and right is not ABSENT and left == right:
        return
    here, there = form_of(type_, left), form_of(type_, right)
    if right is ABSENT:
        leaf = _visit(left, right, here, path, found)
    elif left is ABSENT or (here.scalar, here.list, here.map) == (there.scalar, there.list, there.map):
        leaf = _visit(left, right, there, path, found)
    else:
        _visit(left, right, here, path, found)
        leaf = _visit(left, right, there, path, found)
    if not leaf and path:
        if left is ABSENT:
            field_sets.insert(found.added, path)
        elif right is ABSENT:
            field_sets.insert(found.removed, path)


def _visit(left: Any, right: Any, form: Type, path: Path, found: Comparison) -> bool:
    """Compare as one form of the type says; whether the value counts as one field."""
    if form.map:
        here, there = _dict_or_none(left), _dict_or_none(right)
        if not form.map.atomic and (here or there):
            _compare_maps(here or {}, there or {}, form.map, path, found)
            return False
    elif not form.scalar and form.list:
        before, after = _list_or_none(left), _list_or_none(right)
        if not form.list.atomic and (before or after):
            _compare_lists(before or [], after or [], form.list, path, found)
            return False
    _compare_leaves(left, right, path, found)
    return True


def _dict_or_none(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _list_or_none(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _compare_leaves(left: Any, right: Any, path: Path, found: Comparison) -> None:
    if not path:
        return
    if left is ABSENT:
        field_sets.insert(found.added, path)
    elif right is ABSENT:
        field_sets.insert(found.removed, path)
    elif left != right:
        field_sets.insert(found.modified, path)


def _compare_maps(left: dict[str, Any], right: dict[str, Any], type_: MapType, path: Path, found: Comparison) -> None:
    for name in left.keys() | right.keys():
        of_field = type_.of(name)
        if of_field is not None:
            below = (*path, field_sets.field(name))
            _compare(left.get(name, ABSENT), right.get(name, ABSENT), of_field, below, found)


def _compare_lists(left: list[Any], right: list[Any], type_: ListType, path: Path, found: Comparison) -> None:
    before, after = _by_element(left, type_), _by_element(right, type_)
    for element in {**before, **after}:
        below = (*path, element)
        here, there = before.get(element, []), after.get(element, [])
        if len(here) > 1 and len(there) > 1:
            if here != there:
                field_sets.insert(found.modified, below)
            continue
        # An item that is there twice has no owner of its parts: it is one field, until it is there but once.
        one = here[0] if len(here) == 1 else ABSENT
        other = there[0] if len(there) == 1 else ABSENT
        if one is not ABSENT or other is not ABSENT:
            _compare(one, other, type_.items, below, found)
        if len(here) > 1:
            field_sets.insert(found.removed, below)
        if len(there) > 1:
            field_sets.insert(found.added, below)


def _by_element(items: list[Any], type_: ListType) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element_of(item, type_), []).append(item)
    return found
