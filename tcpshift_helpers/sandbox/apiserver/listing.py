"""What a list or watch selects: selectors, pages, and the version it wants to see.

Pure. Pages are cut from the present state: a token remembers where to go on, not the state of its first page.

Source: kubernetes/apiserver pkg/storage/continue.go, apimachinery pkg/apis/meta/internalversion/validation.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.request import integer
from tcpshift_helpers.sandbox.apiserver.selectors import parse_field_selector, parse_label_selector
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error, invalid_options
from tcpshift_helpers.sandbox.apiserver.store import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]


def predicate(resource: ResourceType, query: Mapping[str, str]) -> Callable[[Object], bool] | None:
    """The label and field selectors of a query as one test, or None if there are none.

    Raises:
        StatusError: 400, a selector cannot be read.
    """
    label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not label_text and not field_text:
        return None
    labels = parse_label_selector(label_text)
    fields = parse_field_selector(field_text, resource)
    return lambda obj: labels.matches(obj["metadata"].get("labels") or {}) and fields.matches(obj)


def check_version(query: Mapping[str, str], current: int, *, is_list: bool) -> None:
    """Refuse a version that is no number or not reached yet.

    Args:
        query: of a get or list.
        current: version of the last write.
        is_list: `resourceVersionMatch` is read too.

    Raises:
        StatusError: 422, 500 or 504.
    """
    asked = query.get("resourceVersion", "")
    if is_list and query.get("resourceVersionMatch") and not asked:
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid_options("ListOptions", "resourceVersionMatch", "FieldValueForbidden", message)
    if asked and not asked.isdigit():
        raise invalid_version(asked)
    if asked and int(asked) > current:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {asked}, current: {current}"
        raise StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def invalid_version(asked: str) -> StatusError:
    """500: as the real server says it of a version that is no number."""
    return internal_error(
        f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax'
    )


def page(
    objs: Iterable[Object], query: Mapping[str, str], revision: int, *, counted: bool
) -> tuple[list[Object], Object]:
    """Cut the page a query asks for.

    Args:
        objs: selected objects in the order of their keys.
        query: `limit` and `continue` are read.
        revision: version of the list.
        counted: say how many remain (the real server does so when there are no selectors).

    Returns:
        The objects of the page, and the list's metadata.

    Raises:
        StatusError: 400, the token or limit cannot be read.
    """
    metadata: Object = {"resourceVersion": str(revision)}
    limit = integer(query.get("limit")) or 0
    start = _start(query.get("continue", ""))
    selected = [obj for obj in objs if _key(obj) >= start] if start else list(objs)
    if limit <= 0 or len(selected) <= limit:
        return selected, metadata
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": _key(selected[limit])}
    metadata["continue"] = base64.urlsafe_b64encode(encode(token).encode()).decode().rstrip("=")
    if counted:
        metadata["remainingItemCount"] = len(selected) - limit
    return selected[:limit], metadata


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else str(metadata["name"])


def _start(token: str) -> str:
    if not token:
        return ""
    try:
        return str(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
