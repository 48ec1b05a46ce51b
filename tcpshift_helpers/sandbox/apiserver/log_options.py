"""What a request for a container's log asks for, read and judged before anything is looked up.

Pure.

Source: kubernetes 1.34 pkg/apis/core/validation (ValidatePodLogOptions), pkg/registry/core/pod/strategy.go (LogLocation).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError, forbidden, invalid, invalid_value
from tcpshift_helpers.sandbox.apiserver.field_types import RFC3339, WrongTypeError, check_time
from tcpshift_helpers.sandbox.apiserver.request import integer, truthy
from tcpshift_helpers.sandbox.apiserver.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

_FLAGS = ("follow", "previous", "timestamps")


def log_parameters(pods: ResourceType, name: str, query: Mapping[str, str]) -> dict[str, str]:
    """What the kubelet is asked with.

    Args:
        pods: the kind that has logs.
        name: of the pod, for the refusal.
        query: of the request.

    Raises:
        StatusError: 400, a number or a time cannot be read; 422, it makes no sense.
    """
    numbers = {"sinceSeconds": integer(query.get("sinceSeconds"))}
    since = query.get("sinceTime")
    if since is not None:
        try:
            check_time(since, RFC3339)
        except WrongTypeError as error:
            raise bad_request(str(error)) from None
    numbers |= {field: integer(query.get(field)) for field in ("tailLines", "limitBytes")}
    if errors := list(_objections(numbers, query)):
        raise invalid(replace(pods, kind="PodLogOptions"), name, errors)
    asked = {flag: "true" for flag in _FLAGS if truthy(query.get(flag))}
    asked |= {field: str(number) for field, number in numbers.items() if number is not None}
    return asked if since is None else {**asked, "sinceTime": since}


def _objections(numbers: Mapping[str, int | None], query: Mapping[str, str]) -> Iterator[FieldError]:
    tail, limit, seconds = numbers["tailLines"], numbers["limitBytes"], numbers["sinceSeconds"]
    if tail is not None and tail < 0:
        yield invalid_value("tailLines", tail, "must be greater than or equal to 0")
    if limit is not None and limit < 1:
        yield invalid_value("limitBytes", limit, "must be greater than 0")
    if seconds is not None and "sinceTime" in query:
        yield forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified")
    elif seconds is not None and seconds < 1:
        yield invalid_value("sinceSeconds", seconds, "must be greater than 0")
    if "stream" in query:
        yield forbidden("stream", "may not be specified")
