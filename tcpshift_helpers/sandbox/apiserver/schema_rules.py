"""Whether the schema of a custom resource definition may be used.

Pure. A schema must be structural (`structural_rules`), its defaults must be values it would accept itself, its words must
be those that are supported, and its rules in CEL must compile. Costs of rules are not estimated, and types of fields
in rules are not checked: a rule is told then when it is asked.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go and pkg/apiserver/schema/defaulting,
sentences as there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import cel_rules, schema_validation, structural, structural_rules
from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.structural import META_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError

Schema = dict[str, Any]

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NOT_SUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_UNIQUE = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
_ATOMIC = "must be atomic as item of a list with x-kubernetes-list-type=set"
_RULES = "x-kubernetes-validations"


def validate(schema: Schema, path: str) -> list[FieldError]:
    """All objections to a schema.

    Args:
        schema: an `openAPIV3Schema`.
        path: where it stands, for the messages.
    """
    found = []
    if schema.get("nullable"):
        found.append(errors.forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    unsupported = next((key for key in ("id", *_NOT_SUPPORTED[:0:-1]) if schema.get(key)), "")
    shape = [] if unsupported else structural_rules.validate(schema, path)
    is_structural = not shape and not unsupported
    if is_structural:
        shape = list(_defaults({**schema, "x-kubernetes-embedded-resource": True}, path))
    found += shape
    words = list(_words(schema, path, _Place(is_root=True)))
    found += words
    if is_structural and not shape and not words:
        found += _rules(schema, path, "")
    return found


def _defaults(schema: Schema, path: str) -> Iterator[FieldError]:
    if "default" in schema:
        yield from _default(schema, f"{path}.default")
    if isinstance(schema.get("items"), dict):
        yield from _defaults(schema["items"], f"{path}.items")
    for name, below in (schema.get("properties") or {}).items():
        yield from _defaults(below, f"{path}.properties[{name}]")


def _default(schema: Schema, path: str) -> Iterator[FieldError]:
    value = schema["default"]
    pruned = {"value": copy.deepcopy(value)}
    structural.prune(pruned, {"properties": {"value": schema}})
    if pruned["value"] != value:
        yield errors.invalid_value(path, value, "must not have unknown fields")
    yield from schema_validation.validate_at(value, schema, path)


class _Place:
    """What is around a schema: the root, metadata, or a place where no default may stand."""

    def __init__(self, *, is_root: bool = False, in_metadata: bool = False, no_default: str = "") -> None:
        self.is_root, self.in_metadata, self.no_default = is_root, in_metadata, no_default

    def below(self, name: str, schema: Schema) -> _Place:
        """The place of a property of this name."""
        is_meta = (self.is_root or schema.get("x-kubernetes-embedded-resource")) and name in META_FIELDS
        no_default = f"in top-level {name}" if is_meta and self.is_root else self.no_default
        return _Place(in_metadata=bool(is_meta or self.in_metadata), no_default=no_default)

    def inside(self) -> _Place:
        """The same for items and alternatives."""
        return _Place(in_metadata=self.in_metadata, no_default=self.no_default)


def _words(schema: Schema, path: str, place: _Place) -> Iterator[FieldError]:
    """Objections to single words of a schema, and to all that is in it."""
    yield from _word_types(schema, path, place)
    others = schema.get("additionalProperties")
    if others is not None:
        if schema.get("properties") and others is not True:
            sentence = "additionalProperties and properties are mutual exclusive"
            yield errors.forbidden(f"{path}.additionalProperties", sentence)
        if isinstance(others, dict):
            why = "inside additionalProperties applying to object metadata" if place.in_metadata else place.no_default
            inner = _Place(in_metadata=place.in_metadata, no_default=why)
            yield from _words(others, f"{path}.additionalProperties", inner)
    for name, below in sorted((schema.get("properties") or {}).items()):
        yield from _words(below, f"{path}.properties[{name}]", place.below(name, schema))
    for key in ("allOf", "oneOf", "anyOf"):
        for index, one in enumerate(schema.get(key) or ()):
            yield from _words(one, f"{path}.{key}[{index}]", place.inside())
    for key in ("not", "items"):
        if isinstance(schema.get(key), dict):
            yield from _words(schema[key], f"{path}.{key}", place.inside())
    yield from _map_words(schema, path)
    yield from _list_words(schema, path)
    yield from _rule_words(schema, path)


def _word_types(schema: Schema, path: str, place: _Place) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        yield errors.not_supported(f"{path}.type", kind, _TYPES)
    if "default" in schema and place.no_default:
        yield errors.forbidden(f"{path}.default", f"must not be set {place.no_default}")
    for key in _NOT_SUPPORTED:
        if schema.get(key):
            yield errors.forbidden(f"{path}.{key}", f"{key} is not supported")
    if kind == "null":
        yield errors.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield errors.forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        yield errors.forbidden(f"{path}.x-kubernetes-embedded-resource", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        yield errors.forbidden(f"{path}.uniqueItems", _UNIQUE)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        where = f"{path}.x-kubernetes-preserve-unknown-fields"
        yield errors.invalid_value(where, False, "must be true or undefined")


def _map_words(schema: Schema, path: str) -> Iterator[FieldError]:
    how = schema.get("x-kubernetes-map-type")
    if how is None:
        return
    yield from _wants_type(schema, path, "object", "x-kubernetes-map-type")
    if how not in {"atomic", "granular"}:
        yield errors.not_supported(f"{path}.x-kubernetes-map-type", how, ("atomic", "granular"))


def _wants_type(schema: Schema, path: str, wanted: str, word: str) -> Iterator[FieldError]:
    kind = schema.get("type") or ""
    if kind != wanted:
        where, sentence = f"{path}.type", f"must be {wanted} if {word} is specified"
        yield errors.invalid_value(where, kind, sentence) if kind else errors.required(where, sentence)


def _list_words(schema: Schema, path: str) -> Iterator[FieldError]:
    how, keys, items = (
        schema.get("x-kubernetes-list-type"),
        schema.get("x-kubernetes-list-map-keys") or [],
        schema.get("items"),
    )
    where = f"{path}.x-kubernetes-list-type"
    if how is not None:
        yield from _wants_type(schema, path, "array", "x-kubernetes-list-type")
        if how == "set" and isinstance(items, dict) and schema.get("type") == "array":
            yield from _set_items(items, f"{path}.items")
        if how not in {"atomic", "set", "map"}:
            yield errors.not_supported(where, how, ("atomic", "set", "map"))
    if keys and how != "map":
        sentence = "must be map if x-kubernetes-list-map-keys is non-empty"
        yield errors.required(where, sentence) if how is None else errors.invalid_value(where, how, sentence)
    if how == "map":
        yield from _map_list(items, keys, path)
    if how in {"set", "map"} and isinstance(items, dict):
        yield from _keyed_items(items, keys, how, f"{path}.items")


def _set_items(items: Schema, path: str) -> Iterator[FieldError]:
    kind = items.get("type")
    how = items.get("x-kubernetes-list-type")
    if kind == "array" and how not in {None, "atomic"}:
        yield errors.invalid_value(f"{path}.x-kubernetes-list-type", how, _ATOMIC)
    if kind == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield errors.invalid_value(f"{path}.x-kubernetes-map-type", how, _ATOMIC)


def _map_list(items: Any, keys: list[str], path: str) -> Iterator[FieldError]:
    named = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        yield errors.required(named, "must not be empty if x-kubernetes-list-type is map")
    if items is None:
        yield errors.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
    if not isinstance(items, dict):
        return
    if items.get("type") != "object":
        sentence = "must be object if parent array's x-kubernetes-list-type is map"
        yield errors.invalid_value(f"{path}.items.type", items.get("type") or "", sentence)
        return
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            yield errors.invalid_value(named, keys, "entries must all be names of item properties")
        elif properties[key].get("type") in {"array", "object"}:
            sentence = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            yield errors.invalid_value(f"{path}.items.properties[{key}].type", items["type"], sentence)
        if key in keys[:index]:
            yield errors.invalid_value(named, keys, "must not contain duplicate entries")


def _keyed_items(items: Schema, keys: list[str], how: str, path: str) -> Iterator[FieldError]:
    if items.get("nullable"):
        yield errors.forbidden(f"{path}.nullable", f"cannot be nullable when x-kubernetes-list-type is {how}")
    if how != "map":
        return
    properties, needed = items.get("properties") or {}, items.get("required") or ()
    known = "this property is in x-kubernetes-list-map-keys, so it"
    for key in keys:
        below = properties.get(key)
        if below is not None and key not in needed and below.get("default") is None:
            where = f"{path}.properties[{key}].default"
            yield errors.required(where, f"{known} must have a default or be a required property")
        if below is not None and below.get("nullable"):
            yield errors.forbidden(f"{path}.properties[{key}].nullable", f"{known} cannot be nullable")


def _rule_words(schema: Schema, path: str) -> Iterator[FieldError]:
    for index, rule in enumerate(schema.get(_RULES) or ()):
        where = f"{path}.{_RULES}[{index}]"
        text, message = rule.get("rule", "").strip(), rule.get("message", "")
        if not text:
            yield errors.required(f"{where}.rule", "rule is not specified")
        elif message and not message.strip():
            yield errors.invalid_value(f"{where}.message", message, "must be non-empty if specified")
        elif "\n" in message.strip():
            yield errors.invalid_value(f"{where}.message", message, "must not contain line breaks")
        elif "\n" in text and not message:
            yield errors.required(f"{where}.message", "message must be specified if rule contains line breaks")
        expression = rule.get("messageExpression", "")
        if expression and not expression.strip():
            sentence = "messageExpression must be non-empty if specified"
            yield errors.required(f"{where}.messageExpression", sentence)
        if rule.get("reason") is not None and rule["reason"] not in _REASONS:
            yield errors.not_supported(f"{where}.reason", rule["reason"], _REASONS)


def _rules(schema: Schema, path: str, lost: str) -> Iterator[FieldError]:
    """Rules that do not compile, or compare with an old value where none can be found.

    Args:
        schema: the schema.
        path: where it stands.
        lost: the place above from which on old values are not known, or empty.
    """
    below: Callable[[Schema, str, str], Iterator[FieldError]] = _rules
    if isinstance(schema.get("items"), dict):
        keeps = schema.get("x-kubernetes-list-type") == "map"
        yield from below(schema["items"], f"{path}.items", lost if keeps else lost or path)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from below(schema["additionalProperties"], f"{path}.additionalProperties", lost)
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    for name, one in (schema.get("properties") or {}).items():
        yield from below(one, f"{path}.properties[{name}]", lost or path if atomic else lost)
    for index, rule in enumerate(schema.get(_RULES) or ()):
        yield from _rule(rule, f"{path}.{_RULES}[{index}]", lost)


def _rule(rule: Schema, path: str, lost: str) -> Iterator[FieldError]:
    problem = cel_rules.compile_error(rule["rule"])
    if problem:
        yield errors.invalid_value(f"{path}.rule", _shown(rule), f"compilation failed: {problem}")
    problem = cel_rules.compile_error(rule["messageExpression"]) if rule.get("messageExpression") else None
    if problem:
        sentence = f"messageExpression compilation failed: {problem}"
        yield errors.invalid_value(f"{path}.messageExpression", _shown(rule), sentence)
    if cel_rules.compares(rule["rule"]):
        if lost:
            sentence = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}"
            yield errors.invalid_value(f"{path}.rule", rule["rule"], sentence)
    elif rule.get("optionalOldSelf") is not None:
        sentence = "may not be set if oldSelf is not used in rule"
        yield errors.invalid_value(f"{path}.optionalOldSelf", rule["optionalOldSelf"], sentence)


def _shown(rule: Schema) -> Schema:
    """A rule as the real server prints it, with its own names of fields."""
    return {
        "Rule": rule["rule"],
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
