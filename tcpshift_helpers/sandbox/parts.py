"""One part of the sandbox as a child process: how it is started, stopped, and described once it has ended.

The parent holds the write end of the child's standard input. Closing it is the order to stop, on every platform,
and the system closes it when the parent is killed. When to start again is decided in `supervise`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

MAX_LOG_BYTES = 5_000_000

_SIGKILL = 9  # signal.SIGKILL, which Windows lacks


def command(part: str, *, until_stdin_closes: bool = True) -> list[str]:
    """The command line of one part. `-P` keeps a `json.py` in the learner's folder from being imported."""
    words = [sys.executable, "-P", "-m", "tcpshift_helpers.sandbox", part]
    return [*words, "--until-stdin-closes"] if until_stdin_closes else words


def environment(home: Home) -> dict[str, str]:
    """The caller's environment, with the state directory named."""
    return {**os.environ, "TCPSHIFT_HOME": str(home.root), "PYTHONUNBUFFERED": "1"}


def open_log(home: Home, part: str) -> int:
    """Open a part's log for appending, having set a large one aside as `.1`; returns the file descriptor."""
    path = home.logs / f"{part}.log"
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log, for a message to a person; empty if there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def describe_exit(return_code: int) -> str:
    """How a process ended, in words: `exit code 1`, `killed by SIGKILL`."""
    if return_code >= 0:
        return f"exit code {return_code}"
    try:
        return f"killed by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"killed by signal {-return_code}"


class Part:
    """A child process and its history.

    Attributes:
        name: such as `apiserver`; names its log, too.
        restarts: how often it was started again after it had ended by itself.
        quick_deaths: how many times in a row it ended within `SETTLED_SECONDS` of its start.
        early_failures: how many of those were its own doing, before it ever lived longer than that.
    """

    SETTLED_SECONDS = 5.0

    def __init__(self, name: str, home: Home, words: list[str] | None = None) -> None:
        self.name = name
        self.restarts = 0
        self.quick_deaths = 0
        self.early_failures = 0
        self._settled = False
        self._home = home
        self._words = words or command(name)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._started_monotonic = 0.0
        self._last_exit: str | None = None
        self._last_exit_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process was started and its end has not been noticed yet."""
        return self._process is not None

    @property
    def last_exit(self) -> str:
        """How it last ended, in words."""
        return self._last_exit or "has not ended yet"

    def start(self, on_exit: Callable[[Part, int], None]) -> None:
        """Start the process; `on_exit(part, return_code)` is called in another thread when it ends."""
        log = open_log(self._home, self.name)
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment(self._home),
                cwd=self._home.root,
            )
        finally:
            os.close(log)
        self._process = process
        self._started_at, self._started_monotonic = time.time(), time.monotonic()
        threading.Thread(target=lambda: on_exit(self, process.wait()), name=f"wait-{self.name}", daemon=True).start()

    def ended(self, return_code: int) -> None:
        """Note that the process has ended."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        self._last_exit, self._last_exit_at = describe_exit(return_code), time.time()
        if time.monotonic() - self._started_monotonic < self.SETTLED_SECONDS:
            self.quick_deaths += 1
            # Killed from outside says nothing about whether it can work.
            self.early_failures += not self._settled and return_code != -_SIGKILL
        else:
            self.quick_deaths, self.early_failures, self._settled = 1, 0, True

    def restart_delay_seconds(self) -> float:
        """How long to wait before the next start: none the first time, then doubling up to 10 s."""
        return 0.0 if self.quick_deaths <= 1 else min(10.0, 0.05 * 2.0**self.quick_deaths)

    def stop(self, grace_seconds: float) -> None:
        """Order the process to stop, wait, and kill it if it has not ended after `grace_seconds`."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            return_code = self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return_code = self._process.wait()
        self.ended(return_code)

    def as_record(self) -> dict[str, Any]:
        """What `supervisor.json` says of this part; times are Unix seconds."""
        return {
            "name": self.name,
            "pid": self._process.pid if self._process else None,
            "started_at": self._started_at or None,
            "restarts": self.restarts,
            "last_exit": self._last_exit,
            "last_exit_at": self._last_exit_at,
        }
