"""What a request asks for: its path and query as data.

Pure. It knows the shape of Kubernetes' paths, not which kinds exist, and does not act on anything.

Source: kubernetes/apiserver pkg/endpoints/request/requestinfo.go; messages as kube-apiserver 1.34 answers them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.status import bad_request, invalid_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FALSE = frozenset({"0", "false"})
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_SIGN = re.compile(r"[-+]")
_MANAGER_BYTES = 128
_PROPAGATION = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True)
class ResourcePath:
    """A path below /api or /apis that names a resource.

    Attributes:
        group: API group, empty for the core group.
        version: API version.
        plural: resource name.
        namespace: namespace in the path, or empty.
        name: object name, or empty for a collection.
        subresource: such as `status`, or empty.
        watch: the deprecated /watch/ prefix was used.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watch: bool = False


def parse_path(path: str) -> ResourcePath | None:
    """Read a resource path; None if it is not one (discovery, health, unknown)."""
    parts = path.strip("/").split("/")
    if "" in parts:
        return None
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource, *extra = [*rest, "", ""][: max(3, len(rest))]
    if extra:
        subresource = "/".join([subresource, *extra])
    return ResourcePath(group, version, plural, namespace, name, subresource, watch)


def truthy(text: str | None) -> bool:
    """A query parameter's boolean, absent meaning no.

    Source: kubernetes/apimachinery pkg/runtime/converter.go (Convert_Slice_string_To_bool).
    """
    return text is not None and text.lower() not in _FALSE


def integer(text: str | None) -> int | None:
    """A query parameter's number, absent meaning None.

    Raises:
        StatusError: 400, it is not a number, or not one of 64 bits.
    """
    if text is None:
        return None
    digits = _SIGN.sub("", text, count=1) if _SIGN.match(text) else text
    try:
        number = _decimal("ParseInt", text, digits, 1 << 63)
    except ValueError as error:
        raise bad_request(str(error)) from None
    return -number if text.startswith("-") else number


def unsigned(text: str, bits: int = 64) -> int:
    """A number as Go's `strconv.ParseUint` reads it.

    Raises:
        ValueError: in its words.
    """
    return _decimal("ParseUint", text, text, 1 << bits)


def _decimal(function: str, text: str, digits: str, end: int) -> int:
    why = ""
    if not _DIGITS.fullmatch(digits):
        why = "invalid syntax"
    elif len(digits.lstrip("0")) > len(str(end)) or int(digits) >= end:
        why = "value out of range"
    if why:
        raise ValueError(f"strconv.{function}: parsing {quoted(text)}: {why}")
    return int(digits)


@dataclass(frozen=True)
class WriteOptions:
    """`CreateOptions`, `UpdateOptions` and `PatchOptions`.

    Attributes:
        dry_run: say what would happen, do nothing.
        field_validation: what to do about unknown fields.
        field_manager: who makes the change.
        force: an apply takes over what others own.
        warnings: what the client is told beside the answer, added as it is found.
    """

    dry_run: bool = False
    field_validation: str = "Warn"
    field_manager: str = ""
    force: bool = False
    warnings: list[str] = field(default_factory=list, compare=False)


def write_options(
    kind: str, query: Mapping[str, str], dry_run: Sequence[str], user_agent: str = "", *, apply: bool = False
) -> WriteOptions:
    """Read `dryRun`, `fieldValidation`, `fieldManager` and `force`.

    Args:
        kind: `CreateOptions`, `UpdateOptions` or `PatchOptions`, for the message.
        query: query parameters.
        dry_run: all values of `dryRun`.
        user_agent: names the manager of a client that does not say.
        apply: it is a server-side apply, which has to say.

    Raises:
        StatusError: 422, a value is not supported.
    """
    manager = _field_manager(kind, query, apply=apply)
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        supported = '"", "Ignore", "Strict", "Warn"'
        raise invalid_options(
            kind,
            "fieldValidation",
            "FieldValueNotSupported",
            f'Unsupported value: "{validation}": supported values: {supported}',
        )
    dry = _dry_run(kind, dry_run)
    return WriteOptions(dry, validation or "Warn", manager or _manager_of(user_agent), truthy(query.get("force")))


