"""Is a route in force at its gateway yet?

Two ways to know, the first that proves it: the route's status, for this very generation, with an answer about what it
leans on, too; or the configuration that the gateway's own Envoy reports. Where neither can be had, it says so and waits
as long as istiod takes at most in quiet.
A reachable port is never taken as proof: Envoy accepts connections before and after a change alike.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from tcpshift_helpers import proxy, routes
from tcpshift_helpers.errors import ConfigRejectedError, ExecError, NotFoundError, WaitTimeoutError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.routes import Told, splits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.routes import Awaited, Route, Served

BLIND_WAIT_SECONDS = 5.0  # istiod's debounce is at most 10 s under constant change, 0.1 s in quiet
_POLL_SECONDS = 0.2


def wait_in_force(
    cluster: Cluster,
    route: str = "tcp-echo",
    *,
    timeout_seconds: float = 30.0,
    say: Callable[[str], None] | None = print,
) -> None:
    """Block until the route, as it is now, decides about new connections.

    Says in one line how it knows (`say=None` for silence).

    Args:
        cluster: where.
        route: a VirtualService's name, or `tcproute/NAME`.
        timeout_seconds: for everything together.
        say: gets that line.

    Raises:
        NotFoundError: no such route, or none of the Gateways that it names.
        ConfigRejectedError: istiod or Envoy refused it (with their words).
        WaitTimeoutError: it did not get there; the message says what was last seen.
    """
    tell = say or (lambda _line: None)
    found = routes.named(cluster, route)
    wait = _Wait(found, timeout_seconds)
    statuses = found.statuses()
    for awaited in statuses:
        wait.until(awaited)
    if found.status_is_proof:
        tell(_("{route} in force (its status says so)").format(route=found.label))
        return
    try:
        wait.until_envoy_has_it(statuses[-1:])
        tell(_("{route} in force (the gateway's Envoy has it)").format(route=found.label))
    except ExecError as error:
        time.sleep(BLIND_WAIT_SECONDS)
        first_line = str(error).partition("\n")[0]
        tell(
            _("{route}: cannot tell whether it is in force ({reason}); waited {seconds:g} s instead").format(
                route=found.label, reason=first_line, seconds=BLIND_WAIT_SECONDS
            )
        )


class _Wait:
    """Waits for several things, one after the other, within one time limit."""

    def __init__(self, route: Route, timeout_seconds: float) -> None:
        self._route = route
        self._cluster = route.cluster
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds

    def until(self, awaited: Awaited) -> None:
        """Until a status says yes, or what need not be there is gone."""
        while True:
            told = self._last(awaited, self._left(), lambda one: one.answer is not None)
            if told.answer is False:
                standing = min(self._left(), self._route.REFUSAL_SECONDS)
                told = self._last(awaited, standing, lambda one: one.answer is True)
            if told.answer is False:
                self._refuse(awaited, told)
            if told.answer:
                return
            if not self._left():
                last = f"{told.reason}: {told.message}" if told.reason else _("no status at all; is istiod running?")
                raise WaitTimeoutError(
                    _("{object} was not {state} after {seconds:g} s. Last seen: {last_seen}\n{advice}").format(
                        object=self._label(awaited.obj),
                        state=awaited.state,
                        seconds=self._timeout_seconds,
                        last_seen=last,
                        advice=awaited.advice,
                    )
                )

    def until_envoy_has_it(self, own: Sequence[Awaited]) -> None:
        """Until every Envoy of its gateways has what the route wants.

        Args:
            own: the route's status, which may still become a no.

        Raises:
            ExecError: Envoy cannot be asked.
        """
        served = self._route.served()
        if served and not any(one.splits for one in served):
            raise ExecError(_("it has no TCP route, and only those can be looked for in Envoy"))
        pods = [(pod, one.splits) for one in served for pod in _running(self._cluster, one)]
        if not pods:
            raise ExecError(_("no ingress gateway pod runs that the Gateway's selector names"))
        for pod, wanted in pods:
            while True:
                metadata = pod["metadata"]
                dump = proxy.ask(self._cluster, metadata["namespace"], metadata["name"], "config_dump")
                seen = splits.splits_in_force(dump)
                if all(splits.has_split(seen, port, split) for port, split in wanted.items()):
                    break
                for awaited in own:
                    told = self._last(awaited, 0.0, lambda _told: True)
                    if told.answer is False:
                        self._refuse(awaited, told)
                if not self._left():
                    raise WaitTimeoutError(
                        _(
                            "{pod} does not have the wanted routes. Wanted: {wanted}. In force: {seen}.\n"
                            "Look at: istioctl proxy-status; istioctl analyze -n {namespace}"
                        ).format(
                            pod=pod["metadata"]["name"],
                            wanted=splits.in_words(wanted),
                            seen=splits.in_words(seen),
                            namespace=self._cluster.namespace,
                        )
                    )
                time.sleep(_POLL_SECONDS)

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def _last(self, awaited: Awaited, seconds: float, is_enough: Callable[[Told], bool]) -> Told:
        """What the status says when it is enough, or at the end of the time."""
        resource, metadata = self._resource(awaited.obj), awaited.obj["metadata"]
        told = Told(None)
        for seen in self._cluster.watch(resource, metadata["name"], metadata.get("namespace"), timeout_seconds=seconds):
            if seen is None and awaited.required:
                raise NotFoundError(
                    404, "NotFound", f'{resource.plural}.{resource.group} "{metadata["name"]}" not found'
                )
            told = Told(True) if seen is None else awaited.judge(seen)
            if is_enough(told):
                break
        return told

    def _refuse(self, awaited: Awaited, told: Told) -> NoReturn:
        raise ConfigRejectedError(
            _("{object} is not {state} ({reason}): {message}\n{advice}").format(
                object=self._label(awaited.obj),
                state=awaited.state,
                reason=told.reason,
                message=told.message,
                advice=self._route.AFTER_REFUSAL,
            )
        )

    def _resource(self, obj: Object) -> Resource:
        return self._cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])

    def _label(self, obj: Object) -> str:
        return f"{self._resource(obj).word}/{obj['metadata']['name']}"


def _running(cluster: Cluster, served: Served) -> list[Object]:
    path = cluster.api.resource_named("pods").path(served.namespace)
    selector = ",".join(f"{key}={value}" for key, value in served.selector.items())
    found = cluster.api.request("GET", path, query={"labelSelector": selector})
    running = [pod for pod in found["items"] if pod.get("status", {}).get("phase") == "Running"]
    return [pod for pod in running if not pod["metadata"].get("deletionTimestamp")]
