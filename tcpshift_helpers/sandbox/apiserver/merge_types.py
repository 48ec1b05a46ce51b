"""How the parts of an object merge: which lists are maps or sets, and what is replaced as a whole.

Pure. Made from the kinds' schemas, once a kind, when the first object of it is written.

Source: kubernetes/kube-openapi pkg/schemaconv (which schema means what) and sigs.k8s.io/structured-merge-diff v6 schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.schema_extensions import META_PACKAGE, QUANTITY
from tcpshift_helpers.sandbox.apiserver.schemas import REFERENCE_PREFIX

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.schemas import Schema, Schemas

NUMERIC, STRING, BOOLEAN, UNTYPED = "numeric", "string", "boolean", "untyped"
_SCALARS = {"integer": NUMERIC, "number": NUMERIC, "boolean": BOOLEAN}
_SCALE: Schema = {
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": f"{REFERENCE_PREFIX}{META_PACKAGE}.ObjectMeta"},
        "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
    },
}


@dataclass(eq=False)
class ListType:
    """A list.

    Attributes:
        atomic: replaced as a whole; else its items are told apart, by `keys` or by themselves.
        keys: fields by which items are told apart; empty for a set.
        items: type of an item.
        defaults: what a key is where it is left out.
    """

    items: Type
    atomic: bool = True
    keys: tuple[str, ...] = ()
    defaults: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class MapType:
    """An object or a map.

    Attributes:
        fields: types of the fields that are declared.
        elements: type of all others; None if there may be no others.
        atomic: replaced as a whole.
    """

    fields: dict[str, Type] = field(default_factory=dict)
    elements: Type | None = None
    atomic: bool = False

    def of(self, name: str) -> Type | None:
        """The type of a field."""
        return self.fields.get(name) or self.elements


@dataclass(eq=False)
class Type:
    """What a value may be: a scalar, a list, a map, or, where the schema does not say, any of them."""

    scalar: str | None = None
    list: ListType | None = None
    map: MapType | None = None


ANYTHING_ATOMIC = Type(scalar=UNTYPED)
ANYTHING_ATOMIC.list = ListType(items=ANYTHING_ATOMIC)
ANYTHING_ATOMIC.map = MapType(elements=ANYTHING_ATOMIC, atomic=True)

ANYTHING = Type(scalar=UNTYPED, list=ANYTHING_ATOMIC.list)
ANYTHING.map = MapType(elements=ANYTHING)


class MergeTypes:
    """Finds types by kind."""

    def __init__(self, schemas: Schemas) -> None:
        """Make them from `schemas`."""
        self._schemas = schemas
        self._kinds: dict[tuple[str, str, str], tuple[Schema, Type]] = {}
        self._named: dict[str, Type] = {}

    def of(self, group: str, version: str, kind: str) -> Type | None:
        """The type of a kind's objects, or None if there is no such kind any more."""
        schema = _SCALE if (group, kind) == ("autoscaling", "Scale") else self._schemas.of(group, version, kind)
        if schema is None:
            return None
        known = self._kinds.get((group, version, kind))
        if known is None or known[0] is not schema:  # a custom resource definition may change
            known = self._kinds[group, version, kind] = schema, self._inline(schema, keeps_unknown=False)
        return known[1]

    def _type(self, schema: Schema, *, keeps_unknown: bool) -> Type:
        reference = schema.get("$ref")
        if reference is None:
            return self._inline(schema, keeps_unknown=keeps_unknown)
        found = self._reference(reference)
        relation = schema.get("x-kubernetes-map-type")
        if relation is None or found.map is None:
            return found
        return replace(found, map=replace(found.map, atomic=relation == "atomic"))

    def _reference(self, reference: str) -> Type:
        if reference not in self._named:
            found = self._named[reference] = Type()  # before it is filled: a schema may contain itself
            if reference.endswith(QUANTITY):
                found.scalar = UNTYPED
            else:
                made = self._inline(self._schemas.resolve({"$ref": reference}), keeps_unknown=False)
                found.scalar, found.list, found.map = made.scalar, made.list, made.map
        return self._named[reference]

    def _inline(self, schema: Schema, *, keeps_unknown: bool) -> Type:
        keeps_unknown = keeps_unknown or schema.get("x-kubernetes-preserve-unknown-fields") is True
        match schema.get("type"):
            case "object":
                return Type(map=self._map(schema, keeps_unknown=keeps_unknown))
            case "array":
                return Type(list=self._list(schema, keeps_unknown=keeps_unknown))
            case "string":
                return Type(scalar=STRING if schema.get("format", "") in ("", "byte") else UNTYPED)
            case "integer" | "number" | "boolean" as plain:
                return Type(scalar=_SCALARS[plain])
        made = self._map(schema, keeps_unknown=keeps_unknown)
        return Type(scalar=UNTYPED, list=self._list(schema, keeps_unknown=keeps_unknown), map=made)

    def _map(self, schema: Schema, *, keeps_unknown: bool) -> MapType:
        properties = schema.get("properties") or {}
        fields = {name: self._type(part, keeps_unknown=keeps_unknown) for name, part in properties.items()}
        others = schema.get("additionalProperties")
        elements: Type | None = None
        if isinstance(others, dict):
            elements = self._type(others, keeps_unknown=keeps_unknown)
        elif others or (others is None and (keeps_unknown or not properties)):
            elements = ANYTHING
        return MapType(fields, elements, atomic=schema.get("x-kubernetes-map-type") == "atomic")

    def _list(self, schema: Schema, *, keeps_unknown: bool) -> ListType:
        if "items" not in schema:
            return ListType(ANYTHING_ATOMIC)
        items = self._type(schema["items"], keeps_unknown=keeps_unknown)
        keys, associative = _keys(schema)
        element = self._schemas.resolve(schema["items"])
        properties = element.get("properties") or {}
        defaults = {key: properties[key]["default"] for key in keys if "default" in properties.get(key, {})}
        return ListType(items, not associative, keys, defaults)


def _keys(schema: Schema) -> tuple[tuple[str, ...], bool]:
    """The keys of a list, and whether its items are told apart at all."""
    list_type = schema.get("x-kubernetes-list-type")
    if list_type is not None:
        return tuple(schema.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else (), list_type != "atomic"
    if schema.get("x-kubernetes-patch-strategy") in ("merge", "merge,retainKeys"):
        key = schema.get("x-kubernetes-patch-merge-key")
        return (key,) if key else (), True
    return (), False
