"""Is a VirtualService in force at the ingress gateway yet?

Two ways to know, the first that the cluster offers: the object's status (condition `Reconciled` for this very
generation, with an answer about the Gateways and DestinationRules it leans on, too), or the configuration that the
gateway's own Envoy reports. Where neither can be had, it says so and waits as long as istiod takes at most in quiet.
A reachable port is never taken as proof: Envoy accepts connections before and after a change alike.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import conditions, execution
from tcpshift_helpers.errors import ConfigRejectedError, ExecError, NotFoundError, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster

CONDITION = "Reconciled"
BLIND_WAIT_SECONDS = 5.0  # istiod's debounce is at most 10 s under constant change, 0.1 s in quiet
_POLL_SECONDS = 0.2
_COMMAND = ("pilot-agent", "request", "GET", "config_dump")

# Where a route leads: (port, subset) to its share of the connections.
Split = dict[tuple[int, str], float]


def wait_in_force(
    cluster: Cluster,
    name: str = "tcp-echo",
    *,
    timeout_seconds: float = 30.0,
    say: Callable[[str], None] | None = print,
) -> None:
    """Block until the VirtualService, as it is now, decides about new connections.

    Says in one line how it knows (`say=None` for silence).

    Raises:
        NotFoundError: no such VirtualService, or none of the Gateways that it names.
        ConfigRejectedError: Envoy refused it (with Envoy's words); what was in force before stays so.
        WaitTimeoutError: it did not get there; the message says what was last seen.
    """
    tell = say or (lambda _: None)
    resource = cluster.api.resource_named("virtualservices.networking.istio.io")
    virtual_service = cluster.read(resource, name)
    gateways = _gateways(cluster, virtual_service)
    label = f"{resource.word}/{name}"
    if cluster.is_sandbox or conditions.condition(virtual_service, CONDITION):
        wait = _StatusWait(cluster, timeout_seconds)
        # A status can be older than a Gateway or a DestinationRule that was deleted and made anew.
        for obj in [*gateways, *destination_rules(cluster, _hosts(virtual_service))]:
            if cluster.is_sandbox or conditions.condition(obj, CONDITION):
                wait.until_looked_at(obj)
        wait.until_reconciled(virtual_service)
        tell(f"{label} in force (its status says so)")
        return
    try:
        _wait_for_envoy(cluster, virtual_service, gateways, time.monotonic() + timeout_seconds)
        tell(f"{label} in force (the gateway's Envoy has it)")
    except ExecError as error:
        time.sleep(BLIND_WAIT_SECONDS)
        first_line = str(error).partition("\n")[0]
        tell(f"{label}: cannot tell whether it is in force ({first_line}); waited {BLIND_WAIT_SECONDS:g} s instead")


def is_reconciled(virtual_service: Object) -> bool | None:
    """What the object's status says about its present generation: True, False, or None for nothing yet."""
    return {"True": True, "False": False}.get(str(_present_condition(virtual_service).get("status")))


def _present_condition(obj: Object) -> dict[str, Any]:
    """The condition about the object's present generation; empty while there is none."""
    found = conditions.condition(obj, CONDITION)
    is_present = int(found.get("observedGeneration", 0)) == int(obj["metadata"].get("generation", 0))
    return found if is_present else {}


class _StatusWait:
    """Waits for statuses of several objects, one after the other, within one time limit."""

    def __init__(self, cluster: Cluster, timeout_seconds: float) -> None:
        self._cluster = cluster
        self._timeout_seconds = timeout_seconds
        self._deadline = time.monotonic() + timeout_seconds

    def until_looked_at(self, obj: Object) -> None:
        """Until the status says anything about this generation, or the object is gone."""
        self._until(obj, lambda seen: seen is None or bool(_present_condition(seen)))

    def until_reconciled(self, obj: Object) -> None:
        """Until the status says yes."""
        label = self._label(obj)

        def is_so(seen: Object | None) -> bool:
            if seen is None:
                resource = self._resource(obj)
                name = obj["metadata"]["name"]
                raise NotFoundError(404, "NotFound", f'{resource.plural}.{resource.group} "{name}" not found')
            answer = is_reconciled(seen)
            if answer is False:
                found = conditions.condition(seen, CONDITION)
                raise ConfigRejectedError(
                    f"{label} is not in force ({found.get('reason')}): {found.get('message')}\nWhat was in force before stays so. Correct the object and apply it again."
                )
            return bool(answer)

        self._until(obj, is_so)

    def _until(self, obj: Object, is_so: Callable[[Object | None], bool]) -> None:
        seen: Object | None = None
        metadata, left = obj["metadata"], max(0.0, self._deadline - time.monotonic())
        for seen in self._cluster.watch(
            self._resource(obj), metadata["name"], metadata.get("namespace"), timeout_seconds=left
        ):
            if is_so(seen):
                return
        found = conditions.condition(seen or {}, CONDITION)
        last = f"{found.get('reason')}: {found.get('message')}" if found else "no status at all; is istiod running?"
        raise WaitTimeoutError(
            f"{self._label(obj)} was not in force after {self._timeout_seconds:g} s. Last seen: {last}\n"
            "Look at: kubectl -n istio-system get pods"
        )

    def _resource(self, obj: Object) -> Resource:
        return self._cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])

    def _label(self, obj: Object) -> str:
        return f"{self._resource(obj).word}/{obj['metadata']['name']}"


