"""Probes against real sockets on loopback: answers, each way to fail, order, interruption, use inside a running loop."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import struct
import threading
from datetime import UTC, datetime

import pytest

from tcpshift_helpers import netcat
from tcpshift_helpers.errors import UsageError

from .tcp_server import Handler, Serve


def read_line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as reader:
        return reader.readline()


def echo(connection: socket.socket) -> None:
    connection.sendall(b"one " + read_line(connection))


def test_sends_the_date_and_reads_the_answer(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    frame = netcat.probe("127.0.0.1", serve(echo), 3)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "started_at": "datetime64[ns, UTC]",
        "answer": "string",
        "line": "string",
        "latency_ms": "float64",
        "error": "string",
        "failure": "string",
    }
    assert list(frame["answer"]) == ["one"] * 3
    assert frame[["error", "failure"]].isna().all(axis=None)
    assert (frame["latency_ms"] > 0).all()
    assert frame["started_at"].is_monotonic_increasing
    assert frame.attrs == {"interrupted": False}
    netcat.lines(frame)
    shown = capsys.readouterr().out.splitlines()
    assert all(
        re.fullmatch(r"one [A-Z][a-z]{2} [A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d UTC \d{4}", line) for line in shown
    )


def test_writes_the_date_as_the_command_does() -> None:
    assert netcat.date_line(datetime(2018, 11, 12, 23, 24, 57, tzinfo=UTC)) == "Mon Nov 12 23:24:57 UTC 2018"
    assert netcat.date_line(datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)) == "Sun Mar  1 01:02:03 UTC 2026"


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _empty_line(connection: socket.socket) -> None:
    read_line(connection)
    connection.sendall(b"\n")


def _too_long(connection: socket.socket) -> None:
    read_line(connection)
    connection.sendall(b"x" * 200_000)


@pytest.mark.parametrize(
    ("handler", "failure", "error"),
    [
        (_reset, "reset", "reset: accepted, then cut"),
        (read_line, "closed", "closed without answer"),
        (_empty_line, "empty", "empty answer"),
        (_too_long, "long", "answer longer than 65536 bytes"),
    ],
)
def test_a_failure_is_a_row_with_its_reason(serve: Serve, handler: Handler, failure: str, error: str) -> None:
    frame = netcat.probe("127.0.0.1", serve(handler), 2)
    assert list(frame["failure"]) == [failure] * 2
    assert list(frame["error"]) == [error] * 2
    assert frame[["answer", "line", "latency_ms"]].isna().all(axis=None)


def test_says_refused_when_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    row = netcat.probe("127.0.0.1", port, 1).iloc[0]
    assert (row["failure"], row["error"]) == ("refused", "refused: nothing listens there")


@pytest.mark.parametrize(
    ("host", "failure", "error"),
    [
        ("a..b", "name", "name not known"),
        ("255.255.255.255", "unreachable", "unreachable: network is unreachable"),
    ],
)
def test_says_when_the_place_cannot_be_found_or_reached(host: str, failure: str, error: str) -> None:
    row = netcat.probe(host, 9, 1).iloc[0]
    assert (row["failure"], row["error"]) == (failure, error)


def test_words_follow_the_language_and_the_failure_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "zh-CN")
    row = netcat.probe("a..b", 9, 1).iloc[0]
    assert (row["failure"], row["error"]) == ("name", "找不到该主机名")


def test_says_timeout_and_goes_on(serve: Serve) -> None:
    silent = threading.Event()
    port = serve(lambda _: silent.wait(10))
    frame = netcat.probe("127.0.0.1", port, 2, at_once=2, timeout_seconds=0.05)
    silent.set()
    assert list(frame["failure"]) == ["timeout"] * 2
    assert list(frame["error"]) == ["timeout: no answer within 0.05 s"] * 2


def test_probes_run_side_by_side(serve: Serve) -> None:
    # Answers come only once all eight connections are there: one after the other they would time out.
    together = threading.Barrier(8)

    def answer(connection: socket.socket) -> None:
        line = read_line(connection)
        together.wait(timeout=10)
        connection.sendall(b"two " + line)

    frame = netcat.probe("127.0.0.1", serve(answer), 8, at_once=8, timeout_seconds=20)
    assert list(frame["answer"]) == ["two"] * 8


async def test_works_where_a_loop_already_runs(serve: Serve) -> None:
    assert asyncio.get_running_loop().is_running()
    assert len(netcat.probe("127.0.0.1", serve(echo), 2)) == 2


def test_an_interruption_keeps_what_was_done(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = threading.active_count()
    stuck, release = threading.Event(), threading.Event()
    number = itertools.count(1)  # one at a time: a connection is made after the one before was answered

    def third_hangs(connection: socket.socket) -> None:
        if next(number) == 3:
            stuck.set()
            release.wait(10)
            return
        echo(connection)

    def interrupt(*_: object) -> None:
        assert stuck.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(netcat, "_follow", interrupt)
    frame = netcat.probe("127.0.0.1", serve(third_hangs), 10, timeout_seconds=30)
    release.set()
    assert list(frame["answer"]) == ["one", "one"]
    assert frame.attrs["interrupted"] is True
    assert capsys.readouterr().out == "Interrupted after 2 of 10 probes; those are kept.\n"
    assert not [thread for thread in threading.enumerate() if thread.name == "tcpshift-netcat"]
    assert threading.active_count() <= before + 12


def test_no_probes_give_an_empty_frame() -> None:
    frame = netcat.probe("127.0.0.1", 1, 0)
    assert len(frame) == 0
    assert str(frame["started_at"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"port": 0},
        {"port": "31400"},
        {"count": -1},
        {"count": True},
        {"at_once": 0},
        {"timeout_seconds": 0},
        {"pause_seconds": -1},
    ],
)
def test_refuses_what_means_nothing(wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"host": "127.0.0.1", "port": 1, "count": 1} | wrong
    with pytest.raises(UsageError, match=next(iter(wrong))):
        netcat.probe(**arguments)  # type: ignore[arg-type]
