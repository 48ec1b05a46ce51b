"""The seam for admission plug-ins: they change or refuse objects on their way in, as webhooks do on a real cluster.

Pure. It knows no plug-in; they are handed to the server when it starts.

Source: kubernetes/apiserver pkg/admission/plugin/webhook/errors/statuserror.go (code and words of a refusal).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tcpshift_helpers.sandbox.apiserver.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]


class Admission(Protocol):
    """One plug-in.

    Attributes:
        name: name of the webhook it stands for, such as `validation.istio.io`.
    """

    name: str

    def mutate(self, operation: str, resource: ResourceType, obj: Object, namespace_labels: dict[str, str]) -> Object:
        """The object to store in place of `obj`; may be `obj` itself. Runs before defaulting and validation."""

    def validate(self, operation: str, resource: ResourceType, obj: Object, old: Object | None) -> str | None:
        """Why the object is refused, or None."""


def mutate(
    plugins: Sequence[Admission], operation: str, resource: ResourceType, obj: Object, namespace_labels: dict[str, str]
) -> Object:
    """Let each plug-in change the object, in order."""
    for plugin in plugins:
        obj = plugin.mutate(operation, resource, obj, namespace_labels)
    return obj


def validate(
    plugins: Sequence[Admission], operation: str, resource: ResourceType, obj: Object, old: Object | None
) -> None:
    """Ask each plug-in.

    Raises:
        StatusError: 400 without a reason (the webhook gives none), one refused.
    """
    for plugin in plugins:
        denial = plugin.validate(operation, resource, obj, old)
        if denial is not None:
            message = f'admission webhook "{plugin.name}" denied the request: {denial}'
            raise StatusError(400, "", message)