def _wait_for_envoy(cluster: Cluster, virtual_service: Object, gateways: list[Object], deadline: float) -> None:
    wanted = wanted_splits(virtual_service)
    if not wanted:
        raise ExecError("it has no TCP route, and only those can be looked for in Envoy")
    pods = _gateway_pods(cluster, gateways)
    if not pods:
        raise ExecError("no ingress gateway pod runs that the Gateway's selector names")
    seen: dict[int, Split] = {}
    for pod in pods:
        while True:
            metadata = pod["metadata"]
            done = execution.run(
                cluster, metadata["name"], _COMMAND, namespace=metadata["namespace"], container="istio-proxy"
            )
            if done.code:
                raise ExecError(f"pilot-agent in {metadata['name']} answered {done.stderr.strip() or done.code}")
            try:
                seen = splits_in_force(json.loads(done.stdout))
            except ValueError as error:
                raise ExecError(f"pilot-agent in {metadata['name']} did not answer in JSON") from error
            if all(_has(seen, port, split) for port, split in wanted.items()):
                break
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"{metadata['name']} does not have the wanted routes. Wanted: {_words(wanted)}. In force: {_words(seen)}.\nLook at: istioctl proxy-status; istioctl analyze -n {cluster.namespace}"
                )
            time.sleep(_POLL_SECONDS)


def wanted_splits(virtual_service: Object) -> dict[int, Split]:
    """What a VirtualService wants, by the port it matches; 0 where it matches any.

    Source: istio.io/istio, networking/core (gateway.go): the first route that matches decides.
    """
    result: dict[int, Split] = {}
    for entry in virtual_service["spec"].get("tcp") or []:
        route = entry.get("route") or []
        weighted = [(one["destination"], int(one.get("weight", 0))) for one in route]
        total = sum(weight for _, weight in weighted)
        split: Split = {}
        for destination, weight in weighted:
            share = weight / total if total else 1 / len(weighted)
            if share:
                key = (int(destination.get("port", {}).get("number", 0)), str(destination.get("subset", "")))
                split[key] = split.get(key, 0.0) + share
        for match in entry.get("match") or [{}]:
            if 0 not in result:
                result.setdefault(int(match.get("port", 0)), split)
    return result


def splits_in_force(config_dump: dict[str, Any]) -> dict[int, Split]:
    """What Envoy's `/config_dump` says about its listeners' TCP routes, by listener port.

    Source: envoy admin API, ListenersConfigDump; cluster names `outbound|PORT|SUBSET|HOST` as istiod writes them.
    """
    result: dict[int, Split] = {}
    for listener in _active_listeners(config_dump):
        port = int(listener.get("address", {}).get("socket_address", {}).get("port_value", 0))
        for chain in listener.get("filter_chains") or []:
            for one in chain.get("filters") or []:
                if one.get("name") == "envoy.filters.network.tcp_proxy":
                    result[port] = _split_of(one.get("typed_config", {}))
    return result


