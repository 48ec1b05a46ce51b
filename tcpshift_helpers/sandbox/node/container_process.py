"""A container's process while it runs: started in a group of its own, waited for, taken over from an earlier agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil

from tcpshift_helpers.sandbox.node.processes import MARK, ProcessRecord, find, signal_group, write_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

UNKNOWN_EXIT_CODE = 255
_POLL_SECONDS = 0.02


class ContainerProcess:
    """A process that runs: one we started, or one an earlier agent did.

    Attributes:
        record: what is written down of it.
        ended: set when it has ended.
    """

    def __init__(self, record: ProcessRecord, popen: subprocess.Popen[bytes] | None) -> None:
        self.record = record
        self.ended = asyncio.Event()
        self._popen = popen

    @classmethod
    def start(
        cls,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        pod_directory: Path,
        working_directory: Path,
        container: str,
        restart_count: int,
        output: int,
    ) -> ContainerProcess:
        """Start a container's process.

        Args:
            words: program and arguments.
            environment: its whole environment; the mark is added.
            pod_directory: where it is recorded.
            working_directory: where it runs.
            container: the container's name.
            restart_count: how often it was started before.
            output: descriptor for standard output and error.

        Raises:
            OSError: the program could not be started.
        """
        mark = f"{pod_directory}/{container}/{restart_count}"
        popen = subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment, MARK: mark},
            cwd=working_directory,
            start_new_session=True,
        )
        try:
            created = psutil.Process(popen.pid).create_time()
        except psutil.Error:
            created = time.time()
        record = ProcessRecord(container, popen.pid, created, restart_count, mark)
        write_record(pod_directory, record)
        return cls(record, popen)

    @classmethod
    def adopt(cls, record: ProcessRecord) -> ContainerProcess | None:
        """The process an earlier agent started, if it still runs."""
        return cls(record, None) if find(record) is not None else None

    async def wait(self) -> int:
        """Wait for its end, and end what it left in its group.

        Returns:
            The exit code, 128 + n after signal n; `UNKNOWN_EXIT_CODE` for a process of an earlier agent, whose parent we are not.
        """
        await ended(self.record.pid)
        # Before the pid is given back by reaping it: until then the group cannot be anybody else's.
        self.signal_group(signal.SIGKILL)
        self.ended.set()
        if self._popen is None:
            return UNKNOWN_EXIT_CODE
        code = await asyncio.to_thread(self._popen.wait) if self._popen.poll() is None else self._popen.returncode
        return code if code >= 0 else 128 - code

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and all it started."""
        signal_group(self.record.pid, number)


async def ended(pid: int) -> None:
    """Wait until a process has ended, reaped or not."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:
            pass
        else:
            await _readable(descriptor)
            return
    while psutil.pid_exists(pid):
        with contextlib.suppress(psutil.Error):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, settle)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
