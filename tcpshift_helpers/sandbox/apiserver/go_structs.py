"""What Go's types make of an object that comes and goes as JSON.

Pure. The real server keeps built-in objects as Go structs: a part that is a struct and no pointer is there even when nobody wrote it, so
nobody comes to own it as a whole; so is a field whose tag does not say `omitempty`. A field whose tag says so is not there while it says
nothing. Custom resources are kept as they came.

Source: the types of k8s.io/api, by way of `protobuf_fields.json` (see `protobuf`).
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

from tcpshift_helpers.sandbox.apiserver.protobuf import fields_of_message, message_of_kind

Object = dict[str, Any]

# What a type is when nothing was said. Of other types that is null.
_ZERO: dict[str, Any] = {"string": "", "bytes": "", "int": 0, "bool": False, "int-or-string": 0, "quantity": "0"}
# Types whose zero is left out where that may be: the rest are structs in Go, even those that are written as a text.
_LEFT_OUT = frozenset({"string", "bytes", "int", "bool"})
_OBJECT_META = "meta.ObjectMeta"


@dataclass(frozen=True)
class _Field:
    """A field of a struct, as the table has it."""

    code: str
    is_list: bool
    is_pointer: bool
    is_kept: bool

    def kept(self, value: Any) -> Any:
        """The field's value as Go would write it, or None if the field says nothing."""
        if self.is_list:
            items = [_kept_value(self.code, item) for item in value or ()]
            return items if items or (self.is_kept and value is not None) else None
        if self.code.startswith("map:"):
            of_map = self.code.removeprefix("map:")
            members = {name: _kept_value(of_map, item) for name, item in (value or {}).items()}
            return members if members or (self.is_kept and value is not None) else None
        if self.is_pointer:
            return None if value is None else _kept_value(self.code, value)
        value = _kept_value(self.code, value)
        says_nothing = self.code in _LEFT_OUT and not self.is_kept and value == _ZERO[self.code]
        return None if says_nothing else value


@functools.cache
def _fields(message: str) -> dict[str, _Field]:
    """The fields by name, those of structs that are part of this one among them."""
    found: dict[str, _Field] = {}
    for name, code, *flags in fields_of_message(message):
        if "inline" in flags:
            found |= _fields(code)
        else:
            found[name] = _Field(code, "repeated" in flags, "pointer" in flags, "kept" in flags)
    return found


@functools.cache
def _unasked(message: str) -> tuple[str, ...]:
    """The fields that are there even when nobody wrote them."""
    return tuple(name for name, one in _fields(message).items() if one.is_kept or one.kept(None) is not None)


def empty_object(api_version: str, kind: str) -> Object:
    """An object of a kind with nothing written in it."""
    return as_kept(api_version, kind, {"kind": kind, "apiVersion": api_version})


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
    fields, kept = _fields(message), {}
    for name, value in obj.items():
        field = fields.get(name)
        wished = copy.deepcopy(value) if field is None else field.kept(value)
        if wished is not None or field is None or field.is_kept:
            kept[name] = wished
    for name in _unasked(message):
        if name not in obj:
            kept[name] = fields[name].kept(None)
    return kept


def _kept_value(code: str, value: Any) -> Any:
    """A value that is no pointer: null is the type's zero."""
    if _fields(code):
        return _kept(code, value or {})
    if value is None:
        return _ZERO.get(code)
    return copy.deepcopy(value) if isinstance(value, (dict, list)) else value
