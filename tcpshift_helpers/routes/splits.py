"""Who gets which share of the connections, as a route wants it and as Envoy has it. Pure.

Source: istio.io/istio, pilot/pkg/networking/core (gateway.go): the first route that matches a port decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Destination(NamedTuple):
    """Where connections go.

    Attributes:
        host: `name.namespace` of a Service, else a host's whole name.
        port: of the Service; 0 where a route leaves it to Istio.
        subset: of a DestinationRule; empty where a route names none.
    """

    host: str
    port: int = 0
    subset: str = ""

    def __str__(self) -> str:
        return self.subset or self.host.partition(".")[0]


# Each destination's share, in 0..1; none of them 0.
Split = dict[Destination, float]


def destination(host: str, port: int, subset: str, namespace: str) -> Destination:
    """A destination from a host as people or istiod write it: `tcp-echo`, or `tcp-echo.ns.svc.cluster.local`."""
    return Destination(host.partition(".svc.")[0] if "." in host else f"{host}.{namespace}", port, subset)


def split_of(weighted: Iterable[tuple[Destination, int]]) -> Split:
    """Shares from weights; without any weight above 0 each gets as much as the next."""
    entries = list(weighted)
    total = sum(weight for _, weight in entries)
    split: Split = {}
    for where, weight in entries:
        share = weight / total if total else 1 / len(entries)
        if share:
            split[where] = split.get(where, 0.0) + share
    return split


def splits_in_force(config_dump: Mapping[str, Any]) -> dict[int, Split]:
    """What Envoy's `/config_dump` says about its listeners' TCP routes, by listener port.

    Source: envoy admin API, ListenersConfigDump; cluster names `outbound|PORT|SUBSET|HOST` as istiod writes them.
    """
    result: dict[int, Split] = {}
    for listener in _active_listeners(config_dump):
        port = int(listener.get("address", {}).get("socket_address", {}).get("port_value", 0))
        for chain in listener.get("filter_chains") or []:
            for one in chain.get("filters") or []:
                if one.get("name") == "envoy.filters.network.tcp_proxy":
                    result[port] = _split_of_proxy(one.get("typed_config", {}))
    return result


def has_split(seen: Mapping[int, Split], port: int, wanted: Split) -> bool:
    """Whether the port has this split; port 0 means any port."""
    return any(same_split(wanted, seen[each]) for each in ([port] if port else seen) if each in seen)


def same_split(wanted: Split, seen: Split) -> bool:
    """Whether both send the same shares to the same places; a wanted port 0 is a port left to Istio to choose."""
    if any(where.port == 0 for where in wanted):
        wanted, seen = ({where._replace(port=0): share for where, share in one.items()} for one in (wanted, seen))
    return wanted.keys() == seen.keys() and all(abs(wanted[key] - seen[key]) < 1e-6 for key in wanted)


def in_words(splits: Mapping[int, Split]) -> str:
    """Splits by port for a person: `port 31400 to v1 80%, v2 20%`."""
    words = [
        _("port {port} to {destinations}").format(
            port=port or _("any"),
            destinations=listed(f"{where} {100 * share:g}%" for where, share in split.items()),
        )
        for port, split in splits.items()
        if split
    ]
    return _("; ").join(words) or _("no TCP route")


def _active_listeners(config_dump: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for section in config_dump.get("configs") or []:
        for entry in section.get("dynamic_listeners") or []:
            listener = entry.get("active_state", {}).get("listener")
            if listener:
                yield listener


def _split_of_proxy(tcp_proxy: Mapping[str, Any]) -> Split:
    clusters = tcp_proxy.get("weighted_clusters", {}).get("clusters") or [
        {"name": tcp_proxy.get("cluster", ""), "weight": 1}
    ]
    total = sum(int(one.get("weight", 0)) for one in clusters) or 1
    split: Split = {}
    for one in clusters:
        parts = str(one["name"]).split("|")
        if len(parts) == 4:
            _direction, port, subset, host = parts
            where = destination(host, int(port), subset, "")
            split[where] = split.get(where, 0.0) + int(one.get("weight", 0)) / total
    return split
