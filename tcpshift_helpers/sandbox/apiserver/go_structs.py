"""What Go's types make of an object that comes and goes as JSON.

Pure. The real server keeps built-in objects as Go structs: a part that is a struct and no pointer is there even when nobody wrote it, so
nobody comes to own it as a whole; so is a field whose tag does not say `omitempty`. Custom resources are kept as they came.

Source: the types of k8s.io/api, by way of `protobuf_fields.json` (see `protobuf`).
"""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.protobuf import fields_of_message, message_of_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

Object = dict[str, Any]

_ZERO: dict[str, Any] = {"string": "", "bytes": "", "int": 0, "bool": False}  # of other types it is null
_STRUCTS: dict[str, Any] = {
    "int-or-string": 0,
    "quantity": "0",
}  # written as a text or number, and there like any struct
_OBJECT_META = "meta.ObjectMeta"


def empty_object(api_version: str, kind: str) -> Object:
    """An object of a kind with nothing written in it."""
    message = message_of_kind(api_version, kind)
    return {"kind": kind, "apiVersion": api_version, **(_empty(message) if message else {})}


@functools.cache
def _empty(message: str) -> Object:
    found: Object = {}
    for name, code, *flags in fields_of_message(message):
        if "repeated" not in flags and "pointer" not in flags and fields_of_message(code):
            found |= _empty(code) if "inline" in flags else {name: _empty(code)}
        elif "kept" in flags:
            found[name] = None if "repeated" in flags or "pointer" in flags else _ZERO.get(code)
    return found


def as_kept(api_version: str, kind: str, obj: Object) -> Object:
    """A copy as Go would write it: without fields that say nothing, and with those that are always there.

    Fields that the kind does not have are left as they are. A kind that is not built in is copied whole.
    """
    message = message_of_kind(api_version, kind)
    return _kept(message, obj) if message else copy.deepcopy(obj)


def metadata_as_kept(metadata: Object) -> Object:
    """As `as_kept`, of the metadata that every kind has, custom ones, too."""
    return _kept(_OBJECT_META, metadata)


def _kept(message: str, obj: Object) -> Object:
    kept = dict(obj)
    for name, code, *flags in fields_of_message(message):
        if "inline" in flags:
            kept = _kept(code, kept)
            continue
        value = _kept_field(code, flags, obj.get(name))
        if value is not None or "kept" in flags:
            kept[name] = value
        else:
            kept.pop(name, None)
    return kept


def _kept_field(code: str, flags: Sequence[str], value: Any) -> Any:
    """A field's value, or None if the field says nothing."""
    if "repeated" in flags:
        items = [_kept_value(code, item) for item in value or ()]
        return items if items or ("kept" in flags and value is not None) else None
    if code.startswith("map:"):
        of_map = code.removeprefix("map:")
        members = {name: _kept_value(of_map, item) for name, item in (value or {}).items()}
        return members if members or ("kept" in flags and value is not None) else None
    if "pointer" in flags:
        return None if value is None else _kept_value(code, value)
    value = _kept_value(code, value)
    return None if "kept" not in flags and code in _ZERO and value == _ZERO[code] else value


def _kept_value(code: str, value: Any) -> Any:
    """A value that is no pointer: null is the type's zero."""
    if fields_of_message(code):
        return _kept(code, value or {})
    return {**_ZERO, **_STRUCTS}.get(code) if value is None else copy.deepcopy(value)
