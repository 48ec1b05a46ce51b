"""Steps that are judged by what passes through a gateway: connections made for it, and what its Envoy tells.

Each gives None when the step is done, or why not and what to type. What objects say is steps.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers import distribution, in_cluster, in_force, ingress, inside, netcat, routes, shown
from tcpshift_helpers.errors import ConfigRejectedError, UsageError, WaitTimeoutError
from tcpshift_helpers.judgement import TOO_FEW, Problem
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.ways import CLASSIC, Way, apply_command, there_is_no

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tcpshift_helpers.connection import Cluster

FEW, MANY = 20, 200
ENOUGH_FOR_ALL = 210  # whatever the split: an even one needs the most (`distribution.probes_needed`)
_AT_ONCE = 8
_IN_FORCE_SECONDS = 1.0
_NO_WEIGHTS = "tcp-echo-no-weights.yaml"


def gateway_answers(cluster: Cluster, way: Way) -> Problem | None:
    """One probe gets an answer."""
    frame, address = _probed(cluster, way, 1)
    if frame["answer"].isna().all():
        routed = routes.named_or_none(cluster, way.route) is not None
        why = _("no answer from {address}: {error}").format(address=address, error=frame["error"].iloc[0])
        return Problem(why, way.wait if routed else apply_command(way.all_v1))
    return None


def all_answered(cluster: Cluster, way: Way) -> Problem | None:
    """Probes get an answer, whoever gives it."""
    counted = distribution.counts(_probed(cluster, way, FEW)[0])
    if not counted.failed:
        return None
    why = _("{failed} of {count} probes got no answer: {counts}").format(
        failed=counted.failed, count=FEW, counts=counted
    )
    return Problem(why, _("{command}, then check again").format(command=way.wait))


def in_force_now(cluster: Cluster, way: Way) -> Problem | None:
    """The gateway has the rule as it is now."""
    if routes.named_or_none(cluster, way.route) is None:
        return _no_route(way)
    try:
        in_force.wait_in_force(cluster, way.route, timeout_seconds=_IN_FORCE_SECONDS, say=None)
    except (ConfigRejectedError, WaitTimeoutError) as error:
        return Problem(str(error), way.wait)
    return None


def answers(cluster: Cluster, way: Way, wanted: Mapping[str, int], count: int) -> Problem | None:
    """Probes through the gateway fit a split."""
    frame = _probed(cluster, way, count)[0]
    return _judged(frame, wanted, _("{command}, then check again").format(command=way.wait))


def answers_as_set(cluster: Cluster, way: Way) -> Problem | None:
    """Probes fit the weights that the rule has, whatever they are."""
    route = routes.named_or_none(cluster, way.route)
    if route is None:
        return _no_route(way)
    return answers(cluster, way, route.weights(), ENOUGH_FOR_ALL)


def answers_by_pods(cluster: Cluster) -> Problem | None:
    """No weights decide, and probes fit the numbers of ready pods."""
    route = routes.named_or_none(cluster, CLASSIC.route)
    try:
        has_weights = route is None or bool(route.weights())
    except UsageError:
        has_weights = False
    if has_weights:
        return Problem(_("no rule without weights is there"), apply_command(_NO_WEIGHTS))
    pods = ready_pods(cluster)
    if not pods:
        return _no_pods()
    return answers(cluster, CLASSIC, pods, ENOUGH_FOR_ALL)


def service_by_pods(cluster: Cluster) -> Problem | None:
    """Calls of the client pod fit the numbers of ready pods, whatever the weights."""
    pods = ready_pods(cluster)
    if not pods:
        return _no_pods()
    with shown.typed_by_hand():
        frame = in_cluster.probe(cluster, count=ENOUGH_FOR_ALL)
    return _judged(frame, pods, _("scale again by scaling.scale, which waits, then check again"))


def v1_is_idle(cluster: Cluster) -> Problem | None:
    """The gateway's Envoy holds no connection to v1."""
    held = inside.open_connections(cluster, "v1")
    if not held:
        return None
    return Problem(
        _("{count} connections to v1 are open at the gateway").format(count=held),
        "held.wait_until_closed(timeout_seconds=60)",
    )


def _probed(cluster: Cluster, way: Way, count: int) -> tuple[pd.DataFrame, str]:
    (host, port), _steps = ingress.find(cluster, way.route)
    return netcat.probe(host, port, count, at_once=_AT_ONCE, progress=False), f"{host}:{port}"


def _judged(frame: pd.DataFrame, wanted: Mapping[str, int], do: str) -> Problem | None:
    verdict = distribution.verdict(distribution.counts(frame), wanted)
    if verdict.passed:
        return None
    if verdict.word == TOO_FEW:
        return Problem(verdict.reason, verdict.do, TOO_FEW)
    return Problem(verdict.reason, do)


def ready_pods(cluster: Cluster) -> dict[str, int]:
    """Ready pods by version; none where there are none."""
    ready = inside.ready_addresses(cluster, "tcp-echo")
    return {version: len(ready.get(version, ())) for version in distribution.ANSWERS if ready.get(version)}


def _no_route(way: Way) -> Problem:
    kind, name = routes.kind_of(way.route)
    return Problem(there_is_no(kind.KIND, name), apply_command(way.all_v1))


def _no_pods() -> Problem:
    return Problem(_("no pod of tcp-echo runs"), apply_command("tcp-echo-services.yaml"))
