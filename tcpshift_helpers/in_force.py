"""Is a VirtualService in force at the ingress gateway yet?

Two ways to know, the first that the cluster offers: the object's status (condition `Reconciled` for this very
generation), or the configuration that the gateway's own Envoy reports. Where neither can be had, it says so and waits
as long as istiod takes at most in quiet.
A reachable port is never taken as proof: Envoy accepts connections before and after a change alike.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import conditions, execution
from tcpshift_helpers.errors import ConfigRejectedError, ExecError, NotFoundError, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        NotFoundError: no such VirtualService.
        ConfigRejectedError: Envoy refused it (with Envoy's words); what was in force before stays so.
        WaitTimeoutError: it did not get there; the message says what was last seen.
    """
    tell = say or (lambda _: None)
    resource = cluster.api.resource_named("virtualservices.networking.istio.io")
    virtual_service = cluster.read(resource, name)
    label = f"{resource.word}/{name}"
    if cluster.is_sandbox or conditions.condition(virtual_service, CONDITION):
        _wait_for_status(cluster, resource, name, timeout_seconds)
        tell(f"{label} in force (its status says so)")
        return
    try:
        _wait_for_envoy(cluster, virtual_service, time.monotonic() + timeout_seconds)
        tell(f"{label} in force (the gateway's Envoy has it)")
    except ExecError as error:
        time.sleep(BLIND_WAIT_SECONDS)
        first_line = str(error).partition("\n")[0]
        tell(f"{label}: cannot tell whether it is in force ({first_line}); waited {BLIND_WAIT_SECONDS:g} s instead")


def is_reconciled(virtual_service: Object) -> bool | None:
    """What the object's status says about its present generation: True, False, or None for nothing yet."""
    found = conditions.condition(virtual_service, CONDITION)
    if not found or int(found.get("observedGeneration", 0)) != int(virtual_service["metadata"].get("generation", 0)):
        return None
    return {"True": True, "False": False}.get(str(found.get("status")))


def _wait_for_status(cluster: Cluster, resource: Resource, name: str, timeout_seconds: float) -> None:
    seen: Object | None = None
    for seen in cluster.watch(resource, name, None, timeout_seconds=timeout_seconds):
        if seen is None:
            raise NotFoundError(404, "NotFound", f'{resource.plural}.{resource.group} "{name}" not found')
        answer = is_reconciled(seen)
        if answer:
            return
        if answer is False:
            found = conditions.condition(seen, CONDITION)
            raise ConfigRejectedError(
                f"{resource.word}/{name} is not in force ({found.get('reason')}): {found.get('message')}\nWhat was in force before stays so. Correct the object and apply it again."
            )
    found = conditions.condition(seen or {}, CONDITION)
    last = f"{found.get('reason')}: {found.get('message')}" if found else "no status at all; is istiod running?"
    raise WaitTimeoutError(
        f"{resource.word}/{name} was not in force after {timeout_seconds:g} s. Last seen: {last}\n"
        "Look at: kubectl -n istio-system get pods; and is its Gateway applied?"
    )


def _wait_for_envoy(cluster: Cluster, virtual_service: Object, deadline: float) -> None:
    wanted = wanted_splits(virtual_service)
    if not wanted:
        raise ExecError("it has no TCP route, and only those can be looked for in Envoy")
    pods = _gateway_pods(cluster, virtual_service)
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
    """What a VirtualService wants, by the port it matches; 0 where it matches any."""
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
            result[int(match.get("port", 0))] = split
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


def _gateway_pods(cluster: Cluster, virtual_service: Object) -> list[Object]:
    gateways = cluster.api.resource_named("gateways.networking.istio.io")
    pods: list[Object] = []
    for word in virtual_service["spec"].get("gateways") or []:
        namespace, _, name = str(word).rpartition("/")
        gateway = cluster.read_or_none(gateways, name, namespace or None) if word != "mesh" else None
        if gateway is not None:
            selector = ",".join(f"{key}={value}" for key, value in (gateway["spec"].get("selector") or {}).items())
            found = cluster.api.request(
                "GET", cluster.api.resource_named("pods").path(), query={"labelSelector": selector}
            )
            pods += [pod for pod in found["items"] if pod.get("status", {}).get("phase") == "Running"]
    return pods
