"""The three patches of the API: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.

Pure. JSON patch follows the real server's library where that is more lenient than the RFC: `replace` and `copy` of a
missing member, and negative indices. Server-side apply is not a patch in this sense and not here.

Source: kube-apiserver 1.34, measured; every failing operation has the same sentence there.
"""

from __future__ import annotations

import copy
from typing import Any

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.go_values import compact_json, json_type
from tcpshift_helpers.sandbox.apiserver.status import StatusError, too_large_request
from tcpshift_helpers.sandbox.apiserver.strategic_merge import strategic_merge_patch

__all__ = ["json_patch", "merge_patch", "strategic_merge_patch"]


def _rejected() -> StatusError:
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def _undecodable(reason: str) -> StatusError:
    return StatusError(400, "BadRequest", f"error decoding patch: json: {reason}")


def _check_operations(operations: Any) -> None:
    if not isinstance(operations, list):
        raise _undecodable(f"cannot unmarshal {json_type(operations)} into Go value of type []handlers.jsonPatchOp")
    for operation in operations:
        if not isinstance(operation, dict):
            raise _undecodable(f"cannot unmarshal {json_type(operation)} into Go value of type handlers.jsonPatchOp")
        for member in ("op", "from", "path"):
            value = operation.get(member)
            if value is not None and not isinstance(value, str):
                field = f"Go struct field jsonPatchOp.{member} of type string"
                raise _undecodable(f"cannot unmarshal {json_type(value)} into {field}")
    if len(operations) > limits.MOST_PATCH_OPERATIONS:
        most = limits.MOST_PATCH_OPERATIONS
        raise too_large_request(f"The allowed maximum operations in a JSON patch is {most}, got {len(operations)}")


def json_patch(obj: dict[str, Any], operations: list[Any] | None) -> dict[str, Any]:
    """Apply RFC 6902 operations to a copy of `obj`.

    Raises:
        StatusError: 400 when the operations have the wrong types, 413 when there are too many of them, 422 when one of them cannot be
            applied, or copies too much.
    """
    _check_operations([] if operations is None else operations)
    document, copies = copy.deepcopy(obj), _Copies()
    for operation in operations or []:
        _apply(document, operation, copies)
    return document


class _Copies:
    """Makes copies, up to a size in all: each of a few operations could double the document.

    Source: evanphx/json-patch (AccumulatedCopySizeLimit).
    """

    def __init__(self) -> None:
        self._bytes = 0

    def of(self, value: Any) -> Any:
        self._bytes += len(compact_json(value, sort_keys=False))
        if self._bytes > limits.LARGEST_COPIES_BYTES:
            raise _rejected()
        return copy.deepcopy(value)


def _apply(document: dict[str, Any], operation: dict[str, Any], copies: _Copies) -> None:
    path = operation.get("path")
    if not path:  # the whole document cannot be replaced
        raise _rejected()
    parent, token = _locate(document, path)
    match operation.get("op"):
        case "add":
            _add(parent, token, copy.deepcopy(operation.get("value")))
        case "replace":
            _get(parent, token, missing_is_null=isinstance(parent, dict))
            parent[_key(parent, token)] = copy.deepcopy(operation.get("value"))
        case "remove":
            _get(parent, token)
            del parent[_key(parent, token)]
        case "test":
            if not _equal(_get(parent, token, missing_is_null=True), operation.get("value")):
                raise _rejected()
        case "move" | "copy" as op if operation.get("from"):
            source, source_token = _locate(document, operation["from"])
            value = _get(source, source_token, missing_is_null=op == "copy")
            if op == "move":
                del source[_key(source, source_token)]
                parent, token = _locate(document, path)
            _add(parent, token, value if op == "move" else copies.of(value))
        case _:
            raise _rejected()


def _locate(document: Any, pointer: str) -> tuple[Any, str]:
    """The container that the last token of a JSON pointer stands in, and that token, unescaped."""
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    if not tokens:
        raise _rejected()
    for token in tokens[:-1]:
        document = _get(document, token)
    if not isinstance(document, (dict, list)):
        raise _rejected()
    return document, tokens[-1]


def _key(container: Any, token: str) -> Any:
    """The token as an index of this container, negative counted from the end."""
    if isinstance(container, dict):
        return token
    try:
        index = int(token)
    except ValueError:
        raise _rejected() from None
    if not -len(container) <= index < len(container):
        raise _rejected()
    return index


def _get(container: Any, token: str, *, missing_is_null: bool = False) -> Any:
    if isinstance(container, dict):
        if token in container or missing_is_null:
            return container.get(token)
        raise _rejected()
    if isinstance(container, list):
        return container[_key(container, token)]
    raise _rejected()


def _add(container: Any, token: str, value: Any) -> None:
    if isinstance(container, dict):
        container[token] = value
    elif token in {"-", str(len(container))}:
        container.append(value)
    else:
        index = _key(container, token)
        container.insert(index if index >= 0 else len(container) + index + 1, value)


def _equal(left: Any, right: Any) -> bool:
    """Deep equality that keeps JSON's booleans apart from its numbers."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def merge_patch(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Apply an RFC 7386 merge patch: nulls remove, objects merge, everything else replaces.

    Raises:
        StatusError: 400 when the patch is not an object.
    """
    if patch is None:
        raise StatusError(400, "BadRequest", "Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise _undecodable(f"cannot unmarshal {json_type(patch)} into Go value of type map[string]interface {{}}")
    merged: dict[str, Any] = _merge(obj, patch)
    return merged


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = {key: copy.deepcopy(value) for key, value in target.items()} if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
