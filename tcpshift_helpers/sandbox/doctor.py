"""Looks for what could keep the sandbox from starting or from working, and says what to do about each.

It reads and tries; it repairs nothing. What it checks before a start is what the supervisor checks, by the same functions.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import SandboxError, TcpShiftError
from tcpshift_helpers.sandbox import network, preflight, supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.home import Home

MINIMUM_FREE_BYTES = 200_000_000
_SAMPLE_SUBNET = network.Subnet("127.61.20")


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at.
        ok: whether it is in order.
        detail: what was found; if it is not in order, why that matters and what to do.
    """

    check: str
    ok: bool
    detail: str


def examine(home: Home) -> Iterator[Finding]:
    """Run every check that makes sense now, one after the other; none of them stops the rest."""
    checks: dict[str, Callable[[Home], str]] = {
        "Python": _python,
        "loopback addresses": _loopback,
        "Envoy": _envoy,
        "state directory": _directory,
        "disk space": _disk,
        "JupyterLab": _jupyterlab,
        "last start": _last_start,
    }
    is_down = supervisor.status(home).state == "down"
    checks |= {"ports": _ports} if is_down else {"parts": _parts, "readiness": _readiness}
    for check, function in checks.items():
        try:
            yield Finding(check, True, function(home))
        except TcpShiftError as error:
            yield Finding(check, False, str(error))


def _python(_: Home) -> str:
    version = ".".join(str(number) for number in sys.version_info[:3])
    if sys.version_info < (3, 11):  # noqa: UP036 (a wheel can be forced in)
        raise SandboxError(f"Python {version} is too old; install 3.11 or newer and set everything up again with it.")
    return f"{version}, {sys.executable}"


def _loopback(home: Home) -> str:
    address = _subnet(home).api_server
    with socket.socket() as trial:
        try:
            trial.bind((address, 0))
        except OSError as error:
            raise SandboxError(
                f"This computer does not answer on {address}: {error.strerror}. Linux and Windows have all of 127.0.0.0/8, "
                "macOS has 127.0.0.1 alone. Use Linux, or point the course at a cluster: connect(context=…)."
            ) from error
    return f"{address} can be used"


def _envoy(_: Home) -> str:
    path = preflight.check_envoy()
    try:
        result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(
            f"Envoy is there but does not run on this computer ({path}): {error}. "
            "Its wheel wants a C library as recent as the wheel's tag says; see: python -m pip debug --verbose"
        ) from error
    words = result.stdout.split()
    return f"{words[2].split('/')[1] if len(words) > 2 and '/' in words[2] else 'runs'}, {path}"


def _directory(home: Home) -> str:
    preflight.check_directory(home)
    return str(home.root)


def _disk(home: Home) -> str:
    place = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < MINIMUM_FREE_BYTES:
        raise SandboxError(
            f"Only {free / 1e6:.0f} MB are free at {place}; the sandbox needs {MINIMUM_FREE_BYTES / 1e6:.0f} MB. "
            "Make room, or choose another place: export TCPSHIFT_HOME=/path/to/a/directory"
        )
    return f"{free / 1e9:.1f} GB free"


def _jupyterlab(_: Home) -> str:
    if find_spec("jupyterlab") is None:
        raise SandboxError("JupyterLab is not installed in this environment: python -m pip install jupyterlab")
    return "installed"


def _last_start(home: Home) -> str:
    if error := supervisor.status(home).error:
        raise SandboxError(f"It failed: {error}")
    return "no failure is known"


def _ports(home: Home) -> str:
    subnet = _subnet(home)
    preflight.check_port(subnet.gateway, network.GATEWAY_PORT, "the ingress gateway")
    preflight.check_port(subnet.api_server, network.API_PORT, "the API server")
    preflight.check_port(subnet.api_server, network.KUBELET_PORT, "the kubelet")
    return f"{network.GATEWAY_PORT}, {network.API_PORT} and {network.KUBELET_PORT} are free on {subnet.prefix}.0/24"


def _parts(home: Home) -> str:
    parts = supervisor.status(home).parts
    for part in parts:
        if part["pid"] is None:
            raise SandboxError(
                f"{part['name']} is not running ({part['last_exit'] or 'never started'}) and will be started again. "
                f"If that repeats, read {home.logs / part['name']}.log"
            )
    restarted = [f"{part['name']} was restarted {part['restarts']} times" for part in parts if part["restarts"]]
    return ", ".join(restarted or [f"{part['name']} runs" for part in parts])


def _readiness(home: Home) -> str:
    if lacking := supervisor.status(home).missing:
        raise SandboxError(
            f"Not ready: {', '.join(lacking)}. If it stays so, read the logs in {home.logs}, "
            "and start afresh: tcpshift down; tcpshift up"
        )
    return "API server, istiod and istio-ingressgateway are ready"


def _subnet(home: Home) -> network.Subnet:
    try:
        return network.load_subnet(home)
    except (OSError, ValueError, KeyError):
        return _SAMPLE_SUBNET
