"""The composition root: parts end when their standard input does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tcpshift_helpers.sandbox import __main__ as composition_root

# A part that stops in order, and one that does not; run in place of the real ones.
PROGRAM = """
import asyncio, signal, sys, time
from tcpshift_helpers.sandbox import __main__ as root
async def orderly():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("running", flush=True)
    await stop.wait()
    print("stopped in order", flush=True)
def stubborn(home):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("running", flush=True)
    time.sleep(60)
root.STOP_GRACE_SECONDS = 0.2
root._PARTS = {"orderly": lambda home: root._run(orderly), "stubborn": stubborn}
sys.exit(root.main(sys.argv[1:]))
"""


@pytest.fixture
def part(request: pytest.FixtureRequest) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, *request.param]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("part", [["orderly", "--until-stdin-closes"]], indirect=True)
def test_a_part_stops_in_order_when_its_standard_input_ends(part: subprocess.Popen[str]) -> None:
    assert part.stdout is not None
    assert part.stdout.readline() == "running\n"
    output, _ = part.communicate(timeout=20)
    assert output == "stopped in order\n"
    assert part.returncode == 0


@pytest.mark.parametrize("part", [["stubborn", "--until-stdin-closes"]], indirect=True)
def test_a_part_that_does_not_stop_in_time_ends_all_the_same(part: subprocess.Popen[str]) -> None:
    assert part.stdout is not None
    assert part.stdout.readline() == "running\n"
    _, errors = part.communicate(timeout=20)
    assert part.returncode == 70
    assert "did not stop in time" in errors


@pytest.mark.parametrize("part", [["orderly"]], indirect=True)
def test_without_the_option_the_end_of_standard_input_means_nothing(part: subprocess.Popen[str]) -> None:
    assert part.stdout is not None
    assert part.stdin is not None
    part.stdin.close()
    assert part.stdout.readline() == "running\n"
    with pytest.raises(subprocess.TimeoutExpired):
        part.wait(0.3)
    part.terminate()
    assert part.stdout.read() == "stopped in order\n"
    assert part.wait(20) == 0
    part.stdout.close()
    assert part.stderr is not None
    part.stderr.close()


def test_an_unknown_part_is_refused_with_the_names_of_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        composition_root.main(["scheduler"])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    for name in ("agent", "apiserver", "istiod", "supervisor"):
        assert name in message
