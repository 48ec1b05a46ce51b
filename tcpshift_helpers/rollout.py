"""A rollout in stages: set the weights, wait until they are in force, measure, and go on only if the gate lets it.

A stage that does not pass is taken back at once to the last weights that did. It is what a progressive delivery tool does;
here each part can be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers import distribution, ingress, netcat, routes
from tcpshift_helpers.api import JSON_PATCH
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.in_force import wait_in_force
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tcpshift_helpers.connection import Cluster

# Enough for every stage: 50% needs the most (`distribution.probes_needed`).
PROBES, AT_ONCE = 210, 8


class Gate(distribution.Verdict):
    """The verdict on a stage. A notebook shows nothing for it, because its line was printed already."""

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


class Rollout:
    """The stages of one rollout of v2.

    Attributes:
        stages: in their order, the weights that were in force and the probes made under them: what `plots.rollout` draws.
    """

    def __init__(self, cluster: Cluster, route: str = "tcp-echo") -> None:
        """Begin with the weights that the route has now; they count as good.

        Raises:
            NotFoundError: no such route.
            UsageError: it has no split by subset.
        """
        self._cluster = cluster
        self._route = routes.named(cluster, route)
        self._name = route
        self._good: Mapping[str, int] = self._route.weights()
        self.stages: list[tuple[Mapping[str, int], pd.DataFrame]] = []

    def to(self, percent: int) -> Gate:
        """One stage: give v2 so many percent and measure; if the gate says FAIL, give back the last good weights.

        Args:
            percent: share of v2, 0 to 100.

        Returns:
            The gate's verdict about this stage.

        Raises:
            UsageError: it is no such share.
            ConfigRejectedError: Envoy refused the weights.
        """
        if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
            raise UsageError(_("percent={value!r}: a whole number from 0 to 100 is needed.").format(value=percent))
        weights = {"v1": 100 - percent, "v2": percent}
        verdict = self._measure(weights)
        if verdict.passed:
            self._good = weights
            print(_("{percent}% to v2: {verdict}").format(percent=percent, verdict=verdict.word))
        else:
            print(
                _("{percent}% to v2: {verdict}; back to {before}%").format(
                    percent=percent, verdict=verdict.word, before=self._good.get("v2", 0)
                )
            )
            self._measure(self._good)
        return verdict

    def _measure(self, weights: Mapping[str, int]) -> Gate:
        cluster = self._cluster
        cluster.patch(self._route.resource, self._route.name, self._route.patch(weights), content_type=JSON_PATCH)
        wait_in_force(cluster, self._name, say=None)
        (host, port), _commands = ingress.find(cluster, self._name)
        frame = netcat.probe(host, port, PROBES, at_once=AT_ONCE)
        self.stages.append((weights, frame))
        verdict = distribution.verdict(distribution.counts(frame), weights)
        return Gate(verdict.word, verdict.reason, verdict.do)
