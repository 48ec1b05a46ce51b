"""From changing the weights by the helper to the first connection on the new split.

All traffic is moved from one version to the other, so that one connection tells. The API write is part of the time.
"""

from __future__ import annotations

import socket
import time

from bar import Result, cluster, deploy_echo

from tcpshift_helpers import istio

CHANGES = 60


def measure() -> list[Result]:
    milliseconds = []
    with cluster() as here:
        deploy_echo(here)
        host, port = istio.ingress(here)
        _until_answer(host, port, b"one")
        for number in range(CHANGES):
            version, word = ("v2", b"two") if number % 2 == 0 else ("v1", b"one")
            started = time.perf_counter()
            istio.set_weights(here, "tcp-echo", {"v1": 100 * (version == "v1"), "v2": 100 * (version == "v2")})
            _until_answer(host, port, word)
            milliseconds.append((time.perf_counter() - started) * 1e3)
    return [Result("weight change to first connection on the new split", milliseconds, "ms", 20)]


def _until_answer(host: str, port: int, word: bytes) -> None:
    """Connect again and again, one connection at a time, until the answer begins with `word`."""
    deadline = time.monotonic() + 20
    while _ask(host, port) != word:
        assert time.monotonic() < deadline, f"no {word!r} after 20 s"


def _ask(host: str, port: int) -> bytes:
    """One connection, one line, the first word of the answer. Plain sockets: netcat's probe costs more than 1 ms."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(b"hello\n")
            return connection.recv(100).split(b" ")[0]
    except OSError:
        return b""
