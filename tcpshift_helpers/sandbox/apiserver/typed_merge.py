"""Merging what is applied into an object, and taking fields out of one, as the type tells fields apart.

Pure. Values that are not touched are shared with the object they come from, never changed.

Source: sigs.k8s.io/structured-merge-diff v6 typed/{merge,remove}.go.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_sets
from tcpshift_helpers.sandbox.apiserver.typed_values import ABSENT, element_of, form_of

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet
    from tcpshift_helpers.sandbox.apiserver.merge_types import ListType, MapType, Type


def merge(live: Any, applied: Any, type_: Type) -> Any:
    """The live value with all fields of the applied one.

    Raises:
        TypedValueError: an item of a list cannot be told apart.
    """
    if applied is ABSENT:
        return live
    if live is ABSENT:
        return applied
    form = form_of(type_, applied)
    if form.map and not form.map.atomic:
        here = live if isinstance(live, dict) else {}
        there = applied if isinstance(applied, dict) else {}
        if here or there:
            return _merged_map(here, there, form.map)
    elif not form.map and not form.scalar and form.list and not form.list.atomic:
        before = live if isinstance(live, list) else []
        after = applied if isinstance(applied, list) else []
        if before or after:
            return _merged_list(before, after, form.list)
    return applied


def _merged_map(live: dict[str, Any], applied: dict[str, Any], type_: MapType) -> dict[str, Any]:
    merged = dict(live)
    for name, item in applied.items():
        of_field = type_.of(name)
        if of_field is not None:
            merged[name] = merge(live.get(name, ABSENT), item, of_field)
    return merged


def _merged_list(live: list[Any], applied: list[Any], type_: ListType) -> list[Any]:
    """Applied items in their order; live ones that are not applied keep their place among those that are."""
    before = [element_of(item, type_) for item in live]
    after = [element_of(item, type_) for item in applied]
    wished = dict(zip(after, applied, strict=True))
    known: dict[str, Any] = {}
    for element, item in zip(before, live, strict=True):
        known[element] = None if element in known else item  # an item that is there twice is not merged
    shared = deque(element for element in after if element in known)
    merged: list[Any] = []
    taken: set[str] = set()

    def take(element: str) -> None:
        taken.add(element)
        merged.append(merge(known.get(element, ABSENT), wished[element], type_.items))
        if shared and shared[0] == element:
            shared.popleft()

    left, right = 0, 0
    while left < len(before) or right < len(after):
        if left < len(before):
            element = before[left]
            if right < len(after):
                if element == after[right]:
                    take(element)
                    left, right = left + 1, right + 1
                    continue
                if element in wished and shared and shared[0] != element:
                    left += 1
                    continue
            if element not in wished:
                merged.append(live[left])
                left += 1
                continue
            if element in taken:
                left += 1
        if right < len(after):
            take(after[right])
            right += 1
    return merged


def remove(value: Any, fields: FieldSet, type_: Type) -> Any:
    """The value without some fields and what is below them; None if nothing is left of a map or a list.

    Raises:
        TypedValueError: an item of a list cannot be told apart.
    """
    form = form_of(type_, value)
    if form.map:
        return _map_without(value, fields, form.map) if isinstance(value, dict) and not form.map.atomic else None
    if form.scalar or not form.list:
        return value
    return _list_without(value, fields, form.list) if isinstance(value, list) and not form.list.atomic else None


def _map_without(value: dict[str, Any], fields: FieldSet, type_: MapType) -> dict[str, Any] | None:
    left: dict[str, Any] = {}
    for name, item in value.items():
        element = field_sets.field(name)
        if field_sets.has(fields, (element,)):
            continue
        below, of_field = field_sets.child(fields, element), type_.of(name)
        left[name] = remove(item, below, of_field) if below and of_field else item
    return left or None


def _list_without(value: list[Any], fields: FieldSet, type_: ListType) -> list[Any] | None:
    left = []
    for item in value:
        element = element_of(item, type_)
        if not field_sets.has(fields, (element,)):
            below = field_sets.child(fields, element)
            left.append(remove(item, below, type_.items) if below else item)
    return left or None
