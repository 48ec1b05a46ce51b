"""The OpenAPI v3 documents: what kubectl reads before it applies, explains or validates.

Pure. The paths carry the parameters by which kubectl learns that this server validates fields (`fieldValidation`) and
knows dry runs; responses and protobuf are left out. Descriptions of built-in fields are the installed client's.

Source: the documents of kube-apiserver 1.34, and what kubectl 1.32 looks for in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.schemas import REFERENCE_PREFIX, Schema, Schemas
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom

Object = dict[str, Any]

INFO = {"title": "Kubernetes", "version": "1.34"}
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json")
_BUILT_IN_PATCH_TYPE = "application/strategic-merge-patch+json"
_WRITE_PARAMETERS = {
    "dryRun": "With All, the change is checked and answered but not kept.",
    "fieldManager": "A name for who makes the change.",
    "fieldValidation": "What to do about unknown and duplicate fields: Ignore, Warn or Strict.",
}
_LIST_PARAMETERS = {
    "fieldSelector": "Only objects whose fields match.",
    "labelSelector": "Only objects whose labels match.",
    "resourceVersion": "From which version on.",
    "timeoutSeconds": "How long to watch.",
    "watch": "Answer with changes as they happen.",
}
_DELETE_PARAMETERS = {
    "dryRun": _WRITE_PARAMETERS["dryRun"],
    "gracePeriodSeconds": "How long the object may take to end.",
    "propagationPolicy": "What becomes of its dependents: Orphan, Background or Foreground.",
}
_NUMBERS = frozenset({"timeoutSeconds", "gracePeriodSeconds"})
_FLAGS = frozenset({"watch"})


def group_versions(resource_types: Iterable[ResourceType]) -> list[tuple[str, str]]:
    """Group and version of each kind, once."""
    pairs = ((one.group, version) for one in resource_types for version in one.versions)
    return list(dict.fromkeys(pairs))


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def openapi_v3_index(resource_types: Sequence[ResourceType]) -> Object:
    """The document at `/openapi/v3`: where the document of each group and version is.

    The hash in an address changes with the table of kinds, so that kubectl's cache does not outlive it.
    """
    paths = {}
    for group, version in group_versions(resource_types):
        kinds = sorted(one.plural for one in resource_types if one.group == group and version in one.versions)
        digest = hashlib.sha256(json.dumps([group, version, kinds]).encode()).hexdigest().upper()
        root = _root(group, version)
        paths[root] = {"serverRelativeURL": f"/openapi/v3/{root}?hash={digest}"}
    return {"paths": paths}


def openapi_v3(group: str, version: str, resource_types: Sequence[ResourceType], schemas: Schemas) -> Object:
    """The document of one group and version: paths of its kinds, and every schema they refer to."""
    served = [one for one in resource_types if one.group == group and version in one.versions]
    paths: Object = {}
    kinds: dict[str, Schema] = {}
    lists: dict[str, Schema] = {}
    for resource_type in served:
        name = schemas.name_of(group, version, resource_type.kind)
        schema = schemas.described(group, version, resource_type.kind)
        if name is not None and schema is not None:
            kinds[name] = schema
            lists[f"{name}List"] = _list_schema(resource_type, version, name)
            paths.update(_paths(resource_type, version, name))
    components = {name: _strict(schema) for name, schema in sorted(_with_references(kinds, schemas).items())}
    components.update(lists)
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": paths,
        "components": {"schemas": components},
    }


def _paths(resource_type: ResourceType, version: str, name: str) -> Object:
    root = f"/{_root(resource_type.group, version)}"
    collection = f"{root}/namespaces/{{namespace}}/{resource_type.plural}"
    if not resource_type.namespaced:
        collection = f"{root}/{resource_type.plural}"
    shared = [_path_parameter("namespace")] if resource_type.namespaced else []
    found: Object = {}
    if resource_type.namespaced:
        everywhere = _operation(resource_type, version, "list", f"{name}List", _LIST_PARAMETERS)
        found[f"{root}/{resource_type.plural}"] = {"get": everywhere}
    found[collection] = {
        "get": _operation(resource_type, version, "list", f"{name}List", _LIST_PARAMETERS),
        "post": _operation(resource_type, version, "post", name, _WRITE_PARAMETERS, body=True),
        "delete": _operation(
            resource_type, version, "deletecollection", "", {**_LIST_PARAMETERS, **_DELETE_PARAMETERS}
        ),
        "parameters": shared,
    }
    item = {
        "get": _operation(resource_type, version, "get", name, {}),
        "put": _operation(resource_type, version, "put", name, _WRITE_PARAMETERS, body=True),
        "patch": _operation(resource_type, version, "patch", name, _WRITE_PARAMETERS, body=True),
        "delete": _operation(resource_type, version, "delete", "", _DELETE_PARAMETERS),
        "parameters": [_path_parameter("name"), *shared],
    }
    found[f"{collection}/{{name}}"] = item
    if "status" in resource_type.subresources:
        found[f"{collection}/{{name}}/status"] = {key: item[key] for key in ("get", "put", "patch", "parameters")}
    return found


def _operation(
    resource_type: ResourceType,
    version: str,
    action: str,
    answer: str,
    parameters: dict[str, str],
    *,
    body: bool = False,
) -> Object:
    kind = {"group": resource_type.group, "version": version, "kind": resource_type.kind}
    response: Object = {"description": "OK"}
    if answer:
        response["content"] = {"application/json": {"schema": _reference(answer)}}
    operation: Object = {
        "tags": [f"{resource_type.group.partition('.')[0] or 'core'}_{version}"],
        "description": f"{action} {resource_type.kind}",
        "operationId": f"{action}{resource_type.kind}{version.capitalize()}",
        "parameters": [_query_parameter(name, text) for name, text in parameters.items()],
        "responses": {"200": response, "401": {"description": "Unauthorized"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    }
    if body and action == "patch":
        types = _PATCH_TYPES if is_custom(resource_type) else (*_PATCH_TYPES, _BUILT_IN_PATCH_TYPE)
        content: Object = {media_type: {"schema": {"type": "object"}} for media_type in types}
        operation["requestBody"] = {"content": content, "required": True}
    elif body:
        media_types = ("application/json", "application/yaml")
        content = {media_type: {"schema": _reference(answer)} for media_type in media_types}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _query_parameter(name: str, description: str) -> Object:
    kind = "integer" if name in _NUMBERS else "boolean" if name in _FLAGS else "string"
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": True}}


def _path_parameter(name: str) -> Object:
    schema = {"type": "string", "uniqueItems": True}
    return {"name": name, "in": "path", "description": f"{name} of the object", "required": True, "schema": schema}


def _reference(name: str) -> Object:
    return {"$ref": f"{REFERENCE_PREFIX}{name}"}


def _list_schema(resource_type: ResourceType, version: str, name: str) -> Schema:
    kind = {"group": resource_type.group, "version": version, "kind": resource_type.list_kind}
    return {
        "description": f"{resource_type.list_kind} is a list of {resource_type.kind}.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "items": {"type": "array", "items": _reference(name)},
        },
        "x-kubernetes-group-version-kind": [kind],
    }


def _with_references(kinds: dict[str, Schema], schemas: Schemas) -> dict[str, Schema]:
    """These schemas and all that they refer to."""
    found = dict(kinds)
    waiting = list(kinds.values())
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found:
                found[name] = schemas.definitions[name]
                waiting.append(found[name])
    return found


def _references(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):  # a definition's schema has a field of that name
            yield value["$ref"].removeprefix(REFERENCE_PREFIX)
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _strict(schema: Schema) -> Schema:
    """A schema as OpenAPI has it: a `$ref` stands alone or in `allOf`."""
    strict: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            strict[key] = {name: _strict(field) for name, field in value.items()}
        elif key in {"items", "additionalProperties"}:
            strict[key] = _strict(value) if isinstance(value, dict) else value
        elif key != "$ref":
            strict[key] = value
    if "$ref" not in schema:
        return strict
    return {**strict, "allOf": [{"$ref": schema["$ref"]}]} if strict else {"$ref": schema["$ref"]}
