"""Sets of fields, as `metadata.managedFields` keeps them, and what can be done with two of them.

Pure. A set *is* its `FieldsV1` form: a tree of dicts whose keys are path elements (`f:name`, `k:{"name":"x"}`, `v:"text"`, `i:0`). A node
without children is a field of the set; a node with children is one only if it holds `.` as well. So nothing is encoded when an object is
read or written. No function changes a set it was given, but for `insert`.

It knows neither types nor managers: which fields a value has is told by `typed_values`.

Source: sigs.k8s.io/structured-merge-diff v6 fieldpath (what the operations mean, and the order of the elements).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.go_values import compact_json, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FieldSet = dict[str, Any]
Path = tuple[str, ...]

_SELF = "."
_KINDS = "fkvi"  # in the order in which elements are sorted


def field(name: str) -> str:
    """The element of a field of an object, or of a key of a map."""
    return f"f:{name}"


def key(fields: dict[str, Any]) -> str:
    """The element of an item of a list that is a map by some fields."""
    return f"k:{compact_json(fields)}"


def value(item: Any) -> str:
    """The element of an item of a list that is a set."""
    return f"v:{compact_json(item)}"


def of(*paths: Iterable[str]) -> FieldSet:
    """The set of these paths, given by names of fields."""
    found: FieldSet = {}
    for path in paths:
        insert(found, tuple(field(name) for name in path))
    return found


def insert(fields: FieldSet, path: Path) -> None:
    """Add one field; its parents are not added."""
    node = fields
    for element in path[:-1]:
        child = node.get(element)
        if child is None:
            child = node[element] = {}  # gets its child below
        elif not child:
            child[_SELF] = {}
        node = child
    last = node.setdefault(path[-1], {})
    if last:
        last[_SELF] = {}


def has(fields: FieldSet, path: Path) -> bool:
    """Whether exactly this field is in the set."""
    node: FieldSet | None = fields
    for element in path:
        node = node.get(element) if node else None
        if node is None:
            return False
    return node is not None and _is_member(node)


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of either set."""
    found = {**left, **right}
    for element in left.keys() & right.keys():
        if element != _SELF:
            found[element] = _node_union(left[element], right[element])
    return found


def _node_union(left: FieldSet, right: FieldSet) -> FieldSet:
    node = union(left, right)
    if node and not (left and right):
        node[_SELF] = {}
    return node


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of both sets."""
    found: FieldSet = {}
    for element in left.keys() & right.keys():
        if element != _SELF:
            here, there = left[element], right[element]
            node = _node(intersection(here, there), member=_is_member(here) and _is_member(there))
            if node is not None:
                found[element] = node
    return found


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of the first set that are not in the second; the children of a removed field stay."""
    found: FieldSet = {}
    for element, here in left.items():
        if element != _SELF:
            there = right.get(element)
            node = here if there is None else _node(difference(here, there), member=_only_in_first(here, there))
            if node is not None:
                found[element] = node
    return found


def without_subtrees(left: FieldSet, right: FieldSet) -> FieldSet:
    """Fields of the first set that are neither in the second nor below a field of the second."""
    found: FieldSet = {}
    for element, here in left.items():
        if element != _SELF:
            there = right.get(element)
            if there is None:
                found[element] = here
            elif not _is_member(there):
                node = _node(without_subtrees(here, there), member=_is_member(here))
                if node is not None:
                    found[element] = node
    return found


def child(fields: FieldSet, element: str) -> FieldSet:
    """The set of what is below one element; empty if nothing is."""
    return {name: node for name, node in fields.get(element, {}).items() if name != _SELF}


def elements(fields: FieldSet) -> Iterator[tuple[str, FieldSet, bool]]:
    """What is directly below: the element, its node, and whether it is itself in the set."""
    for element, node in fields.items():
        if element != _SELF:
            yield element, node, _is_member(node)


def with_member(node: FieldSet) -> FieldSet:
    """The node with itself in the set."""
    return {_SELF: {}, **node} if node else node


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """All fields, those of one level before what is below them, sorted as the real server lists them."""
    ordered = sorted((element for element in fields if element != _SELF), key=_order)
    for element in ordered:
        if _is_member(fields[element]):
            yield (*prefix, element)
    for element in ordered:
        yield from paths(fields[element], (*prefix, element))


def in_order(fields: FieldSet) -> FieldSet:
    """The same set, written in the order in which the real server writes it."""
    here = [_SELF] if _SELF in fields else []
    here += sorted((element for element in fields if element != _SELF), key=_order)
    return {element: in_order(fields[element]) for element in here}


def path_text(path: Path) -> str:
    """A path as messages show it, such as `.spec.containers[name="a"].image`."""
    return "".join(map(_element_text, path))


def read(fields_v1: Any) -> FieldSet:
    """A set that came with a request, its elements in the form used here.

    Raises:
        ValueError: it is no set of fields.
    """
    found: FieldSet = {}
    if not isinstance(fields_v1, dict):
        return found
    for element, node in fields_v1.items():
        if element == _SELF:
            found[_SELF] = {}
            continue
        known = _read_element(element)
        if known is not None:
            below = read(node)
            found[known] = {} if below.keys() == {_SELF} else below
    return found


def _is_member(node: FieldSet) -> bool:
    return not node or _SELF in node


def _only_in_first(here: FieldSet, there: FieldSet) -> bool:
    return _is_member(here) and not _is_member(there)


def _node(children: FieldSet, *, member: bool) -> FieldSet | None:
    if not children:
        return {} if member else None
    return {_SELF: {}, **children} if member else children


def _read_element(element: str) -> str | None:
    """An element in its one spelling; None for a kind of element that is not known."""
    if len(element) < 2 or element[1] != ":":
        raise ValueError(f"not an element of a path: {element}")
    kind, content = element[0], element[2:]
    if kind == "f":
        return element
    if kind not in _KINDS:
        return None
    decoded = json.loads(content)
    if kind == "k" and not isinstance(decoded, dict):
        raise ValueError(f"not a key: {content}")
    return f"{kind}:{compact_json(decoded)}"


def _order(element: str) -> tuple[Any, ...]:
    kind, content = element[0], element[2:]
    if kind == "f":
        return 0, content.encode()
    decoded = json.loads(content)
    if kind == "k":
        return 1, *((name.encode(), *_value_order(part)) for name, part in decoded.items())
    return (2, *_value_order(decoded)) if kind == "v" else (3, decoded)


def _value_order(item: Any) -> tuple[Any, ...]:
    """Numbers, then texts, then booleans."""
    if isinstance(item, bool):
        return 2, item
    if isinstance(item, (int, float)):
        return 0, item
    return (1, item.encode()) if isinstance(item, str) else (3, compact_json(item))


def _element_text(element: str) -> str:
    kind, content = element[0], element[2:]
    if kind == "f":
        return f".{content}"
    if kind == "i":
        return f"[{content}]"
    decoded = json.loads(content)
    if kind == "k":
        return "[" + ",".join(f"{name}={_value_text(part)}" for name, part in decoded.items()) + "]"
    return f"[={_value_text(decoded)}]"


def _value_text(item: Any) -> str:
    return quoted(item) if isinstance(item, str) else compact_json(item)
