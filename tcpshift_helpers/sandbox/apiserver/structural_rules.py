"""Whether the schema of a custom resource definition is structural.

Pure. In a structural schema every field has one type, said outside `allOf`, `anyOf`, `oneOf` and `not`, so that pruning and
defaulting know what is meant. What else makes a schema wrong is asked in `schema_rules`.

Source: apiextensions-apiserver pkg/apiserver/schema/{validation,complete}.go, sentences as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import regular_expressions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError

Schema = dict[str, Any]

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_ROOT, _ITEM, _FIELD = "at the root", "for specified array items", "for specified object fields"
_EMPTY, _UNDEFINED, _FALSE = "must be empty", "must be undefined", "must be false"
_NOT_IN_ALTERNATIVES = {
    "type": _EMPTY,
    "additionalProperties": _UNDEFINED,
    "default": _UNDEFINED,
    "title": _EMPTY,
    "description": _EMPTY,
    "nullable": _FALSE,
    "x-kubernetes-preserve-unknown-fields": _FALSE,
    "x-kubernetes-embedded-resource": _FALSE,
    "x-kubernetes-int-or-string": _FALSE,
    "x-kubernetes-list-map-keys": _EMPTY,
    "x-kubernetes-list-type": _UNDEFINED,
    "x-kubernetes-map-type": _UNDEFINED,
    "x-kubernetes-validations": _EMPTY,
}
_METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_PROPERTIES = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"


def validate(schema: Schema, path: str) -> list[FieldError]:
    """What makes a schema not structural, sorted as the real server does.

    Args:
        schema: an `openAPIV3Schema`.
        path: where it stands, for the messages.
    """
    return sorted({*_invariants(schema, path, _ROOT), *_complete(schema, schema, path, path)}, key=str)


def _invariants(schema: Schema, path: str, level: str) -> Iterator[FieldError]:
    items, others = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and items is None:
        yield errors.required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _invariants(items, f"{path}.items", _ITEM)
    for name, below in (schema.get("properties") or {}).items():
        yield from _invariants(below, f"{path}.properties[{name}]", _FIELD)
    if others is not None and level == _ROOT:
        yield errors.forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(others, dict):
        yield from _invariants(others, f"{path}.additionalProperties", _FIELD)
    yield from _extensions(schema, path)
    yield from _alternatives(schema, path, _skipped(schema))
    yield from _type(schema, path, level)
    yield from _meta_fields(schema, path, level)


def _extensions(schema: Schema, path: str) -> Iterator[FieldError]:
    if schema.get("x-kubernetes-int-or-string"):
        for other in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
            if schema.get(other):
                sentence = "must be false if x-kubernetes-int-or-string is true"
                yield errors.invalid_value(f"{path}.{other}", True, sentence)


def _type(schema: Schema, path: str, level: str) -> Iterator[FieldError]:
    kind, embedded = schema.get("type") or "", schema.get("x-kubernetes-embedded-resource")
    if embedded and kind != "object":
        sentence = "must be object if x-kubernetes-embedded-resource is true"
        where = f"{path}.type"
        yield errors.invalid_value(where, kind, sentence) if kind else errors.required(where, sentence)
    elif not (kind or schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")):
        yield errors.required(f"{path}.type", f"must not be empty {level}")
    if embedded and schema.get("additionalProperties") is not None:
        sentence = "must not be used if x-kubernetes-embedded-resource is set"
        yield errors.forbidden(f"{path}.additionalProperties", sentence)
    if level == _ROOT and kind and kind != "object":
        yield errors.invalid_value(f"{path}.type", kind, "must be object at the root")
    if embedded and not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("properties"):
        yield errors.required(f"{path}.properties", _PROPERTIES)


def _meta_fields(schema: Schema, path: str, level: str) -> Iterator[FieldError]:
    properties = schema.get("properties") or {}
    if level != _ROOT and not schema.get("x-kubernetes-embedded-resource"):
        return
    for name, wanted in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        if name in properties and properties[name].get("type") != wanted:
            found = properties[name].get("type") or ""
            yield errors.invalid_value(f"{path}.properties[{name}].type", found, f"must be {wanted}")
    if level == _ROOT and "metadata" in properties:
        metadata = dict(properties["metadata"])
        if metadata.get("properties", {}).keys() <= {"name", "generateName"}:
            metadata.pop("properties", None)
        if metadata.keys() - {"type", "default"}:
            yield errors.forbidden(f"{path}.properties[metadata]", _METADATA)


def _skipped(schema: Schema) -> str:
    """Where the types of `x-kubernetes-int-or-string` may stand: `anyOf`, the first of `allOf`, or nowhere."""
    if schema.get("anyOf") == _INT_OR_STRING:
        return "anyOf"
    first: Schema = next(iter(schema.get("allOf") or ()), {})
    return "allOf[0].anyOf" if first.get("anyOf") == _INT_OR_STRING else ""


def _alternatives(schema: Schema, path: str, skipped: str = "") -> Iterator[FieldError]:
    for where, below in _clauses(schema):
        if skipped != where.partition("[")[0]:
            inner = "anyOf" if skipped == f"{where}.anyOf" else ""
            yield from _nested(below, f"{path}.{where}", inner)
    problem = regular_expressions.problem(schema["pattern"]) if schema.get("pattern") else None
    if problem:
        sentence = f"must be a valid regular expression, but isn't: {problem}"
        yield errors.invalid_value(f"{path}.pattern", schema["pattern"], sentence)


def _clauses(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for key in ("anyOf", "allOf", "oneOf"):
        for index, one in enumerate(schema.get(key) or ()):
            yield f"{key}[{index}]", one
    if schema.get("not") is not None:
        yield "not", schema["not"]


def _nested(schema: Schema, path: str, skipped: str) -> Iterator[FieldError]:
    yield from _alternatives(schema, path, skipped)
    if isinstance(schema.get("items"), dict):
        yield from _nested(schema["items"], f"{path}.items", "")
    for name, below in (schema.get("properties") or {}).items():
        yield from _nested(below, f"{path}.properties[{name}]", "")
    for key, rule in _NOT_IN_ALTERNATIVES.items():
        if schema.get(key) or (rule == _UNDEFINED and schema.get(key) is not None):
            yield errors.forbidden(f"{path}.{key}", f"{rule} to be structural")
    if "metadata" in (schema.get("properties") or {}):
        yield errors.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _complete(values: Schema, schema: Schema | None, path: str, told: str) -> Iterator[FieldError]:
    """What alternatives speak of must be there outside of them."""
    if schema is None:
        yield errors.required(path, f"because it is defined in {told}")
        return
    for where, below in _clauses(values):
        yield from _complete_nested(below, schema, path, f"{told}.{where}")


def _complete_nested(values: Schema, schema: Schema | None, path: str, told: str) -> Iterator[FieldError]:
    yield from _complete(values, schema, path, told)
    if schema is None:
        return
    if isinstance(values.get("items"), dict):
        yield from _complete_nested(values["items"], schema.get("items"), f"{path}.items", f"{told}.items")
    properties = schema.get("properties") or {}
    for name, below in (values.get("properties") or {}).items():
        step = f".properties[{name}]"
        yield from _complete_nested(below, properties.get(name), f"{path}{step}", f"{told}{step}")
