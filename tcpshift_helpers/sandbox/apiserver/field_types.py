"""Walks an object along its kind's schema: fields that are not there, values of the wrong type.

Pure. Unknown fields are dropped, and told, because the request decides whether they matter; a value of the wrong type is an error
at once. A null in a list becomes what Go makes of it. Of custom resources only the metadata is walked here: the rest is the business of `structural` and `custom_resources`.

Source: kube-apiserver 1.34, sentences measured field type by field type.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tcpshift_helpers.sandbox.apiserver import go_values, quantities
from tcpshift_helpers.sandbox.apiserver import schema_extensions as extensions
from tcpshift_helpers.sandbox.apiserver.go_values import compact_json, json_type, quoted
from tcpshift_helpers.sandbox.apiserver.schemas import REFERENCE_PREFIX, Schema, Schemas

RFC3339 = "2006-01-02T15:04:05Z07:00"
_RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"
_LAYOUTS = {extensions.TIME: RFC3339, extensions.MICRO_TIME: _RFC3339_MICRO}
# What each part of a time looks like, how the layout names it, and the numbers it may be.
_TIME_PARTS = (
    *((r"\d{4}", "2006", None), ("-", "-", None), (r"\d{2}", "01", ("month", 1, 12)), ("-", "-", None)),
    *((r"\d{2}", "02", None), ("T", "T", None), (r"\d{2}", "15", ("hour", 0, 23)), (":", ":", None)),
    *((r"\d{2}", "04", ("minute", 0, 59)), (":", ":", None), (r"\d{2}", "05", ("second", 0, 59))),
)
_FRACTION = {RFC3339: (r"(?:\.\d+)?", "", None), _RFC3339_MICRO: (r"\.\d{6}", ".000000", None)}
_ZONE = (r"Z|[-+]\d{2}:\d{2}", "Z07:00", None)
_NAMED_STRINGS = {
    "ServiceSpec.type": "v1.ServiceType",
    "ServiceSpec.sessionAffinity": "v1.ServiceAffinity",
    "ServicePort.protocol": "v1.Protocol",
    "ContainerPort.protocol": "v1.Protocol",
    "Container.restartPolicy": "v1.ContainerRestartPolicy",
    "Container.terminationMessagePolicy": "v1.TerminationMessagePolicy",
    "Toleration.effect": "v1.TaintEffect",
    "Toleration.operator": "v1.TolerationOperator",
    "PodSpec.restartPolicy": "v1.RestartPolicy",
    "PodSpec.dnsPolicy": "v1.DNSPolicy",
    "Container.imagePullPolicy": "v1.PullPolicy",
    "DeploymentStrategy.type": "v1.DeploymentStrategyType",
    "EndpointSlice.addressType": "v1.AddressType",
    "Secret.type": "v1.SecretType",
    "ObjectMeta.uid": "types.UID",
}

_PLAIN = frozenset({"bool", "int32", "int64", "float64"})


class WrongTypeError(Exception):
    """Carries what the decoder says about a value.

    Attributes:
        converted: what is said instead where no JSON is decoded: of the result of a strategic merge patch.
    """

    def __init__(self, decoded: str, converted: str = "") -> None:
        super().__init__(decoded)
        self.converted = converted or decoded


@dataclass(frozen=True)
class _Place:
    """Where the walk stands.

    Attributes:
        path: as unknown fields are told, `spec.ports[0]`.
        names: as type errors tell it, `spec.ports`.
        struct: the model that holds the field.
    """

    path: str = ""
    names: str = ""
    struct: str = ""

    def field(self, name: str, struct: str) -> _Place:
        return _Place(_join(self.path, name), _join(self.names, name), struct)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.names, self.struct)

    def error(self, value: Any, go_type: str, *, reads_itself: bool = False) -> WrongTypeError:
        """A value that does not fit; `reads_itself` is true of types that read JSON in a way of their own."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and go_type.startswith("int")
        shown = f"number {compact_json(value)}" if number else json_type(value)
        plain = f"json: cannot unmarshal {shown} into Go value of type {go_type}"
        converted = plain if reads_itself else _not_converted(value, go_type)
        if not self.names:
            return WrongTypeError(plain, converted)
        field = f"{self.struct}.{self.names}"
        return WrongTypeError(
            f"json: cannot unmarshal {shown} into Go struct field {field} of type {go_type}", converted
        )


