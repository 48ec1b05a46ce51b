"""Questions a client asks about itself: may I (`kubectl auth can-i`), and who am I (`kubectl auth whoami`).

Pure. Reviews are answered and never kept. Whoever gets this far is the sandbox's owner, a member of system:masters, who
may do everything.

Source: kubernetes pkg/registry/{authorization,authentication}, pkg/apis/authorization/validation; words measured on kube-apiserver 1.34.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.authentication import USER
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError, invalid
from tcpshift_helpers.sandbox.apiserver.registry import timestamp
from tcpshift_helpers.sandbox.apiserver.status import bad_request

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

_EVERYTHING: Object = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}


def review(resource: ResourceType, asked: Object) -> Object:
    """The answer to a decoded review.

    Raises:
        StatusError: 400 or 422, the question is not clear.
    """
    head = {"kind": resource.kind, "apiVersion": resource.api_version()}
    spec = asked.get("spec") or {}
    if resource.kind == "SelfSubjectReview":
        return {**head, "metadata": {"creationTimestamp": timestamp()}, "status": {"userInfo": USER}}
    if resource.kind == "SelfSubjectRulesReview":
        if not spec.get("namespace"):
            raise bad_request("no namespace on request")
        return {**head, "metadata": {}, "spec": {}, "status": _EVERYTHING}
    objections = _unclear(spec, asked.get("metadata") or {})
    if objections:
        # The real server does not say which kind it means.
        raise invalid(replace(resource, kind=""), "", objections)
    return {**head, "metadata": {}, "spec": spec, "status": {"allowed": True}}


def _unclear(spec: Object, metadata: Object) -> list[FieldError]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    found: list[FieldError] = []
    if resource is not None and other is not None:
        shown = {"Path": other.get("path", ""), "Verb": other.get("verb", "")}
        sentence = "cannot be specified in combination with resourceAttributes"
        found.append(errors.invalid_value("spec.nonResourceAttributes", shown, sentence))
    if resource is None and other is None:
        sentence = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        found.append(errors.invalid_value("spec.resourceAttributes", None, sentence))
    if metadata:
        found.append(errors.invalid_value("metadata", metadata, "must be empty"))
    return found
