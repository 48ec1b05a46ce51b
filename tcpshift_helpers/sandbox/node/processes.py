"""Processes of containers as they are recorded: found again, and ended.

Each started process is written down in `pods/<uid>/processes/<container>.json` with its pid and the moment it was created, so
that an agent that was killed finds its containers again and nobody ever ends a stranger's process that was given the same pid.
`stop_all` needs no agent. Starting is `container_process`'s business. The supervisor imports this: no asyncio here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

# In the environment of every container: proof of whose it is.
MARK = "TCPSHIFT_CONTAINER"
_SAME_MOMENT_SECONDS = 0.05
_CLOCK_STEP_SECONDS = 5.0
_TERMINATION_SECONDS = 2.0
_KILL_SECONDS = 2.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessRecord:
    """One started container.

    Attributes:
        container: its name.
        pid: process id; also the id of its process group.
        created: moment the system created the process, Unix seconds.
        restart_count: how often the container had been started before.
        mark: value of `MARK` in its environment.
    """

    container: str
    pid: int
    created: float
    restart_count: int
    mark: str


def directory(pod_directory: Path) -> Path:
    """Where the records of a pod are."""
    return pod_directory / "processes"


def read_records(pod_directory: Path) -> list[ProcessRecord]:
    """The records of a pod; unreadable ones are left out."""
    records = []
    for path in sorted(directory(pod_directory).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            records.append(ProcessRecord(**json.loads(path.read_bytes())))
    return records


def write_record(pod_directory: Path, record: ProcessRecord) -> None:
    """Write a record, whole or not at all."""
    folder = directory(pod_directory)
    folder.mkdir(mode=0o700, exist_ok=True)
    temporary = folder / f"{record.container}.new"
    temporary.write_text(json.dumps(asdict(record)), encoding="utf-8")
    temporary.replace(folder / f"{record.container}.json")


def remove_record(pod_directory: Path, container: str) -> None:
    """Forget a container that has ended."""
    (directory(pod_directory) / f"{container}.json").unlink(missing_ok=True)


def find(record: ProcessRecord) -> psutil.Process | None:
    """The living process of a record; None if it ended, or its pid now belongs to a stranger."""
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        difference = abs(process.create_time() - record.created)
        if difference < _SAME_MOMENT_SECONDS:
            return process
        # The clock may have been set meanwhile; then the mark decides.
        if difference < _CLOCK_STEP_SECONDS and _mark(process) == record.mark:
            return process
    except (psutil.Error, OSError):
        return None
    return None


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, number)


def stop_all(home: Home) -> int:
    """End every container's process of this state directory, with or without an agent: SIGTERM, then SIGKILL for the group.

    Returns:
        How many were running.
    """
    return stop_pods(_pod_directories(home)) + end_unrecorded(home)


def end_unrecorded(home: Home) -> int:
    """End what an agent left that was killed between starting a process and writing it down.

    Call it while no agent starts containers.

    Returns:
        How many were running.
    """
    pods = f"{home.pods}{os.sep}"
    records = [record for folder in _pod_directories(home) for record in read_records(folder)]
    # What a container started itself has inherited its mark.
    recorded = {record.mark for record in records if find(record)}
    unrecorded = _kill([process for process, mark in _marks() if mark.startswith(pods) and mark not in recorded])
    still_running(unrecorded, _KILL_SECONDS)
    return len(unrecorded)


def end_all_of(leader: int, mark: str) -> None:
    """End at once all that a session's leader has started: what is in its session, and what has left that with its mark.

    What is started meanwhile is ended, too. Call it before the leader is reaped: until then its number is no stranger's.

    Args:
        leader: process id, and so the id of its session.
        mark: value of `MARK` in its environment, no other's.
    """
    while left := [process for process, found in _marks() if found == mark or _is_in_session(process.pid, leader)]:
        running = _kill([process for process in left if _runs(process)])
        if not running or still_running(running, _KILL_SECONDS):
            return


def still_running(some: list[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Those that run after `timeout_seconds`. A zombie has ended: in a container nobody may ever reap it."""
    deadline = time.monotonic() + timeout_seconds
    while (alive := [process for process in some if _runs(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return alive


def stop_pods(pod_directories: Iterable[Path], termination_seconds: float = _TERMINATION_SECONDS) -> int:
    """End the recorded processes of some pods; returns how many were running."""
    folders = list(pod_directories)
    records = [(folder, record) for folder in folders for record in read_records(folder)]
    running = [(folder, record) for folder, record in records if find(record) is not None]
    for number, seconds in ((signal.SIGTERM, termination_seconds), (signal.SIGKILL, _KILL_SECONDS)):
        alive = [record for _, record in running if find(record) is not None]
        for record in alive:
            signal_group(record.pid, number)
        _wait_for(alive, seconds)
    for folder, record in records:
        if find(record) is None:
            remove_record(folder, record.container)
    return len(running)


def _wait_for(records: list[ProcessRecord], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(find(record) is not None for record in records) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(some: list[psutil.Process]) -> list[psutil.Process]:
    for process in some:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return some


def _marks() -> Iterator[tuple[psutil.Process, str]]:
    """Every process there is, and its mark."""
    return ((process, _mark(process)) for process in psutil.process_iter())


def _is_in_session(pid: int, leader: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        return os.getsid(pid) == leader
    except OSError:
        return False


def _mark(process: psutil.Process) -> str:
    """Whose container it is; empty if it is none, has ended or is another user's."""
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return ""


def _pod_directories(home: Home) -> list[Path]:
    try:
        return [path for path in home.pods.iterdir() if path.is_dir()]
    except FileNotFoundError:
        return []
