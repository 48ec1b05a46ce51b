"""Label selectors and field selectors: reading them, saying why one cannot be read, matching objects.

Pure. The grammar is kubectl's `-l` and `--field-selector`; a selector object (`matchLabels`, `matchExpressions`) becomes
the same LabelSelector. Listing and watching with a selector belong to the store.

Source: kube-apiserver 1.34, every sentence measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+|$)")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


@dataclass(frozen=True)
class Requirement:
    """One condition on one label.

    Attributes:
        key: the label's key.
        operator: `in`, `notin`, `exists`, `!`, `gt` or `lt`; `=`, `==` and `!=` are `in` and `notin` with one value.
        values: what it is compared with.
        symbol: the operator as it was written, for printing.
    """

    key: str
    operator: str
    values: frozenset[str] = frozenset()
    symbol: str = ""

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels meets the condition."""
        value = labels.get(self.key)
        if self.operator in {"notin", "!"}:
            return value is None or (self.operator == "notin" and value not in self.values)
        if value is None:
            return False
        if self.operator == "exists":
            return True
        if self.operator == "in":
            return value in self.values
        if not re.fullmatch(r"[-+]?\d+", value):
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound

    def __str__(self) -> str:
        if self.operator in {"exists", "!"}:
            return self.key if self.operator == "exists" else f"!{self.key}"
        values = ",".join(sorted(self.values))
        if self.symbol in {"in", "notin"}:
            return f"{self.key} {self.symbol} ({values})"
        return f"{self.key}{self.symbol}{values}"


