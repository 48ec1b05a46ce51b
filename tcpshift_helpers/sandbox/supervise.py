"""The supervisor process: starts the API server and the agent, starts them again when they die, and ends them.

Why a process of its own: a notebook kernel or a terminal may close while the sandbox goes on, and something has to
notice that a part was killed. It stays small (standard library only) because it lives as long as the sandbox.
It does not look inside the parts: whether the sandbox is ready is judged from outside, by `readiness`.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import ProcessDiedError, SandboxError, TcpShiftError
from tcpshift_helpers.sandbox import certificates, network, preflight, record
from tcpshift_helpers.sandbox.lock import FileLock
from tcpshift_helpers.sandbox.parts import Part, command, environment, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tcpshift_helpers.sandbox.home import Home

EXIT_FAILED = 1
EXIT_ANOTHER_HOLDS_THE_LOCK = 3
GIVE_UP_AFTER_EARLY_FAILURES = 4

# Longest orderly stop of each part; the agent ends all pods in that time.
_STOP_GRACE_SECONDS = {"agent": 12.0, "apiserver": 5.0}
_LOCK_PATIENCE_SECONDS = 1.0


def supervise(home: Home) -> int:
    """Hold the lock and run the sandbox until SIGTERM or SIGINT; returns the exit code.

    A failure is written to `supervisor.json` before the return, with everything stopped again.
    """
    lock = FileLock(home.supervisor_lock)
    if not lock.acquire(_LOCK_PATIENCE_SECONDS):
        return EXIT_ANOTHER_HOLDS_THE_LOCK
    return Supervisor(home, [Part("apiserver", home), Part("agent", home)], _stop_pods).run()


class Supervisor:
    """Runs `parts` side by side and writes down what becomes of them.

    Args:
        home: the state directory, locked by the caller.
        parts: in the order of their start; they are stopped in reverse.
        stop_pods: called after the parts have stopped; ends what the agent left, if it had to be killed.
    """

    def __init__(self, home: Home, parts: Sequence[Part], stop_pods: Callable[[Home], object]) -> None:
        self._home = home
        self._parts = parts
        self._stop_pods = stop_pods
        # SimpleQueue, because `put` may be called by a signal handler that interrupts `get`.
        self._events: queue.SimpleQueue[tuple[Part, int] | None] = queue.SimpleQueue()
        self._restart_at: dict[str, float] = {}
        self._record = record.Record(record.STARTING, os.getpid(), time.time())

    def run(self) -> int:
        """Start everything, watch it until told to stop, stop everything; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(None))
        try:
            previous = record.read(self._home)
            self._write(record.STARTING)
            if previous and previous.state not in {record.STOPPED, record.FAILED}:
                self._clear_up_after(previous)
            self._prepare()
            for part in self._parts:
                self._start(part)
            self._write(record.RUNNING)
            self._watch()
        except TcpShiftError as error:
            return self._fail(type(error).__name__, str(error))
        except OSError as error:
            return self._fail("SandboxError", f"The sandbox cannot be started: {error}.")
        self._write(record.STOPPING)
        self._stop_everything()
        self._write(record.STOPPED)
        return 0

    def _prepare(self) -> None:
        preflight.check_envoy()
        subnet = network.choose_subnet(self._home)
        preflight.check_port(subnet.gateway, network.GATEWAY_PORT, "the ingress gateway")
        preflight.check_port(subnet.api_server, network.KUBELET_PORT, "the kubelet")
        if not certificates.are_current(self._home, [subnet.api_server]):
            _make_certificates(self._home)
        self._record.api_server, self._record.gateway = subnet.api_server, subnet.gateway

    def _start(self, part: Part) -> None:
        part.start(lambda part, return_code: self._events.put((part, return_code)))
        _log(f"{part.name} started with pid {part.as_record()['pid']}")

    def _watch(self) -> None:
        """Handle ends of parts and due restarts until a signal comes."""
        while True:
            due = min(self._restart_at.values(), default=None)
            try:
                event = self._events.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._restart_due_parts()
                continue
            if event is None:
                return
            self._note_end(*event)

    def _note_end(self, part: Part, return_code: int) -> None:
        part.ended(return_code)
        _log(f"{part.name} ended by itself: {part.last_exit}")
        if part.early_failures >= GIVE_UP_AFTER_EARLY_FAILURES:
            log = self._home.logs / f"{part.name}.log"
            raise ProcessDiedError(
                f"The part {part.name} of the sandbox ended {part.early_failures} times right after its start "
                f"({part.last_exit}). The end of its log, {log}:\n{last_lines(log)}"
            )
        self._restart_at[part.name] = time.monotonic() + part.restart_delay_seconds()
        self._write(record.RUNNING)

    def _restart_due_parts(self) -> None:
        now = time.monotonic()
        for part in self._parts:
            if self._restart_at.get(part.name, now + 1.0) <= now:
                del self._restart_at[part.name]
                part.restarts += 1
                self._start(part)
        self._write(record.RUNNING)

    def _fail(self, error_type: str, message: str) -> int:
        _log(message)
        self._stop_everything()
        self._record.error_type, self._record.error = error_type, message
        self._write(record.FAILED)
        return EXIT_FAILED

    def _stop_everything(self) -> None:
        for part in reversed(self._parts):
            part.stop(_STOP_GRACE_SECONDS.get(part.name, 5.0))
            _log(f"{part.name} stopped: {part.last_exit}")
        self._stop_pods(self._home)

    def _clear_up_after(self, previous: record.Record) -> None:
        """A supervisor was killed here: see that nothing of its sandbox is left before addresses are chosen."""
        from tcpshift_helpers.sandbox import leftovers  # noqa: PLC0415 (imports psutil)

        _log(f"the supervisor before this one (pid {previous.pid}) did not stop in order; clearing up after it")
        leftovers.end_all(self._home, previous)

    def _write(self, state: str) -> None:
        self._record.state = state
        self._record.parts = [part.as_record() for part in self._parts]
        self._record.write(self._home)


def _make_certificates(home: Home) -> None:
    """In another process, so that this one does not carry `cryptography` (15 MB) as long as it lives."""
    words = command("certificates", until_stdin_closes=False)
    result = subprocess.run(words, env=environment(home), stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise SandboxError(f"The certificates in {home.pki} cannot be made: {result.stderr.strip()}")


def _stop_pods(home: Home) -> None:
    from tcpshift_helpers.sandbox.node import processes  # noqa: PLC0415 (imports what only the node needs)

    processes.stop_all(home)


def _log(message: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} supervisor: {message}\n")
    sys.stderr.flush()
