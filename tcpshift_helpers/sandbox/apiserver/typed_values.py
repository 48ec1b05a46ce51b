"""Values seen through their types: which fields a value has, and what is wrong with it.

Pure. What comparing and merging need to know of a list's items is here too.

Source: sigs.k8s.io/structured-merge-diff v6 typed; sentences measured on kube-apiserver 1.34.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_sets
from tcpshift_helpers.sandbox.apiserver.go_values import go_type, plain, quoted
from tcpshift_helpers.sandbox.apiserver.merge_types import BOOLEAN, NUMERIC, STRING, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet
    from tcpshift_helpers.sandbox.apiserver.merge_types import ListType, MapType


class TypedValueError(Exception):
    """Says what does not fit its type, and where."""


class _Absent:
    """Marks a field that one of two objects does not have; a null is something else."""


ABSENT: Any = _Absent()


def form_of(type_: Type, value: Any) -> Type:
    """The type with only that of its forms that the value has, if it has one of them."""
    if isinstance(value, dict):
        return Type(map=type_.map) if type_.map and (type_.scalar or type_.list) else type_
    if isinstance(value, list):
        return Type(list=type_.list) if type_.list and (type_.scalar or type_.map) else type_
    if value is not None and value is not ABSENT and type_.scalar and (type_.list or type_.map):
        return Type(scalar=type_.scalar)
    return type_


def element_of(item: Any, type_: ListType) -> str:
    """The path element of an item of a list whose items are told apart.

    Raises:
        TypedValueError: it cannot be told apart.
    """
    if not type_.keys:
        return field_sets.value(_checked_member(item))
    if item is None:
        raise TypedValueError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise TypedValueError("associative list with keys may not have non-map elements")
    known = {name: item.get(name, type_.defaults.get(name)) for name in type_.keys}
    named = {name: value for name, value in known.items() if name in item or value is not None}
    if not named:
        listed = " ".join(map(quoted, type_.keys))
        raise TypedValueError(
            f"associative list with keys has an element that omits all key fields [{listed}] "
            "(and doesn't have default values for any key fields)"
        )
    return field_sets.key(named)


def _checked_member(item: Any) -> Any:
    if isinstance(item, dict):
        raise TypedValueError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise TypedValueError("not supported: associative list with lists as elements")
    if item is None:
        raise TypedValueError("associative list without keys has an element that's an explicit null")
    return item


def fields_of(value: Any, type_: Type) -> FieldSet:
    """All fields that a value has.

    Raises:
        TypedValueError: an item of a list cannot be told apart.
    """
    return _fields(value, type_)[0]


def _fields(value: Any, type_: Type) -> tuple[FieldSet, bool]:
    """The fields below a value, and whether the value is a field as a whole."""
    form = form_of(type_, value)
    if form.map:
        if form.map.atomic:
            return {}, True
        return (_map_fields(value, form.map) if isinstance(value, dict) else {}), False
    if form.scalar or not form.list or form.list.atomic:
        return {}, True
    return (_list_fields(value, form.list) if isinstance(value, list) else {}), False


def _map_fields(value: dict[str, Any], type_: MapType) -> FieldSet:
    found: FieldSet = {}
    for name, item in value.items():
        of_item = type_.of(name)
        below, whole = _fields(item, of_item) if of_item else ({}, False)
        if whole or item is None or item == {} or name not in type_.fields:
            found[field_sets.field(name)] = field_sets.with_member(below)
        elif below:
            found[field_sets.field(name)] = below
    return found


def _list_fields(value: list[Any], type_: ListType) -> FieldSet:
    found: FieldSet = {}
    counted: dict[str, int] = {}
    elements = [element_of(item, type_) for item in value]
    for element in elements:
        counted[element] = counted.get(element, 0) + 1
    for element, item in zip(elements, value, strict=True):
        below = {} if counted[element] > 1 else _fields(item, type_.items)[0]
        found[element] = field_sets.with_member(below)
    return found


def ensure_named_fields(fields: FieldSet, type_: Type | None) -> FieldSet:
    """The set with every declared field in it that has a field of the set below."""
    found: FieldSet = {}
    for element, node, is_member in field_sets.elements(fields):
        below_type, declared = _below(type_, element)
        below = ensure_named_fields(node, below_type)
        found[element] = field_sets.with_member(below) if is_member or declared else below
    return found


def _below(type_: Type | None, element: str) -> tuple[Type | None, bool]:
    if type_ is None:
        return None, False
    if element.startswith("f:") and type_.map:
        name = element[2:]
        return type_.map.of(name), name in type_.map.fields
    return (type_.list.items if type_.list and element.startswith("k:") else None), False


def reconciled(fields: FieldSet, type_: Type) -> FieldSet:
    """The set, where what has become atomic since the set was made is one field."""
    changed: FieldSet = {}
    for element, node, _ in field_sets.elements(fields):
        below = _below_any(type_, element) if node else None
        if below is None:
            continue
        whole = below.map.atomic if below.map else not below.scalar and below.list is not None and below.list.atomic
        known = {} if whole else reconciled(node, below)
        if known is not node:
            changed[element] = known
    return {**fields, **changed} if changed else fields


def _below_any(type_: Type, element: str) -> Type | None:
    if type_.map:
        return type_.map.of(element[2:]) if element.startswith("f:") else None
    return type_.list.items if type_.list and not type_.scalar else None


def problems(value: Any, type_: Type, path: str = "") -> Iterator[str]:
    """What does not fit the type, each with its path.

    Raises nothing: an item that cannot be told apart is a problem too.
    """
    form = form_of(type_, value)
    if form.map:
        if isinstance(value, dict):
            yield from _map_problems(value, form.map, path)
        elif value is not None:
            yield _said(path, f"expected map, got {_pointer(value)}")
    elif form.scalar:
        problem = scalar_problem(form.scalar, value)
        if problem:
            yield _said(path, problem)
    elif form.list:
        if isinstance(value, list):
            yield from _list_problems(value, form.list, path)
        elif value is not None:
            yield _said(path, f"expected list, got {_pointer(value)}")


def _map_problems(value: dict[str, Any], type_: MapType, path: str) -> Iterator[str]:
    for name, item in sorted(value.items()):
        of_item = type_.of(name)
        if of_item is None:
            yield f"{path}.{name}: field not declared in schema"
            return
        yield from problems(item, of_item, f"{path}.{name}")


def _list_problems(value: list[Any], type_: ListType, path: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(value):
        at = f"{path}[{index}]"
        if not type_.atomic:
            try:
                element = element_of(item, type_)
            except TypedValueError as error:
                yield _said(path, f"element {index}: {error}")
                return
            at = path + field_sets.path_text((element,))
            if element in seen:
                yield _said(path, f"duplicate entries for key {field_sets.path_text((element,))}")
            seen.add(element)
        yield from problems(item, type_.items, at)


def scalar_problem(scalar: str, value: Any) -> str | None:
    """Why a value is not of a scalar type, or None."""
    if value is None or value is ABSENT:
        return None
    is_bool = isinstance(value, bool)
    is_number = isinstance(value, (int, float)) and not is_bool
    if scalar == NUMERIC:
        return None if is_number else f"expected numeric (int or float), got {go_type(value)}"
    if scalar == STRING:
        return None if isinstance(value, str) else f"expected string, got {_go_syntax(value)}"
    if scalar == BOOLEAN:
        return None if is_bool else f"expected boolean, got {_pointer(value)}"
    if is_number or is_bool or isinstance(value, str):
        return None
    return f"expected any scalar, got {_pointer(value)}"


def _said(path: str, problem: str) -> str:
    return f"{path}: {problem}" if path else problem


def _pointer(value: Any) -> str:
    return f"&{{{plain(value)}}}"


def _go_syntax(value: Any) -> str:
    """As Go's `%#v` shows the value's wrapper."""
    return f"&value.valueUnstructured{{Value:{_literal(value)}}}"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{quoted(name)}:{_literal(item)}" for name, item in sorted(value.items()))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_literal, value))}}}"
    return "interface {}(nil)" if value is None else plain(value)
