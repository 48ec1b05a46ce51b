"""The schemas of all kinds: which fields an object may have, and of which types.

Pure but for `Schemas.load`, which leaves files to `schema_cache`. Built-in kinds come from the models of the installed
`kubernetes` client, those of custom resource definitions from the catalogue, as it stands. A schema is an OpenAPI v3
schema object in which a `$ref` may have siblings (`description`, `x-kubernetes-*`); `openapi` turns it into the strict form.
How lists merge comes from `merge_rules.json`.

Source: the OpenAPI v3 documents of kube-apiserver 1.34 (`merge_rules.json` is read from them by tests/conformance/derive_merge_rules.py).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tcpshift_helpers.sandbox.apiserver import schema_extensions as extensions
from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.model_sources import Model
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN, CustomVersion

Schema = dict[str, Any]

REFERENCE_PREFIX = "#/components/schemas/"
_VERSION_IN_NAME = re.compile(r"^(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?(?=[A-Z])")
_MERGE_RULES = Path(__file__).with_name("merge_rules.json")
_GROUP_IN_NAME = re.compile(r"^([A-Z][a-z]+)V\d")
_CONTAINER = re.compile(r"(list|dict)[\[(](.*)[\])]", re.IGNORECASE)


class Schemas:
    """Finds schemas by kind and by reference."""

    def __init__(self, definitions: dict[str, Schema], catalog: Catalog | None = None) -> None:
        """Hold `definitions`, by their full names such as `io.k8s.api.core.v1.Pod`, and custom kinds of `catalog`."""
        self.definitions = definitions
        self._catalog = catalog or Catalog()
        self._completed: dict[tuple[str, str, str], tuple[CustomVersion, Schema]] = {}
        self._names = {
            (kind["group"], kind["version"], kind["kind"]): name
            for name, schema in definitions.items()
            for kind in schema.get("x-kubernetes-group-version-kind", ())
        }

    @classmethod
    def load(cls, cache_dir: Path, catalog: Catalog | None = None) -> Schemas:
        """Load from the cache, made first if this version of the client has none yet; custom kinds from `catalog`."""
        from tcpshift_helpers.sandbox.apiserver.schema_cache import load_built_in  # noqa: PLC0415 - the one use of files

        return cls(load_built_in(cache_dir), catalog)

    def name_of(self, group: str, version: str, kind: str) -> str | None:
        """The full name of a kind's schema, such as `io.k8s.api.core.v1.Pod` or `io.istio.networking.v1.Gateway`."""
        if self._custom(group, version, kind):
            return ".".join([*reversed(group.split(".")), version, kind])
        return self._names.get((group, version, kind))

    def described(self, group: str, version: str, kind: str) -> Schema | None:
        """As `of`, with the descriptions of a custom resource's fields; they are not kept in memory."""
        custom = self._custom(group, version, kind)
        return _complete(custom.load_schema(), group, version, kind) if custom else self.of(group, version, kind)

    def of(self, group: str, version: str, kind: str) -> Schema | None:
        """A kind's schema, or None if there is none; that of a custom resource without descriptions."""
        custom = self._custom(group, version, kind)
        if custom:
            known = self._completed.get((group, version, kind))
            if known is None or known[0] is not custom:
                known = custom, _complete(custom.schema, group, version, kind)
                self._completed[group, version, kind] = known
            return known[1]
        name = self._names.get((group, version, kind))
        return None if name is None else self.definitions[name]

    def _custom(self, group: str, version: str, kind: str) -> CustomVersion | None:
        found = self._catalog.by_kind(group, version, kind)
        return None if found is None or found.custom is None else found.custom[version]

    def resolve(self, schema: Schema) -> Schema:
        """What a `$ref` points to; a schema without one is returned as it is."""
        reference = schema.get("$ref")
        return schema if reference is None else self.definitions[reference.removeprefix(REFERENCE_PREFIX)]


def _complete(schema: Schema, group: str, version: str, kind: str) -> Schema:
    """A definition's schema with what every object has."""
    meta = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": _reference(f"{extensions.META_PACKAGE}.ObjectMeta"),
    }
    kinds = [{"group": group, "version": version, "kind": kind}]
    properties = {**meta, **schema.get("properties", {})}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": kinds}


def model_name(model: str) -> str:
    """`CoreV1EventSeries` and `V1EventSeries` are both upstream's `EventSeries`."""
    return _VERSION_IN_NAME.sub("", model)


