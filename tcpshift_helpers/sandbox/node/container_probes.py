"""The probes of one container together: startup first, then liveness and readiness.

Source: kubernetes 1.34 pkg/kubelet/prober/worker.go, pkg/kubelet/kuberuntime/kuberuntime_manager.go (messages).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from tcpshift_helpers.sandbox.node.probes import ProbeLoop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.node.probes import Target


class Probed(Protocol):
    """What is probed: it is told the verdicts."""

    def has_started(self) -> None:
        """The startup probe succeeded, or there is none."""

    def is_ready(self, *, ready: bool) -> None:
        """The readiness probe changed its mind, or there is none and the container has started."""

    def is_unhealthy(self, message: str, grace_seconds: float | None) -> None:
        """The liveness or startup probe failed: the container has to end."""

    def tell(self, event_type: str, reason: str, message: str) -> None:
        """Record an Event."""


class ContainerProbes:
    """Asks the probes of one running container."""

    def __init__(self, container: Mapping[str, Any], probed: Probed) -> None:
        self._container = container
        self._probed = probed
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, target: Target, *, ready: bool) -> None:
        """Begin to ask; `ready` is what is known of the container so far."""
        if "startupProbe" in self._container:
            self._tasks.append(asyncio.create_task(self._start_up(target)))
        else:
            self._started(target, ready=ready)

    def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _start_up(self, target: Target) -> None:
        """Ask until the first success; after too many failures in a row the container is to be ended."""
        probe = self._container["startupProbe"]
        failures = int(probe.get("failureThreshold") or 3)
        started = asyncio.Event()
        failed = asyncio.Event()
        count = 0

        def on_failure(output: str) -> None:
            nonlocal count
            count += 1
            self._tell_failure("Startup", output)
            if count >= failures:
                failed.set()

        loop = ProbeLoop(
            probe, target, quick_start=True, healthy=False, on_change=lambda _: started.set(), on_failure=on_failure
        )
        tasks = [asyncio.create_task(work) for work in (loop.run(), started.wait(), failed.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if started.is_set():
            self._started(target, ready=False)
        else:
            self._unhealthy("startup", "killed", probe)

    def _started(self, target: Target, *, ready: bool) -> None:
        self._probed.has_started()
        if "livenessProbe" in self._container:
            self._ask("livenessProbe", target, healthy=True)
        if "readinessProbe" in self._container:
            self._ask("readinessProbe", target, healthy=ready)
        else:
            self._probed.is_ready(ready=True)

    def _ask(self, field: str, target: Target, *, healthy: bool) -> None:
        liveness = field == "livenessProbe"
        probe = self._container[field]

        def on_change(well: bool) -> None:
            if not liveness:
                self._probed.is_ready(ready=well)
            elif not well:
                self._unhealthy("liveness", "restarted", probe)

        loop = ProbeLoop(
            probe,
            target,
            quick_start=not liveness and not healthy,
            healthy=healthy,
            on_change=on_change,
            on_failure=lambda output: self._tell_failure("Liveness" if liveness else "Readiness", output),
        )
        self._tasks.append(asyncio.create_task(loop.run()))

    def _tell_failure(self, kind: str, output: str) -> None:
        self._probed.tell("Warning", "Unhealthy", f"{kind} probe failed: {output}")

    def _unhealthy(self, kind: str, end: str, probe: Mapping[str, Any]) -> None:
        message = f"Container {self._container['name']} failed {kind} probe, will be {end}"
        grace = probe.get("terminationGracePeriodSeconds")
        self._probed.is_unhealthy(message, None if grace is None else float(grace))
