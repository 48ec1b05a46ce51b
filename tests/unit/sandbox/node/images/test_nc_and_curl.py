"""The stand-ins for nc and curl, as the processes they are in a container."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.sandbox.node import programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ADDRESS = "127.0.0.1"


class Server:
    """Listens; hands each connection to what the test wants done with it."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.socket = socket.create_server((ADDRESS, 0))
        self.port = str(self.socket.getsockname()[1])
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            self._answer(connection)

    def close(self) -> None:
        self.socket.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Starts a server for one connection, gives its port."""
    servers = []

    def started(answer: Callable[[socket.socket], None]) -> str:
        servers.append(Server(answer))
        return servers[-1].port

    yield started
    for server in servers:
        server.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs a shell script as a container would."""
    programs.install(tmp_path / "programs")
    names = tmp_path / "hosts"
    names.write_text(f"{ADDRESS} tcp-echo.course.svc.cluster.local tcp-echo.course.svc tcp-echo.course tcp-echo\n")
    variables = programs.first_on_path(
        tmp_path / "programs", {"PATH": os.environ["PATH"], "POD_HOSTS_FILE": str(names)}
    )

    def ran(script: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", "-c", script], env=variables, capture_output=True, check=False, timeout=60)

    return ran


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """Standard input in which nothing ever comes, opened with `<>`."""
    os.mkfifo(tmp_path / "silent")
    return tmp_path / "silent"


def echo(connection: socket.socket) -> None:
    """Answers each line, until the client has sent its last."""
    for line in connection.makefile("rb"):
        connection.sendall(b"one " + line)


@pytest.mark.parity("in the cluster: nc knows a Service by name, name.namespace and full name", "works")
@pytest.mark.parametrize(
    "name",
    [ADDRESS, "localhost", "tcp-echo", "TCP-Echo.course", "tcp-echo.course.svc", "tcp-echo.course.svc.cluster.local."],
)
def test_nc_carries_both_ways(run, serve, name):
    done = run(f"(echo a; echo b) | nc {name} {serve(echo)}")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"one a\none b\n", b"")


def test_nc_shows_what_comes_before_it_has_read_all(run, serve, tmp_path):
    """As `(date; sleep 1) | nc`: the answer is there while the input is still open."""
    os.mkfifo(tmp_path / "go")
    done = run(
        f"(echo a; cat {tmp_path}/go) | nc {ADDRESS} {serve(echo)} | (read x; echo $x; echo b > {tmp_path}/go; cat)"
    )
    assert done.stdout == b"one a\none b\n"


def test_nc_ends_with_its_peer(run, serve, silent):
    done = run(f"nc {ADDRESS} {serve(lambda peer: peer.sendall(b'bye'))} <> {silent}")
    assert (done.returncode, done.stdout) == (0, b"bye")


def test_nc_without_a_server(run):
    with socket.create_server((ADDRESS, 0)) as once:
        port = once.getsockname()[1]
    done = run(f"nc tcp-echo {port} < /dev/null")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"nc: can't connect to remote host ({ADDRESS}): Connection refused\n"


@pytest.mark.parametrize("port", ["0", "70000"])
def test_nc_and_ports_that_are_none(run, port):
    done = run(f"nc {ADDRESS} {port} < /dev/null")
    assert done.returncode == 1
    assert done.stderr.startswith(b"nc: can't connect to remote host (127.0.0.1): ")


def test_nc_and_a_name_nobody_has(run):
    done = run("nc no-such.invalid 1 < /dev/null")
    assert (done.returncode, done.stderr) == (1, b"nc: bad address 'no-such.invalid'\n")


def test_nc_wants_a_port(run):
    assert b"usage: nc" in run("nc tcp-echo").stderr


def test_nc_only_tries(run, serve, silent):
    assert run(f"nc -z tcp-echo {serve(lambda _: None)} <> {silent}").returncode == 0


def test_nc_waits_no_longer_than_told(run, serve):
    ended = threading.Event()
    done = run(f"echo a | nc -w 0.2 tcp-echo {serve(lambda _: ended.wait(30) and None)}; echo $?")
    ended.set()
    assert (done.stdout, done.stderr) == (b"1\n", b"nc: timed out\n")


def test_nc_whose_output_nobody_reads_any_more(run, serve, silent):
    port = serve(lambda peer: peer.sendall(b"x" * 1_000_000))
    done = run(f"(nc {ADDRESS} {port} <> {silent}; echo $? >&2) | head -c 1")
    assert (done.stdout, done.stderr) == (b"x", b"1\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_knows_the_names_too(run, serve):
    asked = []

    def answer(peer: socket.socket) -> None:
        asked.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes")

    port = serve(answer)
    done = run(f"curl -sS http://tcp-echo.course:{port}/path")
    assert (done.stdout, done.stderr) == (b"yes", b"")
    assert f"Host: tcp-echo.course:{port}\r\n".encode() in asked[0]


def test_curl_where_there_is_none(tmp_path, monkeypatch, run):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    programs.install(tmp_path / "programs")
    done = run("curl http://tcp-echo")
    assert (done.returncode, done.stderr) == (127, b"curl: this computer has no curl; install it, or use nc\n")
