"""What a structural schema does to a custom resource on its way in: unknown fields go, nulls that may not be go, defaults come.

Pure. All three change the object they are given. The object's own `metadata`, `kind` and `apiVersion` are not in the
schema and are passed over.

Source: apiextensions-apiserver pkg/apiserver/schema/{pruning,defaulting}.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]
Object = dict[str, Any]

META_FIELDS = frozenset({"apiVersion", "kind", "metadata"})
_NOTHING: Schema = {}


def prune(obj: Object, schema: Schema) -> list[str]:
    """Drop the fields that the schema does not know; their paths, sorted."""
    return sorted(_prune(obj, {**schema, "x-kubernetes-embedded-resource": True}, ""))


def _prune(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(value, list):
        items = schema.get("items", _NOTHING)
        keeps = schema.get("x-kubernetes-preserve-unknown-fields") and "items" not in schema
        for index, item in enumerate(value):
            if not keeps:
                yield from _prune(item, items, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name in list(value):
            if schema.get("x-kubernetes-embedded-resource") and name in META_FIELDS:
                continue
            where = f"{path}.{name}" if path else name
            below = _below(schema, name)
            if below is not None:
                yield from _prune(value[name], below, where)
            elif not schema.get("x-kubernetes-preserve-unknown-fields"):
                del value[name]
                yield where


def _below(schema: Schema, name: str) -> Schema | None:
    """The schema of a field; None if there is none."""
    properties: dict[str, Schema] = schema.get("properties", _NOTHING)
    if name in properties:
        return properties[name]
    others = schema.get("additionalProperties")
    if others is True:
        return {"x-kubernetes-preserve-unknown-fields": True}
    return others if isinstance(others, dict) else None


def drop_nulls(value: Any, schema: Schema) -> None:
    """Drop fields that are null, may not be, and have no default."""
    if isinstance(value, list):
        for item in value:
            drop_nulls(item, schema.get("items", _NOTHING))
    elif isinstance(value, dict):
        for name in list(value):
            below = _below(schema, name)
            if value[name] is None and below is not None and not below.get("nullable") and "default" not in below:
                del value[name]
            elif below is not None:
                drop_nulls(value[name], below)


def fill_defaults(value: Any, schema: Schema) -> None:
    """Set what is missing, or null where it may not be, to the schema's defaults."""
    if isinstance(value, list):
        items = schema.get("items", _NOTHING)
        for index, item in enumerate(value):
            if item is None and "default" in items and not items.get("nullable"):
                value[index] = copy.deepcopy(items["default"])
            fill_defaults(value[index], items)
    elif isinstance(value, dict):
        for name, below in schema.get("properties", _NOTHING).items():
            missing = name not in value or (value[name] is None and not below.get("nullable"))
            if missing and "default" in below:
                value[name] = copy.deepcopy(below["default"])
        for name in value:
            below = _below(schema, name)
            if below is not None:
                fill_defaults(value[name], below)


def has_defaults(schema: Schema) -> bool:
    """Whether any field has a default."""
    if "default" in schema:
        return True
    others, items = schema.get("additionalProperties"), schema.get("items")
    parts = [*schema.get("properties", _NOTHING).values(), *(one for one in (others, items) if isinstance(one, dict))]
    return any(map(has_defaults, parts))