def same_split(wanted: Split, seen: Split) -> bool:
    """Whether both send the same shares to the same places; a wanted port 0 is a port left to Istio to choose."""
    if any(port == 0 for port, _ in wanted):
        wanted, seen = ({(0, subset): share for (_, subset), share in one.items()} for one in (wanted, seen))
    return wanted.keys() == seen.keys() and all(abs(wanted[key] - seen[key]) < 1e-6 for key in wanted)


def _has(seen: dict[int, Split], port: int, split: Split) -> bool:
    return any(same_split(split, seen[each]) for each in ([port] if port else seen) if each in seen)


def _words(splits: dict[int, Split]) -> str:
    words = [
        f"port {port or 'any'} to {', '.join(f'{subset or target} {100 * share:g}%' for (target, subset), share in split.items())}"
        for port, split in splits.items()
        if split
    ]
    return "; ".join(words) or "no TCP route"


def _active_listeners(config_dump: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in config_dump.get("configs") or []:
        for entry in section.get("dynamic_listeners") or []:
            listener = entry.get("active_state", {}).get("listener")
            if listener:
                yield listener


def _split_of(tcp_proxy: dict[str, Any]) -> Split:
    clusters = tcp_proxy.get("weighted_clusters", {}).get("clusters") or [
        {"name": tcp_proxy.get("cluster", ""), "weight": 1}
    ]
    total = sum(int(one.get("weight", 0)) for one in clusters) or 1
    split: Split = {}
    for one in clusters:
        parts = str(one["name"]).split("|")
        if len(parts) == 4:
            key = (int(parts[1]), parts[2])
            split[key] = split.get(key, 0.0) + int(one.get("weight", 0)) / total
    return split


def destination_rules(cluster: Cluster, hosts: Collection[str]) -> list[Object]:
    """The DestinationRules of the namespace for these hosts, whether written short or in full."""
    wanted = {host.partition(".")[0] for host in hosts}
    rules = cluster.list(cluster.api.resource_named("destinationrules.networking.istio.io"))
    return [rule for rule in rules if str(rule["spec"].get("host", "")).partition(".")[0] in wanted]


def _hosts(virtual_service: Object) -> set[str]:
    routes = [entry.get("route") or [] for entry in virtual_service["spec"].get("tcp") or []]
    return {str(one["destination"]["host"]) for route in routes for one in route}


def _gateways(cluster: Cluster, virtual_service: Object) -> list[Object]:
    """The Gateways that a VirtualService names.

    Raises:
        NotFoundError: it names some, and none of them is there.
    """
    resource = cluster.api.resource_named("gateways.networking.istio.io")
    words = [str(word) for word in virtual_service["spec"].get("gateways") or [] if word != "mesh"]
    found = []
    for word in words:
        namespace, _, name = word.rpartition("/")
        gateway = cluster.read_or_none(resource, name, namespace or None)
        if gateway is not None:
            found.append(gateway)
    if words and not found:
        raise NotFoundError(
            404,
            "NotFound",
            f'{resource.plural}.{resource.group} "{words[0]}" not found',
            f"VirtualService {virtual_service['metadata']['name']} names it, so no connection comes to its routes. Apply it first.",
        )
    return found


def _gateway_pods(cluster: Cluster, gateways: list[Object]) -> list[Object]:
    path = cluster.api.resource_named("pods").path()
    pods: list[Object] = []
    for gateway in gateways:
        selector = ",".join(f"{key}={value}" for key, value in (gateway["spec"].get("selector") or {}).items())
        found = cluster.api.request("GET", path, query={"labelSelector": selector})
        pods += [pod for pod in found["items"] if pod.get("status", {}).get("phase") == "Running"]
    return pods
