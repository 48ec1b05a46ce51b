"""The doctor: each thing that can be wrong is found, told, and does not hide the others."""

from __future__ import annotations

import json
import shutil
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox import doctor, network, supervisor
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.supervisor import Status

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = {"name": "agent", "pid": 12, "started_at": 1.0, "restarts": 0, "last_exit": None, "last_exit_at": None}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def findings(home: Home) -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.examine(home)}


def pretend(monkeypatch: pytest.MonkeyPatch, state: str, **changes: Any) -> None:
    fields: dict[str, Any] = {"missing": [], "parts": [RUNNING], "error": "", **changes}
    monkeypatch.setattr(supervisor, "status", lambda _: Status(state, "", 1, 1.0, "", "", **fields))


def test_a_sound_computer_has_nothing_wrong(home: Home) -> None:
    assert {check: finding.detail for check, finding in findings(home).items() if not finding.ok} == {}


def test_a_taken_port_is_found_before_the_start(home: Home) -> None:
    home.create()
    subnet = network.choose_subnet(home)
    with socket.socket() as listener:
        listener.bind((subnet.gateway, network.GATEWAY_PORT))
        listener.listen(1)
        found = findings(home)
    assert not found["ports"].ok
    assert f"Port 31400 on {subnet.gateway}" in found["ports"].detail
    assert found["Envoy"].ok


def test_a_full_disk_says_where_and_how_much(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    found = findings(home)["disk space"]
    assert not found.ok
    assert found.detail.startswith("Only 5 MB are free at ")
    assert "TCPSHIFT_HOME" in found.detail


def test_a_computer_without_other_loopback_addresses_is_told(home: Home) -> None:
    home.create()
    home.network.write_text(json.dumps({"prefix": "192.0.2"}))
    found = findings(home)["loopback addresses"]
    assert not found.ok
    assert "does not answer on 192.0.2.1" in found.detail


def test_the_error_of_the_last_start_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "down", error="Port 31400 is taken.")
    assert findings(home)["last start"].detail == "It failed: Port 31400 is taken."


def test_a_part_that_is_not_running_names_its_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "not ready", missing=["istiod"], parts=[RUNNING | {"pid": None, "last_exit": "exit code 1"}])
    found = findings(home)
    assert "agent is not running (exit code 1)" in found["parts"].detail
    assert "agent.log" in found["parts"].detail
    assert found["readiness"].detail.startswith("Not ready: istiod.")
    assert "ports" not in found


def test_restarts_are_told_and_are_no_fault(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "up", parts=[RUNNING | {"restarts": 3}])
    found = findings(home)["parts"]
    assert found.ok
    assert found.detail == "agent was restarted 3 times"
