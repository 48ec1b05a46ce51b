"""The arithmetic of a Deployment: how many pods of which template, and what its status says. Pure.

It decides; `deployment` writes. Objects are raw dicts as the API server defaulted them.

Source: kubernetes 1.34 pkg/controller/deployment/util/deployment_util.go, sync.go, progress.go, rolling.go.
"""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.timestamps import now, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
POD_TEMPLATE_HASH = "pod-template-hash"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_NOT_COPIED = {
    LAST_APPLIED,
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
}
_NO_DEADLINE = 2**31 - 1
_LONGEST_HISTORY = 2000
_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def replicas(obj: Mapping[str, Any]) -> int:
    """`spec.replicas` of a Deployment or ReplicaSet."""
    return int(obj["spec"].get("replicas", 1))


def in_status(obj: Mapping[str, Any], field: str) -> int:
    """A count in the status; absent means zero."""
    return int((obj.get("status") or {}).get(field) or 0)


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The annotations; empty if there are none."""
    return obj["metadata"].get("annotations") or {}


def is_rolling_update(deployment: Mapping[str, Any]) -> bool:
    """Whether the strategy is RollingUpdate."""
    return bool((deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def scaled_value(value: int | str, total: int, *, round_up: bool) -> int:
    """A count, or a percentage of `total` such as `25%`."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def fenceposts(deployment: Mapping[str, Any]) -> tuple[int, int]:
    """(max surge, max unavailable) in pods; never both zero, or nothing could ever move."""
    if not is_rolling_update(deployment):
        return 0, 0
    limits = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    total = replicas(deployment)
    surge = scaled_value(limits.get("maxSurge", "25%"), total, round_up=True)
    unavailable = scaled_value(limits.get("maxUnavailable", "25%"), total, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, 0 if total == 0 else min(unavailable, total)


def max_surge(deployment: Mapping[str, Any]) -> int:
    """Pods allowed above the wished count."""
    return fenceposts(deployment)[0]


def min_available(deployment: Mapping[str, Any]) -> int:
    """Pods that must stay available during a rolling update."""
    return replicas(deployment) - fenceposts(deployment)[1]


def total_replicas(replica_sets: Iterable[Mapping[str, Any]]) -> int:
    """Wished pods of all the ReplicaSets together."""
    return sum(replicas(replica_set) for replica_set in replica_sets)


def total_in_status(replica_sets: Iterable[Mapping[str, Any]], field: str) -> int:
    """A status count of all the ReplicaSets together."""
    return sum(in_status(replica_set, field) for replica_set in replica_sets)


def by_creation(replica_sets: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first, then by name."""
    return sorted(replica_sets, key=lambda rs: (rs["metadata"].get("creationTimestamp", ""), rs["metadata"]["name"]))


def active(replica_sets: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that wish for pods."""
    return [replica_set for replica_set in replica_sets if replicas(replica_set) > 0]


def template_without_hash(template: Mapping[str, Any]) -> dict[str, Any]:
    """A pod template as it was before the pod-template-hash label was added."""
    plain = copy.deepcopy(dict(template))
    metadata = {key: value for key, value in (plain.get("metadata") or {}).items() if value is not None}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != POD_TEMPLATE_HASH}
    plain["metadata"] = {**metadata, "labels": labels}
    return plain


def find_new(deployment: Mapping[str, Any], replica_sets: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The oldest ReplicaSet that has the Deployment's template."""
    wanted = template_without_hash(deployment["spec"]["template"])
    for replica_set in by_creation(replica_sets):
        if template_without_hash(replica_set["spec"]["template"]) == wanted:
            return replica_set
    return None


def template_hash(template: Mapping[str, Any], collision_count: int | None) -> str:
    """The value of `pod-template-hash`.

    FNV-1a over canonical JSON, spelt in the real one's alphabet. The real controller hashes a dump of Go structures,
    so its values differ; nothing depends on them but names.
    """
    digest = 0x811C9DC5
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    for byte in (text + (f"#{collision_count}" if collision_count else "")).encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_SAFE_ALPHABET[ord(character) % len(_SAFE_ALPHABET)] for character in str(digest))


def revision_of(replica_set: Mapping[str, Any]) -> int:
    """The revision annotation as a number; 0 if absent or no number."""
    text = annotations_of(replica_set).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def new_annotations(
    deployment: Mapping[str, Any], replica_set: Mapping[str, Any], new_revision: int, *, exists: bool
) -> dict[str, str]:
    """The annotations the newest ReplicaSet should have: the Deployment's own, its revision and its history."""
    result = dict(annotations_of(replica_set))
    result |= {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    old_revision = result.get(REVISION)
    if int(old_revision or 0) < new_revision:
        result[REVISION] = str(new_revision)
        if old_revision is not None:
            history = [entry for entry in result.get(REVISION_HISTORY, "").split(",") if entry] + [old_revision]
            while len(",".join(history)) > _LONGEST_HISTORY:
                history.pop(0)
            result[REVISION_HISTORY] = ",".join(history)
    return result if exists else result | replica_annotations(deployment)


def replica_annotations(deployment: Mapping[str, Any]) -> dict[str, str]:
    """What ReplicaSets remember of the Deployment's size, to tell a scaling from a rollout."""
    total = replicas(deployment)
    return {DESIRED_REPLICAS: str(total), MAX_REPLICAS: str(total + max_surge(deployment))}


def new_replica_count(deployment: Mapping[str, Any], all_sets: list[dict[str, Any]], current: int) -> int:
    """How many pods the newest ReplicaSet, which has `current`, may have now."""
    total = replicas(deployment)
    if not is_rolling_update(deployment):
        return total
    room = total + max_surge(deployment) - total_replicas(all_sets)
    return current if room <= 0 else current + min(room, total - current)


def is_scaling_event(deployment: Mapping[str, Any], replica_sets: Iterable[dict[str, Any]]) -> bool:
    """Whether the Deployment's size changed since its active ReplicaSets last heard of it."""
    known = (annotations_of(replica_set).get(DESIRED_REPLICAS, "") for replica_set in active(replica_sets))
    return any(text.isdecimal() and int(text) != replicas(deployment) for text in known)


def is_saturated(deployment: Mapping[str, Any], replica_set: Mapping[str, Any] | None) -> bool:
    """Whether the newest ReplicaSet alone carries the Deployment."""
    if replica_set is None:
        return False
    total = replicas(deployment)
    return (
        replicas(replica_set) == total
        and annotations_of(replica_set).get(DESIRED_REPLICAS) == str(total)
        and in_status(replica_set, "availableReplicas") == total
    )


def proportional_sizes(deployment: Mapping[str, Any], replica_sets: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Sizes by which ReplicaSets in the middle of a rollout follow a scaling, in order of writing.

    Returns:
        (name, size) of each ReplicaSet in `replica_sets`, all of which must be active.
    """
    total = replicas(deployment)
    allowed = total + max_surge(deployment) if total > 0 else 0
    to_add = allowed - total_replicas(replica_sets)
    newest_first = list(reversed(by_creation(replica_sets)))
    ordered = sorted(newest_first if to_add >= 0 else by_creation(replica_sets), key=replicas, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for replica_set in ordered:
        share = 0
        if to_add != added:
            fraction = _fraction(deployment, replica_set)
            share = min(fraction, to_add - added) if to_add > 0 else max(fraction, to_add - added)
        sizes[replica_set["metadata"]["name"]] = replicas(replica_set) + (share if to_add else 0)
        added += share if to_add else 0
    if ordered and to_add:
        largest = ordered[0]["metadata"]["name"]
        sizes[largest] = max(0, sizes[largest] + to_add - added)
    return list(sizes.items())


def _fraction(deployment: Mapping[str, Any], replica_set: Mapping[str, Any]) -> int:
    if replicas(deployment) == 0:
        return -replicas(replica_set)
    text = annotations_of(replica_set).get(MAX_REPLICAS, "")
    before = int(text) if text.isdecimal() and int(text) else in_status(deployment, "replicas")
    if before == 0:
        return 0
    after = replicas(deployment) + max_surge(deployment)
    # Half away from zero, as Go rounds; Python's round() goes to even.
    return math.floor(replicas(replica_set) * after / before + 0.5) - replicas(replica_set)


def has_deadline(deployment: Mapping[str, Any]) -> bool:
    """Whether lack of progress is to be reported."""
    return int(deployment["spec"].get("progressDeadlineSeconds", _NO_DEADLINE)) != _NO_DEADLINE


def find_condition(status: Mapping[str, Any], condition_type: str) -> dict[str, Any] | None:
    """The condition of that type in a status."""
    return next((entry for entry in status.get("conditions") or [] if entry["type"] == condition_type), None)


def set_condition(
    status: dict[str, Any], condition_type: str, value: str, reason: str, message: str, *, refresh: bool = False
) -> None:
    """Put a condition into `status` (changed in place), unless one of the same status and reason is there.

    Args:
        status: the status to change.
        condition_type: such as `Available`.
        value: `True`, `False` or `Unknown`.
        reason: one CamelCase word.
        message: a sentence.
        refresh: renew `lastUpdateTime` even if status and reason are the same.
    """
    known = find_condition(status, condition_type)
    if known is not None and known["status"] == value and known.get("reason") == reason and not refresh:
        return
    moment = now()
    transition = known["lastTransitionTime"] if known is not None and known["status"] == value else moment
    remove_condition(status, condition_type)
    status["conditions"].append(
        {
            "type": condition_type,
            "status": value,
            "lastUpdateTime": moment,
            "lastTransitionTime": transition,
            "reason": reason,
            "message": message,
        }
    )


def remove_condition(status: dict[str, Any], condition_type: str) -> None:
    """Take a condition out of `status` (changed in place)."""
    status["conditions"] = [entry for entry in status.get("conditions") or [] if entry["type"] != condition_type]


def is_complete(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether all pods are of the new template, available, and none is left over."""
    total = replicas(deployment)
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    return all(int(status.get(field) or 0) == total for field in counts) and int(
        status.get("observedGeneration") or 0
    ) >= int(deployment["metadata"].get("generation") or 0)


def calculate_status(
    deployment: Mapping[str, Any], new_set: Mapping[str, Any] | None, old_sets: list[dict[str, Any]]
) -> dict[str, Any]:
    """The status that the ReplicaSets imply, with the conditions so far and Available brought up to date."""
    all_sets = [*old_sets, *([new_set] if new_set else [])]
    available = total_in_status(all_sets, "availableReplicas")
    before = deployment.get("status") or {}
    status: dict[str, Any] = {
        "observedGeneration": deployment["metadata"].get("generation"),
        "replicas": total_in_status(all_sets, "replicas"),
        "updatedReplicas": in_status(new_set, "replicas") if new_set else 0,
        "readyReplicas": total_in_status(all_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total_replicas(all_sets) - available),
        "collisionCount": before.get("collisionCount"),
        "conditions": copy.deepcopy(before.get("conditions") or []),
    }
    if available >= min_available(deployment):
        set_condition(status, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        set_condition(
            status,
            "Available",
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    return status


def judge_progress(deployment: Mapping[str, Any], new_set: Mapping[str, Any] | None, status: dict[str, Any]) -> None:
    """Bring the condition Progressing in `status` (changed in place) up to date."""
    if not has_deadline(deployment):
        remove_condition(status, "Progressing")
        return
    before = deployment.get("status") or {}
    current = find_condition(before, "Progressing")
    complete_already = current is not None and current.get("reason") == "NewReplicaSetAvailable"
    if complete_already and int(status["replicas"]) == int(status["updatedReplicas"]):
        return
    subject = (
        f'ReplicaSet "{new_set["metadata"]["name"]}"' if new_set else f'Deployment "{deployment["metadata"]["name"]}"'
    )
    if is_complete(deployment, status):
        message = f"{subject} has successfully progressed."
        set_condition(status, "Progressing", "True", "NewReplicaSetAvailable", message)
    elif _made_progress(before, status):
        set_condition(status, "Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", refresh=True)
    elif _timed_out(deployment, status):
        message = f"{subject} has timed out progressing."
        set_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", message)


def _made_progress(before: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    def count(of: Mapping[str, Any], field: str) -> int:
        return int(of.get(field) or 0)

    old_before = count(before, "replicas") - count(before, "updatedReplicas")
    old_after = count(status, "replicas") - count(status, "updatedReplicas")
    grew = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old_after < old_before or any(count(status, field) > count(before, field) for field in grew)


def _timed_out(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    condition = find_condition(status, "Progressing")
    if condition is None or condition.get("reason") == "NewReplicaSetAvailable":
        return False
    if condition.get("reason") == "ProgressDeadlineExceeded":
        return True
    return seconds_since(condition["lastUpdateTime"]) > int(deployment["spec"]["progressDeadlineSeconds"])


def seconds_to_deadline(deployment: Mapping[str, Any], status: Mapping[str, Any]) -> float | None:
    """When to look again for lack of progress; None if there is nothing to wait for."""
    condition = find_condition(status, "Progressing")
    if not has_deadline(deployment) or condition is None or is_complete(deployment, status):
        return None
    if condition.get("reason") == "ProgressDeadlineExceeded" or deployment["spec"].get("paused"):
        return None
    # A second more, because times in conditions are whole seconds.
    remaining = int(deployment["spec"]["progressDeadlineSeconds"]) - seconds_since(condition["lastUpdateTime"])
    return max(0.0, remaining) + 1
