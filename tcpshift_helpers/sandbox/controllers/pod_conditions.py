"""What a pod's status says about it: active, ready, available. Pure.

Source: kubernetes pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.timestamps import seconds_since

if TYPE_CHECKING:
    from collections.abc import Mapping


def phase(pod: Mapping[str, Any]) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_finished(pod: Mapping[str, Any]) -> bool:
    """Whether it ended for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Mapping[str, Any]) -> bool:
    """Whether it counts towards the replicas of its controller."""
    return not is_finished(pod) and not is_being_deleted(pod)


def condition(obj: Mapping[str, Any], condition_type: str) -> dict[str, Any] | None:
    """The condition of that type in an object's status, if it is there."""
    for entry in (obj.get("status") or {}).get("conditions") or []:
        if entry["type"] == condition_type:
            return dict(entry)
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether its condition Ready is true."""
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"


def seconds_until_available(pod: Mapping[str, Any], min_ready_seconds: int) -> float | None:
    """How long a ready pod still has to stay ready before it counts as available.

    Returns:
        0 or less if it is available now, None if it is not ready.
    """
    found = condition(pod, "Ready")
    if found is None or found["status"] != "True":
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = found.get("lastTransitionTime")
    return min_ready_seconds - seconds_since(since) if since else float(min_ready_seconds)


def is_available(pod: Mapping[str, Any], min_ready_seconds: int) -> bool:
    """Whether it has been ready for at least `min_ready_seconds`."""
    remaining = seconds_until_available(pod, min_ready_seconds)
    return remaining is not None and remaining <= 0
