"""Rules of custom resource definitions that are written in CEL: `x-kubernetes-validations`.

The language itself is Google's own runtime, loaded with the first rule that applies to a value. Rules see `self` without
its types: what the real server's type checker would refuse when a definition is applied, a rule here refuses when it is
asked. Costs are not counted.

Source: apiextensions-apiserver pkg/apiserver/schema/cel; words measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.formats import duration_seconds
from tcpshift_helpers.sandbox.apiserver.schema_validation import UNKNOWN, old_items, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cel_expr_python import cel

Schema = dict[str, Any]
Rule = dict[str, Any]

_OLD_SELF = re.compile(r"\boldSelf\b")
_OPTIONAL_OLD_SELF = "(hasOldSelf ? optional.of(oldSelf) : optional.none())"
_KEYWORDS = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
        *("let", "loop", "package", "namespace", "return"),
    }
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|[.\-/]")
_REASONS: dict[str, Callable[[str, Any, str], FieldError]] = {
    "FieldValueForbidden": lambda field, value, detail: errors.forbidden(field, detail),
    "FieldValueRequired": lambda field, value, detail: errors.required(field, detail),
    "FieldValueDuplicate": lambda field, value, detail: errors.duplicate(field, value),
}
_NO_SUCH_KEY = re.compile(r'Key not found in map : "(.*)"')


def validate(value: Any, schema: Schema, old: Any = UNKNOWN) -> list[FieldError]:
    """Objections of all rules that apply to an object.

    Args:
        value: the object.
        schema: its schema.
        old: the object before an update, or `UNKNOWN`.
    """
    return list(_walk(value, {**schema, "x-kubernetes-embedded-resource": True}, "", old))


def compile_error(rule: str) -> str | None:
    """Why the text is no rule, in the compiler's words; None if it is one, as far as can be told without types."""
    try:
        _compiled(rule)
    except RuntimeError as error:
        return str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    return None


def compares(rule: str) -> bool:
    """Whether a rule looks at the value before the update."""
    return _OLD_SELF.search(rule) is not None


