"""How objects are shown to a client: whole, as a Table, or their metadata alone; in the version it asked for.

Pure. The rows of a Table come from `table`; this module adds the object part of each row and the lists around.

Source: kubernetes/apiserver pkg/endpoints/handlers/{response,negotiation}; apimachinery pkg/apis/meta/v1 (Table, PartialObjectMetadata).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom
from tcpshift_helpers.sandbox.apiserver.table import table

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

_META_VERSION = "meta.k8s.io/v1"
_MEDIA_TYPES = frozenset({"application/json", "application/*", "*/*", ""})
_AVAILABLE = (
    "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/json;stream=watch, "
    "application/vnd.kubernetes.protobuf;stream=watch"
)


@dataclass(frozen=True)
class MediaType:
    """One alternative of an Accept header: its type and parameters."""

    name: str
    parameters: dict[str, str]


def parse_accept(header: str) -> list[MediaType]:
    """The alternatives of an Accept header, in the client's order."""
    alternatives = []
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        alternatives.append(MediaType(name.lower(), {key: value for key, _, value in pairs}))
    return alternatives


def negotiate(header: str) -> str:
    """Which form the client wants: `""` (whole), `Table` or `PartialObjectMetadata`.

    Raises:
        StatusError: 406, none of the alternatives is served.
    """
    for media_type in parse_accept(header):
        if media_type.name not in _MEDIA_TYPES:
            continue
        wanted = media_type.parameters.get("as", "")
        if not wanted:
            return ""
        if media_type.parameters.get("g") != "meta.k8s.io" or media_type.parameters.get("v") != "v1":
            continue
        if wanted == "Table":
            return wanted
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return "PartialObjectMetadata"
    message = f"406: Not Acceptable\n\nAvailable representations: {_AVAILABLE}"
    raise StatusError(406, "NotAcceptable", message, {})


class Representation:
    """Renders the objects of one request.

    Attributes:
        form: `""` (whole), `Table` or `PartialObjectMetadata`.
    """

    def __init__(self, resource: ResourceType, version: str, form: str = "", include_object: str = "Metadata") -> None:
        """Render `resource` as `version`; `include_object` is the Table's `includeObject` parameter."""
        if form == "Table" and include_object not in ("", "Metadata", "Object", "None"):
            why = f"""Invalid value: "{include_object}": must be 'Metadata', 'Object', 'None', or empty"""
            raise bad_request(f"Unable to convert to Table as requested: includeObject: {why}")
        self.form = form
        self._resource = resource
        self._api_version = resource.api_version(version)
        self._include_object = include_object
        self._columns_sent = False

    def is_stored_form(self) -> bool:
        """Whether stored text can be sent as it is."""
        return not self.form and self._api_version == self._resource.api_version()

    def object(self, obj: Object) -> Object:
        """One object."""
        if self.form == "Table":
            return self._table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
        if self.form:
            return self._partial(obj)
        return {**obj, "apiVersion": self._api_version}

    def list(self, objs: Sequence[Object], metadata: Object) -> Object:
        """A list; `metadata` is its `metav1.ListMeta`."""
        if self.form == "Table":
            return self._table(objs, metadata)
        if self.form:
            items = [self._partial(obj) for obj in objs]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": _META_VERSION,
                "metadata": metadata,
                "items": items,
            }
        items = [self._item(obj) for obj in objs]
        return {
            "kind": self._resource.list_kind,
            "apiVersion": self._api_version,
            "metadata": metadata,
            "items": items,
        }

    def event_object(self, obj: Object) -> Object:
        """The object of a watch event; only the first Table of a watch names its columns."""
        shown = self.object(obj)
        if self.form == "Table":
            if self._columns_sent:
                shown["columnDefinitions"] = None
            self._columns_sent = True
        return shown

    def shared_event_form(self) -> Hashable | None:
        """Equal for watches to which `event_object` now gives the same; None if it gives this watch something of its own."""
        if self.form == "Table" and not self._columns_sent:
            return None
        return self._api_version, self.form, self._include_object

    def bookmark(self, resource_version: int, *, initial_events_end: bool) -> Object:
        """The object of a bookmark: nothing but a version."""
        metadata: Object = {"resourceVersion": str(resource_version)}
        if initial_events_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.form == "Table":
            partial = {"kind": "PartialObjectMetadata", "apiVersion": _META_VERSION, "metadata": metadata}
            row = {"cells": None, "object": partial}
            list_metadata = {"resourceVersion": str(resource_version)}
            head = {"kind": "Table", "apiVersion": _META_VERSION, "metadata": list_metadata}
            return {**head, "columnDefinitions": None, "rows": [row]}
        if self.form:
            return {"kind": "PartialObjectMetadata", "apiVersion": _META_VERSION, "metadata": metadata}
        return {"kind": self._resource.kind, "apiVersion": self._api_version, "metadata": metadata}

    def _item(self, obj: Object) -> Object:
        # Items of built-in lists carry no kind of their own; those of custom resources do.
        if is_custom(self._resource):
            return {**obj, "apiVersion": self._api_version}
        return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}

    def _partial(self, obj: Object) -> Object:
        return {"kind": "PartialObjectMetadata", "apiVersion": _META_VERSION, "metadata": obj["metadata"]}

    def _table(self, objs: Sequence[Object], metadata: Object) -> Object:
        shown = table(self._resource, list(objs), datetime.now(UTC))
        if self._include_object != "None":
            for row, obj in zip(shown["rows"], objs, strict=True):
                whole = self._include_object == "Object"
                row["object"] = {**obj, "apiVersion": self._api_version} if whole else self._partial(obj)
        return {**shown, "kind": "Table", "apiVersion": _META_VERSION, "metadata": metadata}
