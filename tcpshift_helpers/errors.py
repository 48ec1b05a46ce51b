"""Every error this package raises on purpose, in one tree.

Why one tree: a notebook can catch `TcpShiftError` and show its message; no `kubernetes.ApiException` and no
traceback of ours reaches a learner. Each message says what happened, why, and what to do.

This module imports nothing of the package; the sandbox may import it, and it may import only this of the helpers.
"""

from __future__ import annotations


class TcpShiftError(Exception):
    """Base of all errors of this package; `str()` of it is a complete message for a person."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the message alone."""
        return [f"{type(self).__name__}: {self}"]


class ClusterError(TcpShiftError):
    """The API server refused a request.

    Attributes:
        code: HTTP status code.
        reason: `metav1.Status` reason, such as `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`; empty if none was given.
        message: the server's own message.
    """

    def __init__(self, code: int, reason: str, message: str, hint: str = "") -> None:
        words = f"Error from server ({reason}): {message}" if reason else f"Error from server: {message}"
        super().__init__(f"{words}\n{hint}" if hint else words)
        self.code = code
        self.reason = reason
        self.message = message


class NotFoundError(ClusterError):
    """The named object, or its kind, does not exist (404)."""


class AlreadyExistsError(ClusterError):
    """An object of that name exists (409 AlreadyExists)."""


class ConflictError(ClusterError):
    """The object changed since it was read (409 Conflict)."""


class InvalidError(ClusterError):
    """The object was refused by validation (422) or could not be decoded (400)."""


class ForbiddenError(ClusterError):
    """The credentials are wrong or do not allow this (401 or 403)."""


class ClusterUnreachableError(TcpShiftError):
    """Nothing answers at the API server's address, or the kubeconfig names none."""


class ExecError(TcpShiftError):
    """A command run in a container could not be started or exited non-zero."""


class WaitTimeoutError(TcpShiftError):
    """A wait ended before its condition held; the message says what was last seen."""


class ManifestError(TcpShiftError):
    """A manifest cannot be read: missing file, malformed YAML, no kind."""


class UsageError(TcpShiftError):
    """A helper was called with something that cannot mean anything, such as a negative weight."""


class ProfileError(TcpShiftError):
    """The cluster lacks something the lesson needs, such as a gateway port; the message says how to add it."""


class HandoutError(TcpShiftError):
    """A handout cannot be made: no lessons in that language, no browser for PDF, a lesson that cannot be read."""


class SandboxError(TcpShiftError):
    """The sandbox could not be started, or a part of it failed."""


class PortInUseError(SandboxError):
    """An address and port the sandbox needs is taken by another process."""


class ProcessDiedError(SandboxError):
    """A part of the sandbox ended by itself."""


class ConfigRejectedError(SandboxError):
    """Envoy refused a configuration (NACK); the message carries Envoy's own words."""
