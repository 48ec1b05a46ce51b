"""`metav1.Status`: how the API server says no.

Pure. It builds the error bodies; which error applies is decided by whoever raises it.

Source: kubernetes/apimachinery pkg/api/errors (codes, reasons and wordings as the real server answers them).
"""

from __future__ import annotations

from typing import Any


class StatusError(Exception):
    """An answer other than success.

    Attributes:
        code: HTTP status code.
        reason: machine-readable reason, such as `NotFound`.
        message: what a person reads.
        details: `metav1.StatusDetails`, or None.
        warnings: to be sent with the answer, as Warning headers.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.warnings: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The `metav1.Status` object of this error."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def not_found(group: str, plural: str, name: str) -> StatusError:
    """404: no object of that name."""
    resource = f"{plural}.{group}" if group else plural
    return StatusError(404, "NotFound", f'{resource} "{name}" not found', _details(group, plural, name))


def unknown_resource() -> StatusError:
    """404: no such resource in a group that is served."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405: the resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def already_exists(group: str, plural: str, name: str) -> StatusError:
    """409: an object of that name is there."""
    resource = f"{plural}.{group}" if group else plural
    return StatusError(409, "AlreadyExists", f'{resource} "{name}" already exists', _details(group, plural, name))


def conflict(group: str, plural: str, name: str, why: str) -> StatusError:
    """409: the object is not in the state the request supposes."""
    resource = f"{plural}.{group}" if group else plural
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(group, plural, name))


def forbidden(group: str, plural: str, name: str, why: str, causes: list[dict[str, str]] | None = None) -> StatusError:
    """403: a rule of the server, not of permissions, says no."""
    resource = f"{plural}.{group}" if group else plural
    details = _details(group, plural, name)
    if causes:
        details["causes"] = causes
    return StatusError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}', details)


def too_large_request(why: str) -> StatusError:
    """413: more was sent than is read."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def internal_error(message: str) -> StatusError:
    """500 without a reason, as errors that the real server did not foresee are answered."""
    return StatusError(500, "", message)


def invalid_options(kind: str, field: str, reason: str, message: str) -> StatusError:
    """422: a query parameter or option of `metav1.{kind}` is not allowed."""
    return StatusError(
        422,
        "Invalid",
        f'{kind}.meta.k8s.io "" is invalid: {field}: {message}',
        {"group": "meta.k8s.io", "kind": kind, "causes": [{"reason": reason, "message": message, "field": field}]},
    )


def _details(group: str, plural: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in details.items() if value}
