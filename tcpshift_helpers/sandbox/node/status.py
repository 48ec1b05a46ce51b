"""From what containers do to what a pod's status says. Pure.

Source: kubernetes 1.34 pkg/kubelet/kubelet_pods.go (getPhase), pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tcpshift_helpers.sandbox.controllers.timestamps import now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Statuses: TypeAlias = Sequence[Mapping[str, Any]]


def is_sidecar(container: Mapping[str, Any]) -> bool:
    """Whether an init container runs beside the others for good."""
    return container.get("restartPolicy") == "Always"


def phase(spec: Mapping[str, Any], init: Statuses, main: Statuses, *, ending: bool) -> str:
    """The pod's phase.

    Args:
        spec: the pod's spec.
        init: statuses of its init containers, as far as they have any.
        main: statuses of its containers.
        ending: whether no container will be started again, whatever the restart policy.
    """
    policy = spec.get("restartPolicy", "Always")
    by_name = {status["name"]: status for status in init}
    for container in spec.get("initContainers") or []:
        state = _state(by_name.get(container["name"]))
        done = state == "succeeded" or (is_sidecar(container) and state in ("running", "failed"))
        if state == "failed" and not is_sidecar(container) and policy == "Never":
            return "Failed"
        if not done and not any(_has_run(status) for status in main):
            return "Pending"
    states = [_state(status) for status in main]
    if len(main) < len(spec["containers"]) or "waiting" in states:
        return "Pending"
    if "running" in states:
        return "Running"
    succeeded = all(state == "succeeded" for state in states)
    if ending or policy == "Never" or (policy == "OnFailure" and succeeded):
        return "Succeeded" if succeeded else "Failed"
    return "Running"


def _state(status: Mapping[str, Any] | None) -> str:
    """`running`, `waiting` (never ran), `succeeded` or `failed`; one that waits to run again counts by its last end."""
    if status is None:
        return "waiting"
    state = status["state"]
    if "running" in state:
        return "running"
    terminated = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    if terminated is None:
        return "waiting"
    return "succeeded" if terminated["exitCode"] == 0 else "failed"


def _has_run(status: Mapping[str, Any]) -> bool:
    return _state(status) != "waiting"


def conditions(pod: Mapping[str, Any], pod_phase: str, init: Statuses, main: Statuses) -> list[dict[str, Any]]:
    """The five conditions of a pod bound to a node, with transition times kept where nothing changed."""
    known = {entry["type"]: entry for entry in (pod.get("status") or {}).get("conditions") or []}
    has_address = bool((pod.get("status") or {}).get("podIP"))
    containers_ready = _containers_ready(pod["spec"], pod_phase, main)
    found = {
        "PodReadyToStartContainers": ("True" if has_address and pod_phase not in _ENDED else "False", "", ""),
        "Initialized": _initialized(pod["spec"], pod_phase, init, main),
        "Ready": _ready(pod, containers_ready),
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    others = [dict(entry) for name, entry in known.items() if name not in found]
    return [_condition(pod, known.get(name), name, words) for name, words in found.items()] + others


_ENDED = ("Succeeded", "Failed")


def _condition(
    pod: Mapping[str, Any], known: Mapping[str, Any] | None, name: str, words: tuple[str, str, str]
) -> dict[str, Any]:
    status, reason, message = words
    same = known is not None and known["status"] == status
    condition: dict[str, Any] = {
        "type": name,
        "status": status,
        "lastProbeTime": None,
        "lastTransitionTime": known["lastTransitionTime"] if known is not None and same else now(),
    }
    if pod["metadata"].get("generation"):
        condition["observedGeneration"] = pod["metadata"]["generation"]
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _containers_ready(spec: Mapping[str, Any], pod_phase: str, main: Statuses) -> tuple[str, str, str]:
    if pod_phase == "Succeeded":
        return "False", "PodCompleted", ""
    if pod_phase == "Failed":
        return "False", "PodFailed", ""
    by_name = {status["name"]: status for status in main}
    names = [container["name"] for container in spec["containers"]]
    unready = [name for name in names if not (by_name.get(name) or {}).get("ready")]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _ready(pod: Mapping[str, Any], containers_ready: tuple[str, str, str]) -> tuple[str, str, str]:
    if containers_ready[0] != "True":
        return containers_ready
    known = {entry["type"]: entry["status"] for entry in (pod.get("status") or {}).get("conditions") or []}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        name = gate["conditionType"]
        if name not in known:
            messages.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif known[name] != "True":
            messages.append(f'the status of pod readiness gate "{name}" is not "True", but {known[name]}')
    return ("False", "ReadinessGatesNotReady", ", ".join(messages)) if messages else ("True", "", "")


def _initialized(spec: Mapping[str, Any], pod_phase: str, init: Statuses, main: Statuses) -> tuple[str, str, str]:
    if pod_phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any(_has_run(status) for status in main):
        return "True", "", ""
    by_name = {status["name"]: status for status in init}
    incomplete = []
    for container in spec.get("initContainers") or []:
        status = by_name.get(container["name"]) or {}
        if not (status.get("started") if is_sidecar(container) else status.get("ready")):
            incomplete.append(container["name"])
    if incomplete:
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        return "False", "ContainersNotInitialized", message
    return "True", "", ""
