"""From the bytes of a request to an object, or to the API server's words for why not.

Pure. JSON and YAML; protobuf is not spoken here. Whether the object is of the right kind, and its fields exist and have
the right types, is asked afterwards.

Source: kube-apiserver 1.34, measured; YAML follows its parser (YAML 1.1, first document only).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.go_values import json_type, quoted
from tcpshift_helpers.sandbox.apiserver.json_syntax import syntax_error
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request

JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"

_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_SHOWN_BYTES = 30


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower() or JSON


def decode(body: bytes, content_type: str, kind: str = "") -> tuple[dict[str, Any], list[str]]:
    """Decode a request's object.

    Args:
        body: what was sent.
        content_type: the header; empty means JSON.
        kind: what the path expects, for the error's words.

    Returns:
        The object, and one sentence per duplicate field (`duplicate field "spec.x"`), to be treated like unknown ones.

    Raises:
        StatusError: 400 with the parser's complaint, 415 for any other content type.
    """
    media_type = _media_type(content_type)
    if media_type not in {JSON, YAML}:
        accepted = f"accepted media types include: {JSON}, {YAML}, application/vnd.kubernetes.protobuf"
        message = f"the body of the request was in an unknown format - {accepted}"
        raise StatusError(415, "UnsupportedMediaType", message)
    try:
        obj, duplicates = _load_yaml(body) if media_type == YAML else _load_json(body)
        _check_type_meta(obj)
    except ValueError as error:
        problem = (
            str(error) if str(error).startswith("yaml: ") else f"couldn't get version/kind; json parse error: {error}"
        )
        expected = f" (must be of type {kind})" if kind else ""
        message = f"the object provided is unrecognized{expected}: {problem} ({_summary(body)})"
        raise bad_request(message) from None
    return obj or {}, duplicates


def decode_patch(body: bytes, content_type: str) -> tuple[Any, list[str]]:
    """Decode a patch: what `json_patch`, `merge_patch` or `strategic_merge_patch` then checks and applies.

    Raises:
        StatusError: 400 when it is not JSON, 415 when it is no kind of patch spoken here.
    """
    media_type = _media_type(content_type)
    if media_type not in {JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH}:
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    try:
        return _load_json(body)
    except ValueError as error:
        prefix = "" if media_type == STRATEGIC_MERGE_PATCH else "error decoding patch: "
        raise bad_request(f"{prefix}{error}") from None


def decode_config(body: bytes) -> tuple[dict[str, Any], list[str]]:
    """Decode what a server-side apply applies: YAML, of which JSON is a part.

    Returns:
        The object, and one sentence per key that is there twice.

    Raises:
        StatusError: 400 when it is neither, or no object.
    """
    try:
        obj, duplicates = _load_json(body)  # what kubectl sends, and read much faster
    except ValueError:
        duplicates = ["not read"]
    if duplicates:
        try:
            obj, duplicates = _load_yaml(body)
        except ValueError as error:
            raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    if obj is not None and not isinstance(obj, dict):
        why = f"json: cannot unmarshal {json_type(obj)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    return obj or {}, [line.strip() for text in duplicates for line in text.splitlines()[1:]]


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    cut = body[:_SHOWN_BYTES]
    text = cut.decode(errors="replace") if body.startswith(b"{") else cut.hex()
    return text + (" ..." if len(body) > _SHOWN_BYTES else "")


def _check_type_meta(obj: Any) -> None:
    if obj is None:
        return
    if not isinstance(obj, dict):
        raise ValueError(  # noqa: TRY004 - all that a body can do wrong is one kind of error here
            f"json: cannot unmarshal {json_type(obj)} into Go value of type {_TYPE_META}"
        )
    for field in ("apiVersion", "kind"):
        if obj.get(field) is not None and not isinstance(obj[field], str):
            raise ValueError(
                f"json: cannot unmarshal {json_type(obj[field])} into Go struct field .{field} of type string"
            )


# JSON.


class _Pairs(list[tuple[str, Any]]):
    """An object with its members as they were written, duplicates and all."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _load_json(body: bytes) -> tuple[Any, list[str]]:
    duplicates_seen = False

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicates_seen
        members = dict(pairs)
        duplicates_seen = duplicates_seen or len(members) != len(pairs)
        return members

    text = body.decode(errors="replace")
    try:
        obj = json.loads(text, object_pairs_hook=to_dict, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError(syntax_error(body)) from None
    if _is_too_deep(body, obj):
        raise ValueError(syntax_error(body))
    if not duplicates_seen:
        return obj, []
    return obj, [f"duplicate field {quoted(path)}" for path in _duplicates(json.loads(text, object_pairs_hook=_Pairs))]


def _is_too_deep(body: bytes, value: Any) -> bool:
    if body.count(b"{") + body.count(b"[") <= limits.DEEPEST_NESTING:  # true of nearly all, and quickly seen
        return False
    level = [value]
    for _ in range(limits.DEEPEST_NESTING):
        inner = (part for each in level for part in (each.values() if isinstance(each, dict) else each))
        level = [part for part in inner if isinstance(part, (dict, list))]
    return bool(level)


def _duplicates(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen = set()
        for key, item in value:
            member = f"{path}.{key}" if path else key
            if key in seen:
                yield member
            seen.add(key)
            yield from _duplicates(item, member)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, f"{path}[{index}]")


# YAML.


def _load_yaml(body: bytes) -> tuple[Any, list[str]]:
    # Most requests are JSON: a server that never meets YAML need not load a parser.
    from tcpshift_helpers.sandbox.apiserver.yaml_documents import load_first  # noqa: PLC0415

    return load_first(body)
