"""Probes: is a container started, alive, ready?

`check` asks once; `ProbeLoop` asks again and again and tells of changes. The first readiness and startup questions come at once
and quickly one after the other, unlike the real kubelet's, so that a start costs milliseconds; they count as failures only at
the pace of `periodSeconds`. Not done: gRPC probes and HTTP redirects to other hosts.

Source: kubernetes 1.34 pkg/kubelet/prober (worker.go, prober.go), pkg/probe/{http,tcp,exec}.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.node.processes import signal_group

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_QUICK_PAUSE_SECONDS = 0.25
_LONGEST_ANSWER = 10 * 1024


@dataclass(frozen=True)
class Target:
    """Where and how a container is probed.

    Attributes:
        address: where its ports are.
        ports: its named ports.
        environment: for exec probes.
        working_directory: for exec probes.
    """

    address: str
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    working_directory: str


class ProbeFailure(Exception):  # noqa: N818  (the probe failed, not the prober)
    """The container did not answer as it should; `str()` of it is the kubelet's output."""


async def check(probe: Mapping[str, Any], target: Target) -> None:
    """Ask once.

    Raises:
        ProbeFailure: it is not well.
    """
    seconds = float(probe.get("timeoutSeconds", 1))
    if "httpGet" in probe:
        await _http(probe["httpGet"], target, seconds)
    elif "tcpSocket" in probe:
        await _tcp(probe["tcpSocket"], target, seconds)
    elif "exec" in probe:
        await _exec(probe["exec"].get("command") or [], target, seconds)
    else:
        raise ProbeFailure("this sandbox knows the probes httpGet, tcpSocket and exec")


def _port(value: int | str, target: Target) -> int:
    if isinstance(value, int):
        return value
    if value in target.ports:
        return target.ports[value]
    if value.isdecimal():
        return int(value)
    raise ProbeFailure(f"couldn't find port: {value}")


async def _tcp(action: Mapping[str, Any], target: Target, seconds: float) -> None:
    host = action.get("host") or target.address
    port = _port(action["port"], target)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
    except TimeoutError:
        raise ProbeFailure(f"dial tcp {host}:{port}: i/o timeout") from None
    except OSError as error:
        raise ProbeFailure(f"dial tcp {host}:{port}: connect: {_words(error)}") from None


async def _http(action: Mapping[str, Any], target: Target, seconds: float) -> None:
    host = action.get("host") or target.address
    port = _port(action["port"], target)
    path = action.get("path") or "/"
    scheme = action.get("scheme", "HTTP").lower()
    url = f"{scheme}://{host}:{port}{path}"
    try:
        async with asyncio.timeout(seconds):
            status = await _http_status(host, port, path, _headers(action), _tls() if scheme == "https" else None)
    except TimeoutError:
        raise ProbeFailure(
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ) from None
    except ValueError:
        raise ProbeFailure(f'Get "{url}": malformed HTTP response') from None
    except (EOFError, ConnectionResetError):
        raise ProbeFailure(f'Get "{url}": EOF') from None
    except OSError as error:
        raise ProbeFailure(f'Get "{url}": dial tcp {host}:{port}: connect: {_words(error)}') from None
    if not 200 <= status < 400:
        raise ProbeFailure(f"HTTP probe failed with statuscode: {status}")


async def _http_status(host: str, port: int, path: str, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> int:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        line = await reader.readline()
        if not line:
            raise EOFError
        return int(line.split(b" ", 2)[1])
    except IndexError as error:
        raise ValueError("no status line") from error
    finally:
        writer.close()


def _headers(action: Mapping[str, Any]) -> dict[str, str]:
    wished = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
    return {"User-Agent": "kube-probe/1.34", "Accept": "*/*"} | wished


def _tls() -> ssl.SSLContext:
    # As the kubelet: a probe asks whether somebody answers, not who.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _exec(command: list[str], target: Target, seconds: float) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(target.environment),
        cwd=target.working_directory,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        signal_group(process.pid, signal.SIGKILL)
        await process.communicate()
        raise ProbeFailure(f'command timed out: "{" ".join(command)}" timed out after {seconds:g}s') from None
    except asyncio.CancelledError:
        signal_group(process.pid, signal.SIGKILL)
        await process.communicate()
        raise
    if process.returncode != 0:
        raise ProbeFailure(output[:_LONGEST_ANSWER].decode(errors="replace").strip())


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error.strerror or error).lower()


class ProbeLoop:
    """Asks one probe of one running container until it is cancelled.

    Attributes:
        healthy: the present verdict.
    """

    def __init__(
        self,
        probe: Mapping[str, Any],
        target: Target,
        *,
        quick_start: bool,
        healthy: bool,
        on_change: Callable[[bool], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.healthy = healthy
        self._probe = probe
        self._target = target
        self._quick = quick_start
        self._on_change = on_change
        self._on_failure = on_failure
        self._row = 0
        self._last: bool | None = None

    async def run(self) -> None:
        """Ask at the probe's pace, from its initial delay on."""
        await asyncio.sleep(float(self._probe.get("initialDelaySeconds") or 0))
        period = float(self._probe.get("periodSeconds") or 10)
        if self._quick:
            await self._ask_quickly()
            await asyncio.sleep(period if self.healthy else 0)
        while True:
            started = time.monotonic()
            await self._ask(quiet=False)
            await asyncio.sleep(max(0.0, period - (time.monotonic() - started)))

    async def _ask_quickly(self) -> None:
        """Until the first success, but no longer than one period, ask often and count no failure."""
        deadline = time.monotonic() + float(self._probe.get("periodSeconds") or 10)
        pause = _FIRST_PAUSE_SECONDS
        while not await self._ask(quiet=True) and time.monotonic() + pause < deadline:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_QUICK_PAUSE_SECONDS)

    async def _ask(self, *, quiet: bool) -> bool:
        try:
            await check(self._probe, self._target)
        except (ProbeFailure, OSError) as error:
            if not quiet:
                self._on_failure(str(error))
                self._count(well=False, threshold=int(self._probe.get("failureThreshold") or 3))
            return False
        self._count(well=True, threshold=int(self._probe.get("successThreshold") or 1))
        return self.healthy

    def _count(self, *, well: bool, threshold: int) -> None:
        self._row = self._row + 1 if self._last == well else 1
        self._last = well
        if self._row >= threshold and self.healthy != well:
            self.healthy = well
            self._on_change(well)
