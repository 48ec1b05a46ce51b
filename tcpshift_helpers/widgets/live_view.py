"""Live traffic: a dot for each connection, from the client through the gateway to the version that answered.

Probes run from Start to Pause, at ten a second at most, and are told to the page four times a second. They end, too,
when the cluster is gone; Start begins anew.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import distribution, ingress, netcat, plots
from tcpshift_helpers.errors import ClusterUnreachableError, TcpShiftError, UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.probe_stream import PER_SECOND
from tcpshift_helpers.progress import is_wanted
from tcpshift_helpers.widgets.base import module_of
from tcpshift_helpers.widgets.probing import ProbingWidget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.connection import Cluster

_STEP_SECONDS = 0.25
_RETRY_SECONDS = 2.0
_MOST_PER_SECOND = 50.0
_IN_A_PICTURE, _AT_ONCE = 50, 5


def live(cluster: Cluster, route: str = "tcp-echo", *, per_second: float = PER_SECOND) -> LiveView:
    """A live view of a route's traffic, with Start and Pause.

    Args:
        cluster: where.
        route: a VirtualService's name, or `tcproute/NAME`.
        per_second: how many connections, 50 at most.

    Raises:
        UsageError: a rate that is none, or too high.
    """
    if not 0 < per_second <= _MOST_PER_SECOND:
        raise UsageError(
            _("per_second={value!r}: more than 0 and at most {most:g} is needed.").format(
                value=per_second, most=_MOST_PER_SECOND
            )
        )
    return LiveView(cluster, route, per_second)


class LiveView(ProbingWidget):
    """The view. See `live`.

    Attributes:
        is_running: whether Start was pressed last.
    """

    THREAD = "tcpshift-live"
    _esm = module_of("live_view.js")

    def __init__(self, cluster: Cluster, route: str, per_second: float) -> None:
        self.is_running = False
        self._counts = distribution.Counts({})
        super().__init__(_labels(route), cluster, route, per_second=per_second)

    def in_words(self) -> str:
        """Where connections went."""
        return plots.traffic_alt_text(self._counts)

    def still(self) -> plots.Picture:
        """The view as a picture, with the counts of now; where nobody can press Start, a few connections are made for it."""
        if not is_wanted() and self._counts == distribution.Counts({}):
            with contextlib.suppress(TcpShiftError):
                host, port = ingress.find(self._cluster, self._route)[0]
                frame = netcat.probe(host, port, _IN_A_PICTURE, at_once=_AT_ONCE, progress=False)
                self._counts = distribution.counts(frame)
        return plots.traffic(self._counts)

    def receive(self, content: Mapping[str, Any]) -> None:
        """`hello` asks how things stand, `start` and `pause` are the button."""
        if content.get("kind") == "start":
            self.is_running = True
        elif content.get("kind") == "pause":
            self.is_running = False
            self.rest()
        if self.is_running:
            self.work()
        else:
            self._tell([])

    def step(self) -> float | None:
        """Tell the page of the connections since the last step."""
        if not self.is_running:
            return None
        try:
            return self._step()
        except ClusterUnreachableError as error:
            self.is_running = False
            self._tell([], str(error))
            return None
        except TcpShiftError as error:
            self._tell([], _("{reason}\nTrying again …").format(reason=error))
            return _RETRY_SECONDS

    def _step(self) -> float:
        frame = self.take()
        now = distribution.counts(frame)
        self._counts += now
        # A probe that waits for its answer says nothing, and nothing has changed then.
        trouble = None if frame.empty else ""
        if now.failed and not now.answered:
            trouble = _("The gateway gives no answer ({reason}). Trying again …").format(reason=frame["error"].iloc[-1])
        self._tell([word if isinstance(word, str) else None for word in frame["answer"]], trouble)
        if trouble:
            # It may be the cluster that is gone.
            self._cluster.api.request("GET", "/version")
        return _STEP_SECONDS

    def _tell(self, answers: list[str | None], trouble: str | None = "") -> None:
        self.send(
            {
                "kind": "batch",
                "running": self.is_running,
                "answers": answers,  # None for a probe that failed
                "counts": {word: self._counts.answers.get(word, 0) for word in distribution.ANSWERS.values()},
                "failed": self._counts.failed,
                "said": self.in_words(),
                "trouble": trouble,  # None for as before
                "milliseconds": 1000 * _STEP_SECONDS,
            }
        )


def _labels(route: str) -> dict[str, str]:
    return {
        "title": _("Live traffic of {route}").format(route=route),
        "start": _("Start"),
        "pause": _("Pause"),
        "client": _("client"),
        "gateway": _("gateway"),
        "failed": _("failed"),
        "running": _("Running."),
        "paused": _("Paused."),
    }
