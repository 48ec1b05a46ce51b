"""Whether a custom resource may be stored.

Pure. It asks its definition's schema, the uniqueness of its lists, the metadata of resources inside it, its scale, and
its definition's rules. The object's own metadata is judged like any other's, elsewhere; what Istio's webhook refuses beyond all this is the
mesh's business.

Source: apiextensions-apiserver pkg/registry/customresource/{strategy,validator,status_strategy}.go (the order),
pkg/apiserver/schema/{listtype,objectmeta}; sentences measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import cel_rules, names, schema_validation
from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import validate_metadata
from tcpshift_helpers.sandbox.apiserver.schema_validation import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.apiserver.resources import CustomVersion

Schema = dict[str, Any]
Object = dict[str, Any]

_MAX_REPLICAS = 2**31 - 1
# After one of these, rules written in CEL are not asked any more, and the answer says so.
_BLOCKING = frozenset(
    {"FieldValueTypeInvalid", "FieldValueRequired", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany"}
)
_NOT_CHECKED = FieldError(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def validate(definition: CustomVersion, obj: Object, old: Object | None = None) -> list[FieldError]:
    """All objections to an object, and to its change from `old` if there was one."""
    before = UNKNOWN if old is None else old
    found = schema_validation.validate(obj, definition.schema, "", before)
    found += _scale(definition, obj, spec=True)
    return _with_the_rest(definition, obj, old, found)


def validate_status(definition: CustomVersion, obj: Object, old: Object) -> list[FieldError]:
    """All objections to a change of the status alone."""
    found: list[FieldError] = []
    schema = definition.schema.get("properties", {}).get("status", {})
    if "status" in obj:
        found += schema_validation.validate_at(obj["status"], schema, "status", old.get("status", UNKNOWN))
    found += _scale(definition, obj, spec=False)
    return _with_the_rest(definition, obj, old, found)


def _with_the_rest(
    definition: CustomVersion, obj: Object, old: Object | None, found: list[FieldError]
) -> list[FieldError]:
    schema = definition.schema
    found += _everywhere(obj, schema, "", _embedded)
    if old is None or not list(_everywhere(old, schema, "", _duplicates)):
        found += _everywhere(obj, schema, "", _duplicates)
    if not cel_rules.has_rules(schema):
        return found
    if any(error.reason in _BLOCKING for error in found):
        return [*found, _NOT_CHECKED]
    return found + cel_rules.validate(obj, schema, UNKNOWN if old is None else old)


def _everywhere(
    value: Any, schema: Schema, path: str, judge: Callable[[Any, Schema, str], Iterator[FieldError]]
) -> Iterator[FieldError]:
    """What `judge` says of a value and of all that is in it."""
    yield from judge(value, schema, path)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _everywhere(item, schema["items"], f"{path}[{index}]", judge)
    elif isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                yield from _everywhere(item, properties[name], f"{path}.{name}" if path else name, judge)
            elif isinstance(others, dict):
                yield from _everywhere(item, others, f"{path}[{name}]", judge)


def _embedded(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    if not schema.get("x-kubernetes-embedded-resource") or not isinstance(value, dict):
        return
    for field in ("apiVersion", "kind"):
        if field not in value:
            yield errors.required(f"{path}.{field}")
        elif not isinstance(value[field], str):
            yield errors.invalid_value(f"{path}.{field}", value[field], "must be a string")
        elif not value[field]:
            yield errors.invalid_value(f"{path}.{field}", "", "must not be empty")
    kind = value.get("kind")
    if isinstance(kind, str) and kind:
        problems = names.dns_1035_label(kind.lower())
        if problems:
            sentence = f"may have mixed case, but should otherwise match: {','.join(problems)}"
            yield errors.invalid_value(f"{path}.kind", kind, sentence)
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        for error in validate_metadata({"name": "fakename", **metadata}, _path_segment):
            yield FieldError(error.reason, f"{path}.{error.field}", error.message)


def _path_segment(name: str) -> list[str]:
    """The loosest rule of names: it can stand in a path."""
    if name in {".", ".."}:
        return [f"may not be '{name}'"]
    return [f"may not contain '{character}'" for character in ("/", "%") if character in name]


def _duplicates(value: Any, schema: Schema, path: str) -> Iterator[FieldError]:
    kind = schema.get("x-kubernetes-list-type")
    if not isinstance(value, list) or kind not in {"set", "map"}:
        return
    keys = schema.get("x-kubernetes-list-map-keys", ())
    items = value
    if kind == "map":
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, dict):
                sentence = "must be an object for an array of list-type map"
                yield errors.invalid_value(f"{path}[{index}]", item, sentence)
                return
        items = [{key: item[key] for key in keys if key in item} if item else {} for item in value]
    times: dict[str, int] = {}
    for index, item in enumerate(items):
        known = json.dumps(item, sort_keys=True)
        times[known] = times.get(known, 0) + 1
        if times[known] == 2:
            yield errors.duplicate(f"{path}[{index}]", item)


def at_path(obj: Object, path: str) -> Any:
    """The value at a simple path such as `.spec.replicas`; None if it is not there."""
    value: Any = obj
    for name in path.strip(".").split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _scale(definition: CustomVersion, obj: Object, *, spec: bool) -> Iterator[FieldError]:
    scale = definition.scale
    if scale is None:
        return
    for path in ([scale.spec_replicas] if spec else []) + [scale.status_replicas]:
        replicas = at_path(obj, path)
        if replicas is None or isinstance(replicas, bool):
            continue
        if not isinstance(replicas, int):
            go_type = "float64" if isinstance(replicas, float) else type(replicas).__name__.replace("str", "string")
            sentence = f"{path} accessor error: {replicas} is of the type {go_type}, expected int64"
            yield errors.invalid_value(path, 0, sentence)
        elif replicas < 0:
            yield errors.invalid_value(path, replicas, "should be a non-negative integer")
        elif replicas > _MAX_REPLICAS:
            yield errors.invalid_value(path, replicas, f"should be less than or equal to {_MAX_REPLICAS}")
