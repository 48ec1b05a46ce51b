"""Probes in the background: what is taken is taken once, and nothing runs on after the end."""

from __future__ import annotations

import gc
import socket
import threading
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tcpshift_helpers import netcat, probe_stream
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.probe_stream import ProbeStream

if TYPE_CHECKING:
    from .tcp_server import Serve


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_each_probe_is_taken_once_and_looks_as_those_of_netcat(serve: Serve) -> None:
    numbers, enough = iter(range(1000)), threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        number = next(numbers)
        connection.sendall(f"one {number}\n".encode())
        if number >= 5:
            enough.set()

    stream = ProbeStream("127.0.0.1", serve(answer), per_second=200)
    assert enough.wait(20)
    first = stream.take()
    stream.close()
    both = pd.concat([first, stream.take()], ignore_index=True)
    seen = both["line"].dropna().tolist()
    assert seen == [f"one {number}" for number in range(len(seen))]
    assert len(seen) >= 5
    assert both.dtypes.to_dict() == netcat.probe("127.0.0.1", 1, 0).dtypes.to_dict()
    assert stream.take().empty


def test_close_ends_the_thread_with_a_connection_that_waits(serve: Serve) -> None:
    taken, let_go = threading.Event(), threading.Event()

    def wait(_connection: socket.socket) -> None:
        taken.set()
        let_go.wait(20)

    stream = ProbeStream("127.0.0.1", serve(wait))
    assert taken.wait(20)
    stream.close()
    stream.close()
    let_go.set()
    assert "tcpshift-probe-stream" not in names()


def test_who_forgets_it_ends_it(serve: Serve) -> None:
    stream = ProbeStream("127.0.0.1", serve(lambda connection: connection.recv(100)))
    assert "tcpshift-probe-stream" in names()
    del stream
    gc.collect()
    assert "tcpshift-probe-stream" not in names()


def test_what_nobody_takes_does_not_grow(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_stream, "_MOST_ROWS", 3)
    count, enough = iter(range(1000)), threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"one\n")
        if next(count) >= 10:
            enough.set()

    stream = ProbeStream("127.0.0.1", serve(answer), per_second=200)
    assert enough.wait(20)
    stream.close()
    assert len(stream.take()) == 3


def test_what_is_no_address_is_refused_before_a_thread_starts() -> None:
    with pytest.raises(UsageError, match="is no TCP port"):
        ProbeStream("127.0.0.1", 0)
    assert "tcpshift-probe-stream" not in names()
