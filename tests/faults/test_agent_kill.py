"""`kill -9` of the agent: containers live on, their output is kept, and the next agent takes them over."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.node import processes

from .parts import AGENT, POD

if TYPE_CHECKING:
    from collections.abc import Callable

    from .parts import Parts


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
