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
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The `metav1.Status` object of this error."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            status["details"] = self.details
        return status
