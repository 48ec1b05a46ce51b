"""From a request's body to an object of the right kind: decoding, kind and version, unknown fields.

Pure. Syntax is read by `decoding`, fields are judged by `validation`; this module decides what a finding means for the request:
refused (`fieldValidation=Strict`), a warning (`Warn`) or nothing (`Ignore`). Unknown fields are never stored.

Source: kubernetes/apiserver pkg/endpoints/handlers/create.go; messages as kube-apiserver 1.34 answers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import protobuf, structural
from tcpshift_helpers.sandbox.apiserver.decoding import (
    SCHEME,
    NumberTooLargeError,
    check_media_type,
    decode,
    decode_options,
)
from tcpshift_helpers.sandbox.apiserver.go_values import compact_json, quoted
from tcpshift_helpers.sandbox.apiserver.shapes import check_shape
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom
from tcpshift_helpers.sandbox.apiserver.validation import unknown_fields

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
    from tcpshift_helpers.sandbox.apiserver.schemas import Schemas

Object = dict[str, Any]


class Codec:
    """Decodes bodies of all kinds it is told about."""

    def __init__(self, schemas: Schemas, catalog: Catalog) -> None:
        """Judge fields by `schemas`; `catalog` says which kinds are known at all."""
        self._schemas = schemas
        self._catalog = catalog

    def check_media_type(self, content_type: str, resource: ResourceType) -> None:
        """Refuse a body in a form that the kind's objects do not come in.

        Raises:
            StatusError: 415.
        """
        if is_custom(resource) or not _is_protobuf(content_type):
            check_media_type(content_type)

    def decode(
        self, body: bytes, content_type: str, resource: ResourceType, version: str, field_validation: str
    ) -> tuple[Object, list[str]]:
        """An object of the kind, in its storage version, and warnings for the client.

        Raises:
            StatusError: 400, 415 or 422: it cannot be read, is of another kind, or is refused by strict validation.
        """
        try:
            obj, duplicates = _read(body, content_type, resource.kind, protobuf_spoken=not is_custom(resource))
        except NumberTooLargeError as error:
            raise _cannot_be_handled(resource.kind, version, resource, str(error)) from None
        self._check_kind(obj, body, resource, version)
        return self.judge(obj, resource, version, field_validation, duplicates)

    def decode_plain(self, kind: str, body: bytes, content_type: str) -> Object:
        """A DeleteOptions, Scale, Binding or Eviction.

        Raises:
            StatusError: 400, 415 or 500.
        """
        try:
            obj, _ = _read(body, content_type, kind, protobuf_spoken=True)
        except NumberTooLargeError as error:
            raise bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {error}') from None
        check_shape(kind, obj)
        return obj

    def judge(
        self,
        obj: Object,
        resource: ResourceType,
        version: str,
        field_validation: str,
        duplicates: list[str] | None = None,
    ) -> tuple[Object, list[str]]:
        """Judge the fields of a decoded object; as `decode`."""
        if resource.definition is None:
            obj = _without_nulls(obj)
        findings = [*(duplicates or []), *unknown_fields(self._schemas, resource, version, obj)]
        if resource.definition is not None and "metadata" in obj:
            obj["metadata"] = _without_nulls(obj["metadata"])
        pruned: list[str] = []
        if resource.definition is not None:
            pruned = structural.prune(obj, resource.definition.schema)
            structural.drop_nulls(obj, resource.definition.schema)
        told = [*findings, *(f"unknown field {quoted(path)}" for path in pruned)]
        if told and field_validation == "Strict":
            listed = ", ".join(told)
            raise bad_request(
                f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}: '
                f"strict decoding error: {listed}"
            )
        obj["apiVersion"], obj["kind"] = resource.api_version(), resource.kind
        return obj, told if field_validation == "Warn" else []

    def applied(self, obj: Object, config: Object, resource: ResourceType, version: str) -> Object:
        """What a server-side apply of `config` has made, in the storage version.

        Nulls stay in a custom resource, even those that stand for what was taken out of it; most are refused by its schema.

        Raises:
            StatusError: 400, or 500 for a text that says no time and no bytes, as the real server answers it.

        Source: measured.
        """
        if resource.definition is None:
            try:
                return self.judge(obj, resource, version, "Ignore")[0]
            except StatusError as error:
                raise _unconvertible(error, config, resource, version) from None
        return {**obj, "apiVersion": resource.api_version(), "kind": resource.kind}

    def _check_kind(self, obj: Object, body: bytes, resource: ResourceType, version: str) -> None:
        kind, api_version = obj.get("kind") or "", obj.get("apiVersion") or ""
        expected = resource.api_version(version)
        if is_custom(resource):
            _check_custom_kind(obj, body, resource, expected)
            return
        kind, api_version = kind or resource.kind, api_version or expected
        if (api_version, kind) == (expected, resource.kind):
            return
        group, _, name = api_version.rpartition("/")
        if self._catalog.by_kind(group, name, kind):
            own_group = resource.group.split(".")[0] or "core"
            why = f"converting ({name}.{kind}) to ({own_group}.{resource.kind}): unknown conversion"
        else:
            why = f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"'
        raise _cannot_be_handled(kind, version, resource, why)


def _cannot_be_handled(kind: str, version: str, resource: ResourceType, why: str) -> StatusError:
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')


def _unconvertible(error: StatusError, config: Object, resource: ResourceType, version: str) -> StatusError:
    why = _reason_of(error)
    if why.startswith("illegal base64"):
        why = f"error decoding from json: {why}"
    elif not why.startswith("parsing time"):
        return error
    metadata, kind = config.get("metadata") or {}, f"{resource.group}/{version}, Kind={resource.kind}"
    what = f"({metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind})"
    head = f"failed to convert new object {what} to proper version: unable to convert unstructured object to {kind}"
    return internal_error(f"{head}: {why}")


def _reason_of(error: StatusError) -> str:
    """Why an object cannot be decoded, without what it was to be."""
    return error.message.partition(" cannot be handled as a ")[2].partition(": ")[2] or error.message


def _is_protobuf(content_type: str) -> bool:
    return content_type.partition(";")[0].strip() == protobuf.MEDIA_TYPE


def _read(body: bytes, content_type: str, kind: str, *, protobuf_spoken: bool) -> tuple[Object, list[str]]:
    if protobuf_spoken and _is_protobuf(content_type):
        return protobuf.decode(body), []
    if kind == "DeleteOptions":
        return decode_options(body, content_type), []
    return decode(body, content_type, kind)


def _check_custom_kind(obj: Object, body: bytes, resource: ResourceType, expected: str) -> None:
    text = body.decode(errors="replace")
    for field, name in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not obj.get(field):
            raise bad_request(
                f"the object provided is unrecognized (must be of type {resource.kind}): "
                f"Object '{name}' is missing in '{text}' ({text})"
            )
    if obj["apiVersion"] != expected:
        raise bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match the expected API version ({expected})"
        )
    if obj["kind"] != resource.kind:
        message = f'Invalid value: "{obj["kind"]}": must be {resource.kind}'
        metadata = obj.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        raise StatusError(
            422,
            "Invalid",
            f'{obj["kind"]}.{resource.group} "{name}" is invalid: kind: {message}',
            {
                "name": name,
                "group": resource.group,
                "kind": obj["kind"],
                "causes": [{"reason": "FieldValueInvalid", "message": message, "field": "kind"}],
            },
        )


def patched_is_invalid(patched: Object, resource: ResourceType, error: StatusError) -> StatusError:
    """How the real server words that a patch's result cannot be decoded.

    Source: measured; the message quotes the whole object, keys in order, and names neither kind nor name.
    """
    reason = _reason_of(error)
    in_order = {key: patched[key] for key in sorted(patched)}
    return invalid_patch(compact_json(in_order, sort_keys=is_custom(resource)), reason)


def invalid_patch(text: str, reason: str) -> StatusError:
    """422: what this text shows cannot be read, for this reason."""
    message = f"Invalid value: {quoted(text)}: {reason}"
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": "patch"}]
    return StatusError(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": causes})


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
