"""Values as the API server's own words print them.

Its messages show values in two ways: Go's `%v` (`map[a:1 b:[x y]]`) and compact JSON with sorted keys. Pure; it only
formats, and knows nothing of which message wants which.

Source: the texts measured from kube-apiserver 1.34.
"""

from __future__ import annotations

import json
from typing import Any

_HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_NAMED_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def plain(value: Any) -> str:
    """Format a JSON value as `%v` does."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(plain(item) for item in value) + "]"
    return str(value)


def quoted(text: str) -> str:
    """Format a string as `%q` does."""
    pieces = []
    for character in text:
        if character in '"\\':
            pieces.append("\\" + character)
        elif character in _NAMED_ESCAPES:
            pieces.append(_NAMED_ESCAPES[character])
        elif character.isprintable():
            pieces.append(character)
        elif ord(character) < 0x80:
            pieces.append(f"\\x{ord(character):02x}")
        elif ord(character) < 0x10000:
            pieces.append(f"\\u{ord(character):04x}")
        else:
            pieces.append(f"\\U{ord(character):08x}")
    return '"' + "".join(pieces) + '"'


def compact_json(value: Any, *, sort_keys: bool = True) -> str:
    """Encode as Go's encoding/json does: no spaces, `<`, `>` and `&` escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)
    for character, escape in _HTML_ESCAPES.items():
        text = text.replace(character, escape)
    return text


def json_type(value: Any) -> str:
    """Name a JSON value's type as encoding/json does in `cannot unmarshal TYPE into ...`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def go_type(value: Any) -> str:
    """Name the Go type that holds a decoded JSON value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
