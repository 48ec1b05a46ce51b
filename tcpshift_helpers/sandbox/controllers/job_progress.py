"""How far a Job has come, and what has to happen next. Pure: it looks at the Job and its pods, and acts on nothing.

Source: kubernetes 1.34 pkg/controller/job/{job_controller,backoff_utils}.go; conditions, their reasons and words measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.pod_conditions import condition, is_active, is_finished, is_ready, phase
from tcpshift_helpers.sandbox.controllers.timestamps import now, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Object = dict[str, Any]

TRACKING = "batch.kubernetes.io/job-tracking"
_FIRST_BACK_OFF_SECONDS = 10.0
_LONGEST_BACK_OFF_SECONDS = 600.0


@dataclass(frozen=True)
class Ending:
    """Why a Job ends.

    Attributes:
        condition: `Complete` or `Failed`.
        announced: the condition that comes before it, while pods are still ending.
        reason: of both conditions.
        message: of both conditions.
    """

    condition: str
    announced: str
    reason: str
    message: str


_COMPLETE = Ending("Complete", "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods")
_TOO_OFTEN = Ending("Failed", "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
_TOO_LONG = Ending("Failed", "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")


def is_ended(pod: Object) -> bool:
    """Whether it counts as succeeded or failed; one that is being deleted has failed."""
    return is_finished(pod) or is_being_deleted(pod)


def has_succeeded(pod: Object) -> bool:
    """Whether it ended well."""
    return phase(pod) == "Succeeded"


def is_tracked(pod: Object) -> bool:
    """Whether it has not been counted yet."""
    return TRACKING in (pod["metadata"].get("finalizers") or [])


def has_ended(job: Object) -> bool:
    """Whether the Job is complete or has failed."""
    return any(_is_true(job, kind) for kind in ("Complete", "Failed"))


def is_suspended(job: Object) -> bool:
    """Whether its author wants it to wait."""
    return bool(job["spec"].get("suspend"))


def ending(job: Object, pods: Sequence[Object]) -> Ending | None:
    """Why the Job ends now, if it does."""
    announced = next((one for one in (_COMPLETE, _TOO_OFTEN, _TOO_LONG) if _is_announced(job, one)), None)
    if announced is not None:
        return announced
    spec, status = job["spec"], job.get("status") or {}
    limit = spec.get("backoffLimit", 6)
    if (status.get("failed") or 0) > limit or _restarts_exceed(job, pods, limit):
        return _TOO_OFTEN
    if (seconds_to_deadline(job) or 1.0) <= 0:
        return _TOO_LONG
    succeeded, completions = status.get("succeeded") or 0, spec.get("completions")
    idle = not any(is_active(pod) for pod in pods)
    if (succeeded > 0 and idle) if completions is None else succeeded >= completions:
        return _COMPLETE
    return None


def _restarts_exceed(job: Object, pods: Sequence[Object], limit: int) -> bool:
    """Containers restarted in place count, too."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    statuses = (
        entry
        for pod in pods
        if is_active(pod)
        for part in ("initContainerStatuses", "containerStatuses")
        for entry in (pod.get("status") or {}).get(part) or []
    )
    restarts = sum(int(entry.get("restartCount") or 0) for entry in statuses)
    return restarts > 0 if limit == 0 else restarts >= limit


def seconds_to_deadline(job: Object) -> float | None:
    """How long the Job may still take; None without a deadline."""
    seconds, started = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    return None if seconds is None or not started or is_suspended(job) else float(seconds) - seconds_since(started)


def seconds_to_live(job: Object) -> float | None:
    """How long an ended Job is kept; None for ever."""
    seconds = job["spec"].get("ttlSecondsAfterFinished")
    if seconds is None:
        return None
    ended = next(one for kind in ("Complete", "Failed") if (one := condition(job, kind)) and one["status"] == "True")
    return float(seconds) - seconds_since(ended["lastTransitionTime"])


def wanted_pods(job: Object, active: int) -> int:
    """How many pods should run now."""
    spec, succeeded = job["spec"], (job.get("status") or {}).get("succeeded") or 0
    parallelism = int(spec.get("parallelism", 1))
    if spec.get("completions") is None:
        return min(active, parallelism) if succeeded else parallelism
    return max(min(int(spec["completions"]) - int(succeeded), parallelism), 0)


def back_off_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    return min(_FIRST_BACK_OFF_SECONDS * 2 ** max(failures - 1, 0), _LONGEST_BACK_OFF_SECONDS) if failures else 0.0


def counts(pods: Iterable[Object]) -> Object:
    """`active`, `ready` and `terminating`; a zero of `active` is not written."""
    pods = list(pods)
    active = [pod for pod in pods if is_active(pod)]
    terminating = sum(is_being_deleted(pod) and not is_finished(pod) for pod in pods)
    return {"active": len(active) or None, "ready": sum(map(is_ready, active)), "terminating": terminating}


def with_condition(job: Object, kind: str, reason: str, message: str, *, true: bool = True) -> list[Object]:
    """The Job's conditions with this one set; as they were if it is there already."""
    known = list((job.get("status") or {}).get("conditions") or [])
    status = "True" if true else "False"
    if any(one["type"] == kind and one["status"] == status for one in known):
        return known
    moment = now()
    head = {"type": kind, "status": status, "lastProbeTime": moment, "lastTransitionTime": moment}
    return [*(one for one in known if one["type"] != kind), {**head, "reason": reason, "message": message}]


def _is_true(job: Object, kind: str) -> bool:
    found = condition(job, kind)
    return found is not None and found["status"] == "True"


def _is_announced(job: Object, one: Ending) -> bool:
    found = condition(job, one.announced)
    return found is not None and found["status"] == "True" and found.get("reason") == one.reason
