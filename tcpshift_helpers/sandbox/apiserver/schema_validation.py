"""Judges a value by the schema of a custom resource definition.

Pure. Types, bounds, patterns, formats, enums, required fields, and what `allOf`, `anyOf`, `oneOf` and `not` say. A value that an update leaves as it was is not held against the update, as on a real cluster ("ratcheting").
Rules in CEL, uniqueness in lists and embedded metadata are judged elsewhere.

Source: kube-openapi pkg/validation/validate (order, and which failures of alternatives are told) and
apiextensions-apiserver pkg/apiserver/validation; sentences measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import formats
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.go_values import plain, quoted
from tcpshift_helpers.sandbox.apiserver.regular_expressions import search

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema = dict[str, Any]

UNKNOWN: Any = object()
"""In place of an old value: there is none to compare with."""

_NOWHERE = "<nil>"  # how the real server prints the path of an objection that has none


@dataclass
class Findings:
    """Objections to a value, and how many checks it passed: of several alternatives, the one with most passed is told."""

    errors: list[FieldError] = field(default_factory=list)
    passed: int = 0

    def add(self, objections: Iterable[FieldError]) -> None:
        """Add objections, each once."""
        self.errors.extend(one for one in objections if one not in self.errors)

    def merge(self, other: Findings) -> None:
        """Take over another's objections and count."""
        self.add(other.errors)
        self.passed += other.passed


def validate(value: Any, schema: Schema, path: str = "", old: Any = UNKNOWN) -> list[FieldError]:
    """All objections to a value.

    Args:
        value: a JSON value.
        schema: an OpenAPI v3 schema without references.
        path: where the value stands, for the messages.
        old: the value before an update, or `UNKNOWN`.
    """
    return _judge(value, schema, path, old).errors


def validate_at(value: Any, schema: Schema, place: str, old: Any = UNKNOWN) -> list[FieldError]:
    """As `validate`, for a value that is looked at by itself: sentences name what is in it, paths of objections begin at `place`."""
    found = validate(value, schema, "", old)
    where = (f"{place}.{error.field}".removesuffix(f".{_NOWHERE}") for error in found)
    return [FieldError(error.reason, path, error.message) for error, path in zip(found, where, strict=True)]


