"""The supervisor's loop, with small children in place of the API server and the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, TypeVar

import psutil
import pytest

from tcpshift_helpers.sandbox import lock, record
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

# Each child says what it is, so that the supervisor's stand-in below can be read on its own.
UNTIL_STDIN_CLOSES = "import sys; sys.stdin.read(); print('stopped in order', flush=True)"
DIES_AT_ONCE = "import sys; print('no such luck', flush=True); sys.exit(7)"
IGNORES_EVERYTHING = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"

DRIVER = """
import sys
from tcpshift_helpers.sandbox import supervise
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.lock import FileLock
from tcpshift_helpers.sandbox.parts import Part
home = Home.from_environment()
lock = FileLock(home.supervisor_lock)
assert lock.acquire()
supervise._STOP_GRACE_SECONDS["stubborn"] = 0.2
parts = [Part(name, home, [sys.executable, "-c", code]) for name, code in zip(sys.argv[1::2], sys.argv[2::2])]
sys.exit(supervise.Supervisor(home, parts, lambda home: (home.root / "pods-stopped").touch()).run())
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def supervise(home: Home) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a supervisor of the given children; whatever is left of it is killed afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**children: str) -> subprocess.Popen[bytes]:
        words = [word for item in children.items() for word in item]
        with (home.logs / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, *words],
                env={**os.environ, "TCPSHIFT_HOME": str(home.root)},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children():
                child.kill()
            process.kill()
        process.wait()


def until(probe: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + 20
    while not (found := probe()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return found


def running(home: Home) -> record.Record:
    def probe() -> record.Record | None:
        found = record.read(home)
        good = found and found.state == record.RUNNING and all(part["pid"] for part in found.parts)
        return found if good else None

    return until(probe, "the supervisor runs")


def test_children_run_side_by_side_and_stop_in_order_on_sigterm(
    home: Home, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = supervise(apiserver=UNTIL_STDIN_CLOSES, agent=UNTIL_STDIN_CLOSES)
    pids = [part["pid"] for part in running(home).parts]
    assert all(psutil.pid_exists(pid) for pid in pids)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert "stopped in order" in (home.logs / "agent.log").read_text()
    log = (home.logs / "supervisor.log").read_text()
    assert log.index("agent stopped") < log.index("apiserver stopped")
    assert (home.root / "pods-stopped").exists()
    after = record.read(home)
    assert after is not None
    assert after.state == record.STOPPED
    assert not lock.is_held(home.supervisor_lock)


def test_a_killed_child_is_started_again_and_the_record_says_so(
    home: Home, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    supervise(apiserver=UNTIL_STDIN_CLOSES, agent=UNTIL_STDIN_CLOSES)
    first = running(home).parts
    os.kill(first[0]["pid"], signal.SIGKILL)

    def probe() -> list[dict[str, object]] | None:
        found = record.read(home)
        return found.parts if found and found.parts[0]["restarts"] == 1 and found.parts[0]["pid"] else None

    second = until(probe, "the child is restarted")
    assert second[0]["pid"] != first[0]["pid"]
    assert second[0]["last_exit"] == "killed by SIGKILL"
    assert second[1] == first[1]


def test_a_child_that_is_killed_again_and_again_is_started_again_and_again(
    home: Home, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = supervise(apiserver=UNTIL_STDIN_CLOSES)
    for restarts in range(5):

        def probe(expected: int = restarts) -> int | None:
            found = record.read(home)
            part = found.parts[0] if found and found.parts else {"restarts": -1}
            return part["pid"] if part["restarts"] == expected else None

        os.kill(until(probe, f"the child has been restarted {restarts} times"), signal.SIGKILL)
    assert process.poll() is None


def test_a_child_that_keeps_dying_ends_the_start_with_its_last_words(
    home: Home, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = supervise(apiserver=UNTIL_STDIN_CLOSES, agent=DIES_AT_ONCE)
    assert process.wait(30) == 1
    after = record.read(home)
    assert after is not None
    assert (after.state, after.error_type) == (record.FAILED, "ProcessDiedError")
    assert "The part agent of the sandbox ended 4 times" in after.error
    assert "exit code 7" in after.error
    assert "no such luck" in after.error
    assert "stopped in order" in (home.logs / "apiserver.log").read_text()


def test_a_child_that_does_not_stop_is_killed(home: Home, supervise: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = supervise(stubborn=IGNORES_EVERYTHING)
    pid = running(home).parts[0]["pid"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not psutil.pid_exists(pid)


def test_children_notice_that_their_supervisor_was_killed(
    home: Home, supervise: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = supervise(apiserver=UNTIL_STDIN_CLOSES, agent=UNTIL_STDIN_CLOSES)
    children = [psutil.Process(part["pid"]) for part in running(home).parts]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not lock.is_held(home.supervisor_lock)


def test_the_supervisor_carries_no_heavy_libraries(home: Home) -> None:
    heavy = {"asyncio", "aiohttp", "ssl", "typer", "rich", "cryptography", "filelock", "hashlib", "psutil", "yaml"}
    program = f"import sys; import tcpshift_helpers.sandbox.supervise; print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
