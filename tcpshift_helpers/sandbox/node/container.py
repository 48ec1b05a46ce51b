"""One container: pulled (from the table), started, probed, restarted with back-off, stopped.

It runs until it is not to be started again. What a pod is made of, and when it starts and ends, is `pod_worker`'s business.
Not done: postStart hooks, HTTP preStop hooks, volumes, resource limits, security contexts.

Source: kubernetes 1.34 pkg/kubelet/kuberuntime (kuberuntime_manager.go doBackOff, kuberuntime_container.go), images.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox.client import ApiError, UnreachableError
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.node import environment, images, processes, proxy
from tcpshift_helpers.sandbox.node.container_log import LogPump
from tcpshift_helpers.sandbox.node.container_probes import ContainerProbes
from tcpshift_helpers.sandbox.node.container_process import UNKNOWN_EXIT_CODE, ContainerProcess
from tcpshift_helpers.sandbox.node.image_pull import pull
from tcpshift_helpers.sandbox.node.probes import Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.node.pod_worker import PodWorker

FIRST_BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 300.0
_FORGIVEN_AFTER_SECONDS = 600.0
_CONFIG_RETRY_SECONDS = 5.0
_UNREACHABLE_RETRY_SECONDS = 0.2
_START_ERROR_EXIT_CODE = 128
_LAST_OUTPUT_SECONDS = 0.5


class BackOff:
    """How long a container that keeps ending has to wait: at first not at all, then 10 s doubling to 5 min."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def next(self, ran_seconds: float) -> float:
        """The pause before the next start, after a run of that length; ten good minutes are a fresh start."""
        if ran_seconds > _FORGIVEN_AFTER_SECONDS:
            self._seconds = 0.0
        pause = self._seconds
        self._seconds = min(max(FIRST_BACK_OFF_SECONDS, pause * 2), LONGEST_BACK_OFF_SECONDS)
        return pause


