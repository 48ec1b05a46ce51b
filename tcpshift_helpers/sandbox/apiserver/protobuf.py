"""Kubernetes' protobuf, read only: `kubectl create` and Go clients send built-in kinds this way.

Answers are JSON, which such clients accept as well. Fields are described by `protobuf_fields.json`: message → field number →
[JSON name, type, flags]. It is loaded when the first such request comes. Custom resources never come as protobuf.

Source: kubernetes/apimachinery pkg/runtime/serializer/protobuf (envelope); the table is derived from the Go types of release 1.34
by tests/conformance/derive_protobuf_fields.py.
"""

from __future__ import annotations

import base64
import functools
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tcpshift_helpers.sandbox.apiserver.decoding import SCHEME
from tcpshift_helpers.sandbox.apiserver.status import bad_request

Object = dict[str, Any]
Field = list[str]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIGN_BIT = 1 << 63


@functools.cache
def _table() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("protobuf_fields.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def decode(body: bytes) -> Object:
    """The object of a request's body.

    Raises:
        StatusError: 400, it is no such message, or of a kind that is not served.
    """
    if not body.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(_fields(body[len(_MAGIC) :]))
        type_meta = dict(_fields(_as_bytes(envelope.get(1, b""))))
        api_version, kind = (_as_bytes(type_meta.get(number, b"")).decode() for number in (1, 2))
        message = _table()["kinds"].get(f"{api_version}/{kind}") or _table()["kinds"].get(f"meta.k8s.io/v1/{kind}")
        if message is None:
            raise bad_request(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"')
        return {"kind": kind, "apiVersion": api_version, **_message(message, _as_bytes(envelope.get(2, b"")))}
    except (ValueError, IndexError, struct.error) as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from None


def message_of_kind(api_version: str, kind: str) -> str | None:
    """The message that a kind's objects are, or None for kinds that are not built in."""
    found: str | None = _table()["kinds"].get(f"{api_version}/{kind}")
    return found


@functools.cache
def fields_of_message(message: str) -> tuple[list[str], ...]:
    """Name, type and flags of each field; nothing for what is no message."""
    return tuple(_table()["messages"].get(message, {}).values())


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("proto: wrong wireType")  # noqa: TRY004 - all that a body can do wrong is one kind of error here
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and raw value of each field, in order."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        value: int | bytes
        if wire_type == _VARINT:
            value, position = _varint(data, position)
        elif wire_type == _BYTES:
            length, position = _varint(data, position)
            value, position = data[position : position + length], position + length
        elif wire_type in (_FIXED64, _FIXED32):
            length = 8 if wire_type == _FIXED64 else 4
            value, position = data[position : position + length], position + length
        else:
            raise ValueError(f"proto: illegal wireType {wire_type}")
        if position > len(data):
            raise ValueError("unexpected EOF")
        yield number, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift >= 70:
            raise ValueError("proto: integer overflow")


def _message(name: str, data: bytes) -> Object:
    known: dict[str, Field] = _table()["messages"][name]
    obj: Object = {}
    for number, raw in _fields(data):
        field = known.get(str(number))
        if field is None:
            continue
        key, kind, *flags = field
        if kind.startswith("map:"):
            entry = dict(_fields(_as_bytes(raw)))
            value = _value(kind.removeprefix("map:"), entry.get(2, b""))
            obj.setdefault(key, {})[_as_bytes(entry.get(1, b"")).decode()] = value
            continue
        value = _value(kind, raw)
        if "inline" in flags:
            obj.update(value)
        elif "repeated" in flags:
            obj.setdefault(key, []).append(value)
        elif "pointer" in flags or value not in (None, "", 0, {}):
            obj[key] = value
    return obj


def _value(kind: str, raw: int | bytes) -> Any:
    if kind in ("int", "bool"):
        number = raw if isinstance(raw, int) else 0
        return bool(number) if kind == "bool" else number - 2 * _SIGN_BIT if number >= _SIGN_BIT else number
    data = _as_bytes(raw)
    if kind in _SPECIAL:
        return _SPECIAL[kind](data)
    return _message(kind, data)


def _time(data: bytes, timespec: str) -> str | None:
    seconds, nanoseconds = (_value("int", dict(_fields(data)).get(number, 0)) for number in (1, 2))
    if not seconds and not nanoseconds:
        return None
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _int_or_string(data: bytes) -> int | str:
    fields = dict(_fields(data))
    is_text = _value("int", fields.get(1, 0)) == 1
    return _as_bytes(fields.get(3, b"")).decode() if is_text else int(_value("int", fields.get(2, 0)))


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "string": lambda data: data.decode(),
    "bytes": lambda data: base64.b64encode(data).decode(),
    "double": lambda data: struct.unpack("<d", data)[0],
    "time": lambda data: _time(data, "seconds"),
    "micro-time": lambda data: _time(data, "microseconds"),
    "quantity": lambda data: _as_bytes(dict(_fields(data)).get(1, b"0")).decode(),
    "int-or-string": _int_or_string,
    "json": lambda data: json.loads(_as_bytes(dict(_fields(data)).get(1, b"{}"))),
}