@dataclass(frozen=True)
class LabelSelector:
    """Conditions that must all hold; `nothing` selects no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: dict[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        return not self.nothing and all(requirement.matches(labels or {}) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements) or self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


class _LabelParser:
    """Reads one selector text, token by token."""

    def __init__(self, text: str) -> None:
        self._tokens = [match.group(1) for match in _TOKEN.finditer(text)]
        if not self._tokens or self._tokens[-1]:
            self._tokens.append("")
        self._position = 0

    def _peek(self) -> str:
        return self._tokens[min(self._position, len(self._tokens) - 1)]

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def parse(self) -> Iterator[Requirement]:
        if not self._peek():
            return
        if self._peek() != "!" and self._peek() in _SYMBOLS:
            raise bad_request(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
        while True:
            yield self._requirement()
            found = self._next()
            if not found:
                return
            if found != ",":
                raise bad_request(f"found '{found}', expected: ',' or 'end of string'")
            if self._peek() != "!" and (self._peek() in _SYMBOLS or not self._peek()):
                raise bad_request(f"found '{self._peek()}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._next()
        key = self._next()
        if not key or key in _SYMBOLS:
            raise _unable(f"found '{key}', expected: identifier")
        check_key(key)
        if negated:
            return Requirement(key, "!")
        if self._peek() in {"", ","}:
            return Requirement(key, "exists")
        symbol = self._next()
        if symbol in {"in", "notin"}:
            return _requirement(key, symbol, symbol, self._value_set())
        if symbol in {"=", "==", "!="}:
            return _requirement(key, "notin" if symbol == "!=" else "in", symbol, [self._exact_value()])
        if symbol in {"<", ">"}:
            return _requirement(key, "gt" if symbol == ">" else "lt", symbol, [self._exact_value()])
        raise _unable(f"found '{symbol}', expected: {_OPERATORS}")

    def _exact_value(self) -> str:
        if self._peek() in {"", ","}:
            return ""
        value = self._next()
        if value in _SYMBOLS:
            raise _unable(f"found '{value}', expected: identifier")
        return value

    def _value_set(self) -> list[str]:
        found = self._next()
        if found != "(":
            raise _unable(f"found '{found}' expected: '('")
        if self._peek() in _SYMBOLS - {",", ")"} or not self._peek():
            raise _unable(f"found '{self._peek()}', expected: ',', ')' or identifier")
        values = []
        while True:
            values.append("" if self._peek() in {",", ")"} else self._next())
            found = self._next()
            if found == ")":
                return values
            if found != ",":
                raise _unable(f"found '{found}', expected: ',' or ')'")


def _unable(reason: str) -> StatusError:
    return bad_request(f"unable to parse requirement: {reason}")


def check_key(key: str) -> None:
    """Refuse what cannot be a label's key.

    Raises:
        StatusError: 400 BadRequest.
    """
    problems = names.qualified_name(key)
    if problems:
        raise _unable(f"<nil>: Invalid value: {quoted(key)}: {'; '.join(problems)}")


def _requirement(key: str, operator: str, symbol: str, values: list[str]) -> Requirement:
    problems = []
    if operator in {"gt", "lt"} and not re.fullmatch(r"[-+]?\d+", values[0]):
        problems.append(
            f"values[0]: Invalid value: {quoted(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer"
        )
    for index, value in enumerate(values):
        problems.extend(
            f"values[{index}][{key}]: Invalid value: {quoted(value)}: {problem}" for problem in names.label_value(value)
        )
    if problems:
        raise _unable(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return Requirement(key, operator, frozenset(values), symbol)


def parse_label_selector(text: str) -> LabelSelector:
    """Read a selector such as `app=tcp-echo,version in (v1,v2),!canary`.

    Raises:
        StatusError: 400 BadRequest, in the API server's words.
    """
    requirements = list(_LabelParser(text).parse())
    return LabelSelector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def label_selector_from_object(selector: dict[str, Any] | None) -> LabelSelector:
    """Read a `metav1.LabelSelector`: None selects nothing, an empty one everything.

    Raises:
        StatusError: 400 BadRequest on an operator or value that is not allowed; admission finds these first.
    """
    if selector is None:
        return LabelSelector(nothing=True)
    requirements = [
        Requirement(key, "in", frozenset({value}), "=") for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or []:
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise bad_request(f"{quoted(expression.get('operator', ''))} is not a valid label selector operator")
        check_key(expression.get("key", ""))
        requirements.append(_requirement(expression["key"], operator, operator, list(expression.get("values") or [])))
    return LabelSelector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


# Field selectors.


@dataclass(frozen=True)
class FieldRequirement:
    """One `field=value` or `field!=value`."""

    field: str
    equal: bool
    value: str


@dataclass(frozen=True)
class FieldSelector:
    """Conditions on the few fields a kind lets itself be selected by."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, obj: dict[str, Any]) -> bool:
        """Whether the object is selected."""
        return all((_field(obj, wanted.field) == wanted.value) == wanted.equal for wanted in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def exact(self, field: str) -> str | None:
        """The value a field must have, if the selector pins it: the store can then look up instead of scan."""
        return next((wanted.value for wanted in self.requirements if wanted.equal and wanted.field == field), None)


_SPECIAL: dict[str, Callable[[dict[str, Any]], Any]] = {
    "spec.host": lambda obj: obj.get("spec", {}).get("nodeName"),
    "spec.hostNetwork": lambda obj: obj.get("spec", {}).get("hostNetwork", False),
    "spec.unschedulable": lambda obj: obj.get("spec", {}).get("unschedulable", False),
    "status.successful": lambda obj: obj.get("status", {}).get("succeeded", 0),
    "source": lambda obj: obj.get("source", {}).get("component") or obj.get("reportingComponent"),
    "status.podIPs": lambda obj: None,  # accepted by the real server, and matched against nothing
}


def _field(obj: dict[str, Any], field: str) -> str:
    special = _SPECIAL.get(field)
    if special is not None:
        value = special(obj)
    else:
        value = obj
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


_METADATA = ("metadata.name", "metadata.namespace")
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_POD_FIELDS = (
    *("spec.nodeName", "spec.host", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
    *("spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
)
_FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (*_METADATA, *_POD_FIELDS),
    "Node": ("metadata.name", "spec.unschedulable"),
    "Namespace": ("metadata.name", "status.phase"),
    "Service": (*_METADATA, "spec.clusterIP", "spec.type"),
    "Secret": (*_METADATA, "type"),
    "Job": (*_METADATA, "status.successful"),
    "Event": (
        *_METADATA,
        *(f"involvedObject.{field}" for field in _INVOLVED),
        *("reason", "reportingComponent", "source", "type"),
    ),
}


def _split_terms(text: str) -> Iterator[str]:
    for match in re.finditer(r"(?:\\.|[^\\,]|\\$)+", text, re.DOTALL):
        yield match.group(0)


def _unescape(text: str) -> str:
    pieces = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in {"\\", ",", "="}:
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{escaped}")
            pieces.append(escaped)
        elif character in ",=":
            raise bad_request(f"invalid field selector: unescaped character in value: {ord(character)}")
        else:
            pieces.append(character)
    return "".join(pieces)


def parse_field_selector(text: str, resource_type: ResourceType) -> FieldSelector:
    """Read a selector such as `status.phase!=Running,spec.nodeName=sandbox`.

    Raises:
        StatusError: 400 BadRequest: unreadable, or a field this kind cannot be selected by.
    """
    requirements = []
    for term in sorted(_split_terms(text)):  # the real server complains in this order
        match = re.match(r"(.*?)(!=|==|=)(.*)", term, re.DOTALL)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = match.groups()
        if field or value:
            requirements.append(FieldRequirement(field, operator != "!=", _unescape(value)))
    for requirement in requirements:
        _check_field(requirement.field, resource_type)
    return FieldSelector(tuple(requirements))


def _check_field(field: str, resource_type: ResourceType) -> None:
    if not is_custom(resource_type):
        allowed = _FIELDS.get(resource_type.kind)
        if allowed is None and field not in _METADATA:
            known = ", ".join(f'"{name}"' for name in _METADATA)
            raise bad_request(f"{quoted(field)} is not a known field selector: only {known}")
        allowed = allowed or _METADATA
    else:
        allowed = _METADATA if resource_type.namespaced else _METADATA[:1]
    if field not in allowed:
        raise bad_request(f"field label not supported: {field}")