def go_duration(seconds: float) -> str:
    """Whole seconds as Go writes them: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


class Container:
    """One container of one pod.

    Attributes:
        name: its name.
        process: what runs, if anything does.
        pump: carries its present log.
        started: set once it has started for good (its startup probe, if it has one, succeeded).
    """

    def __init__(
        self,
        worker: PodWorker,
        spec: Mapping[str, Any],
        *,
        restart_policy: str,
        waiting_reason: str,
        runs_to_completion: bool = False,
    ) -> None:
        self.name: str = spec["name"]
        self.process: ContainerProcess | None = None
        self.pump: LogPump | None = None
        self.started = asyncio.Event()
        self._worker = worker
        self._spec = spec
        self._restart_policy = restart_policy
        self._runs_to_completion = runs_to_completion
        self._restart_count = 0
        self._state: dict[str, Any] = {"waiting": {"reason": waiting_reason}}
        self._last_state: dict[str, Any] = {}
        self._ready = False
        self._back_off = BackOff()
        self._environment: dict[str, str] = {}
        self._task: asyncio.Task[Any] | None = None
        self._probes = ContainerProbes(spec, self)
        self._stopping = False

    # What others see.

    def status(self) -> dict[str, Any]:
        """Its `ContainerStatus`."""
        status = {
            "name": self.name,
            "state": self._state,
            "lastState": self._last_state,
            "ready": self._ready,
            "restartCount": self._restart_count,
            "image": self._spec["image"],
            "imageID": "" if "waiting" in self._state and not self._last_state else f"tcpshift://{self._spec['image']}",
            "started": self.started.is_set(),
        }
        identity = (self._state.get("running") and self._container_id()) or (
            self._state.get("terminated") or self._last_state.get("terminated") or {}
        ).get("containerID")
        return status | ({"containerID": identity} if identity else {})

    def log_path(self, *, previous: bool = False) -> Path:
        """Where its log is, or that of the run before."""
        return self._worker.directory / "logs" / self.name / f"{self._restart_count - previous}.log"

    @property
    def environment(self) -> Mapping[str, str]:
        """All variables of its present run."""
        return self._environment

    @property
    def working_directory(self) -> Path:
        """Where it runs."""
        return self._worker.working_directory(self.name)

    @property
    def has_previous(self) -> bool:
        """Whether it ran before."""
        return self._restart_count > 0

    @property
    def waiting_reason(self) -> str | None:
        """Why it has not started, if it never has."""
        return None if "waiting" not in self._state or self._last_state else self._state["waiting"].get("reason")

    # Its life.

    def begin(self) -> asyncio.Task[Any]:
        """Start to live; the task ends when it is not to be started again."""
        self._task = asyncio.create_task(self._live(), name=f"container {self.name}")
        return self._task

    def restore(self, known: Mapping[str, Any], record: processes.ProcessRecord | None) -> None:
        """Go on from the status an earlier agent wrote; call it before `begin`.

        A process of its that still runs is taken over. If none does though it should, that counts as an end.
        """
        self._restart_count = int(known.get("restartCount") or 0)
        self._last_state = dict(known.get("lastState") or {})
        state = dict(known.get("state") or {})
        self.process = ContainerProcess.adopt(record) if record is not None else None
        if self.process is not None:
            self._restart_count = self.process.record.restart_count
            self._state = state if "running" in state else {"running": {"startedAt": now()}}
            self._ready = bool(known.get("ready")) and "readinessProbe" in self._spec
        elif "running" in state:
            ended = {
                "exitCode": UNKNOWN_EXIT_CODE,
                "reason": "Unknown",
                "startedAt": state["running"].get("startedAt"),
                "finishedAt": now(),
                "containerID": known.get("containerID"),
            }
            self._state = {"terminated": ended}
        elif "terminated" in state:
            self._state = state
        elif self._last_state:
            self._state, self._last_state = self._last_state, {}

    async def stop(self, grace_seconds: float) -> None:
        """End it: preStop hook, SIGTERM, and after the grace period SIGKILL."""
        self._stopping = True
        if self._task is None and self.process is not None:
            # Taken over from an earlier agent, only to be ended.
            self._task = asyncio.create_task(self._outlive(self.process))
        if self._task is None or self._task.done():
            return
        if self.process is None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            return
        self.tell("Normal", "Killing", f"Stopping container {self.name}")
        deadline = time.monotonic() + grace_seconds
        if grace_seconds > 0:
            await self._pre_stop(grace_seconds)
            self.process.signal_group(signal.SIGTERM)
            await asyncio.wait([self._task], timeout=max(0.0, deadline - time.monotonic()))
        self.kill()
        await asyncio.gather(self._task, return_exceptions=True)

    async def finish(self) -> None:
        """End it at once, without a word."""
        self._stopping = True
        self.kill()
        if self._task is not None:
            if self.process is None:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def kill(self) -> None:
        """Send SIGKILL to what runs."""
        if self.process is not None:
            self.process.signal_group(signal.SIGKILL)

    async def _live(self) -> None:
        if "terminated" in self._state:
            if not self._is_to_restart(self._state["terminated"]["exitCode"]):
                return
            self._restart()
        while True:
            began = time.monotonic()
            try:
                code = await self._run_once()
            except (images.StartError, proxy.ConfigError, SandboxError, OSError) as error:
                self.tell("Warning", "Failed", f"Error: {error}")
                self._ended(_START_ERROR_EXIT_CODE, "StartError", str(error))
                code = _START_ERROR_EXIT_CODE
            if self._stopping or not self._is_to_restart(code):
                return
            await self._wait_to_restart(time.monotonic() - began)
            self._restart()

    async def _run_once(self) -> int:
        if self.process is None:
            image = await pull(self._spec, self)
            await self._configure()
            self.process = self._start(image)
            self._running({"running": {"startedAt": now()}})
        else:
            await self._configure()
            self._open_log().start()
            self._running(self._state)
        try:
            code = await self._outlive(self.process)
        finally:
            self._probes.stop()
        return code

    async def _outlive(self, process: ContainerProcess) -> int:
        code = await process.wait()
        self.process = None
        if self.pump is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.pump.ended.wait(), _LAST_OUTPUT_SECONDS)
            self.pump.close()
        processes.remove_record(self._worker.directory, self.name)
        self._ended(code, "Completed" if code == 0 else "Error")
        return code

    def _is_to_restart(self, code: int) -> bool:
        return self._restart_policy == "Always" or (self._restart_policy == "OnFailure" and code != 0)

    async def _wait_to_restart(self, ran_seconds: float) -> None:
        pause = self._back_off.next(ran_seconds)
        if pause == 0:
            return
        pod = self._worker.pod["metadata"]
        where = f"{pod['name']}_{pod['namespace']}({pod['uid']})"
        self.tell("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {where}")
        message = f"back-off {go_duration(pause)} restarting failed container={self.name} pod={where}"
        self._last_state = self._state
        self.wait("CrashLoopBackOff", message)
        await asyncio.sleep(pause)

    def _restart(self) -> None:
        if "terminated" in self._state:
            self._last_state = self._state
        self._restart_count += 1

    async def _configure(self) -> None:
        while True:
            try:
                self._environment = await self._worker.environment_of(self._spec)
            except UnreachableError:
                await asyncio.sleep(_UNREACHABLE_RETRY_SECONDS)
            except (environment.ConfigError, ApiError) as error:
                self.tell("Warning", "Failed", f"Error: {error}")
                self.wait("CreateContainerConfigError", str(error))
                await asyncio.sleep(_CONFIG_RETRY_SECONDS)
            else:
                return

    def _start(self, image: images.Image) -> ContainerProcess:
        words = self._command_line(image)
        pump = self._open_log()
        pump.start()
        output = pump.open_writer()
        try:
            with _own_errors(words[0]):
                process = ContainerProcess.start(
                    words,
                    environment=self._environment,
                    pod_directory=self._worker.directory,
                    working_directory=self._worker.working_directory(self.name),
                    container=self.name,
                    restart_count=self._restart_count,
                    output=output,
                )
        except images.StartError:
            pump.close()
            raise
        finally:
            # The container holds its own copy; ours would keep the pipe from ever ending.
            os.close(output)
        self.tell("Normal", "Created", f"Created container: {self.name}")
        self.tell("Normal", "Started", f"Started container {self.name}")
        return process

    def _open_log(self) -> LogPump:
        self.pump = LogPump(self._worker.working_directory(self.name) / ".output", self.log_path())
        return self.pump

    def _command_line(self, image: images.Image) -> list[str]:
        if image.kind == images.ENVOY:
            is_router = "router" in (self._spec.get("args") or [])
            worker = self._worker
            socket = os.path.relpath(worker.admin_socket, self.working_directory)
            return proxy.command_line(image, worker.pod, worker.directory, worker.address, socket, is_router=is_router)
        command = environment.expand_all(self._spec.get("command"), self._environment)
        arguments = environment.expand_all(self._spec.get("args"), self._environment)
        return images.command_line(image, command, arguments, self._environment.get("PATH"))

    # Its state.

    def _running(self, state: dict[str, Any]) -> None:
        self._state = state
        self._probes.start(self._target(), ready=self._ready)
        self._worker.changed()

    def _ended(self, code: int, reason: str, message: str = "") -> None:
        running = self._state.get("running") or {}
        ended = {
            "exitCode": code,
            "reason": reason,
            "startedAt": running.get("startedAt"),
            "finishedAt": now(),
            "containerID": self._container_id(),
        }
        self._state = {"terminated": ended | ({"message": message} if message else {})}
        # An init container is ready once it has done its work.
        self._ready = self._runs_to_completion and code == 0
        self.started.clear()
        self._worker.changed()

    def _container_id(self) -> str:
        uid = self._worker.pod["metadata"]["uid"]
        return "tcpshift://" + hashlib.sha256(f"{uid}/{self.name}/{self._restart_count}".encode()).hexdigest()

    # What its probes and its image ask of it.

    def tell(self, event_type: str, reason: str, message: str) -> None:
        """Record an Event about it."""
        self._worker.event(event_type, reason, message, self)

    def wait(self, reason: str, message: str) -> None:
        """Be in the state `waiting`."""
        self._state = {"waiting": {"reason": reason, "message": message}}
        self._worker.changed()

    def has_started(self) -> None:
        """It has started for good."""
        self.started.set()
        self._worker.changed()

    def is_ready(self, *, ready: bool) -> None:
        """It is ready, or no longer."""
        self._ready = ready
        self._worker.changed()

    def is_unhealthy(self, message: str, grace_seconds: float | None) -> None:
        """It has to end, and to start again if its restart policy says so."""
        if self._stopping or self.process is None:
            return
        self.tell("Normal", "Killing", message)
        self._worker.spawn(self._end_unhealthy(self._worker.grace_seconds if grace_seconds is None else grace_seconds))

    async def _end_unhealthy(self, grace_seconds: float) -> None:
        process = self.process
        if process is None:
            return
        process.signal_group(signal.SIGTERM)
        await asyncio.sleep(grace_seconds)
        if self.process is process:
            process.signal_group(signal.SIGKILL)

    def _target(self) -> Target:
        ports = {port["name"]: port["containerPort"] for port in self._spec.get("ports") or [] if port.get("name")}
        directory = str(self._worker.working_directory(self.name))
        return Target(self._worker.probe_address(self.name), ports, self._environment, directory)

    async def _pre_stop(self, grace_seconds: float) -> None:
        hook = (self._spec.get("lifecycle") or {}).get("preStop") or {}
        if "sleep" in hook:
            await asyncio.sleep(min(grace_seconds, float(hook["sleep"].get("seconds") or 0)))
        elif "exec" in hook:
            try:
                process = await asyncio.create_subprocess_exec(
                    *hook["exec"]["command"],
                    env=self._environment,
                    cwd=self._worker.working_directory(self.name),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                code = await asyncio.wait_for(process.wait(), grace_seconds)
            except (OSError, TimeoutError):
                code = -1
            if code != 0:
                self.tell("Warning", "FailedPreStopHook", "PreStopHook failed")


@contextlib.contextmanager
def _own_errors(program: str) -> Any:
    try:
        yield
    except OSError as error:
        raise images.StartError(f'exec: "{program}": {(error.strerror or str(error)).lower()}') from error
