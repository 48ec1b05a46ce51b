"""What is allowed in Deployments and ReplicaSets.

Pure; it expects defaults to be filled in.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

import re
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import (
    negative,
    shown_selector,
    validate_annotations,
    validate_labels,
    validate_selector,
)
from tcpshift_helpers.sandbox.apiserver.pod_rules import validate_pod_spec
from tcpshift_helpers.sandbox.apiserver.selectors import label_selector_from_object

Object = dict[str, Any]

_PERCENT = re.compile("[0-9]+%")
_NOT_A_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)


def validate_deployment(deployment: Object) -> list[FieldError]:
    """All objections to a Deployment but those to its metadata."""
    spec = deployment["spec"]
    found = negative("spec.replicas", spec.get("replicas"))
    found += _selector_and_template(spec, "deployment")
    found += _strategy(spec.get("strategy") or {})
    min_ready = spec.get("minReadySeconds") or 0
    found += negative("spec.minReadySeconds", min_ready)
    found += negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        found += negative("spec.progressDeadlineSeconds", deadline)
        if deadline <= min_ready:
            sentence = "must be greater than minReadySeconds"
            found.append(errors.invalid_value("spec.progressDeadlineSeconds", deadline, sentence))
    return found


def validate_replica_set(replica_set: Object) -> list[FieldError]:
    """All objections to a ReplicaSet but those to its metadata."""
    spec = replica_set["spec"]
    found = negative("spec.replicas", spec.get("replicas"))
    found += negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    return found + _selector_and_template(spec, "deployment")


def _selector_and_template(spec: Object, kind: str) -> list[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    readable = True
    found = []
    if selector is None:
        found.append(errors.required("spec.selector"))
    else:
        problems = validate_selector(selector, "spec.selector")
        found += problems
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            found.append(errors.invalid_value("spec.selector", {}, f"empty selector is invalid for {kind}"))
        readable = not problems
    if not readable:
        found.append(errors.invalid_value("spec.selector", shown_selector(selector), "invalid label selector"))
    else:
        found += _template(template, labels, selector)
    return found


def _template(template: Object, labels: Object | None, selector: Object | None) -> list[FieldError]:
    found = []
    if not label_selector_from_object(selector).matches(labels or {}):
        sentence = "`selector` does not match template `labels`"
        shown = None if labels is None else dict(sorted(labels.items()))
        found.append(errors.invalid_value("spec.template.metadata.labels", shown, sentence))
    found += validate_pod_template(template)
    pod_spec = template.get("spec") or {}
    policy = pod_spec.get("restartPolicy")
    if policy != "Always":
        found.append(errors.not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        sentence = "activeDeadlineSeconds in ReplicaSet is not Supported"
        found.append(errors.forbidden("spec.template.spec.activeDeadlineSeconds", sentence))
    return found


def validate_pod_template(template: Object) -> list[FieldError]:
    """All objections to a `spec.template` as such: labels, annotations, and the pod's spec."""
    metadata = template.get("metadata") or {}
    found = validate_labels(metadata.get("labels"), "spec.template.labels")
    found += validate_annotations(metadata.get("annotations"), "spec.template.annotations")
    return found + validate_pod_spec(template.get("spec") or {}, "spec.template.spec")


def _strategy(strategy: Object) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is None:
            return []
        sentence = "may not be specified when strategy `type` is 'Recreate'"
        return [errors.forbidden("spec.strategy.rollingUpdate", sentence)]
    if kind != "RollingUpdate":
        amounts = ("maxUnavailable", "maxSurge")
        shown_rolling = rolling and {key[0].upper() + key[1:]: rolling.get(key, 0) for key in amounts}
        shown = {"Type": kind, "RollingUpdate": shown_rolling}
        return [errors.not_supported("spec.strategy", shown, ("Recreate", "RollingUpdate"))]
    return _rolling_update(rolling or {}, "spec.strategy.rollingUpdate")


def _rolling_update(rolling: Object, field: str) -> list[FieldError]:
    found = []
    for key in ("maxUnavailable", "maxSurge"):
        found += _amount(rolling.get(key), f"{field}.{key}")
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        sentence = "may not be 0 when `maxSurge` is 0"
        found.append(errors.invalid_value(f"{field}.maxUnavailable", rolling.get("maxUnavailable"), sentence))
    unavailable = rolling.get("maxUnavailable")
    if isinstance(unavailable, str) and _PERCENT.fullmatch(unavailable) and int(unavailable[:-1]) > 100:
        found.append(errors.invalid_value(f"{field}.maxUnavailable", unavailable, "must not be greater than 100%"))
    return found


def _amount(value: Any, field: str) -> list[FieldError]:
    if isinstance(value, str):
        return [] if _PERCENT.fullmatch(value) else [errors.invalid_value(field, value, _NOT_A_PERCENT)]
    return negative(field, value)


def _is_zero(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_PERCENT.fullmatch(value)) and int(value[:-1]) == 0
    return bool(value == 0)


def validate_workload_update(workload: Object, old: Object) -> list[FieldError]:
    """A selector stays as it was made."""
    selector = workload["spec"].get("selector")
    if selector == old["spec"].get("selector"):
        return []
    return [errors.invalid_value("spec.selector", shown_selector(selector), "field is immutable")]


_COUNTS = {
    "Deployment": ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"),
    "ReplicaSet": ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
}


def validate_workload_status(status: Object, kind: str) -> list[FieldError]:
    """Counts are not negative, and none is larger than the one it is a part of."""
    counts = {key: status.get(key) or 0 for key in _COUNTS[kind]}
    found = [error for key, count in counts.items() for error in negative(f"status.{key}", count)]
    found += negative("status.observedGeneration", status.get("observedGeneration"))
    for key, count in counts.items():
        if key not in {"replicas", "unavailableReplicas"} and count > counts["replicas"]:
            found.append(errors.invalid_value(f"status.{key}", count, "cannot be greater than status.replicas"))
    if counts["availableReplicas"] > counts["readyReplicas"]:
        sentence = "cannot be greater than readyReplicas"
        found.append(errors.invalid_value("status.availableReplicas", counts["availableReplicas"], sentence))
    return found