def json_type_name(value: Any) -> str:
    """JSON Schema's name of a value's type."""
    names: tuple[tuple[type, str], ...] = (
        *((bool, "boolean"), (int, "integer"), (float, "number")),
        *((str, "string"), (list, "array"), (dict, "object")),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def _judge(value: Any, schema: Schema, path: str, old: Any) -> Findings:
    found = _judge_anew(value, schema, path, old)
    if found.errors and old is not UNKNOWN and same(value, old):
        return Findings(passed=found.passed)
    return found


def _judge_anew(value: Any, schema: Schema, path: str, old: Any) -> Findings:
    found = Findings()
    found.merge(_type(value, schema, path))
    if value is None:
        found.add(_enum(value, schema, path))
        return found
    found.passed += 1
    found.merge(_alternatives(value, schema, path))
    if isinstance(value, str):
        found.add(_text(value, schema, path))
        found.passed += 1
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found.add(_number(value, schema, path))
        found.passed += 2
    elif isinstance(value, list):
        found.merge(_list(value, schema, path, old))
        found.passed += 1
    found.add(_enum(value, schema, path))
    found.passed += 1
    if isinstance(value, dict):
        found.merge(_object(value, schema, path, old))
        found.passed += 1
    found.passed += 1
    return found


def same(left: Any, right: Any) -> bool:
    """Deep equality that keeps JSON's booleans apart from its numbers."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _types(schema: Schema) -> list[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return ["integer", "string"]
    return [schema["type"]] if schema.get("type") else []


def _type(value: Any, schema: Schema, path: str) -> Findings:
    wanted, got = _types(schema), json_type_name(value)
    whole = got == "number" and float(value).is_integer()
    fits = not wanted or got in wanted or (got == "integer" and "number" in wanted) or (whole and "integer" in wanted)
    if fits or (value is None and schema.get("nullable")):
        return Findings(passed=1)
    sentence = f'{path} in body must be of type {",".join(wanted)}: "{got}"'
    return Findings([errors.wrong_type(path or _NOWHERE, got, sentence)])


def _alternatives(value: Any, schema: Schema, path: str) -> Findings:
    found = Findings(passed=1)
    if schema.get("anyOf"):
        found.merge(_any_of(value, schema["anyOf"], path))
    if schema.get("oneOf"):
        found.merge(_one_of(value, schema["oneOf"], path))
    if schema.get("allOf"):
        results = [_judge(value, one, path, UNKNOWN) for one in schema["allOf"]]
        for result in results:
            found.merge(result)
        failures = sum(bool(result.errors) for result in results)
        if failures:
            none = ". None validated" if failures == len(results) else ""
            found.add([_composite(path, f"must validate all the schemas (allOf){none}")])
    if "not" in schema and not _judge(value, schema["not"], path, UNKNOWN).errors:
        found.add([_composite(path, "must not validate the schema (not)")])
    return found


def _composite(path: str, sentence: str) -> FieldError:
    return errors.invalid_value(_NOWHERE, "", f"{quoted(path)} {sentence}")


def _any_of(value: Any, schemas: list[Schema], path: str) -> Findings:
    best: Findings | None = None
    for schema in schemas:
        result = _judge(value, schema, path, UNKNOWN)
        if not result.errors:
            return result
        if best is None or result.passed > best.passed:
            best = result
    found = Findings([_composite(path, "must validate at least one schema (anyOf)")])
    found.merge(best or Findings())
    return found


def _one_of(value: Any, schemas: list[Schema], path: str) -> Findings:
    results = [_judge(value, schema, path, UNKNOWN) for schema in schemas]
    valid = [result for result in results if not result.errors]
    if len(valid) == 1:
        return valid[0]
    count = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
    found = Findings([_composite(path, f"must validate one and only one schema (oneOf). {count}")])
    if not valid:
        found.merge(max(results, key=lambda result: result.passed))
    return found


def _text(value: str, schema: Schema, path: str) -> list[FieldError]:
    """Length, then pattern: the first that fails; and the format."""
    found = []
    if len(value) > schema.get("maxLength", math.inf):
        found.append(errors.too_long(path, value, schema["maxLength"]))
    elif len(value) < schema.get("minLength", 0):
        sentence = f"{path} in body should be at least {schema['minLength']} chars long"
        found.append(errors.invalid_value(path, value, sentence))
    elif schema.get("pattern") and not search(schema["pattern"], value):
        found.append(errors.invalid_value(path, value, f"{path} in body should match '{schema['pattern']}'"))
    name = schema.get("format", "")
    if not formats.matches(name, value):
        found.append(errors.wrong_type(path, value, f"{path} in body must be of type {name}: {quoted(value)}"))
    return found


def _number(value: float, schema: Schema, path: str) -> list[FieldError]:
    found = []
    factor = schema.get("multipleOf")
    if factor and not (value / factor).is_integer():
        found.append(_bound(path, value, "a multiple of", factor))
    minimum, maximum = schema.get("minimum"), schema.get("maximum")
    if minimum is not None:
        if schema.get("exclusiveMinimum") and value <= minimum:
            found.append(_bound(path, value, "greater than", minimum))
        elif value < minimum:
            found.append(_bound(path, value, "greater than or equal to", minimum))
    if maximum is not None:
        if schema.get("exclusiveMaximum") and value >= maximum:
            found.append(_bound(path, value, "less than", maximum))
        elif value > maximum:
            found.append(_bound(path, value, "less than or equal to", maximum))
    return found


def _bound(path: str, value: float, relation: str, bound: float) -> FieldError:
    shown = int(bound) if isinstance(value, int) else plain(bound)
    return errors.invalid_value(path, value, f"{path} in body should be {relation} {shown}")


def _list(value: list[Any], schema: Schema, path: str, old: Any) -> Findings:
    found = Findings(passed=1)
    items = schema.get("items")
    if items is not None:
        before = old_items(value, schema, old)
        for index, item in enumerate(value):
            found.merge(_judge(item, items, f"{path}[{index}]", before[index]))
    if len(value) < schema.get("minItems", 0):
        sentence = f"{path} in body should have at least {schema['minItems']} items"
        found.add([errors.invalid_value(path, len(value), sentence)])
    if len(value) > schema.get("maxItems", math.inf):
        found.add([errors.too_many(path, len(value), schema["maxItems"])])
    return found


def old_items(value: list[Any], schema: Schema, old: Any) -> list[Any]:
    """For each item what it was before, where the list says by which keys items are known."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map" or not keys:
        return [UNKNOWN] * len(value)

    def identity(item: Any) -> Any:
        return [item.get(key) for key in keys] if isinstance(item, dict) else item

    return [next((one for one in old if identity(one) == identity(item)), UNKNOWN) for item in value]


def _enum(value: Any, schema: Schema, path: str) -> list[FieldError]:
    allowed = schema.get("enum")
    if not allowed or any(same(value, one) for one in allowed):
        return []
    return [errors.not_supported(path, value, [one if isinstance(one, str) else errors.shown(one) for one in allowed])]


def _object(value: dict[str, Any], schema: Schema, path: str, old: Any) -> Findings:
    found = Findings()
    if len(value) < schema.get("minProperties", 0):
        sentence = f"{path} in body should have at least {schema['minProperties']} properties"
        found.add([errors.invalid_value(path, len(value), sentence)])
    if len(value) > schema.get("maxProperties", math.inf):
        found.add([errors.too_many(path, len(value), schema["maxProperties"])])
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        below = properties.get(name, others if isinstance(others, dict) else None)
        where = f"{path}.{name}" if path else name
        if below is not None:
            before = old.get(name, UNKNOWN) if isinstance(old, dict) else UNKNOWN
            found.merge(_judge(item, below, where, before))
        elif others is False:
            sentence = f"{path}.{name} in body is a forbidden property"
            found.add([errors.invalid_value(path or _NOWHERE, name, sentence)])
    for name in schema.get("required", ()):
        if name not in value:
            found.add([errors.required(f"{path}.{name}".removeprefix("."))])
    return found
