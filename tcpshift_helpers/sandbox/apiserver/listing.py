"""What a list or watch selects: selectors, pages, and the version it wants to see.

Pure. Pages are cut from the present state: a token remembers where to go on, not the state of its first page.

Source: kubernetes/apiserver pkg/storage/{continue,util}.go, apimachinery pkg/apis/meta/internalversion/validation; the order in which
faults are found is measured: numbers, selectors, what may not go together, the token, the version.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError, forbidden, invalid_options, not_supported
from tcpshift_helpers.sandbox.apiserver.go_values import json_type, quoted
from tcpshift_helpers.sandbox.apiserver.json_syntax import syntax_error
from tcpshift_helpers.sandbox.apiserver.request import integer, truthy, unsigned
from tcpshift_helpers.sandbox.apiserver.selectors import parse_field_selector, parse_label_selector
from tcpshift_helpers.sandbox.apiserver.status import bad_request, internal_error
from tcpshift_helpers.sandbox.apiserver.store import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105 - no password
_MATCH = "resourceVersionMatch"


@dataclass(frozen=True)
class ListOptions:
    """`metav1.ListOptions` of a list or a watch.

    Attributes:
        matches: label and field selectors as one test; None if there are none.
        limit: most objects of a page; none or a negative number means all.
        continued: the token of the page before, or empty.
        version: `resourceVersion` as it came; what is wrong with it is answered by who needs it.
        version_match: `Exact`, `NotOlderThan` or empty.
        timeout_seconds: of a watch; None if nothing is asked for.
        initial_events: `sendInitialEvents`; None if it is not there.
        bookmarks: `allowWatchBookmarks`.
    """

    matches: Callable[[Object], bool] | None = None
    limit: int = 0
    continued: str = ""
    version: str = ""
    version_match: str = ""
    timeout_seconds: int | None = None
    initial_events: bool | None = None
    bookmarks: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str], resource: ResourceType, *, is_watch: bool = False) -> ListOptions:
        """Read a query.

        Raises:
            StatusError: 400 or 422.
        """
        timeout, limit = integer(query.get("timeoutSeconds")), integer(query.get("limit"))
        options = cls(
            matches=_predicate(resource, query),
            limit=limit or 0,
            continued=query.get("continue", ""),
            version=query.get("resourceVersion", ""),
            version_match=query.get(_MATCH, ""),
            timeout_seconds=timeout,
            initial_events=truthy(query["sendInitialEvents"]) if "sendInitialEvents" in query else None,
            bookmarks=truthy(query.get("allowWatchBookmarks")),
        )
        errors = list(options._watch_errors() if is_watch else options._list_errors())
        if errors:
            raise invalid_options("ListOptions", errors)
        return options

    def _list_errors(self) -> Iterator[FieldError]:
        match = self.version_match
        if match:
            if not self.version:
                yield forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided")
            if self.continued:
                yield forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided")
            if match not in ("Exact", "NotOlderThan"):
                yield not_supported(_MATCH, match, ["Exact", "NotOlderThan", ""])
            if match == "Exact" and self.version == "0":
                yield forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"')
        if self.initial_events is not None:
            yield forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")

    def _watch_errors(self) -> Iterator[FieldError]:
        match = self.version_match
        if self.initial_events is not None and match != "NotOlderThan":
            yield forbidden(_MATCH, f"sendInitialEvents requires setting {_MATCH} to NotOlderThan")
        if match:
            if self.initial_events is None:
                yield forbidden(_MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided")
            if match != "NotOlderThan":
                yield not_supported(_MATCH, match, ["NotOlderThan"])
            if self.continued:
                yield forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided")

    def version_to_reach(self) -> int:
        """The version that a list names, which it may be of or not; 0 if it names none.

        Raises:
            StatusError: 400, it or the token cannot be read.
        """
        if self.continued:
            _start(self.continued)
            if self.version not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            return 0
        try:
            return unsigned(self.version) if self.version else 0
        except ValueError as error:
            raise bad_request(f"invalid resource version: {_invalid_version(self.version, error)}") from None

    def is_exact(self, version: int) -> bool:
        """Whether a list must be of this version, which it names, and of no newer one."""
        return self.version_match == "Exact" or (not self.version_match and self.limit > 0 and version > 0)


def _predicate(resource: ResourceType, query: Mapping[str, str]) -> Callable[[Object], bool] | None:
    label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
    if not label_text and not field_text:
        return None
    labels = parse_label_selector(label_text)
    fields = parse_field_selector(field_text, resource)
    return lambda obj: labels.matches(obj["metadata"].get("labels") or {}) and fields.matches(obj)


def read_version(asked: str) -> int:
    """The version that a get or a watch names; none is 0.

    Raises:
        StatusError: 500: as the real server says it of a version that is no number.
    """
    try:
        return unsigned(asked) if asked else 0
    except ValueError as error:
        raise internal_error(_invalid_version(asked, error)) from None


def _invalid_version(asked: str, error: ValueError) -> str:
    return f"resourceVersion: Invalid value: {quoted(asked)}: {error}"


def page(objs: Iterable[Object], options: ListOptions, revision: int) -> tuple[list[Object], Object]:
    """Cut the page that is asked for.

    Args:
        objs: selected objects in the order of their keys.
        options: limit and token; whether there are selectors.
        revision: version of the list.

    Returns:
        The objects of the page, and the list's metadata.

    Raises:
        StatusError: 400, the token cannot be read.
    """
    metadata: Object = {"resourceVersion": str(revision)}
    start = _start(options.continued) if options.continued else ""
    selected = [obj for obj in objs if _key(obj) >= start] if start else list(objs)
    if options.limit <= 0 or len(selected) <= options.limit:
        return selected, metadata
    token = {"v": _TOKEN_VERSION, "rv": revision, "start": _key(selected[options.limit])}
    metadata["continue"] = base64.urlsafe_b64encode(encode(token).encode()).decode().rstrip("=")
    if options.matches is None:  # as the real server does it
        metadata["remainingItemCount"] = len(selected) - options.limit
    return selected[: options.limit], metadata


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else str(metadata["name"])


def _start(token: str) -> str:
    """Where a token says to go on.

    Raises:
        StatusError: 400.
    """
    try:
        return _read_token(token)
    except ValueError as error:
        raise bad_request(f"invalid continue token: {error}") from None


def _read_token(token: str) -> str:
    problem = "continue key is not valid: "
    alphabet = re.match(r"[A-Za-z0-9_-]*", token)
    good = alphabet.end() if alphabet else 0
    if good < len(token) or good % 4 == 1:
        raise ValueError(f"{problem}illegal base64 data at input byte {good if good < len(token) else good - good % 4}")
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    try:
        read = json.loads(data)
    except ValueError:
        raise ValueError(problem + syntax_error(data)) from None
    if wrong := _wrong_type(read):
        raise ValueError(f"{problem}json: cannot unmarshal {wrong}")
    version, start = read.get("v", ""), read.get("start", "")
    if version != _TOKEN_VERSION:
        raise ValueError(f"{problem}server does not recognize this encoded version {version}")
    if not read.get("rv"):
        raise ValueError(f"{problem}incorrect encoded start resourceVersion (version {_TOKEN_VERSION})")
    if not start:
        raise ValueError(f"{problem}encoded start key empty (version {_TOKEN_VERSION})")
    return str(start)


def _wrong_type(read: Any) -> str:
    """What has another type than a token's, in the words of encoding/json; empty if all is well."""
    if not isinstance(read, dict):
        return f"{json_type(read)} into Go value of type storage.continueToken"
    for field, kind, name in (("v", str, "string"), ("rv", int, "int64"), ("start", str, "string")):
        if not isinstance(read.get(field, kind()), kind):
            return f"{json_type(read[field])} into Go struct field continueToken.{field} of type {name}"
    return ""
