"""Ends what a killed supervisor left running, so that neither a process nor a socket stays behind.

A process is ended only if it is proven ours: it runs `tcpshift_helpers.sandbox` with this very state directory, or it
carries a container's mark of it. Processes of pods are ended by the node's own records first, in `node.processes`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

from tcpshift_helpers.sandbox.node import processes

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.record import Record

# Parts end by themselves when their supervisor dies; this is the time they get for it.
_ORDERLY_SECONDS = 5.0
_KILL_SECONDS = 5.0


def end_all(home: Home, last: Record | None) -> bool:
    """End the parts named in `last`, then every process of a pod of this state directory.

    Args:
        home: the state directory; no supervisor may hold its lock.
        last: the record the dead supervisor left, if any.

    Returns:
        Whether a part was still running.
    """
    pids = [part.get("pid") for part in last.parts] if last else []
    ours = [process for pid in pids if pid and (process := find_part(home, pid))]
    _kill(processes.still_running(ours, _ORDERLY_SECONDS))
    processes.stop_all(home)
    return bool(ours)


def find_part(home: Home, pid: int) -> psutil.Process | None:
    """The process of that pid if it is a part of this sandbox; None if it ended, or the pid went to a stranger."""
    try:
        process = psutil.Process(pid)
        runs_a_part = "tcpshift_helpers.sandbox" in process.cmdline()
        return process if runs_a_part and process.environ().get("TCPSHIFT_HOME") == str(home.root) else None
    except psutil.Error:
        return None


def _kill(running: list[psutil.Process]) -> None:
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    processes.still_running(running, _KILL_SECONDS)
