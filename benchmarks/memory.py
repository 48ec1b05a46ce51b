"""Memory of the whole idle sandbox with both echo pods: the sum of the PSS of its processes.

PSS counts a page that n processes share as 1/n for each, so the sum is what the sandbox really costs.
"""

from __future__ import annotations

import os
import sys
import time

import psutil
from bar import Result, cluster, deploy_echo

from tcpshift_helpers.sandbox import record
from tcpshift_helpers.sandbox.home import Home

RUNS = 5
# What a start allocates is given back within this time.
_SETTLE_SECONDS = 3.0


def measure() -> list[Result]:
    without, with_sidecars = [], []
    for _ in range(RUNS):
        with cluster() as here:
            deploy_echo(here)
            time.sleep(_SETTLE_SECONDS)
            without.append(_pss_megabytes())
        with cluster() as here:
            deploy_echo(here, sidecars=True)
            time.sleep(_SETTLE_SECONDS)
            with_sidecars.append(_pss_megabytes())
    return [
        Result("idle sandbox with both echo pods, PSS", without, "MB", 250),
        Result("the same with a sidecar each, PSS", with_sidecars, "MB", 250),
    ]


def processes() -> list[psutil.Process]:
    """Every process of the sandbox: the supervisor, what descends from it, and what names its state directory."""
    home = Home.from_environment()
    state = record.read(home)
    assert state is not None
    supervisor = psutil.Process(state.pid)
    found = {process.pid: process for process in [supervisor, *supervisor.children(recursive=True)]}
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(home.root) in " ".join([process.cwd(), *process.cmdline()]):
                found.setdefault(process.pid, process)
        except psutil.Error:
            continue
    return list(found.values())


def _pss_megabytes() -> float:
    return sum(process.memory_full_info().pss for process in processes()) / 1e6


if __name__ == "__main__":
    # Which process costs how much.
    with cluster() as here:
        deploy_echo(here, sidecars="sidecars" in sys.argv)
        time.sleep(_SETTLE_SECONDS)
        for process in processes():
            print(
                f"{process.memory_full_info().pss / 1e6:8.1f} MB  {' '.join(process.cmdline())[:110]}", file=sys.stderr
            )
