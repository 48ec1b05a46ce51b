"""The stand-in for `pilot-agent request`, as the process it is in a proxy's container."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.sandbox.node import programs
from tcpshift_helpers.sandbox.node.images import PROXY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]


class Admin(BaseHTTPRequestHandler):
    """Envoy's admin interface, as far as this needs one: it answers with what it was asked."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.send_response({"/missing": 404, "/broken": 503}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path} {body}".encode())

    do_GET = do_POST = _answer  # noqa: N815 (names of BaseHTTPRequestHandler)

    def address_string(self) -> str:
        """Nobody's: a Unix socket's peer has no address."""
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Nothing on the test's output."""


@pytest.fixture
def admin_socket(tmp_path: Path) -> Path:
    """A path that is longer than a socket's address can be."""
    directory = tmp_path / ("long" * 50)
    directory.mkdir()
    return directory / "admin.sock"


@pytest.fixture
def run(tmp_path: Path, admin_socket: Path) -> Run:
    """Runs a command as a proxy's container would, of a pod whose address is this test's own: the ports are fixed."""
    programs.install(tmp_path)
    pod_ip = f"127.{random.randint(200, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
    variables = {"PATH": os.environ["PATH"], "POD_IP": pod_ip, "ENVOY_ADMIN_SOCKET": str(admin_socket)}
    variables = programs.first_on_path(tmp_path, variables, PROXY)

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=variables, capture_output=True, check=False, timeout=60, text=True)

    return ran


@pytest.fixture
def envoy(admin_socket: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An Envoy that answers at its admin socket."""
    monkeypatch.chdir(admin_socket.parent)
    with UnixStreamServer(admin_socket.name, Admin) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("envoy")
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["GET", "config_dump"], "GET /config_dump \n"),
        (["GET", "/config_dump?mask=x"], "GET /config_dump?mask=x \n"),
        (["POST", "logging", "level=info"], "POST /logging level=info\n"),
        (["GET", "missing"], "GET /missing \n"),
    ],
)
def test_what_envoy_answers_is_printed(run: Run, words: list[str], printed: str) -> None:
    done = run("pilot-agent", "request", *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


@pytest.mark.usefixtures("envoy")
def test_a_refusal_is_an_error_with_its_words(run: Run) -> None:
    done = run("pilot-agent", "request", "GET", "broken")
    assert (done.returncode, done.stdout) == (255, "")
    assert done.stderr == "Error: received unsuccessful status code 503: GET /broken \n"


@pytest.mark.parametrize("port", [15000, 15021])
def test_without_an_envoy_the_connection_is_refused(run: Run, port: int) -> None:
    done = run("pilot-agent", "request", "GET", "config_dump", "--debug-port", str(port))
    assert done.returncode == 255
    assert done.stderr == (
        f'Error: Get "http://localhost:{port}/config_dump": dial tcp 127.0.0.1:{port}: connect: connection refused\n'
    )


def test_the_socket_of_an_envoy_that_was_killed_refuses(
    run: Run, admin_socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(admin_socket.parent)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(admin_socket.name)
    done = run("pilot-agent", "request", "GET", "config_dump")
    assert done.returncode == 255
    assert done.stderr.endswith("connect: connection refused\n")


def test_only_the_proxys_own_ports_are_asked(run: Run) -> None:
    done = run("pilot-agent", "request", "--debug-port", "80", "GET", "config_dump")
    assert done.returncode == 255
    assert done.stderr == "Error: debug port 80 is not in allowed list [15000 15004 15020 15021]\n"


def test_other_images_have_none(tmp_path: Path) -> None:
    programs.install(tmp_path)
    path = programs.first_on_path(tmp_path, {"PATH": "/bin"}, "curl")["PATH"].split(os.pathsep)
    assert path == [str(tmp_path), "/bin"]
