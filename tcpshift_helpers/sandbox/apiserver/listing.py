"""What a list or watch selects: selectors, pages, and the version it wants to see.

Pure. Pages are cut from the present state: a token remembers where to go on, not the state of its first page.

Source: kubernetes/apiserver pkg/storage/continue.go, apimachinery pkg/apis/meta/internalversion/validation.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.request import integer, unsigned
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


def check_list_options(query: Mapping[str, str]) -> None:
    """Refuse what makes no sense for a list.

    Raises:
        StatusError: 422; 400, a time that is no number.

    Source: kubernetes/apimachinery pkg/apis/meta/internalversion/validation (ValidateListOptions).
    """
    integer(query.get("timeoutSeconds"))
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not asked:
        raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match and query.get("continue"):
        raise _forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
    if match not in ("", "Exact", "NotOlderThan"):
        message = f'Unsupported value: {quoted(match)}: supported values: "Exact", "NotOlderThan", ""'
        raise invalid_options("ListOptions", "resourceVersionMatch", "FieldValueNotSupported", message)
    if match == "Exact" and asked == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise _forbidden("resourceVersionMatch", why)
    if "sendInitialEvents" in query:
        raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _forbidden(field: str, why: str) -> StatusError:
    return invalid_options("ListOptions", field, "FieldValueForbidden", f"Forbidden: {why}")


def version_of(query: Mapping[str, str], *, is_list: bool = False) -> int:
    """The version that a get, list or watch names; 0 if it names none.

    Raises:
        StatusError: 500, or 400 for a list: it is no number.
    """
    asked = query.get("resourceVersion", "")
    try:
        return unsigned(asked) if asked else 0
    except ValueError as error:
        message = f"resourceVersion: Invalid value: {quoted(asked)}: {error}"
        if is_list:
            raise bad_request(f"invalid resource version: {message}") from None
        raise internal_error(message) from None


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
