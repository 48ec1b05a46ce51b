"""What the widgets that probe share: they do it while a page shows them, and not for long after.

A page says `here` from time to time, and `leave` when it is closed. A browser that was killed, a computer that sleeps or
a tab in the background says nothing; then probing ends by itself, and goes on when the page is heard again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from tcpshift_helpers import ingress
from tcpshift_helpers.probe_stream import PER_SECOND, ProbeStream
from tcpshift_helpers.widgets.base import CourseWidget
from tcpshift_helpers.widgets.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tcpshift_helpers.connection import Cluster

# Longer than most cells of the course run: without subshells a kernel that is busy hears no page.
UNHEARD_SECONDS = 30.0


class ProbingWidget(CourseWidget):
    """A widget with probes of a route's gateway, and one thread that takes what they found and tells the page."""

    THREAD: ClassVar[str]

    def __init__(
        self, labels: Mapping[str, str], cluster: Cluster, route: str, *, per_second: float = PER_SECOND
    ) -> None:
        self._cluster, self._route, self._per_second = cluster, route, per_second
        self._stream: ProbeStream | None = None
        self._worker: Worker | None = None
        super().__init__(labels)

    def step(self) -> float | None:
        """A piece of work, and after how many seconds the next is due; None for no other."""
        raise NotImplementedError

    def work(self) -> None:
        """Do the next step now."""
        if self._worker is None or not self._worker.wake():
            self._worker = Worker(self.THREAD, self._step_while_heard)

    def rest(self) -> None:
        """End the probes and the thread, until `work`."""
        if self._worker is not None:
            self._worker.stop()
        self.end_probes()

    def take(self) -> pd.DataFrame:
        """The probes since the last call; the first one begins them.

        Raises:
            TcpShiftError: there is no gateway to probe.
        """
        if self._stream is None:
            host, port = ingress.find(self._cluster, self._route)[0]
            self._stream = ProbeStream(host, port, per_second=self._per_second)
        return self._stream.take()

    def end_probes(self) -> None:
        """End the probes; does nothing where there are none."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _step_while_heard(self) -> float | None:
        pause = self.step() if time.monotonic() - self._heard_at < UNHEARD_SECONDS else None
        if pause is None:
            self.end_probes()
        return pause
