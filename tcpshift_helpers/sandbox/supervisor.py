"""Start, stop, look at and reset the sandbox of a state directory: what `connect()` and the command line call.

These functions run in the caller's process and only talk to the supervisor's: by its lock, its record and a signal.
What the supervisor itself does is in `supervise`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import errors
from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox import lock, preflight, readiness, record
from tcpshift_helpers.sandbox.network import API_PORT, GATEWAY_PORT
from tcpshift_helpers.sandbox.parts import command, environment, last_lines, open_log
from tcpshift_helpers.sandbox.supervise import EXIT_ANOTHER_HOLDS_THE_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

READY_TIMEOUT_SECONDS = 60.0
# The agent gets 12 s and the API server 5 s; see `supervise`.
STOP_TIMEOUT_SECONDS = 25.0

_POLL_SECONDS = 0.02

# Kept so that the supervisors that a long-lived process, such as a kernel, has started are reaped when they end.
_spawned: dict[Path, list[subprocess.Popen[bytes]]] = {}


@dataclass(frozen=True)
class Status:
    """What is known about the sandbox of one state directory.

    Attributes:
        state: `up`, `not ready` (starting, or a part is being restarted), `stopping` or `down`.
        home: the state directory.
        pid: of the supervisor; None when down.
        started_at: Unix seconds; None when down.
        server: URL of the API server; None when down.
        gateway: `address:port` of the ingress gateway; None when down.
        missing: what is not ready, when the state is `not ready`.
        parts: one dict a part with `name`, `pid`, `started_at`, `restarts`, `last_exit`, `last_exit_at`.
        error: why the last start failed; empty if it did not.
    """

    state: str
    home: str
    pid: int | None
    started_at: float | None
    server: str | None
    gateway: str | None
    missing: list[str]
    parts: list[dict[str, Any]]
    error: str


def start(home: Home, *, progress: Callable[[str], None] | None = None) -> None:
    """Start the sandbox and return when it is ready; return at once if it is.

    If another process is starting it, wait for the same. If the start fails or is interrupted, what this call started
    is stopped again.

    Args:
        home: the state directory.
        progress: called with one line of text whenever something became ready.

    Raises:
        PortInUseError: the gateway's or the kubelet's port is taken.
        SandboxError: the directory is not writable, Envoy is missing, a part keeps dying, or it is not ready in time.
    """
    say = progress or (lambda _: None)
    preflight.check_directory(home)
    process: subprocess.Popen[bytes] | None = None
    try:
        while _is_stopping(home):
            time.sleep(_POLL_SECONDS)
        if not lock.is_held(home.supervisor_lock):
            say("Starting the sandbox")
            with _signals_deferred():
                process = _spawn(home)
        elif not readiness.missing(home):
            return
        else:
            say("The sandbox is being started already; waiting for it")
        readiness.wait(home, lambda: _check_supervisor(home, process), READY_TIMEOUT_SECONDS, say)
    except BaseException:
        # KeyboardInterrupt as well: an unfinished sandbox is of no use to anybody.
        if process is not None and process.poll() != EXIT_ANOTHER_HOLDS_THE_LOCK:
            process.terminate()
            stop(home)
        raise


def stop(home: Home) -> bool:
    """Stop the sandbox, every pod and every process of it; what a killed supervisor left is ended, too.

    Returns:
        Whether anything was running.

    Raises:
        SandboxError: the supervisor cannot be stopped, for it belongs to another user.
    """
    from tcpshift_helpers.sandbox import leftovers  # noqa: PLC0415 (imports psutil)

    if not home.supervisor_lock.exists():
        _reap(home)
        return False
    was_running = lock.is_held(home.supervisor_lock)
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    signalled: int | None = None
    while lock.is_held(home.supervisor_lock):
        state = record.read(home)
        process = leftovers.find_part(home, state.pid) if state else None
        if process and process.pid != signalled:
            process.terminate()
            signalled = process.pid
        elif process and time.monotonic() > deadline:
            process.kill()
        elif time.monotonic() > deadline + 5.0:
            raise SandboxError(
                f"The sandbox's supervisor holds {home.supervisor_lock} and cannot be stopped. "
                f"Find it with: fuser {home.supervisor_lock}"
            )
        time.sleep(_POLL_SECONDS)
    _reap(home)
    state = record.read(home)
    if state and state.state not in {record.STOPPED, record.FAILED}:
        was_running = leftovers.end_all(home, state) or was_running
        state.state = record.STOPPED
        state.write(home)
    return was_running


def status(home: Home) -> Status:
    """Look at the sandbox; nothing is started or changed."""
    state = record.read(home)
    if state is None or not lock.is_held(home.supervisor_lock):
        error = state.error if state and state.state == record.FAILED else ""
        return Status("down", str(home.root), None, None, None, None, [], [], error)
    lacking = readiness.missing(home)
    name = "stopping" if state.state == record.STOPPING else "not ready" if lacking else "up"
    return Status(
        state=name,
        home=str(home.root),
        pid=state.pid,
        started_at=state.started_at,
        server=f"https://{state.api_server}:{API_PORT}" if state.api_server else None,
        gateway=f"{state.gateway}:{GATEWAY_PORT}" if state.gateway else None,
        missing=lacking,
        parts=state.parts,
        error="",
    )


def reset(home: Home, *, progress: Callable[[str], None] | None = None) -> None:
    """Forget all objects and pods; keep credentials and address. Start the sandbox again if it was up.

    Raises:
        SandboxError: as `start` and `stop` raise it.
    """
    was_running = stop(home)
    preflight.check_directory(home)
    guard = lock.FileLock(home.supervisor_lock)
    if not guard.acquire(timeout_seconds=1.0):
        raise SandboxError("The sandbox was started by another process in the middle of the reset; try again.")
    try:
        for path in home.root.glob(f"{home.database.name}*"):
            path.unlink()
        shutil.rmtree(home.pods)
        home.create()
    finally:
        guard.release()
    if was_running:
        start(home, progress=progress)


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Hold back Ctrl-C and its like: between a process's start and its being known, nobody could stop it."""
    if threading.current_thread() is not threading.main_thread():
        # Handlers run in the main thread alone, so nothing interrupts this one.
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    for number in came:
        signal.raise_signal(number)


