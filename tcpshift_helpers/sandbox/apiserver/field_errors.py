"""What is wrong with a field, and the answer 422 that lists it.

Pure. It builds the sentences; which rule is broken is decided by the validation modules.

Source: kube-apiserver 1.34, measured: reasons of causes, order, and how values are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.go_values import compact_json, quoted
from tcpshift_helpers.sandbox.apiserver.status import StatusError

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType


@dataclass(frozen=True)
class FieldError:
    """One objection.

    Attributes:
        reason: of the cause in the answer's details, such as `FieldValueInvalid`.
        field: path, such as `spec.ports[0].port`.
        message: the objection without the path.
    """

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def shown(value: Any) -> str:
    """A value as an objection shows it: text in quotes, all else as JSON."""
    return quoted(value) if isinstance(value, str) else compact_json(value, sort_keys=False)


def _with_detail(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head


def invalid_value(field: str, value: Any, detail: str) -> FieldError:
    """The value is not allowed."""
    return FieldError("FieldValueInvalid", field, _with_detail(f"Invalid value: {shown(value)}", detail))


def wrong_type(field: str, value: Any, detail: str) -> FieldError:
    """The value has the wrong JSON type."""
    return FieldError("FieldValueTypeInvalid", field, _with_detail(f"Invalid value: {shown(value)}", detail))


def required(field: str, detail: str = "") -> FieldError:
    """The field must be set."""
    return FieldError("FieldValueRequired", field, _with_detail("Required value", detail))


def duplicate(field: str, value: Any) -> FieldError:
    """The value is there already."""
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {shown(value)}")


def forbidden(field: str, detail: str) -> FieldError:
    """The field must not be set, or not be changed."""
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """The value is not one of those there are."""
    listed = ", ".join(quoted(item) for item in supported)
    return FieldError("FieldValueNotSupported", field, f"Unsupported value: {shown(value)}: supported values: {listed}")


def not_found(field: str, value: Any) -> FieldError:
    """The value names something that is not there."""
    return FieldError("FieldValueNotFound", field, f"Not found: {shown(value)}")


def too_long(field: str, value: Any, maximum: int) -> FieldError:
    """The value is too long."""
    del value  # the real server stopped showing it
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {maximum} bytes")


def too_many(field: str, count: int, maximum: int) -> FieldError:
    """The list is too long."""
    return FieldError("FieldValueTooMany", field, f"Too many: {count}: must have at most {maximum} items")


def invalid(resource_type: ResourceType, name: str, errors: Sequence[FieldError]) -> StatusError:
    """The answer 422 Invalid, with one cause an objection."""
    return _invalid(resource_type.group, resource_type.kind, name, errors)


def invalid_options(kind: str, errors: Sequence[FieldError]) -> StatusError:
    """The answer 422 Invalid to options in a query, `metav1.{kind}`, that may not be, or not together."""
    return _invalid("meta.k8s.io", kind, "", errors)


def _invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> StatusError:
    group_kind = f"{kind}.{group}" if group else kind
    sentences = list(dict.fromkeys(str(error) for error in errors))
    listed = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value}
    details["causes"] = [{"reason": error.reason, "message": error.message, "field": error.field} for error in errors]
    return StatusError(
        422, "Invalid", f"{group_kind} {json.dumps(name, ensure_ascii=False)} is invalid: {listed}", details
    )
