"""What Go's types make of an object that comes and goes as JSON.

Pure. The real server keeps built-in objects as Go structs: a part that is a struct and no pointer is there even when nobody wrote it, so
nobody comes to own it as a whole; so is a field whose tag does not say `omitempty`. Custom resources are kept as they came.

Source: the types of k8s.io/api, by way of `protobuf_fields.json` (see `protobuf`).
"""

from __future__ import annotations

import functools
from typing import Any

from tcpshift_helpers.sandbox.apiserver.protobuf import fields_of_message, message_of_kind

Object = dict[str, Any]

_ZERO: dict[str, Any] = {"string": "", "int": 0, "bool": False}  # of other types it is null


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
