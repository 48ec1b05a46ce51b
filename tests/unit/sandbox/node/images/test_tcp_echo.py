"""The stand-in for Istio's tcp-echo-server, as the process it is in a container."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers.sandbox.node.images import TCP_ECHO, tcp_echo

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_MEMORY_BYTES = 10_000_000


class Echo:
    """The running program and where it listens."""

    def __init__(self) -> None:
        self.address = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(TCP_ECHO), "9000,9001", "one"],
            env={**os.environ, "POD_LISTEN_ADDRESS": self.address},
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline() for _ in range(2)]

    def connect(self, port: int = 9000) -> socket.socket:
        return socket.create_connection((self.address, port), 10)

    def exchange(self, data: bytes, port: int = 9000) -> bytes:
        """Send, say that there is no more, and read to the end."""
        with self.connect(port) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.process.kill()
    made.process.communicate()


def test_it_says_where_it_listens_as_the_real_one_does(echo: Echo) -> None:
    assert echo.said == [b"listening on [::]:9000, prefix: one\n", b"listening on [::]:9001, prefix: one\n"]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"hello\n", b"one hello\n"),
        (b"a\nb\n\nc\n", b"one a\none b\none \none c\n"),
        (b"unended", b""),
        (b"a\nunended", b"one a\n"),
        (b"", b""),
        (b"\r\n", b"one \r\n"),
        ("中文\n".encode(), "one 中文\n".encode()),
        (bytes(range(11, 256)) + b"\n", b"one " + bytes(range(11, 256)) + b"\n"),
    ],
)
def test_lines_and_their_answers(echo: Echo, sent: bytes, answer: bytes) -> None:
    assert echo.exchange(sent) == answer
    assert echo.exchange(sent, 9001) == answer


def test_a_line_in_many_pieces_is_one_line(echo: Echo) -> None:
    with echo.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"he", b"l", b"lo", b"\nwor", b"ld\n"):
            client.sendall(piece)
        answer = b""
        while answer.count(b"\n") < 2:
            answer += client.recv(100)
    assert answer == b"one hello\none world\n"


def test_a_thousand_connections_at_once(echo: Echo) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(echo.connect()) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(b"%d\n" % number)
        answers = [client.recv(100) for client in clients]
    assert answers == [b"one %d\n" % number for number in range(1000)]


def test_a_long_line_is_answered_and_a_too_long_one_ends_the_connection(echo: Echo) -> None:
    long = b"x" * (tcp_echo.LONGEST_LINE - 1) + b"\n"
    assert echo.exchange(long) == b"one " + long
    before = psutil.Process(echo.process.pid).memory_info().rss
    with echo.connect() as client, contextlib.suppress(ConnectionError):
        for _ in range(200):
            client.sendall(b"x" * 500_000)
        assert read_all(client) == b""
    grown = psutil.Process(echo.process.pid).memory_info().rss - before
    assert grown < 4 * tcp_echo.LONGEST_LINE
    assert echo.exchange(b"still here\n") == b"one still here\n"


def test_a_client_that_never_reads_stops_being_read(echo: Echo) -> None:
    with echo.connect() as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(2000):
                client.sendall(b"x" * 9999 + b"\n")
        assert echo.exchange(b"others are served\n") == b"one others are served\n"


def test_a_reset_connection_harms_nobody(echo: Echo) -> None:
    for _ in range(50):
        client = echo.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.sendall(b"hello\n")
        client.close()
    assert echo.exchange(b"still here\n") == b"one still here\n"


def test_nobody_reading_its_output_does_not_stop_it(echo: Echo) -> None:
    # Its output pipe, which this test does not read, holds 64 KiB.
    for _ in range(10):
        assert echo.exchange(b"x" * 50_000 + b"\n").endswith(b"x\n")


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's account of shared memory")
def test_a_container_costs_little_memory() -> None:
    fresh = Echo()
    try:
        assert psutil.Process(fresh.process.pid).memory_full_info().pss < MOST_MEMORY_BYTES
    finally:
        fresh.process.kill()
        fresh.process.communicate()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], b"you should run it like:"),
        (["9000"], b"you should run it like:"),
        (["nonsense", "one"], b"failed to create listener, err: listen tcp :nonsense:"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: bytes) -> None:
    done = subprocess.run([sys.executable, str(TCP_ECHO), *arguments], capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
    assert done.stdout.startswith(words)
    assert done.stderr == b""


def test_a_port_already_taken(echo: Echo) -> None:
    environment = {**os.environ, "POD_LISTEN_ADDRESS": echo.address}
    command = [sys.executable, str(TCP_ECHO), "9000", "two"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=20)
    assert done.returncode == 1
    assert b"Address already in use" in done.stdout
