"""A pod in one line: how many containers are ready, its status in a word, its restarts.

Pure. The word is what learners look at first (`ContainerCreating`, `CrashLoopBackOff`, `Terminating`, `Completed`); it is
worked out from the phase and the containers' states as `kubectl get pods` shows it.

Source: kube-apiserver 1.34, measured state by state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tcpshift_helpers.sandbox.apiserver.durations import age

Object = dict[str, Any]

_TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


@dataclass
class PodSummary:
    """What a pod's line says.

    Attributes:
        status: the word.
        ready: containers that are ready, sidecars among them.
        total: containers that are to be ready.
        restarts: how often its containers were restarted.
        last_restart: when the last one ended, an RFC 3339 time.
    """

    status: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    last_restart: str = ""

    def ready_cell(self) -> str:
        """`1/2`."""
        return f"{self.ready}/{self.total}"

    def restarts_cell(self, now: datetime) -> str:
        """`0`, or `3 (20s ago)`."""
        if self.restarts and self.last_restart:
            return f"{self.restarts} ({age(self.last_restart, now)} ago)"
        return str(self.restarts)


def summarize(pod: Object) -> PodSummary:
    """Sum a pod up."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    phase = status.get("phase") or ""
    sidecars = {
        container["name"]
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    summary = PodSummary(status.get("reason") or phase, total=len(spec.get("containers") or ()) + len(sidecars))
    conditions = status.get("conditions") or ()
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in conditions):
        summary.status = "SchedulingGated"
    seen, initializing = _add_init_containers(summary, spec, status, sidecars)
    if not initializing or _is_true(conditions, "Initialized"):
        summary.restarts, summary.last_restart = 0, ""
        _add_restarts(summary, (one for one in seen if one.get("name") in sidecars))
        _add_containers(summary, status, conditions)
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            summary.status = "Unknown"
        elif phase not in _TERMINAL_PHASES:
            summary.status = "Terminating"
    return summary


def _is_true(conditions: Iterable[Object], kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _add_restarts(summary: PodSummary, statuses: Iterable[Object]) -> None:
    for status in statuses:
        summary.restarts += status.get("restartCount", 0)
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        summary.last_restart = max(summary.last_restart, ended)


def _add_init_containers(
    summary: PodSummary, spec: Object, status: Object, sidecars: set[str]
) -> tuple[list[Object], bool]:
    """Look for the first init container that is not done: those looked at, and whether the pod waits for the last."""
    statuses = list(status.get("initContainerStatuses") or ())
    for index, container in enumerate(statuses):
        _add_restarts(summary, [container])
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason") or ""
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.status = f"Init:{_ending(terminated)}"
        elif waiting and waiting != "PodInitializing":
            summary.status = f"Init:{waiting}"
        else:
            summary.status = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return statuses[: index + 1], True
    return statuses, False


def _ending(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _add_containers(summary: PodSummary, status: Object, conditions: Iterable[Object]) -> None:
    """The first container with something to say has the word, so the last one is asked first."""
    running = False
    statuses = list(status.get("containerStatuses") or ())
    _add_restarts(summary, statuses)
    for container in reversed(statuses):
        state = container.get("state") or {}
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting:
            summary.status = waiting
        elif state.get("terminated") is not None:
            summary.status = _ending(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.status == "Completed" and running:
        summary.status = "Running" if _is_true(conditions, "Ready") else "NotReady"