def has_rules(schema: Schema) -> bool:
    """Whether a rule stands anywhere in a schema."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(has_rules(one) for one in below if isinstance(one, dict))


def _walk(value: Any, schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    if value is None:
        return
    for rule in schema.get("x-kubernetes-validations", ()):
        yield from _objection(rule, value, schema, path, old)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        before = old_items(value, schema, old)
        for index, item in enumerate(value):
            yield from _walk(item, schema["items"], f"{path}[{index}]", before[index])
    elif isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, item in value.items():
            before_item = old.get(name, UNKNOWN) if isinstance(old, dict) else UNKNOWN
            if name in properties:
                where = f"{path}.{name}" if path else name
                yield from _walk(item, properties[name], where, before_item)
            elif isinstance(others, dict):
                yield from _walk(item, others, f"{path}[{name}]", before_item)


def _objection(rule: Rule, value: Any, schema: Schema, path: str, old: Any) -> Iterator[FieldError]:
    text = rule["rule"]
    looks_back = compares(text)
    if looks_back and old is UNKNOWN and not rule.get("optionalOldSelf"):
        return
    data = {"self": _cel(value, schema), "hasOldSelf": old is not UNKNOWN}
    data["oldSelf"] = None if old is UNKNOWN else _cel(old, schema)
    result = _evaluated(_OLD_SELF.sub(_OPTIONAL_OLD_SELF, text) if rule.get("optionalOldSelf") else text, data)
    if result is True or (not looks_back and old is not UNKNOWN and same(value, old)):
        return
    kind = schema.get("type", "")
    if isinstance(result, str):
        yield errors.invalid_value(path or "<nil>", kind, result.format(rule=_shown(rule)))
        return
    field = f"{path}{rule['fieldPath']}".removeprefix(".") if rule.get("fieldPath") else path
    message = _message(rule, data)
    make = _REASONS.get(rule.get("reason", ""), errors.invalid_value)
    yield make(field or "<nil>", kind, message)


def _message(rule: Rule, data: dict[str, Any]) -> str:
    expression = rule.get("messageExpression")
    if expression:
        try:
            result = _compiled(expression).eval(data=data).plain_value()
        except RuntimeError:
            result = None
        if isinstance(result, str) and result.strip() and "\n" not in result.strip():
            return result.strip()
    return rule["message"].strip() if rule.get("message") else f"failed rule: {_shown(rule)}"


def _shown(rule: Rule) -> str:
    return str(rule.get("message") or rule["rule"]).strip()


def _evaluated(text: str, data: dict[str, Any]) -> bool | str:
    """What a rule says; or why it could not, with a place for the rule."""
    try:
        result = _compiled(text).eval(data=data)
    except RuntimeError as error:
        return f"rule compile error: {error}".replace("{", "{{").replace("}", "}}")
    if result.type().name() == "ERROR":
        return _in_go_s_words(str(result.plain_value()))
    return bool(result.plain_value())


def _in_go_s_words(problem: str) -> str:
    missing = _NO_SUCH_KEY.search(problem)
    if "No matching overloads" in problem:
        kind = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'no such overload': {kind}: {{rule}}"
    words = problem.partition(": ")[2] or problem
    if missing:
        words = f"no such key: {missing[1]}"
    elif words == "String to Duration conversion failed":
        words = "type conversion error from 'string' to 'google.protobuf.Duration'"
    elif words == "divide by zero":
        words = "division by zero"
    return words.replace("{", "{{").replace("}", "}}") + " evaluating rule: {rule}"


@lru_cache(maxsize=512)
def _compiled(text: str) -> cel.Expression:
    return _environment().compile(text)


@cache
def _environment() -> cel.Env:
    # 9 MB and 0.1 s, for those who have rules.
    from cel_expr_python import cel  # noqa: PLC0415
    from cel_expr_python.ext import ext_optional, ext_strings  # noqa: PLC0415

    from tcpshift_helpers.sandbox.apiserver.cel_functions import declarations  # noqa: PLC0415

    dynamic = cel.Type.DYN
    return cel.NewEnv(
        variables={"self": dynamic, "oldSelf": dynamic, "hasOldSelf": cel.Type.BOOL},
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
        functions=declarations(),
    )


def _cel(value: Any, schema: Schema) -> Any:
    """A JSON value as rules see it: fields the schema knows, under names that CEL can say, of the schema's types."""
    if isinstance(value, list):
        items = schema.get("items")
        return [_cel(item, items) if isinstance(items, dict) else item for item in value]
    if isinstance(value, dict):
        return _cel_map(value, schema)
    if isinstance(value, str):
        return _cel_text(value, schema.get("format", ""))
    if isinstance(value, int) and not isinstance(value, bool) and schema.get("type") == "number":
        return float(value)
    return value


def _cel_map(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    if properties is None and others is not None:
        return {name: _cel(item, others if isinstance(others, dict) else {}) for name, item in value.items()}
    known = dict(properties or {})
    if schema.get("x-kubernetes-embedded-resource"):
        meta = {"name": {"type": "string"}, "generateName": {"type": "string"}}
        known = {"apiVersion": {}, "kind": {}, **known, "metadata": {"properties": meta}}
    return {_escaped(name): _cel(item, known[name]) for name, item in value.items() if name in known}


def _escaped(name: str) -> str:
    if name in _KEYWORDS:
        return f"__{name}__"
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], name)


def _cel_text(text: str, form: str) -> Any:
    try:
        if form == "duration":
            return datetime.timedelta(seconds=duration_seconds(text) or 0.0)
        if form == "byte":
            return base64.b64decode(text)
        if form in {"date", "date-time", "datetime"}:
            when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            return when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    except (ValueError, binascii.Error, OverflowError):
        return text
    return text
