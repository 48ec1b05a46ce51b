"""Parts that end in the middle of exec: its client is told, and no process of it stays, whatever that ignores."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psutil
import pytest
import websocket

from tcpshift_helpers.sandbox.network import API_PORT, load_subnet
from tcpshift_helpers.sandbox.node import processes

from .parts import AGENT, API_SERVER, POD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .parts import Parts

# Nothing of it heeds a signal that can be ignored, or the end of its input; the first line is its process id, the second its child's.
STUBBORN = "trap '' HUP INT TERM PIPE; (echo $$; sleep 1000; sleep 1000) & sleep 1000 & echo $!; wait; sleep 1000"


@dataclass
class Exec:
    """An exec in the pod, and the processes of it."""

    socket: websocket.WebSocket
    output: bytes = b""
    processes: list[psutil.Process] = field(default_factory=list)

    def begin(self) -> None:
        """Wait until all of it runs."""
        while self.output.count(b"\n") < 2:
            self.output += self.socket.recv()[1:]
        leader = psutil.Process(int(self.output.split()[0]))
        self.processes = [leader, *leader.children(recursive=True)]

    def is_gone(self) -> bool:
        return not any(map(runs, self.processes))

    def until_end(self) -> bytes:
        """What the error channel has said when the connection has ended."""
        said = b""
        with contextlib.suppress(websocket.WebSocketConnectionClosedException, OSError):
            while message := self.socket.recv():
                said += message[1:] if message[0] == 3 else b""
        return said


def runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def agent(parts: Parts, until: Callable[..., None]) -> Any:
    """An agent that runs a pod."""
    started = parts.start(AGENT)
    assert parts.request("POST", "/api/v1/namespaces/default/pods", POD)[0] == 201
    until(parts.is_running, "the pod to run")
    return started


@pytest.fixture
def execs(parts: Parts, agent: Any) -> Iterator[list[Exec]]:
    """Four that run: with and without input, with and without a terminal."""
    del agent
    made = []
    for options in ({}, {"stdin": "true"}, {"stdin": "true", "tty": "true"}, {"tty": "true"}):
        query = urlencode(
            [("command", word) for word in ("sh", "-c", STUBBORN)] + [("stdout", "true"), *options.items()]
        )
        opened = websocket.create_connection(
            f"wss://{load_subnet(parts.home).api_server}:{API_PORT}/api/v1/namespaces/default/pods/echo/exec?{query}",
            sslopt={"ca_certs": str(parts.home.pki / "ca.crt")},
            header=[f"Authorization: Bearer {parts.home.token.read_text().strip()}"],
            subprotocols=["v4.channel.k8s.io"],
            timeout=30,
        )
        made.append(Exec(opened))
    for each in made:
        each.begin()
    yield made
    for each in made:
        each.socket.shutdown()


def container_runs(parts: Parts) -> bool:
    (record,) = processes.read_records(parts.home.pod(parts.pod()["metadata"]["uid"]))
    return processes.find(record) is not None


def test_the_api_server_is_killed(parts: Parts, execs: list[Exec], until: Callable[..., None]) -> None:
    server = parts.running[0]
    server.kill()
    server.wait(10)
    assert [each.until_end() for each in execs] == [b""] * len(execs)
    until(lambda: all(each.is_gone() for each in execs), "what ran by way of it to end")
    parts.start(API_SERVER)
    until(parts.is_up, "the API server")
    assert container_runs(parts)


def test_the_agent_is_killed(parts: Parts, agent: Any, execs: list[Exec], until: Callable[..., None]) -> None:
    """The next one ends what it finds, and leaves the container alone."""
    agent.kill()
    agent.wait(10)
    assert [each.until_end() for each in execs] == [b""] * len(execs)
    assert not any(each.is_gone() for each in execs), "nobody has ended them yet"
    parts.start(AGENT)
    until(lambda: all(each.is_gone() for each in execs), "what the first one left to end")
    assert container_runs(parts)


def test_the_agent_is_stopped(agent: Any, execs: list[Exec]) -> None:
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    assert all(each.is_gone() for each in execs)
    assert [b'"message":"137"' in each.until_end() for each in execs] == [True] * len(execs)
