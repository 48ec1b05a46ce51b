"""From the bytes of a request to an object, or to the API server's words for why not.

Pure. JSON and YAML; protobuf is not spoken here. Whether the object is of the right kind, and its fields exist and have
the right types, is asked afterwards.

Source: kube-apiserver 1.34, measured; YAML follows its parser (YAML 1.1, first document only).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.go_values import json_type, quoted
from tcpshift_helpers.sandbox.apiserver.json_syntax import syntax_error
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error

JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"

_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
SCHEME = "pkg/runtime/scheme.go:110"
_SHOWN_BYTES = 30
# An escape of JSON; the second half of the pattern's first choice is an escaped half of a surrogate pair that stands alone.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][\da-fA-F]{2})|.)", re.DOTALL
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MOST_DIGITS = 309  # of what a float64 can hold


class NumberTooLargeError(ValueError):
    """A number of JSON that no float64 can hold."""

    def __init__(self, number: str) -> None:
        super().__init__(f"json: cannot unmarshal number {number} into Go value of type float64")


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
        NumberTooLargeError: how that is told depends on who asks.
    """
    try:
        return _decode(body, content_type)
    except NumberTooLargeError:
        raise
    except ValueError as error:
        expected = f" (must be of type {kind})" if kind else ""
        raise bad_request(f"the object provided is unrecognized{expected}: {error} ({_summary(body)})") from None


def decode_options(body: bytes, content_type: str) -> dict[str, Any]:
    """Decode a DeleteOptions, of which all complaints are answered 500.

    Raises:
        StatusError: 500 with the parser's complaint, 415 for any other content type.
    """
    try:
        obj, _ = _decode(body, content_type)
    except ValueError as error:
        raise internal_error(str(error)) from None
    kind, api_version = obj.get("kind") or "DeleteOptions", obj.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise internal_error(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"')
    return obj


def check_media_type(content_type: str) -> None:
    """Refuse what is no object in a form spoken here.

    Raises:
        StatusError: 415.
    """
    if _media_type(content_type) not in {JSON, YAML}:
        accepted = f"accepted media types include: {JSON}, {YAML}, application/vnd.kubernetes.protobuf"
        message = f"the body of the request was in an unknown format - {accepted}"
        raise StatusError(415, "UnsupportedMediaType", message)


def _decode(body: bytes, content_type: str) -> tuple[dict[str, Any], list[str]]:
    check_media_type(content_type)
    try:
        obj, duplicates = _load_yaml(body) if _media_type(content_type) == YAML else _load_json(body)
        _check_type_meta(obj)
    except NumberTooLargeError:
        raise
    except ValueError as error:
        told = str(error)
        raise ValueError(
            told if told.startswith("yaml: ") else f"couldn't get version/kind; json parse error: {told}"
        ) from None
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
        told = str(error)
        if media_type == JSON_PATCH and isinstance(error, NumberTooLargeError):
            told = told.replace("Go value", "Go struct field jsonPatchOp.value")
        raise bad_request(f"{prefix}{told}") from None


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
    if _SURROGATE.search(body.decode(errors="replace")):
        duplicates = ["not read"]  # YAML does not know them
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


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS and math.isinf(float(text)):
        raise NumberTooLargeError(text)
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NumberTooLargeError(text)
    return number


def _load_json(body: bytes) -> tuple[Any, list[str]]:
    duplicates_seen = False

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal duplicates_seen
        members = dict(pairs)
        duplicates_seen = duplicates_seen or len(members) != len(pairs)
        return members

    text = body.decode(errors="replace")
    if _SURROGATE.search(text):
        text = _ESCAPE.sub(lambda escape: r"\ufffd" if escape["lone"] else escape[0], text)
    try:
        obj = json.loads(
            text,
            object_pairs_hook=to_dict,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except NumberTooLargeError:
        raise
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
