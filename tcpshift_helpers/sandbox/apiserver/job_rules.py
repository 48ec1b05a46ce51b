"""What is allowed in Jobs.

Pure; it expects defaults to be filled in, and the selector to be made. Not judged: pod failure policies, success policies
and backoff limits per index, which nothing here acts on.

Source: kube-apiserver 1.34, sentences and their order measured; kubernetes pkg/apis/batch/validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import negative, validate_selector
from tcpshift_helpers.sandbox.apiserver.selectors import label_selector_from_object
from tcpshift_helpers.sandbox.apiserver.strategy import CONTROLLER_UID_LABEL, JOB_NAME_LABEL
from tcpshift_helpers.sandbox.apiserver.workload_rules import validate_pod_template

Object = dict[str, Any]

_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_RESTART_POLICIES = ("OnFailure", "Never")
_REPLACEMENT_POLICIES = ("Failed", "TerminatingOrFailed")
# Parts of a template that may be changed while a suspended Job has not started.
_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def validate_job(job: Object) -> list[FieldError]:
    """All objections to a Job but those to its metadata."""
    spec = job["spec"]
    found = list(_generated_selector(job))
    found += [error for key in _COUNTS for error in negative(f"spec.{key}", spec.get(key))]
    found += _completion_mode(spec)
    if spec.get("podReplacementPolicy") not in _REPLACEMENT_POLICIES:
        policy = spec.get("podReplacementPolicy")
        found.append(errors.not_supported("spec.podReplacementPolicy", policy, _REPLACEMENT_POLICIES))
    template = spec.get("template") or {}
    found += validate_pod_template(template)
    found += _restart_policy((template.get("spec") or {}).get("restartPolicy"))
    return found + list(_selector(spec, template))


def _generated_selector(job: Object) -> Iterator[FieldError]:
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    name, uid = metadata.get("name", ""), metadata.get("uid", "")
    expected = {"controller-uid": uid, "job-name": name, CONTROLLER_UID_LABEL: uid, JOB_NAME_LABEL: name}
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    for key, value in expected.items():
        field = "spec.template.metadata.labels"
        if key not in labels:
            yield errors.required(f"{field}[{key}]", f"must be '{value}'")
        elif labels[key] != value:
            yield errors.invalid_value(f"{field}[{key}]", labels, f"must be '{value}'")
    readable = not validate_selector(spec["selector"], "spec.selector")
    if readable and not label_selector_from_object(spec["selector"]).matches(expected):
        yield errors.invalid_value("spec.selector", spec["selector"], "`selector` not auto-generated")


def _completion_mode(spec: Object) -> Iterator[FieldError]:
    mode = spec.get("completionMode")
    if mode not in ("NonIndexed", "Indexed"):
        yield errors.not_supported("spec.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        yield errors.required("spec.completions", "when completion mode is Indexed")


def _restart_policy(policy: str | None) -> list[FieldError]:
    field = "spec.template.spec.restartPolicy"
    if policy in (None, "", "Always"):
        listed = ", ".join(f'"{name}"' for name in _RESTART_POLICIES)
        return [errors.required(field, f"valid values: {listed}")]
    return [] if policy in _RESTART_POLICIES else [errors.not_supported(field, policy, _RESTART_POLICIES)]


def _selector(spec: Object, template: Object) -> Iterator[FieldError]:
    selector = spec.get("selector")
    problems = [errors.required("spec.selector")] if selector is None else validate_selector(selector, "spec.selector")
    yield from problems
    labels = (template.get("metadata") or {}).get("labels")
    readable = selector is None or not problems
    if readable and not label_selector_from_object(selector).matches(labels or {}):
        sentence = "`selector` does not match template `labels`"
        yield errors.invalid_value("spec.template.metadata.labels", labels, sentence)


def validate_job_update(job: Object, old: Object) -> list[FieldError]:
    """Completions, selector, template and completion mode stay as they were made."""
    spec, before = job["spec"], old["spec"]
    found: list[FieldError] = []
    if spec.get("completions") != before.get("completions"):
        found += _completions(spec)
    if spec.get("selector") != before.get("selector"):
        found.append(errors.invalid_value("spec.selector", spec.get("selector"), "field is immutable"))
    if _fixed(spec["template"], old) != _fixed(before["template"], old):
        found.append(errors.invalid_value("spec.template", spec["template"], "field is immutable"))
    if spec.get("completionMode") != before.get("completionMode"):
        found.append(errors.invalid_value("spec.completionMode", spec.get("completionMode"), "field is immutable"))
    return found


def _completions(spec: Object) -> list[FieldError]:
    completions = spec.get("completions")
    if spec.get("completionMode") != "Indexed":
        return [errors.invalid_value("spec.completions", completions, "field is immutable")]
    if completions in (None, spec.get("parallelism")):
        return []
    sentence = "can only be modified in tandem with spec.parallelism"
    return [errors.invalid_value("spec.completions", completions, sentence)]


def _fixed(template: Object, old: Object) -> Object:
    """The part of a template that may not change: all of it once the Job has started."""
    waiting = old["spec"].get("suspend") and not (old.get("status") or {}).get("startTime")
    if not waiting:
        return template
    return {key: value for key, value in (template.get("spec") or {}).items() if key not in _SCHEDULING}


def validate_job_status(job: Object) -> list[FieldError]:
    """Counts are not negative, and a Job ends as it may."""
    status = job.get("status") or {}
    counts = ("active", "succeeded", "failed", "ready", "terminating")
    found = [error for key in counts for error in negative(f"status.{key}", status.get(key))]
    found += _ending(status)
    if (status.get("ready") or 0) > (status.get("active") or 0):
        found.append(errors.invalid_value("status.ready", status["ready"], "cannot set more ready pods than active"))
    return found


def _ending(status: Object) -> Iterator[FieldError]:
    true = {one.get("type") for one in status.get("conditions") or [] if one.get("status") == "True"}
    completed, failed = "Complete" in true, "Failed" in true
    if status.get("completionTime") and not completed:
        sentence = "cannot set completionTime when there is no Complete=True condition"
        yield errors.invalid_value("status.completionTime", status["completionTime"], sentence)
    if completed and not status.get("completionTime"):
        yield errors.required("status.completionTime", "completionTime is required for Complete jobs")
    for ends, kind, before in ((failed, "Failed", "FailureTarget"), (completed, "Complete", "SuccessCriteriaMet")):
        if ends and before not in true:
            message = f"Invalid value: cannot set {kind}=True condition without the {before}=true condition"
            yield FieldError("FieldValueInvalid", "status.conditions", message)
    if not completed and not failed:
        return
    if (status.get("active") or 0) > 0:
        yield errors.invalid_value("status.active", status["active"], "active>0 is invalid for finished job")
    if not status.get("startTime"):
        yield errors.required("status.startTime", "startTime is required for finished job")
    if (status.get("terminating") or 0) > 0:
        sentence = "terminating>0 is invalid for finished job"
        yield errors.invalid_value("status.terminating", status["terminating"], sentence)
