"""Connections that stay open, against real sockets: who answers, who closes, what fails, and that nothing stays behind."""

from __future__ import annotations

import gc
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest

from tcpshift_helpers.errors import UsageError, WaitTimeoutError
from tcpshift_helpers.open_connections import OpenConnections

if TYPE_CHECKING:
    from .tcp_server import Serve

HOST = "127.0.0.1"


def answer_lines(connection: socket.socket, word: bytes = b"one", count: int = -1) -> None:
    """Answer `count` lines, or as many as come, and close."""
    with connection.makefile("rb") as reader:
        while count:
            line = reader.readline()
            if not line:
                return
            connection.sendall(word + b" " + line)
            count -= 1


def events(frame: pd.DataFrame, number: int) -> list[str]:
    return [str(word) for word in frame.loc[frame["connection"] == number, "event"]]


def test_each_line_is_an_event_with_its_answer(serve: Serve) -> None:
    with OpenConnections(HOST, serve(answer_lines), 2, pause_seconds=0.01) as held:
        assert held.still_open == 2
        with pytest.raises(WaitTimeoutError, match=r"2 of 2 connections are still open after 0\.1 s"):
            held.wait_until_closed(timeout_seconds=0.1)
    frame = held.frame()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "connection": "int64",
        "at": "datetime64[ns, UTC]",
        "event": "string",
        "answer": "string",
        "closed_by": "string",
        "error": "string",
    }
    for number in (0, 1):
        first, *answers, last = events(frame, number)
        assert (first, last) == ("opened", "closed")
        assert len(answers) > 1
        assert set(answers) == {"answered"}
    assert frame["at"].is_monotonic_increasing
    assert set(frame.loc[frame["event"] == "answered", "answer"]) == {"one"}
    assert set(frame.loc[frame["event"] == "closed", "closed_by"]) == {"client"}
    assert frame["error"].isna().all()


def test_an_end_by_the_server_shows_at_once_and_not_with_the_next_line(serve: Serve) -> None:
    told_to_close = threading.Event()

    def close_when_told(connection: socket.socket) -> None:
        answer_lines(connection, count=1)
        told_to_close.wait(10)

    with OpenConnections(HOST, serve(close_when_told), 1, pause_seconds=3600) as held:
        assert events(held.frame(), 0) == ["opened", "answered"]
        told_to_close.set()
        held.wait_until_closed(timeout_seconds=10)
        assert held.still_open == 0
    frame = held.frame()
    assert events(frame, 0) == ["opened", "answered", "closed"]
    assert frame["closed_by"].iloc[-1] == "server"


def test_what_fails_says_why(serve: Serve) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def silence(connection: socket.socket) -> None:
        while connection.recv(100):
            pass

    nobody = socket.create_server((HOST, 0))
    port = nobody.getsockname()[1]
    nobody.close()
    for where, events_seen, why in (
        (port, ["failed"], "refused: nothing listens there"),
        (serve(reset), ["opened", "failed"], "reset: accepted, then cut"),
        (serve(silence), ["opened", "failed"], "timeout: no answer within 0.2 s"),
    ):
        with OpenConnections(HOST, where, 1, timeout_seconds=0.2) as held:
            held.wait_until_closed(timeout_seconds=10)
        assert events(held.frame(), 0) == events_seen
        assert held.frame()["error"].iloc[-1] == why


def test_nothing_stays_when_the_notebook_makes_new_ones_in_their_place(serve: Serve) -> None:
    port = serve(answer_lines)
    this = psutil.Process()

    def ours() -> int:
        return sum(1 for one in this.net_connections("tcp") if one.raddr and one.raddr.port == port)

    held: Any = OpenConnections(HOST, port, 3, pause_seconds=0.01)
    assert ours() == 3
    held = None
    gc.collect()
    assert ours() == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "tcpshift-open-connections"]
    del held


def test_a_frame_without_events_has_its_columns(serve: Serve) -> None:
    with OpenConnections(HOST, serve(answer_lines), 1) as held:
        empty = held.frame().iloc[:0]
    assert list(empty.columns) == ["connection", "at", "event", "answer", "closed_by", "error"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"count": 0}, "count=0: a whole number, 1 or more"),
        ({"count": True}, "count=True: a whole number"),
        ({"pause_seconds": 0}, "pause_seconds=0: more than 0"),
        ({"timeout_seconds": -1}, "timeout_seconds=-1: more than 0"),
        ({"port": 0}, "port=0 is no TCP port"),
        ({"host": ""}, "host is empty"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as raised:
        OpenConnections(**{"host": HOST, "port": 9, **arguments})
    assert why in str(raised.value)
