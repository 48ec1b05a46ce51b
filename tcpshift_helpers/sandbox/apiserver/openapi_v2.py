"""The OpenAPI v2 document: the older form, one document for all kinds, made from the v3 documents.

Pure. kubectl asks for it when a kind is in no v3 document, to tell a kind that does not exist; older clients and Helm read it
for more. What v2 cannot say is left out, as a real server leaves it out: alternatives, defaults, and fields that may be null.

Source: the document of kube-apiserver 1.34, and apiextensions-apiserver pkg/controller/openapi/v2/conversion.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.openapi import INFO, group_versions, openapi_v3
from tcpshift_helpers.sandbox.apiserver.schemas import REFERENCE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
    from tcpshift_helpers.sandbox.apiserver.schemas import Schema, Schemas

Object = dict[str, Any]

_MEDIA_TYPES = ["application/json", "application/yaml"]
_KEPT = frozenset({
    *("description", "type", "format", "enum", "pattern", "required"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("x-kubernetes-group-version-kind", "x-kubernetes-list-map-keys", "x-kubernetes-list-type"),
    *("x-kubernetes-map-type", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
})  # fmt: skip


def openapi_v2(resource_types: Sequence[ResourceType], schemas: Schemas) -> Object:
    """The document at `/openapi/v2`."""
    paths: Object = {}
    definitions: dict[str, Schema] = {}
    for group, version in group_versions(resource_types):
        document = openapi_v3(group, version, resource_types, schemas)
        paths |= {path: _path_item(item) for path, item in document["paths"].items()}
        for name, schema in document["components"]["schemas"].items():
            if name not in definitions:
                definitions[name] = _schema(schema)
    bearer = {"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"}
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "securityDefinitions": {"BearerToken": bearer},
        "security": [{"BearerToken": []}],
    }


def _path_item(item: Object) -> Object:
    shared = [_parameter(one) for one in item["parameters"]] if item.get("parameters") else []
    operations = {method: _operation(one) for method, one in item.items() if method != "parameters"}
    return {**operations, "parameters": shared} if shared else operations


def _operation(operation: Object) -> Object:
    rest = {name: part for name, part in operation.items() if name not in ("parameters", "requestBody", "responses")}
    parameters = [_parameter(one) for one in operation["parameters"]]
    consumed = list(_MEDIA_TYPES)
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        consumed = list(content)
        schema = _schema(next(iter(content.values()))["schema"])
        parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": schema})
    return {
        **rest,
        "consumes": consumed,
        "produces": _MEDIA_TYPES,
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {code: _response(one) for code, one in operation["responses"].items()},
    }


def _parameter(parameter: Object) -> Object:
    return {**{name: part for name, part in parameter.items() if name != "schema"}, **parameter["schema"]}


def _response(response: Object) -> Object:
    content = response.get("content")
    shown = {"schema": _schema(content["application/json"]["schema"])} if content else {}
    return {"description": response["description"], **shown}


def _schema(schema: Schema) -> Schema:
    """A v3 schema as v2 has it."""
    kept = {name: part for name, part in schema.items() if name in _KEPT}
    (only, *others) = schema.get("allOf") or [{}]
    if reference := schema.get("$ref") or (None if others else only.get("$ref")):
        return {**kept, "$ref": f"#/definitions/{reference.removeprefix(REFERENCE_PREFIX)}"}
    if schema.get("oneOf") and "type" not in kept:
        kept["type"] = "string"  # amounts, and numbers that may be names: text is what both always may be
    is_open = bool(schema.get("nullable") or schema.get("x-kubernetes-preserve-unknown-fields"))
    if "items" in schema and not is_open:
        kept["items"] = _schema(schema["items"])
    if "properties" in schema and not is_open:
        kept["properties"] = {name: _schema(field) for name, field in schema["properties"].items()}
        _require_no_null(kept, schema["properties"])
    if "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        kept["additionalProperties"] = _schema(inner) if isinstance(inner, dict) else inner
    # kubectl cannot cope with an open object, nor with a list whose items have no schema.
    if schema.get("nullable") or (is_open and kept.get("type") == "object"):
        kept.pop("type", None)
    if kept.get("type") == "array" and "items" not in kept:
        del kept["type"]
    return kept


def _require_no_null(kept: Schema, fields: dict[str, Schema]) -> None:
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if not fields.get(name, {}).get("nullable")]
        if not kept["required"]:
            del kept["required"]
