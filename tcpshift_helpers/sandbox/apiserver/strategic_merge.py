"""Strategic merge patch: a merge patch that knows which lists are sets of named things.

Pure. What merges how is read from the schema (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`); the
directives are `$patch`, `$retainKeys`, `$setElementOrder/FIELD` and `$deleteFromPrimitiveList/FIELD`, as kubectl's
client-side apply sends them. Making such a patch from two manifests is the client's work and not here.

Source: kube-apiserver 1.34, sentences and order of elements measured.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.go_values import go_type, json_type, plain
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.schemas import Schemas

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ELEMENT_ORDER = "$setElementOrder/"
DELETE_FROM_PRIMITIVE_LIST = "$deleteFromPrimitiveList/"


def _no_merge_key(element: Any, merge_key: str) -> StatusError:
    return internal_error(f"map: {plain(element)} does not contain declared merge key: {merge_key}")


def strategic_merge_patch(
    obj: dict[str, Any], patch: Any, schema: dict[str, Any] | None, schemas: Schemas
) -> dict[str, Any]:
    """Apply a strategic merge patch to a copy of `obj`.

    Args:
        obj: the object as stored, in the version that `schema` describes.
        patch: the decoded patch.
        schema: the kind's schema; fields it does not know merge as plain maps and replaced lists.
        schemas: resolves the `$ref`s in it.

    Raises:
        StatusError: in the API server's words, among them some that it answers with code 500.
    """
    if patch is None:
        return copy.deepcopy(obj)
    if not isinstance(patch, dict):
        raise bad_request(f"json: cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}")
    return _Merger(schemas).merge_map(copy.deepcopy(obj), copy.deepcopy(patch), schema)


class _Merger:
    """Carries the schemas through the recursion; works in place on copies."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def _field(self, schema: dict[str, Any] | None, name: str) -> dict[str, Any]:
        if schema is None:
            return {}
        schema = self._schemas.resolve(schema)
        field: dict[str, Any] = schema.get("properties", {}).get(name) or {}
        return field

    def merge_map(
        self, original: dict[str, Any], patch: dict[str, Any], schema: dict[str, Any] | None
    ) -> dict[str, Any]:
        if PATCH in patch:
            directive = patch.pop(PATCH)
            if directive == "replace":
                return patch
            if directive == "delete":
                return {}
            raise internal_error(f"unknown patch type: {plain(directive)} in map: {plain({**patch, PATCH: directive})}")
        _retain_keys(original, patch)
        for key in [key for key in patch if key.startswith(SET_ELEMENT_ORDER)]:
            self._merge_ordered(original, patch, key, schema)
        for key, value in patch.items():
            self._merge_field(original, key, value, schema)
        return original

    def _merge_field(self, original: dict[str, Any], key: str, value: Any, schema: dict[str, Any] | None) -> None:
        is_delete_list = key.startswith(DELETE_FROM_PRIMITIVE_LIST)
        if is_delete_list:
            key = key.removeprefix(DELETE_FROM_PRIMITIVE_LIST)
        if value is None:
            original.pop(key, None)
            return
        current = original.get(key)
        field = self._field(schema, key)
        if isinstance(current, dict) and isinstance(value, dict):
            schema = None if "additionalProperties" in field else field  # a free map, such as labels, has no fields
            original[key] = value if _strategy(field, "replace") else self.merge_map(current, value, schema)
        elif isinstance(current, list) and isinstance(value, list):
            original[key] = self._merge_list(current, value, field, is_delete_list=is_delete_list)
        elif not is_delete_list:
            kept, keep = _without_directives(_without_nulls(value))
            if keep:
                original[key] = kept
            else:
                original.pop(key, None)

    def _merge_list(
        self, original: list[Any], patch: list[Any], field: dict[str, Any], *, is_delete_list: bool = False
    ) -> list[Any]:
        if not is_delete_list and not _strategy(field, "merge"):
            return patch
        if not original and not patch:
            return original
        kind = _element_kind(original, patch)
        if kind != "map[string]interface {}":
            if is_delete_list:
                return [item for item in original if item not in patch]
            return _ordered(_deduplicated([*original, *patch]), patch, original, "")
        merge_key = field.get("x-kubernetes-patch-merge-key", "")
        if not merge_key:
            raise internal_error("cannot merge lists without merge key for ")
        original, patch = _apply_element_directives(original, patch, merge_key)
        server_order = list(original)
        merged = list(original)
        for element in patch:
            if merge_key not in element:
                raise _no_merge_key(element, merge_key)
            index = _find(merged, element[merge_key], merge_key)
            if index is None:
                merged.append(element)
            else:
                merged[index] = self.merge_map(merged[index], element, field.get("items"))
        return _ordered(merged, patch, server_order, merge_key)

    def _merge_ordered(
        self, original: dict[str, Any], patch: dict[str, Any], directive: str, schema: dict[str, Any] | None
    ) -> None:
        order = patch.pop(directive)
        key = directive.removeprefix(SET_ELEMENT_ORDER)
        current, wanted = original.get(key), patch.get(key)
        for value in (order, current if key in original else [], wanted if key in patch else []):
            if not isinstance(value, list):
                raise internal_error(f"expected a []interface {{}}, but received a {go_type(value)}")
        field = self._field(schema, key)
        merge_key = field.get("x-kubernetes-patch-merge-key", "")
        _check_order(wanted or [], order, merge_key)
        if key not in original and key not in patch:
            return
        if not current and not wanted:
            raise internal_error("no elements in any of the given slices")
        server_order = list(current or [])
        if key not in patch:
            merged = server_order
        elif key not in original:
            merged = _without_directives(wanted)[0]
        else:
            server_order = _order_left_behind(server_order, wanted or [], merge_key)
            merged = self._merge_list(current or [], wanted or [], field)
        original[key] = _ordered(merged, order, server_order, merge_key)
        patch.pop(key, None)