def _not_converted(value: Any, go_type: str) -> str:
    """Why a value is not converted to a type.

    Source: kubernetes/apimachinery pkg/runtime/converter.go (fromUnstructured).
    """
    kind = "map" if isinstance(value, dict) else "slice" if isinstance(value, list) else go_values.go_type(value)
    if go_type.startswith("map[") or go_type == "v1.ResourceList":
        return f"cannot restore map from {kind}"
    if go_type.startswith("[]"):
        return f"cannot restore slice from {kind}"
    is_string = go_type == "string" or go_type in _NAMED_STRINGS.values()
    if not is_string and go_type not in _PLAIN:
        return f"cannot restore struct from: {kind}"
    if (is_string and kind == "int64") or (go_type.startswith("int") and kind == "float64"):
        return f"cannot convert {kind} to {go_type}"
    return f"unrecognized type: {'string' if is_string else go_type}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class FieldWalk:
    """Walks objects of one set of schemas."""

    def __init__(self, schemas: Schemas) -> None:
        """Walk along `schemas`."""
        self._schemas = schemas

    def built_in(self, obj: dict[str, Any], schema: Schema, kind: str) -> list[str]:
        """Drop the unknown fields of a built-in kind; their paths, in the order of the object.

        Raises:
            WrongTypeError: at the first value of the wrong type.
        """
        return list(self._object(obj, schema, kind, _Place()))

    def metadata(self, metadata: Any) -> list[str]:
        """Drop the unknown fields of a custom resource's metadata; their paths, in the order of the object.

        Raises:
            WrongTypeError: at the first value of the wrong type.
        """
        schema = {"$ref": f"{REFERENCE_PREFIX}{extensions.META_PACKAGE}.ObjectMeta"}
        return list(self._value(metadata, schema, _Place(path="metadata")))

    def _object(self, obj: dict[str, Any], schema: Schema, struct: str, place: _Place) -> Iterator[str]:
        for name, value in list(obj.items()):
            field = schema["properties"].get(name)
            if field is None:
                del obj[name]
                yield _join(place.path, name)
            else:
                yield from self._value(value, field, place.field(name, struct))

    def _value(self, value: Any, schema: Schema, place: _Place) -> Iterator[str]:
        if value is None:
            return
        reference = schema.get("$ref", "").removeprefix(REFERENCE_PREFIX)
        if reference in extensions.SCALARS:
            _check_special(value, reference, place)
            return
        target = self._schemas.resolve(schema)
        if "properties" in target:
            if not isinstance(value, dict):
                raise place.error(value, _go_type(schema, place))
            yield from self._object(value, target, reference.rpartition(".")[2] or place.struct, place)
        elif target.get("type") == "array":
            if not isinstance(value, list):
                raise place.error(value, _go_type(schema, place))
            for index, item in enumerate(value):
                if item is None:
                    value[index] = self._nothing(target["items"])
                yield from self._value(item, target["items"], place.item(index))
        elif "additionalProperties" in target:
            if not isinstance(value, dict):
                raise place.error(value, _go_type(schema, place))
            for item in value.values():
                yield from self._value(item, target["additionalProperties"], place)
        else:
            _check_plain(value, target, place)

    def _nothing(self, schema: Schema) -> Any:
        """What a null in a list is read as: nothing of the type of the list's items."""
        if schema.get("$ref", "").removeprefix(REFERENCE_PREFIX) in extensions.SCALARS:
            return None
        nothing: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}
        return nothing.get(str(self._schemas.resolve(schema).get("type")), {})


def _go_type(schema: Schema, place: _Place) -> str:
    reference = schema.get("$ref", "").removeprefix(REFERENCE_PREFIX)
    if reference:
        return f"v1.{reference.rpartition('.')[2]}"
    if schema.get("type") == "array":
        return f"[]{_go_type(schema['items'], place)}"
    if "additionalProperties" in schema:
        values = schema["additionalProperties"]
        quantities_by_name = values.get("$ref", "").endswith(extensions.QUANTITY)
        return "v1.ResourceList" if quantities_by_name else f"map[string]{_go_type(values, place)}"
    return _plain_go_type(schema, place)


def _plain_go_type(schema: Schema, place: _Place) -> str:
    if schema.get("format") == "byte":
        return "[]uint8"
    named = _NAMED_STRINGS.get(f"{place.struct}.{place.names.rpartition('.')[2]}", "string")
    plain = {"string": named, "integer": schema.get("format", "int64"), "boolean": "bool", "number": "float64"}
    return str(plain.get(str(schema.get("type")), "map[string]interface {}"))


def _check_plain(value: Any, schema: Schema, place: _Place) -> None:
    kind = schema.get("type")
    if kind == "string":
        if not isinstance(value, str):
            raise place.error(value, _go_type(schema, place))
        if schema.get("format") == "byte":
            _check_base64(value)
    elif kind == "integer":
        bits = 31 if schema.get("format") == "int32" else 63
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
            raise place.error(value, _go_type(schema, place))
    elif kind == "boolean" and not isinstance(value, bool):
        raise place.error(value, "bool")
    elif kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise place.error(value, "float64")


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        bad = re.search(r"[^A-Za-z0-9+/]", text.rstrip("="))
        position = bad.start() if bad else len(text) - len(text) % 4
        words = f"illegal base64 data at input byte {position}"
        raise WrongTypeError(words, f"error decoding from json: {words}") from None


def _check_special(value: Any, reference: str, place: _Place) -> None:
    if reference == extensions.QUANTITY:
        text = value if isinstance(value, str) else compact_json(value)
        problem = quantities.problem(text)
        if problem:
            raise WrongTypeError(problem)
    elif reference == extensions.INT_OR_STRING:
        is_int = isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
        if not isinstance(value, str) and not is_int:
            raise place.error(value, "int32", reads_itself=True)
    elif reference in _LAYOUTS:
        if not isinstance(value, str):
            raise place.error(value, "string", reads_itself=True)
        check_time(value, _LAYOUTS[reference])


def check_time(text: str, layout: str) -> None:
    """Refuse what is no time.

    Args:
        text: what may be one.
        layout: of times, as Go writes it, for the words.

    Raises:
        WrongTypeError: in the words of Go's time.Parse.
    """
    rest = text
    for pattern, name, bounds in (*_TIME_PARTS, _FRACTION[layout], _ZONE):
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            raise WrongTypeError(
                f"parsing time {quoted(text)} as {quoted(layout)}: cannot parse {quoted(rest)} as {quoted(name)}"
            )
        if bounds and not bounds[1] <= int(match[0]) <= bounds[2]:
            raise WrongTypeError(f"parsing time {quoted(text)}: {bounds[0]} out of range")
        rest = rest[match.end() :]
    if rest:
        raise WrongTypeError(f"parsing time {quoted(text)}: extra text: {quoted(rest)}")
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    # Go knows a year 0, a leap year as 2000 is; Python does not.
    if not 1 <= day <= calendar.monthrange(year or 2000, month)[1]:
        raise WrongTypeError(f"parsing time {quoted(text)}: day out of range")
