"""OpenAPI v2 as protobuf, written only: the form in which kubectl and Go clients ask for it.

The document has to be one of `openapi_v2`. Of the format only what such a document has is known here; anything else is a
`KeyError`, so that nothing is left out unseen.

Source: github.com/google/gnostic-models v0.7 openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_EXTENSIONS = "x-"
# Message → key in JSON → number and content. `[]` is a list, `{}` a map: a message with one field of names and values.
_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Document": {
        "swagger": (1, "string"),
        "info": (2, "Info"),
        "paths": (8, "Paths"),
        "definitions": (9, "{}Schema"),
        "security": (12, "[]{}StringArray"),
        "securityDefinitions": (13, "{}SecurityDefinition"),
    },
    "Info": {"title": (1, "string"), "version": (2, "string")},
    "PathItem": {
        "get": (2, "Operation"),
        "put": (3, "Operation"),
        "post": (4, "Operation"),
        "delete": (5, "Operation"),
        "patch": (8, "Operation"),
        "parameters": (9, "[]Parameter"),
    },
    "Operation": {
        "tags": (1, "[]string"),
        "description": (3, "string"),
        "operationId": (5, "string"),
        "produces": (6, "[]string"),
        "consumes": (7, "[]string"),
        "parameters": (8, "[]Parameter"),
        "responses": (9, "{}Response"),
        "schemes": (10, "[]string"),
        _EXTENSIONS: (13, "NamedAny"),
    },
    "BodyParameter": {"name": (2, "string"), "in": (3, "string"), "required": (4, "bool"), "schema": (5, "Schema")},
    "QueryParameter": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (6, "string"),
        "uniqueItems": (20, "bool"),
    },
    "PathParameter": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (5, "string"),
        "uniqueItems": (19, "bool"),
    },
    "ResponseContent": {"description": (1, "string"), "schema": (2, "SchemaItem")},
    "ApiKeySecurity": {
        "type": (1, "string"),
        "name": (2, "string"),
        "in": (3, "string"),
        "description": (4, "string"),
    },
    "Schema": {
        "$ref": (1, "string"),
        "format": (2, "string"),
        "description": (4, "string"),
        "maximum": (7, "double"),
        "minimum": (9, "double"),
        "maxLength": (11, "int"),
        "minLength": (12, "int"),
        "pattern": (13, "string"),
        "maxItems": (14, "int"),
        "minItems": (15, "int"),
        "maxProperties": (17, "int"),
        "minProperties": (18, "int"),
        "required": (19, "[]string"),
        "enum": (20, "[]Any"),
        "additionalProperties": (21, "AdditionalProperties"),
        "type": (22, "TypeItem"),
        "items": (23, "SchemaItem"),
        "properties": (25, "{}Schema"),
        _EXTENSIONS: (31, "NamedAny"),
    },
}


def encode(document: Object) -> bytes:
    """The document's bytes.

    Raises:
        KeyError: it has what no document of `openapi_v2` has.
    """
    return _message("Document", document)


def _message(name: str, value: Object) -> bytes:
    known, parts = _FIELDS[name], []
    for key, item in value.items():
        if key.startswith(_EXTENSIONS):
            number, content = known[_EXTENSIONS]
            parts.append(_field(number, content, (key, item)))
            continue
        number, content = known[key]
        if content.startswith("[]"):
            parts.extend(_field(number, content.removeprefix("[]"), one) for one in item)
        else:
            parts.append(_field(number, content, item))
    return b"".join(parts)


def _field(number: int, content: str, value: Any) -> bytes:
    if content in ("bool", "int"):
        return _varint(number << 3 | _VARINT) + _varint(int(value))
    if content == "double":
        return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)
    return _delimited(number, _content(content, value))


def _content(content: str, value: Any) -> bytes:
    if content.startswith("{}"):
        return _named(1, content.removeprefix("{}"), value)
    special = _SPECIAL.get(content)
    return special(value) if special else _message(content, value)


def _named(number: int, content: str, value: Object) -> bytes:
    pairs = (_delimited(1, name.encode()) + _delimited(2, _content(content, item)) for name, item in value.items())
    return b"".join(_delimited(number, pair) for pair in pairs)


def _parameter(value: Object) -> bytes:
    if value["in"] == "body":
        parameter = _delimited(1, _message("BodyParameter", value))
    else:
        number, name = {"query": (3, "QueryParameter"), "path": (4, "PathParameter")}[value["in"]]
        parameter = _delimited(2, _delimited(number, _message(name, value)))
    return _delimited(1, parameter)


def _any(value: Any) -> bytes:
    """As YAML, of which JSON is a part."""
    return _delimited(2, json.dumps(value, ensure_ascii=False).encode())


def _additional_properties(value: Any) -> bytes:
    return _field(2, "bool", value) if isinstance(value, bool) else _field(1, "Schema", value)


_SPECIAL: dict[str, Callable[[Any], bytes]] = {
    "string": str.encode,
    "Any": _any,
    "NamedAny": lambda pair: _delimited(1, pair[0].encode()) + _delimited(2, _any(pair[1])),
    "Parameter": _parameter,
    "Paths": lambda value: _named(2, "PathItem", value),
    "Response": lambda value: _field(1, "ResponseContent", value),
    "SchemaItem": lambda value: _field(1, "Schema", value),
    "AdditionalProperties": _additional_properties,
    "TypeItem": lambda value: _field(1, "string", value),
    "StringArray": lambda value: b"".join(_field(1, "string", one) for one in value),
    "SecurityDefinition": lambda value: _field(2, "ApiKeySecurity", value),
}


def _delimited(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)
