"""The progress line: for somebody who watches, and not a byte for anybody else."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from tcpshift_helpers import progress
from tcpshift_helpers.progress import ProgressLine, is_wanted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error is a terminal, and nothing says that this is a test."""
    terminal = Terminal()
    # pytest puts its own standard error in place once the fixtures are done.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=terminal, modules={}))
    monkeypatch.delenv("PYTEST_VERSION", raising=False)
    monkeypatch.delenv("TCPSHIFT_PROGRESS", raising=False)
    return terminal


def test_a_terminal_sees_the_line_and_keeps_nothing_of_it(terminal: Terminal) -> None:
    with ProgressLine() as line:
        line.say("one")
        line.say("two")
    assert terminal.getvalue() == "\r\x1b[2Kone\r\x1b[2Ktwo\r\x1b[2K"


def test_an_error_leaves_no_line_behind_either(terminal: Terminal) -> None:
    with pytest.raises(ZeroDivisionError), ProgressLine() as line:
        line.say("one")
        raise ZeroDivisionError
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_the_bar(terminal: Terminal) -> None:
    with ProgressLine() as line:
        line.bar(5, 10, "probes")
        line.bar(10, 10, "probes")
        line.bar(0, 0, "probes")
    drawn = terminal.getvalue().split("\r\x1b[2K")[1:]
    assert drawn == ["█" * 10 + "░" * 10 + " 5/10 probes", "█" * 20 + " 10/10 probes", "█" * 20 + " 0/0 probes", ""]


def test_quick_steps_are_not_all_drawn_but_the_last_one_is(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 10.01, 10.02, 10.2, 10.21])
    monkeypatch.setattr("tcpshift_helpers.progress.time.monotonic", lambda: next(moments))
    with ProgressLine() as line:
        for done in range(1, 6):
            line.bar(done, 5, "probes")
    drawn = [text.split()[-2] for text in terminal.getvalue().split("\r\x1b[2K") if text]
    assert drawn == ["1/5", "4/5", "5/5"]


def test_nobody_watches_a_pipe_or_a_test_or_where_it_was_turned_off(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_wanted()
    for name, value in (("TCPSHIFT_PROGRESS", "off"), ("PYTEST_VERSION", "9")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not is_wanted()
    with ProgressLine(wanted=False) as line:
        line.say("one")
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress.sys, "stderr", io.StringIO())
    assert not is_wanted()
