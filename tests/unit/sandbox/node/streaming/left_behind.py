"""What clients that go without a word might leave behind, counted: everybody is one process, and what it started."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import psutil

from tcpshift_helpers.sandbox.node.processes import MARK

if TYPE_CHECKING:
    from ..conftest import Node

CUTS = 200


def counts(node: Node) -> tuple[int, int, int]:
    """Tasks, processes and open files: its own children, and what bears a mark of its state directory and may be no child any more."""
    gc.collect()
    here = psutil.Process()
    started = {child for child in here.children(recursive=True) if child.is_running()}
    started |= {process for process in psutil.process_iter() if _mark(process).startswith(str(node.home.root))}
    return len(asyncio.all_tasks()), sum(map(_runs, started)), here.num_fds()


async def until_nothing_is_left(node: Node, before: tuple[int, int, int], until: Any) -> None:
    """Until there is no more of anything than before."""
    await until(
        lambda: all(now <= then for now, then in zip(counts(node), before, strict=True)), "what was cut to go", 60
    )


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return ""
