"""Probes at a modest rate until told to stop, for what is looked at while it runs.

`netcat.probe` makes so many and returns them; here they come in the background, and whoever looks takes what was done
since the last time. Nothing here knows Kubernetes.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING

from tcpshift_helpers import netcat
from tcpshift_helpers.loop_thread import LoopThread

if TYPE_CHECKING:
    import pandas as pd

PER_SECOND = 10.0
# A gateway that does not answer is not asked more often than this, so that nobody's log fills up.
_PAUSE_AFTER_FAILURE_SECONDS = 1.0
# What nobody takes is forgotten, the oldest first.
_MOST_ROWS = 10_000


class ProbeStream:
    """Probes one after the other in a thread of its own, until `close`; also let go when nobody holds it any more."""

    def __init__(self, host: str, port: int, *, per_second: float = PER_SECOND, timeout_seconds: float = 5.0) -> None:
        """Begin.

        Args:
            host: name or address.
            port: TCP port.
            per_second: so many at most; fewer when answers take longer than that.
            timeout_seconds: for each probe.

        Raises:
            UsageError: host or port is none.
        """
        netcat.check_address(host, port)
        self._rows: deque[netcat.Row] = deque(maxlen=_MOST_ROWS)
        self._loop = LoopThread("tcpshift-probe-stream")
        self._let_go = weakref.finalize(self, self._loop.stop)
        self._loop.submit(_keep_probing((host, port), self._rows, 1 / per_second, timeout_seconds))

    def take(self) -> pd.DataFrame:
        """The probes that ended since the last call, as `netcat.probe` returns them."""
        return netcat.frame_of([self._rows.popleft() for _ in range(len(self._rows))])

    def close(self) -> None:
        """End the thread and the connection that is open; does nothing the second time."""
        self._let_go()


async def _keep_probing(
    address: tuple[str, int], rows: deque[netcat.Row], pause_seconds: float, timeout_seconds: float
) -> None:
    clock = asyncio.get_running_loop()
    due = clock.time()
    while True:
        row = await netcat.once(address, timeout_seconds)
        rows.append(row)
        pause = pause_seconds if row.answer is not None else max(pause_seconds, _PAUSE_AFTER_FAILURE_SECONDS)
        # What was missed is not made up for: a burst would tell nothing.
        due = max(due + pause, clock.time())
        await asyncio.sleep(due - clock.time())
