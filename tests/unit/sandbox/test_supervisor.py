"""Start, stop, status and reset, with a stand-in for the supervisor's process.

The real sandbox goes through the same functions in tests/faults.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers.errors import PortInUseError, SandboxError
from tcpshift_helpers.sandbox import leftovers, lock, readiness, record, supervisor
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Holds the lock, says RUNNING (so that the stand-in for readiness lets go), and stops on SIGTERM.
RUNS = """
signal.signal(signal.SIGTERM, lambda *_: events.put(None))
assert lock.acquire(2)
me.write(home)
events.get()
me.state = record.STOPPED
me.write(home)
"""
FAILS = """
assert lock.acquire(2)
me.state, me.error_type, me.error = record.FAILED, "PortInUseError", "Port 31400 is taken."
me.write(home)
sys.exit(1)
"""
CRASHES = "sys.exit('no such module')"
HANGS = (
    "import time; assert lock.acquire(2); me.write(home); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
)

PREAMBLE = """
import os, queue, signal, sys, time
from tcpshift_helpers.sandbox import record
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.lock import FileLock
home, events = Home.from_environment(), queue.SimpleQueue()
lock = FileLock(home.supervisor_lock)
me = record.Record(record.RUNNING, os.getpid(), time.time(), "127.61.20.1", "127.61.20.2")
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Chooses what the next supervisor does. The sandbox counts as ready as soon as one runs."""

    def missing(home: Home) -> list[str]:
        state = record.read(home)
        return [] if state and state.state == record.RUNNING and lock.is_held(home.supervisor_lock) else ["API server"]

    def wait(home: Home, check: Callable[[], None], _timeout: float, progress: Callable[[str], None]) -> None:
        while missing(home):
            check()
            threading.Event().wait(0.01)
        progress("API server is ready")

    monkeypatch.setattr(readiness, "missing", missing)
    monkeypatch.setattr(readiness, "wait", wait)
    monkeypatch.setattr(leftovers, "end_all", lambda *_: False)

    def choose(program: str) -> None:
        # The module's name among the words is how a process is known to be ours.
        words = [sys.executable, "-c", PREAMBLE + program, "tcpshift_helpers.sandbox"]
        monkeypatch.setattr(supervisor, "command", lambda *_, **__: words)

    return choose


def children_of(home: Home) -> list[psutil.Process]:
    """The supervisors that this process has started for `home`, zombies included."""
    started = []
    for child in psutil.Process().children():
        try:
            if child.environ().get("TCPSHIFT_HOME") == str(home.root):
                started.append(child)
        except psutil.ZombieProcess:
            started.append(child)
    return started


def test_start_waits_until_ready_and_stop_ends_the_process(home: Home, stand_in: Callable[[str], None]) -> None:
    stand_in(RUNS)
    lines: list[str] = []
    supervisor.start(home, progress=lines.append)
    assert lines == ["Starting the sandbox", "API server is ready"]
    now = supervisor.status(home)
    assert (now.state, now.server, now.gateway) == ("up", "https://127.61.20.1:6443", "127.61.20.2:31400")
    assert now.pid is not None
    assert psutil.pid_exists(now.pid)
    assert supervisor.stop(home)
    assert not psutil.pid_exists(now.pid)
    assert supervisor.status(home).state == "down"


def test_a_second_start_returns_at_once_and_starts_nothing(home: Home, stand_in: Callable[[str], None]) -> None:
    stand_in(RUNS)
    supervisor.start(home)
    try:
        pid, lines = supervisor.status(home).pid, list[str]()
        supervisor.start(home, progress=lines.append)
        assert supervisor.status(home).pid == pid
        assert lines == []
    finally:
        supervisor.stop(home)


def test_two_starts_at_the_same_time_end_with_one_supervisor(home: Home, stand_in: Callable[[str], None]) -> None:
    stand_in(RUNS)
    errors: list[BaseException] = []

    def start() -> None:
        try:
            supervisor.start(home)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert errors == []
        holder = supervisor.status(home).pid
        # Those that lost the race wait a moment for the lock, and end.
        losers = [child for child in children_of(home) if child.pid != holder]
        assert psutil.wait_procs(losers, timeout=20)[1] == []
        assert [child.pid for child in children_of(home)] == [holder]
    finally:
        supervisor.stop(home)


def test_a_failed_start_raises_the_supervisors_own_error_and_is_remembered(
    home: Home, stand_in: Callable[[str], None]
) -> None:
    stand_in(FAILS)
    with pytest.raises(PortInUseError, match=r"^Port 31400 is taken\.$"):
        supervisor.start(home)
    now = supervisor.status(home)
    assert (now.state, now.error) == ("down", "Port 31400 is taken.")


def test_a_supervisor_that_crashes_is_told_with_the_end_of_its_log(home: Home, stand_in: Callable[[str], None]) -> None:
    stand_in(CRASHES)
    with pytest.raises(SandboxError, match=r"(?s)ended right after its start.*supervisor\.log:\n.*no such module"):
        supervisor.start(home)


def test_an_interrupted_start_leaves_nothing_running(
    home: Home, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(RUNS)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(readiness, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        supervisor.start(home)
    assert not lock.is_held(home.supervisor_lock)
    assert children_of(home) == []


def test_stop_kills_a_supervisor_that_does_not_stop(
    home: Home, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(HANGS)
    supervisor.start(home)
    pid = supervisor.status(home).pid
    monkeypatch.setattr(supervisor, "STOP_TIMEOUT_SECONDS", 0.2)
    assert supervisor.stop(home)
    assert pid is not None
    assert not psutil.pid_exists(pid)
    after = record.read(home)
    assert after is not None
    assert after.state == record.STOPPED


def test_stop_of_what_never_ran_makes_nothing(home: Home) -> None:
    assert not supervisor.stop(home)
    assert not home.root.exists()


def test_status_of_what_never_ran_is_down(home: Home) -> None:
    now = supervisor.status(home)
    assert (now.state, now.pid, now.error) == ("down", None, "")


def test_reset_forgets_objects_and_pods_and_keeps_credentials_and_address(home: Home) -> None:
    home.create()
    home.supervisor_lock.touch()
    for path in (home.database, home.root / "state.db-wal", home.pod("uid") / "record.json"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    for path in (home.token, home.network, home.kubeconfig):
        path.write_text("kept")
    supervisor.reset(home)
    assert list(home.root.glob("state.db*")) == []
    assert list(home.pods.iterdir()) == []
    assert {path.read_text() for path in (home.token, home.network, home.kubeconfig)} == {"kept"}
    assert supervisor.status(home).state == "down"


def test_a_pid_that_went_to_a_stranger_is_left_alone(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert leftovers.find_part(home, stranger.pid) is None
        stranger.communicate(b"\n")


def test_a_part_of_another_state_directory_is_left_alone(home: Home, tmp_path: Path) -> None:
    words = [sys.executable, "-c", "print(flush=True); input()", "tcpshift_helpers.sandbox"]
    environment = {**os.environ, "TCPSHIFT_HOME": str(tmp_path / "other")}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None
        other.stdout.readline()  # until it runs, the system shows neither its words nor its environment
        assert leftovers.find_part(home, other.pid) is None
        assert leftovers.find_part(Home(tmp_path / "other"), other.pid) is not None
        other.communicate(b"\n")