def _spawn(home: Home) -> subprocess.Popen[bytes]:
    """Start a supervisor that outlives this process, its terminal and its notebook."""
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    log = open_log(home, "supervisor")
    try:
        process = subprocess.Popen(
            command("supervisor", until_stdin_closes=False),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,
            env=environment(home),
            **detached,
        )
    finally:
        os.close(log)
    _spawned.setdefault(home.root, []).append(process)
    return process


def _reap(home: Home) -> None:
    """Wait for the supervisors this process has started; the lock is free, so they are about to end."""
    for process in _spawned.pop(home.root, []):
        process.wait()


def _is_stopping(home: Home) -> bool:
    state = record.read(home)
    return bool(state and state.state == record.STOPPING and lock.is_held(home.supervisor_lock))


def _check_supervisor(home: Home, process: subprocess.Popen[bytes] | None) -> None:
    """Raise the supervisor's own error if the one we wait for has ended."""
    return_code = process.poll() if process else None
    if return_code is None and (process or lock.is_held(home.supervisor_lock)):
        return
    if return_code == EXIT_ANOTHER_HOLDS_THE_LOCK and lock.is_held(home.supervisor_lock):
        return
    state = record.read(home)
    if state and state.state == record.FAILED:
        raise getattr(errors, state.error_type, SandboxError)(state.error)
    if state and state.state in {record.STOPPING, record.STOPPED}:
        raise SandboxError("The sandbox was stopped while it was starting. Start it again: tcpshift up")
    log = home.logs / "supervisor.log"
    raise SandboxError(
        f"The sandbox's supervisor ended right after its start. The end of its log, {log}:\n{last_lines(log)}"
    )
