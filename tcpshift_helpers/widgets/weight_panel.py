"""v2's share to set with a slider, and beside it what really arrives.

One thread sets, waits until the rule is in force, and counts probes since then. However often Apply is clicked, the
thread sets the newest value next, so that the last one is in force in the end and nothing piles up.
Probes end when there are enough to judge by, and begin anew with the next change: a panel that is left open makes no traffic.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import distribution, istio, routes
from tcpshift_helpers.api import JSON_PATCH
from tcpshift_helpers.errors import ClusterUnreachableError, TcpShiftError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, paragraph
from tcpshift_helpers.widgets.base import module_of
from tcpshift_helpers.widgets.probing import ProbingWidget
from tcpshift_helpers.widgets.worker import Newest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tcpshift_helpers.connection import Cluster

_STEP_SECONDS = 0.25
_RETRY_SECONDS = 2.0
_LOOK_SECONDS = 1.0  # how often the rule is read, in case that somebody else changes it
_IN_FORCE_SECONDS = 10.0
_REMEMBERED = 20
_ENOUGH = 600  # at 50% the interval is then 8 points wide


def weights(cluster: Cluster, route: str = "tcp-echo") -> WeightPanel:
    """A panel for v2's share of a route: set it, and see what arrives.

    Args:
        cluster: where.
        route: a VirtualService's name, or `tcproute/NAME`.

    Raises:
        NotFoundError: no such route.
        UsageError: it has no split of TCP connections.
    """
    return WeightPanel(cluster, route)


class WeightPanel(ProbingWidget):
    """The panel. See `weights`."""

    THREAD = "tcpshift-weights"
    _esm = module_of("weight_panel.js")

    def __init__(self, cluster: Cluster, route: str) -> None:
        self._set = istio.weights(cluster, route)
        self._counts = distribution.Counts({})
        self._since: datetime | None = None
        self._in_force = True
        self._refused = self._unreachable = ""
        self._history: deque[str] = deque(maxlen=_REMEMBERED)
        self._wanted: Newest[int] = Newest()
        self._looked = 0.0
        super().__init__(_labels(route), cluster, route)

    def in_words(self) -> str:
        """What is set, what was observed, and whether they fit."""
        if not self._counts.answered:
            return paragraph([self._set_in_words(), _("Observed: nothing yet.")])
        return paragraph([self._set_in_words(), self._observed_in_words(), f"{self._verdict()}"])

    def receive(self, content: Mapping[str, Any]) -> None:
        """`hello` starts the probes, `apply` sets `percent`, `again` counts anew."""
        if content.get("kind") == "apply":
            self._wanted.put(min(100, max(0, round(content["percent"]))))
        elif content.get("kind") == "again":
            self._since = None
        self.work()

    def step(self) -> float:
        """Set what is wished for, follow the rule, count, and tell the page."""
        wanted = self._wanted.take()
        if wanted is not None:
            self._change(wanted)
        try:
            self._look()
            self._measure()
            self._unreachable = ""
        except TcpShiftError as error:
            self._unreachable = str(error)
            self.end_probes()
        self._tell()
        if self._wanted.waits:
            return 0.0
        return _RETRY_SECONDS if self._unreachable else _STEP_SECONDS

    def _change(self, percent: int) -> None:
        """Set a share, and wait for it, unless another one is wished for by then."""
        began = time.monotonic()
        try:
            route = routes.named(self._cluster, self._route)
            new = _split(route.weights(), percent)
            self._cluster.patch(route.resource, route.name, route.patch(new), content_type=JSON_PATCH)
            self._begin_anew(new)
            self._await_force()
            self._refused = ""
        except TcpShiftError as error:
            # That nothing answers is said, and forgotten, by who looks next.
            self._refused = "" if isinstance(error, ClusterUnreachableError) else str(error)
            self._remember(_("v2 {percent}%: not done").format(percent=percent))
            return
        if self._in_force:
            seconds = time.monotonic() - began
            self._remember(_("v2 {percent}%: in force after {seconds:.1f} s").format(percent=percent, seconds=seconds))

    def _await_force(self) -> None:
        if self._wanted.waits:
            return
        istio.wait_in_force(self._cluster, self._route, timeout_seconds=_IN_FORCE_SECONDS, say=None)
        self._in_force, self._since = True, None

    def _look(self) -> None:
        """Follow the rule where somebody else changes it."""
        if not self._in_force:
            self._await_force()
            return
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        there = istio.weights(self._cluster, self._route)
        if there == self._set:
            return
        self._begin_anew(there)
        self._await_force()
        self._remember(_("v2 {percent:.4g}%: changed elsewhere").format(percent=self._set_percent()))

    def _begin_anew(self, new: dict[str, int]) -> None:
        self._set, self._in_force = new, False
        self._counts = distribution.Counts({})
        self._tell()

    def _measure(self) -> None:
        """Count the probes that began after the rule came into force, until there are enough."""
        if self._has_enough():
            self.end_probes()
            return
        frame = self.take()
        if self._since is None:
            self._since, self._counts = datetime.now(UTC), distribution.Counts({})
        if self._in_force:
            self._counts += distribution.counts(frame[frame["started_at"] >= self._since])

    def _has_enough(self) -> bool:
        return self._since is not None and self._counts.answered + self._counts.failed >= _ENOUGH

    def _tell(self) -> None:
        row = self._share_of_v2()
        answered = bool(self._counts.answered)
        self.send(
            {
                "kind": "state",
                "set_percent": float(row["set_percent"]),
                "set": self._set_in_words(),
                "in_force": self._in_force,
                "observed": self._observed_in_words() if answered else _("Observed: nothing yet."),
                "interval": [float(row[f"{end}percent"]) for end in ("low_", "", "high_")] if answered else None,
                "word": f"{self._verdict().word}",
                "verdict": f"{self._verdict()}",
                "history": list(self._history),
                "trouble": "\n".join(filter(None, (self._refused, self._unreachable))),
            }
        )

    def _remember(self, what: str) -> None:
        self._history.appendleft(_("{time} {change}").format(time=f"{datetime.now():%H:%M:%S}", change=what))

    def _share_of_v2(self) -> pd.Series:
        table = distribution.shares(self._counts, {**dict.fromkeys(distribution.ANSWERS, 0), **self._set})
        return next(row for word, row in table.iterrows() if word == distribution.ANSWERS["v2"])

    def _set_percent(self) -> float:
        return float(self._share_of_v2()["set_percent"])

    def _verdict(self) -> distribution.Verdict:
        return distribution.verdict(self._counts, self._set)

    def _set_in_words(self) -> str:
        return _("Set: {weights}.").format(weights=listed(f"{name} {weight}" for name, weight in self._set.items()))

    def _observed_in_words(self) -> str:
        row = self._share_of_v2()
        observed = _(
            "Observed: {count} of {total} connections went to v2, {percent:.1f}%; 95% interval {low:.1f}% to {high:.1f}%."
        ).format(
            count=int(row["count"]),
            total=self._counts.answered,
            percent=row["percent"],
            low=row["low_percent"],
            high=row["high_percent"],
        )
        if not self._has_enough():
            return observed
        return paragraph([observed, _("That is enough: no more connections until you set a share or count anew.")])


def _split(there: Mapping[str, int], percent: int) -> dict[str, int]:
    """The weights that give v2 so much, under the names that the route has for v1 and v2."""
    some = next(iter(there))
    stem = some.removesuffix("v1").removesuffix("v2")
    return {f"{stem}v1": 100 - percent, f"{stem}v2": percent}


def _labels(route: str) -> dict[str, str]:
    return {
        "title": _("Weights of {route}").format(route=route),
        "share": _("Share of v2 in percent"),
        "exact": _("the same as a number"),
        "apply": _("Apply"),
        "again": _("Count anew"),
        "set": _("Set"),
        "observed": _("Observed"),
        "history": _("Changes"),
        "sending": _("Setting v2 to {percent}% …"),
        "waiting": _("Set; not in force yet …"),
    }
