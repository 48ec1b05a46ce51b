"""Parts that are killed: what is acknowledged stays, what died comes back, and `down` finds everything.

Cases: the API server · the agent · the supervisor, then down or up · everything at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess

import psutil
import pytest

from tcpshift_helpers.sandbox import network, readiness, record, supervisor

from ..remains import what_is_left

CONFIG_MAP = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}}'

pytestmark = pytest.mark.sandbox


@pytest.fixture
def up(tcpshift, home):
    """A running sandbox; gives the command line."""
    code, out, err = tcpshift("up")
    assert code == 0, out + err
    return tcpshift


def pid_of(home, name: str) -> int:
    held = record.read(home)
    return held.pid if name == "supervisor" else next(part["pid"] for part in held.parts if part["name"] == name)


def restarted(home, name: str) -> bool:
    held = record.read(home)
    return any(part["name"] == name and part["restarts"] == 1 and part["pid"] for part in held.parts)


@pytest.mark.parametrize("name", ["apiserver", "agent"])
def test_a_killed_part_is_restarted_and_reported(up, home, until, name) -> None:
    os.kill(pid_of(home, name), signal.SIGKILL)
    until(lambda: restarted(home, name), f"{name} is restarted")
    until(lambda: readiness.missing(home) == [], "all is ready again")
    code, out, _ = up("status")
    assert code == 0
    assert "restarted 1 times, last: killed by SIGKILL" in out
    parts = {part["name"]: part for part in json.loads(up("status", "--json")[1])["parts"]}
    assert parts[name]["last_exit"] == "killed by SIGKILL"


def test_the_gateway_outlives_the_agent_and_the_api_server(up, home, until) -> None:
    gateway = network.load_subnet(home).gateway
    holder = _listener(gateway)
    assert holder is not None
    for name in ("agent", "apiserver"):
        os.kill(pid_of(home, name), signal.SIGKILL)
    until(lambda: restarted(home, "agent") and restarted(home, "apiserver"), "both are restarted")
    until(lambda: readiness.missing(home) == [], "all is ready again")
    assert _listener(gateway) == holder


@pytest.mark.parametrize("command", ["down", "up"])
def test_after_the_supervisor_was_killed(up, home, command) -> None:
    address = network.load_subnet(home)
    os.kill(pid_of(home, "supervisor"), signal.SIGKILL)
    code, out, err = up(command)
    assert code == 0, out + err
    if command == "down":
        assert what_is_left(home) == []
    else:
        assert supervisor.status(home).state == "up"
        assert network.load_subnet(home) == address
        assert "did not stop in order" in (home.logs / "supervisor.log").read_text()


def test_after_everything_was_killed_at_once(up, home) -> None:
    pids = [pid_of(home, name) for name in ("supervisor", "agent", "apiserver")]
    for pid in pids:
        psutil.Process(pid).suspend()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    code, out, err = up("up")
    assert code == 0, out + err
    assert supervisor.status(home).state == "up"
    assert up("down")[0] == 0
    assert what_is_left(home) == []


def test_objects_outlive_the_sandbox_until_a_reset(up, home) -> None:
    kubectl = ["kubectl", "--kubeconfig", str(home.kubeconfig)]
    try:
        subprocess.run(
            [*kubectl, "apply", "--filename=-"], input=CONFIG_MAP, text=True, check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("kubectl is not installed")
    token, address = home.token.read_text(), network.load_subnet(home)
    assert up("down")[0] == 0
    assert up("up")[0] == 0
    read = [*kubectl, "get", "configmap", "kept", "--output", "jsonpath={.data.a}"]
    assert subprocess.run(read, check=True, capture_output=True, text=True).stdout == "b"
    assert up("reset")[0] == 0
    assert "NotFound" in subprocess.run(read, check=False, capture_output=True, text=True).stderr
    assert (home.token.read_text(), network.load_subnet(home)) == (token, address)


def _listener(address: str) -> int | None:
    """The pid that listens on the address."""
    connections = psutil.net_connections("tcp")
    return next((c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.ip == address), None)
