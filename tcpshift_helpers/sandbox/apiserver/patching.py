"""Patches as they arrive: which kind of patch, and what it makes of an object.

Pure. The merge algorithms live in `patch`; here is how the result is read back as an object of its kind.

Source: kubernetes/apiserver pkg/endpoints/handlers/patch.go; messages as kube-apiserver 1.34 answers them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import patch as algorithms
from tcpshift_helpers.sandbox.apiserver.codec import invalid_patch, patched_is_invalid
from tcpshift_helpers.sandbox.apiserver.decoding import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    decode_config,
    decode_patch,
)
from tcpshift_helpers.sandbox.apiserver.field_types import WrongTypeError
from tcpshift_helpers.sandbox.apiserver.go_values import plain
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.codec import Codec
    from tcpshift_helpers.sandbox.apiserver.registry import Target
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
    from tcpshift_helpers.sandbox.apiserver.schemas import Schemas

Object = dict[str, Any]

APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Patch:
    """A patch as it came; it is read only when there is something to apply it to.

    Attributes:
        media_type: which algorithm it is for.
        body: a list of operations, or an object.
    """

    media_type: str
    body: bytes

    def apply_plain(self, obj: Object) -> Object:
        """Apply to an object without a schema of its own, such as a Scale.

        Raises:
            StatusError: 400, 409 or 422.
        """
        if self.media_type == JSON_PATCH:
            return algorithms.json_patch(obj, self.content)
        return algorithms.merge_patch(obj, self.content)

    @functools.cached_property
    def content(self) -> Any:
        """What it says."""
        return decode_patch(self.body, self.media_type)[0]

    def apply(
        self, old: Object, target: Target, schemas: Schemas, codec: Codec, field_validation: str
    ) -> tuple[Object, list[str]]:
        """The wished object, decoded, in its storage version, and warnings.

        Raises:
            StatusError: 400, 409 or 422.
        """
        resource, version = target.resource, target.version
        shown = {**old, "apiVersion": resource.api_version(version)}
        shown["metadata"] = dict(old["metadata"])
        if self.media_type == STRATEGIC_MERGE_PATCH:
            schema = schemas.of(resource.group, version, resource.kind) or {}
            patched = algorithms.strategic_merge_patch(shown, self.content, schema, schemas)
        else:
            patched = self.apply_plain(shown)
        try:
            self._check_identity(patched, shown, resource)
            obj, warnings = codec.judge(patched, resource, version, field_validation)
        except StatusError as error:
            if error.code != 400:
                raise
            if self.media_type == STRATEGIC_MERGE_PATCH and isinstance(error.__cause__, WrongTypeError):
                # Its result is not decoded there, but converted, and not the result but the patch is shown.
                raise invalid_patch(plain(self.content), error.__cause__.converted) from None
            raise patched_is_invalid(patched, resource, error) from None
        return obj, warnings

    def _check_identity(self, patched: Object, shown: Object, resource: ResourceType) -> None:
        for field in ("apiVersion", "kind"):
            if patched.get(field, shown[field]) != shown[field]:
                raise bad_request(
                    f"the API version in the data ({patched.get('apiVersion')}) does not match "
                    f"the expected API version ({shown['apiVersion']})"
                    if field == "apiVersion"
                    else f'the kind in the data ("{patched.get("kind")}") is not {resource.kind}'
                )


def patch_type(content_type: str, resource: ResourceType) -> str:
    """Which kind of patch it is.

    Raises:
        StatusError: 415, one that is not spoken here.
    """
    media_type = content_type.partition(";")[0].strip()
    _check_media_type(media_type, resource)
    return media_type


def read_config(body: bytes, expected: tuple[str, str], field_validation: str) -> tuple[Object, list[str]]:
    """Read what is applied.

    Args:
        body: YAML or JSON.
        expected: API version and kind it has to have.
        field_validation: what to do about keys that are there twice.

    Returns:
        The object, and warnings for the client.

    Raises:
        StatusError: 400.
    """
    config, duplicates = decode_config(body)
    api_version, kind = config.get("apiVersion") or "", config.get("kind") or ""
    if (api_version, kind) != expected:
        group, _, version = str(api_version).rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={kind}")
    if duplicates and field_validation == "Strict":
        listed = "\n".join(f"  {sentence}" for sentence in duplicates)
        raise bad_request(
            f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n{listed}"
        )
    return config, duplicates if field_validation == "Warn" else []


def _check_media_type(media_type: str, resource: ResourceType) -> None:
    known = (
        (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
        if is_custom(resource)
        else (
            JSON_PATCH,
            MERGE_PATCH,
            STRATEGIC_MERGE_PATCH,
            APPLY_PATCH,
        )
    )
    if media_type in known:
        return
    if media_type == STRATEGIC_MERGE_PATCH:
        accepted = ", ".join(known)
        message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        raise StatusError(415, "UnsupportedMediaType", message)
    raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
