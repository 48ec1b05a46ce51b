"""Records of processes: found again, ended, and never a stranger's."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.node import processes
from tcpshift_helpers.sandbox.node.container_process import UNKNOWN_EXIT_CODE, ContainerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    made.create()
    yield made
    processes.stop_all(made)


def start(home: Home, script: str, pod: str = "uid") -> ContainerProcess:
    directory = home.pod(pod)
    directory.mkdir(exist_ok=True)
    return ContainerProcess.start(
        ["sh", "-c", script],
        environment=dict(os.environ),
        pod_directory=directory,
        working_directory=directory,
        container="c",
        restart_count=0,
        output=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
async def test_exit_codes(home: Home, script: str, code: int) -> None:
    assert await start(home, script).wait() == code


async def test_what_a_process_leaves_in_its_group_ends_with_it(home: Home, until: object) -> None:
    process = start(home, f"sleep 1000 & echo $! > {home.pod('uid')}/child")
    assert await process.wait() == 0
    child = int((home.pod("uid") / "child").read_text())
    await until(lambda: not _runs(child), "the child to end")  # type: ignore[operator]


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _has_become(pid: int, program: str) -> bool:
    """Whether a process runs this program: for a moment after it started one, the system shows no words and no environment."""
    return psutil.Process(pid).cmdline()[:1] == [program]


async def test_a_process_is_found_again_by_its_record(home: Home) -> None:
    process = start(home, "sleep 1000")
    (record,) = processes.read_records(home.pod("uid"))
    assert record == process.record
    adopted = ContainerProcess.adopt(record)
    assert adopted is not None
    adopted.signal_group(9)
    assert await adopted.wait() == UNKNOWN_EXIT_CODE
    assert ContainerProcess.adopt(record) is None
    assert await process.wait() == 137


async def test_stop_all_ends_everything_even_what_ignores_sigterm(home: Home, until: object) -> None:
    deaf = "trap '' TERM; touch deaf; while :; do sleep 0.1; done"
    running = [start(home, "sleep 1000", "a"), start(home, deaf, "b")]
    await until((home.pod("b") / "deaf").exists, "it to be deaf")  # type: ignore[operator]
    assert processes.stop_all(home) == 2
    assert [await process.wait() for process in running] == [143, 137]
    assert processes.read_records(home.pod("a")) == []
    assert processes.stop_all(home) == 0


def test_a_strangers_process_of_the_same_pid_is_left_alone(home: Home) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        created = psutil.Process(stranger.pid).create_time()
        record = processes.ProcessRecord("c", stranger.pid, created - 60, 0, "mark")
        home.pod("uid").mkdir()
        for other in (record, dataclasses.replace(record, created=created - 1)):
            processes.write_record(home.pod("uid"), other)
            assert processes.find(other) is None
            assert processes.stop_all(home) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_clock_set_meanwhile_does_not_hide_our_own(home: Home, until: object) -> None:
    process = start(home, "exec sleep 1000")
    await until(lambda: _has_become(process.record.pid, "sleep"), "it to sleep")  # type: ignore[operator]
    moved = dataclasses.replace(process.record, created=process.record.created - 2)
    assert processes.find(moved) is not None
    processes.stop_all(home)
    await process.wait()


def test_broken_records_and_no_pods_at_all(home: Home, tmp_path: Path) -> None:
    directory = processes.directory(home.pod("uid"))
    directory.mkdir(parents=True)
    (directory / "half.json").write_text('{"container": "c", "pi')
    (directory / "other.json").write_text('{"unknown": 1}')
    assert processes.read_records(home.pod("uid")) == []
    assert processes.stop_all(home) == 0
    assert processes.stop_all(Home(tmp_path / "never made")) == 0


def test_the_supervisor_can_import_it_without_asyncio() -> None:
    words = "import sys; import tcpshift_helpers.sandbox.node.processes; print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


async def test_what_no_record_tells_of_is_ended_and_nothing_else(home: Home, until: object) -> None:
    recorded = start(home, f"sleep 1000 & echo $! > {home.pod('uid')}/child; wait", "uid")
    unrecorded = start(home, "exec sleep 1000", "another")
    child_file = home.pod("uid") / "child"
    await until(lambda: child_file.exists() and child_file.read_text().strip(), "the child to start")  # type: ignore[operator]
    await until(lambda: _has_become(unrecorded.record.pid, "sleep"), "the other to start")  # type: ignore[operator]
    processes.remove_record(home.pod("another"), "c")
    assert processes.end_unrecorded(home) == 1
    assert not _runs(unrecorded.record.pid)
    assert _runs(recorded.record.pid)
    assert _runs(int(child_file.read_text()))
    processes.stop_all(home)
    assert await unrecorded.wait() == 137
    await recorded.wait()
