"""OpenAPI v3 schemas of custom resource definitions, put together from small functions. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def structure(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object with these fields."""
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    return schema


def array(items: Schema, **bounds: Any) -> Schema:
    """A list, with bounds such as `maxItems`."""
    return {"type": "array", "items": items, **bounds}


def mapping(values: Schema) -> Schema:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def enumeration(*values: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def described(description: str, schema: Schema) -> Schema:
    """The schema with what `kubectl explain` says of it."""
    return {"description": description, **schema}