def _strategy(field: dict[str, Any], strategy: str) -> bool:
    return strategy in str(field.get("x-kubernetes-patch-strategy", "")).split(",")


def _retain_keys(original: dict[str, Any], patch: dict[str, Any]) -> None:
    if RETAIN_KEYS not in patch:
        return
    retained = patch.pop(RETAIN_KEYS)
    directives = (DELETE_FROM_PRIMITIVE_LIST, SET_ELEMENT_ORDER)
    if not isinstance(retained, list) or any(
        value is not None and not key.startswith(directives) and key not in retained for key, value in patch.items()
    ):
        raise bad_request("invalid patch format of retainKeys")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _element_kind(original: list[Any], patch: list[Any]) -> str:
    kinds = {go_type(element) for element in (*original, *patch)}
    if "[]interface {}" in kinds:
        raise internal_error("lists of lists are not supported")
    if len(kinds) > 1:
        raise internal_error(f"list element types are not identical: {plain([original, patch])}")
    return kinds.pop()


def _apply_element_directives(
    original: list[Any], patch: list[Any], merge_key: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Carry out `$patch: delete` and `$patch: replace` elements; returns the lists left to merge."""
    elements = []
    replace = False
    for element in patch:
        directive = element.get(PATCH)
        if directive is None:
            elements.append(element)
        elif directive == "delete":
            if merge_key not in element:
                raise _no_merge_key(element, merge_key)
            original = [item for item in original if item.get(merge_key) != element[merge_key]]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise internal_error("merging lists cannot yet be specified in the patch")
        else:
            raise internal_error(f"unknown patch type: {plain(directive)} in map: {plain(element)}")
    return (elements, []) if replace else (original, elements)


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """The patched elements must stand in the same order as in `$setElementOrder`."""
    is_directive = [isinstance(element, dict) and PATCH in element for element in patch]
    kept = [
        (None if directive else _identity(element, merge_key))
        for element, directive in zip(patch, is_directive, strict=True)
        if not (merge_key and directive and element[PATCH] == "delete")
    ]
    if not patch or not order:
        return
    for wanted in (_identity(item, merge_key) for item in order):
        while kept and kept[0] is None:  # a directive has no place in the order
            kept.pop(0)
        if kept and kept[0] == wanted:
            kept.pop(0)
    if kept:
        message = f"The order in patch list:\n{plain(patch)}\n doesn't match $setElementOrder list:\n{plain(order)}\n"
        raise internal_error(message)


def _identity(element: Any, merge_key: str) -> Any:
    return element.get(merge_key) if merge_key and isinstance(element, dict) else element


def _find(elements: list[dict[str, Any]], value: Any, merge_key: str) -> int | None:
    return next((index for index, element in enumerate(elements) if element.get(merge_key) == value), None)


def _ordered(merged: list[Any], patch_order: list[Any], server_order: list[Any], merge_key: str) -> list[Any]:
    """Elements named by the patch in its order, the server's own kept where they stood before them."""
    wanted = [_identity(element, merge_key) for element in patch_order]
    before = [_identity(element, merge_key) for element in server_order]

    def stands_before(own_element: Any, named_element: Any) -> bool:
        own_identity, named_identity = _identity(own_element, merge_key), _identity(named_element, merge_key)
        both_known = own_identity in before and named_identity in before
        return both_known and before.index(own_identity) < before.index(named_identity)

    named = [element for element in merged if _identity(element, merge_key) in wanted]
    named.sort(key=lambda element: wanted.index(_identity(element, merge_key)))
    own = [element for element in merged if _identity(element, merge_key) not in wanted]
    result = []
    for element in named:
        while own and stands_before(own[0], element):
            result.append(own.pop(0))
        result.append(element)
    return result + own


def _order_left_behind(server: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    """The server's order as the real server sees it after the merge.

    It deletes and appends in the list it reads the order from, so new elements stand there in the places of deleted
    ones, behind the server's own.
    """
    if not merge_key:
        return server
    directives = [element for element in patch if isinstance(element, dict) and PATCH in element]
    gone = [element.get(merge_key) for element in directives if element[PATCH] == "delete"]
    left = [element for element in server if _identity(element, merge_key) not in gone]
    known = [_identity(element, merge_key) for element in left]
    new = [element for element in patch if element not in directives and _identity(element, merge_key) not in known]
    return left + new[: len(server) - len(left)]


def _deduplicated(values: list[Any]) -> list[Any]:
    unique: list[Any] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return unique


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _without_directives(value: Any) -> tuple[Any, bool]:
    """A new value as stored: maps that are themselves a directive drop out. Returns the value and whether to keep it."""
    if isinstance(value, dict):
        if PATCH in value:
            return None, False
        members = {key: _without_directives(item) for key, item in value.items()}
        return {key: item for key, (item, keep) in members.items() if keep}, True
    if isinstance(value, list):
        return [item for item, keep in map(_without_directives, value) if keep], True
    return value, True
