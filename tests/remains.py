"""What belongs to a sandbox, and what it has left behind: the proof that nothing stays."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import psutil

from tcpshift_helpers.sandbox import network

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home


def processes_of(home: Home) -> list[psutil.Process]:
    """Processes that belong to this state directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            words, directory = process.cmdline(), process.cwd()
            named = process.environ().get("TCPSHIFT_HOME")
        except psutil.Error:
            continue
        if named == str(home.root) or str(home.root) in " ".join([directory, *words]):
            found.append(process)
    return found


def what_is_left(home: Home) -> list[str]:
    """Processes that belong to this state directory, and sockets that listen on its subnet."""
    left = []
    for process in processes_of(home):
        with contextlib.suppress(psutil.NoSuchProcess):
            left.append(f"{process.pid}: {' '.join(process.cmdline())}")
    try:
        prefix = network.load_subnet(home).prefix
    except FileNotFoundError:
        return left
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr)
    return left + [f"{c.laddr.ip}:{c.laddr.port}" for c in listening if c.laddr.ip.startswith(f"{prefix}.")]
