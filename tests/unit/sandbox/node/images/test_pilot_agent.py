"""The stand-in for `pilot-agent request`, as the process it is in a proxy's container."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.sandbox.node import programs
from tcpshift_helpers.sandbox.node.images import PROXY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]


class Admin(BaseHTTPRequestHandler):
    """Envoy's admin port, as far as this needs one: it answers with what it was asked."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.send_response({"/missing": 404, "/broken": 503}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path} {body}".encode())

    do_GET = do_POST = _answer  # noqa: N815 (names of BaseHTTPRequestHandler)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Nothing on the test's output."""


@pytest.fixture
def pod_ip() -> str:
    """A loopback address of this test's own: the ports are fixed."""
    return f"127.{random.randint(200, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"


@pytest.fixture
def run(tmp_path: Path, pod_ip: str) -> Run:
    """Runs a command as a proxy's container would."""
    programs.install(tmp_path)
    variables = programs.first_on_path(tmp_path, {"PATH": os.environ["PATH"], "POD_IP": pod_ip}, PROXY)

    def ran(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=variables, capture_output=True, check=False, timeout=60, text=True)

    return ran


@pytest.fixture
def envoy(pod_ip: str) -> Iterator[None]:
    """An Envoy that answers on its admin port."""
    with HTTPServer((pod_ip, 15000), Admin) as server:
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


def test_without_an_envoy_the_connection_is_refused(run: Run) -> None:
    done = run("pilot-agent", "request", "GET", "config_dump", "--debug-port", "15021")
    assert done.returncode == 255
    assert done.stderr == (
        'Error: Get "http://localhost:15021/config_dump": dial tcp 127.0.0.1:15021: connect: connection refused\n'
    )


def test_only_the_proxys_own_ports_are_asked(run: Run) -> None:
    done = run("pilot-agent", "request", "--debug-port", "80", "GET", "config_dump")
    assert done.returncode == 255
    assert done.stderr == "Error: debug port 80 is not in allowed list [15000 15004 15020 15021]\n"


def test_other_images_have_none(tmp_path: Path) -> None:
    programs.install(tmp_path)
    path = programs.first_on_path(tmp_path, {"PATH": "/bin"}, "curl")["PATH"].split(os.pathsep)
    assert path == [str(tmp_path), "/bin"]