def full_name(model: str) -> str:
    """A model's name as upstream's OpenAPI documents have it."""
    name = model_name(model)
    if name in extensions.META_MODELS:
        return f"{extensions.META_PACKAGE}.{name}"
    named = _GROUP_IN_NAME.match(model)
    matching = (group for group, models in extensions.GROUP_MODELS.items() if re.match(models, name))
    group = named[1].lower() if named else next(matching, "core")
    package = extensions.PACKAGES.get(group, f"io.k8s.api.{group}")
    return f"{package}.v1.{name}"


def derive(read_model: Callable[[str], Model | None]) -> dict[str, Schema]:
    """Schemas of all built-in kinds and of what they refer to.

    Args:
        read_model: finds a model by its class name; None if the client has none of that name.

    Raises:
        LookupError: the client knows no model for a kind.
    """
    definitions: dict[str, Schema] = {name: dict(schema) for name, schema in extensions.SCALARS.items()}
    for resource_type in BUILT_IN:
        group = resource_type.group.partition(".")[0] or "core"
        version = resource_type.storage_version.capitalize()
        candidates = (f"{version}{resource_type.kind}", f"{group.capitalize()}{version}{resource_type.kind}")
        model = next(filter(None, map(read_model, candidates)), None)
        if model is None:
            raise LookupError(f"the installed kubernetes client has no model of {resource_type.kind}")
        _define(model, read_model, definitions)
        definitions[full_name(model.name)]["x-kubernetes-group-version-kind"] = [
            {"group": resource_type.group, "version": resource_type.storage_version, "kind": resource_type.kind}
        ]
    return definitions


def _define(model: Model, read_model: Callable[[str], Model | None], definitions: dict[str, Schema]) -> None:
    rules = _merge_rules().get(full_name(model.name), {})
    schema: Schema = {"description": model.description, "type": "object", "properties": {}, **rules.get("", {})}
    definitions[full_name(model.name)] = schema
    required = sorted(name for name, field in model.fields.items() if field.required)
    if required:
        schema["required"] = required
    for name, field in model.fields.items():
        path = f"{model_name(model.name)}.{name}"
        property_schema = {"description": field.description, **_type(field.type, path), **rules.get(name, {})}
        schema["properties"][name] = property_schema
        referred = _innermost(field.type)
        if referred and full_name(referred) not in definitions:
            found = read_model(referred)
            if found is not None:
                _define(found, read_model, definitions)
        if referred and not field.description:
            property_schema["description"] = definitions[full_name(referred)]["description"]


def _innermost(kind: str) -> str:
    """The model that a type refers to, if any."""
    match = _CONTAINER.fullmatch(kind)
    while match:
        kind = match[2].rpartition(", ")[2]
        match = _CONTAINER.fullmatch(kind)
    return kind if kind[:1].isupper() else ""


_PLAIN_TYPES: dict[str, Schema] = {
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "float": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "object": {},  # any value
}


def _type(kind: str, path: str) -> Schema:
    match = _CONTAINER.fullmatch(kind)
    if match and match[1].lower() == "list":
        return {"type": "array", "items": _type(match[2], path)}
    if match:
        return {"type": "object", "additionalProperties": _type(match[2].partition(", ")[2], path)}
    if kind == "str" and path in extensions.BYTES_FIELDS:
        return dict(_PLAIN_TYPES["bytes"])
    if kind == "int":
        width = "int64" if path.rpartition(".")[2] in extensions.INT64_FIELDS else "int32"
        return {"type": "integer", "format": width}
    special = _special_scalar(kind, path)
    plain = _PLAIN_TYPES.get(kind) if special is None else None
    return _reference(special or full_name(kind)) if plain is None else dict(plain)


def _special_scalar(kind: str, path: str) -> str | None:
    """Scalars that the client knows as text or as anything, by the names of their schemas."""
    if path in extensions.QUANTITY_FIELDS:
        return extensions.QUANTITY
    if path in extensions.INT_OR_STRING_FIELDS:
        return extensions.INT_OR_STRING
    if kind == "datetime":
        return extensions.MICRO_TIME if path in extensions.MICRO_TIME_FIELDS else extensions.TIME
    return extensions.FIELDS_V1 if path.endswith(".fieldsV1") else None


def _reference(name: str) -> Schema:
    return {"$ref": f"{REFERENCE_PREFIX}{name}"}


@functools.cache
def _merge_rules() -> dict[str, dict[str, Schema]]:
    """Which lists and maps merge, and how: by full name and field, the whole type's under an empty name."""
    rules: dict[str, dict[str, Schema]] = json.loads(_MERGE_RULES.read_bytes())
    return rules