def _field_manager(kind: str, query: Mapping[str, str], *, apply: bool) -> str:
    manager = query.get("fieldManager", "")
    if apply and not manager:
        message = "Required value: is required for apply patch"
        raise invalid_options(kind, "fieldManager", "FieldValueRequired", message)
    if not apply and "force" in query and kind == "PatchOptions":
        message = "Forbidden: may not be specified for non-apply patch"
        raise invalid_options(kind, "force", "FieldValueForbidden", message)
    if len(manager.encode()) > _MANAGER_BYTES:
        message = f"Too long: may not be more than {_MANAGER_BYTES} bytes"
        raise invalid_options(kind, "fieldManager", "FieldValueTooLong", message)
    for character in manager:
        if not character.isprintable():
            at = len(manager[: manager.index(character)].encode())
            problem = f"invalid character U+{ord(character):04X} (at position {at})"
            message = f"Invalid value: {quoted(manager)}: {problem}"
            raise invalid_options(kind, "fieldManager", "FieldValueInvalid", message)
    return manager


def _manager_of(user_agent: str) -> str:
    """What stands before the first slash, as far as it is printable and short enough."""
    name = "".join(filter(str.isprintable, user_agent.partition("/")[0]))
    return name.encode()[:_MANAGER_BYTES].decode(errors="ignore")


def _dry_run(kind: str, values: Sequence[str]) -> bool:
    if values and set(values) != {"All"}:
        listed = ",".join(f'"{value}"' for value in values)
        raise invalid_options(
            kind, "dryRun", "FieldValueNotSupported", f'Unsupported value: [{listed}]: supported values: "All"'
        )
    return bool(values)


@dataclass(frozen=True)
class DeleteOptions:
    """`metav1.DeleteOptions`.

    Attributes:
        grace_period_seconds: None means the kind's default.
        propagation_policy: `Orphan`, `Background`, `Foreground` or None.
        uid: precondition, or None.
        resource_version: precondition, or None.
        dry_run: say what would happen, do nothing.
        non_cascading_asked: `orphanDependents: false` was given, which makes an unfinished deletion answer 202.
    """

    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    non_cascading_asked: bool = False


def delete_options(
    body: Mapping[str, object] | None, query: Mapping[str, str], dry_run: Sequence[str]
) -> DeleteOptions:
    """Read deletion options from the body, else from the query.

    Raises:
        StatusError: 400 or 422, a value is not supported.
    """
    if body:
        raw_preconditions = body.get("preconditions")
        preconditions = raw_preconditions if isinstance(raw_preconditions, dict) else {}
        grace, orphan, policy = (
            body.get("gracePeriodSeconds"),
            body.get("orphanDependents"),
            body.get("propagationPolicy"),
        )
        listed = body.get("dryRun")
        dry_run = [str(value) for value in listed] if isinstance(listed, list) else dry_run
    else:
        preconditions = {}
        grace, policy = integer(query.get("gracePeriodSeconds")), query.get("propagationPolicy")
        orphan = truthy(query["orphanDependents"]) if "orphanDependents" in query else None
    if orphan is not None and policy is not None:
        raise invalid_options(
            "DeleteOptions",
            "propagationPolicy",
            "FieldValueInvalid",
            f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set',
        )
    if policy is not None and policy not in _PROPAGATION:
        supported = ", ".join(f'"{value}"' for value in (*_PROPAGATION, "nil"))
        raise invalid_options(
            "DeleteOptions",
            "propagationPolicy",
            "FieldValueNotSupported",
            f'Unsupported value: "{policy}": supported values: {supported}',
        )
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    return DeleteOptions(
        grace_period_seconds=grace if isinstance(grace, int) else None,
        propagation_policy=policy if isinstance(policy, str) else None,
        uid=_text(preconditions.get("uid")),
        resource_version=_text(preconditions.get("resourceVersion")),
        dry_run=_dry_run("DeleteOptions", dry_run),
        non_cascading_asked=orphan is False,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
