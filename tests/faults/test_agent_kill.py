"""`kill -9` of the agent: containers live on, their output is kept, and the next agent takes them over."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.network import load_subnet
from tcpshift_helpers.sandbox.node import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.home import Home

API_SERVER = (
    "import asyncio; from tcpshift_helpers.sandbox.home import Home; from tcpshift_helpers.sandbox.apiserver import server; "
    "asyncio.run(server.run(Home.from_environment()))"
)
AGENT = (
    "import asyncio; from tcpshift_helpers.sandbox.home import Home; from tcpshift_helpers.sandbox import agent; "
    "asyncio.run(agent.run(Home.from_environment()))"
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "echo", "namespace": "default"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "tcp-echo-server", "args": ["9000", "one"]}],
    },
}


class Parts:
    """An API server and an agent, as processes."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.create()
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, code: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TCPSHIFT_HOME": str(self.home.root)}
        with (self.home.logs / "test.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        tls = ssl.create_default_context(cafile=str(self.home.pki / "ca.crt"))
        connection = http.client.HTTPSConnection(load_subnet(self.home).api_server, 6443, context=tls, timeout=10)
        token = self.home.token.read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def is_up(self) -> bool:
        try:
            return self.home.kubeconfig.exists() and self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def pod(self) -> dict[str, Any]:
        return self.request("GET", "/api/v1/namespaces/default/pods/echo")[1]

    def is_running(self, restarts: int = 0) -> bool:
        statuses = self.pod().get("status", {}).get("containerStatuses") or [{}]
        return statuses[0].get("ready") is True and statuses[0]["restartCount"] == restarts


@pytest.fixture
def parts(home: Home, until: Callable[..., None]) -> Iterator[Parts]:
    made = Parts(home)
    made.start(API_SERVER)
    until(made.is_up, "the API server")
    yield made
    for process in reversed(made.running):
        process.terminate()
        process.wait(20)
    processes.stop_all(home)


def echo(address: str, line: bytes) -> bytes:
    with socket.create_connection((address, 9000), 5) as client:
        client.sendall(line)
        return client.recv(1000)


def test_containers_outlive_the_agent(parts: Parts, until: Callable[..., None]) -> None:
    agent = parts.start(AGENT)
    assert parts.request("POST", "/api/v1/namespaces/default/pods", POD)[0] == 201
    until(parts.is_running, "the pod to run")
    pod = parts.pod()
    (record,) = processes.read_records(parts.home.pod(pod["metadata"]["uid"]))
    address = pod["status"]["podIP"]
    agent.kill()
    agent.wait(10)
    assert echo(address, b"while no agent lives\n") == b"one while no agent lives\n"
    # More than a pipe holds: output may be lost then, service may not.
    for _ in range(20):
        assert echo(address, b"x" * 900 + b"\n").startswith(b"one x")
    parts.start(AGENT)
    log = "/api/v1/namespaces/default/pods/echo/log"

    def shown() -> bool:
        try:
            return "request: while no agent lives\n" in parts.request("GET", log)[1]
        except (OSError, TypeError):
            return False

    until(shown, "the output of the time without an agent")
    assert parts.is_running(restarts=0)
    assert processes.read_records(parts.home.pod(pod["metadata"]["uid"])) == [record]
    os.killpg(record.pid, signal.SIGKILL)
    until(lambda: parts.is_running(restarts=1), "a container taken over to be restarted")


def test_what_was_deleted_meanwhile_ends(parts: Parts, until: Callable[..., None]) -> None:
    agent = parts.start(AGENT)
    parts.request("POST", "/api/v1/namespaces/default/pods", POD)
    until(parts.is_running, "the pod to run")
    directory = parts.home.pod(parts.pod()["metadata"]["uid"])
    (record,) = processes.read_records(directory)
    agent.kill()
    agent.wait(10)
    parts.request("DELETE", "/api/v1/namespaces/default/pods/echo?gracePeriodSeconds=0")
    assert parts.request("GET", "/api/v1/namespaces/default/pods/echo")[0] == 404
    assert processes.find(record) is not None
    parts.start(AGENT)
    until(lambda: processes.find(record) is None, "the orphan to end")
    until(lambda: not directory.exists(), "its directory to go")


def test_without_any_agent_stop_all_ends_them(parts: Parts, until: Callable[..., None]) -> None:
    agent = parts.start(AGENT)
    parts.request("POST", "/api/v1/namespaces/default/pods", POD)
    until(parts.is_running, "the pod to run")
    (record,) = processes.read_records(parts.home.pod(parts.pod()["metadata"]["uid"]))
    agent.kill()
    agent.wait(10)
    assert processes.stop_all(parts.home) >= 1
    assert processes.find(record) is None


def test_an_orderly_stop_ends_them_and_they_start_again(parts: Parts, until: Callable[..., None]) -> None:
    agent = parts.start(AGENT)
    parts.request("POST", "/api/v1/namespaces/default/pods", POD)
    until(parts.is_running, "the pod to run")
    (record,) = processes.read_records(parts.home.pod(parts.pod()["metadata"]["uid"]))
    agent.terminate()
    assert agent.wait(20) == 0
    assert processes.find(record) is None
    parts.start(AGENT)
    until(lambda: parts.is_running(restarts=1), "the pod to run again")
    last = parts.pod()["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (255, "Unknown")
