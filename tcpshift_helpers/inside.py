"""A look inside the ingress gateway: what became of a rule in Envoy's own configuration, and what Envoy counts.

The same is to be had with `istioctl proxy-config listeners` and `pilot-agent request GET stats`. It changes nothing.
"""

from __future__ import annotations

import difflib
import html
import itertools
from typing import TYPE_CHECKING, Any

import pandas as pd

from tcpshift_helpers import conditions, manifests, palette, proxy
from tcpshift_helpers.errors import NotFoundError
from tcpshift_helpers.ingress import INGRESS_PODS, SYSTEM_NAMESPACE
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcpshift_helpers.connection import Cluster

PORT = 31400
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
# Of the filter's settings those that say where connections go; the rest is alike for every route.
_SHOWN = ("stat_prefix", "cluster", "weighted_clusters")
# Two lines beside each other, None where one side has none, and whether they differ.
_Row = tuple[str | None, str | None, bool]
_STATS = "stats?format=json&filter=^cluster\\.outbound.*upstream_cx_{what}$"


def listener(cluster: Cluster, port: int = PORT) -> dict[str, Any]:
    """Where Envoy sends the connections that come in at a port of the ingress gateway.

    Returns:
        Of the listener: `name`, `address`, and `filter_chains` with the settings of their TCP proxy that matter here.

    Raises:
        NotFoundError: no gateway pod runs, or it does not listen there: no rule opens that port.
        ExecError: Envoy cannot be asked.
    """
    dump = proxy.ask(cluster, SYSTEM_NAMESPACE, _pod(cluster), "config_dump?resource=dynamic_listeners")
    for entry in dump.get("configs") or []:
        found = entry.get("active_state", {}).get("listener", {})
        address = found.get("address", {}).get("socket_address", {})
        if address.get("port_value") == port:
            chains = [_chain(chain) for chain in found.get("filter_chains") or []]
            return {"name": f"0.0.0.0_{port}", "filter_chains": chains}
    raise NotFoundError(
        404,
        "NotFound",
        _("Envoy does not listen at port {port}").format(port=port),
        _("A Gateway opens the port, and a route that names it fills it: look at both."),
    )


def connections(cluster: Cluster) -> pd.DataFrame:
    """How many connections the gateway's Envoy has opened to each cluster of its own since it started.

    Returns:
        One row a cluster that was used (index `cluster`, such as `outbound|9000|v1|tcp-echo.…`): `connections` (int64).
    """
    counted = _connections(cluster, "total")
    rows = [(name, count) for name, count in sorted(counted.items()) if count]
    return pd.DataFrame(rows, columns=["cluster", "connections"]).astype({"connections": "int64"}).set_index("cluster")


def open_connections(cluster: Cluster, subset: str) -> int:
    """How many connections the gateway's Envoy holds open to a subset of the namespace's Services now.

    Raises:
        NotFoundError: no gateway pod runs.
        ExecError: Envoy cannot be asked.
    """
    total = 0
    for name, count in _connections(cluster, "active").items():
        _direction, _port, of, host = (name.split("|") + [""] * 4)[:4]
        total += count if of == subset and f".{cluster.namespace}.svc." in host else 0
    return total


def endpoints(cluster: Cluster, service: str) -> dict[str, set[str]]:
    """Which pods the gateway's Envoy knows for a Service of the namespace, by subset (empty for all pods alike).

    Returns:
        Subset to addresses, for each cluster that Envoy has for it.

    Raises:
        NotFoundError: no gateway pod runs.
        ExecError: Envoy cannot be asked.
    """
    said = proxy.ask(cluster, SYSTEM_NAMESPACE, _pod(cluster), "clusters?format=json")
    found: dict[str, set[str]] = {}
    for status in said.get("cluster_statuses") or []:
        direction, _port, subset, host = (str(status.get("name", "")).split("|") + [""] * 4)[:4]
        if direction == "outbound" and host.startswith(f"{service}.{cluster.namespace}.svc."):
            sockets = [one.get("address", {}).get("socket_address", {}) for one in status.get("host_statuses") or []]
            found.setdefault(subset, set()).update(str(one["address"]) for one in sockets if one)
    return found


def ready_addresses(cluster: Cluster, app: str) -> dict[str, set[str]]:
    """Addresses of the ready pods with the label `app`, by their label `version`."""
    found: dict[str, set[str]] = {}
    for pod in cluster.list(cluster.api.resource_named("pods"), selector=f"app={app}"):
        is_ready = conditions.condition(pod, "Ready").get("status") == "True"
        if is_ready and not pod["metadata"].get("deletionTimestamp"):
            found.setdefault(pod["metadata"]["labels"].get("version", ""), set()).add(pod["status"]["podIP"])
    return found


def side_by_side(left: Any, right: Any, left_title: str, right_title: str, *, compare: bool = True) -> None:
    """Show two objects as YAML beside each other.

    Args:
        left: an object, or a part of one.
        right: another.
        left_title: what the left one is.
        right_title: what the right one is.
        compare: mark the lines that differ, by colour and by a sign. Where HTML cannot be shown, the difference is printed
            as `diff -u` would; without `compare` both are.
    """
    from IPython.display import display  # noqa: PLC0415 - only notebooks have it loaded

    ours, theirs = (manifests.to_yaml(one).splitlines() for one in (left, right))
    if compare:
        rows = _rows(ours, theirs)
        plain: Iterable[str] = difflib.unified_diff(ours, theirs, left_title, right_title, lineterm="", n=1_000)
    else:
        rows = ((a, b, False) for a, b in itertools.zip_longest(ours, theirs))
        plain = [f"{left_title}:", *ours, "", f"{right_title}:", *theirs]
    data = {"text/html": _table(rows, left_title, right_title), "text/plain": "\n".join(plain)}
    display(data, raw=True)  # type: ignore[no-untyped-call]


def _connections(cluster: Cluster, what: str) -> dict[str, int]:
    """A counter of connections (`total`, `active`) by Envoy's clusters."""
    said = proxy.ask(cluster, SYSTEM_NAMESPACE, _pod(cluster), _STATS.format(what=what))
    return {
        str(entry["name"]).removeprefix("cluster.").removesuffix(f".upstream_cx_{what}").rstrip(";"): int(
            entry.get("value", 0)
        )
        for entry in said.get("stats") or []
        if "name" in entry
    }


def _pod(cluster: Cluster) -> str:
    pods = cluster.list(cluster.api.resource_named("pods"), SYSTEM_NAMESPACE, selector=INGRESS_PODS)
    running = [
        pod["metadata"]["name"]
        for pod in pods
        if pod.get("status", {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]
    if not running:
        raise NotFoundError(
            404,
            "NotFound",
            _("no pod of the ingress gateway runs"),
            f"kubectl -n {SYSTEM_NAMESPACE} get pods -l {INGRESS_PODS}",
        )
    return str(running[0])


def _chain(chain: dict[str, Any]) -> dict[str, Any]:
    shown = []
    for one in chain.get("filters") or []:
        if one.get("name") == _TCP_PROXY:
            settings = one.get("typed_config", {})
            shown.append({"name": _TCP_PROXY, **{key: settings[key] for key in _SHOWN if key in settings}})
    return {"filters": shown}


def _table(rows: Iterable[_Row], left_title: str, right_title: str) -> str:
    head = "".join(f"<th style='text-align:left'>{html.escape(title)}</th>" for title in (left_title, right_title))
    body = "".join(f"<tr>{_cell(a, changed)}{_cell(b, changed)}</tr>" for a, b, changed in rows)
    return f"<table style='font-family:monospace'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _rows(left: list[str], right: list[str]) -> Iterator[_Row]:
    for word, start, end, other_start, other_end in difflib.SequenceMatcher(None, left, right, False).get_opcodes():
        ours: list[str | None] = [*left[start:end]]
        theirs: list[str | None] = [*right[other_start:other_end]]
        length = max(len(ours), len(theirs))
        ours += [None] * (length - len(ours))
        theirs += [None] * (length - len(theirs))
        yield from ((a, b, word != "equal") for a, b in zip(ours, theirs, strict=True))


def _cell(line: str | None, changed: bool) -> str:
    sign = "▸" if changed and line is not None else " "
    mark = f";border-left:4px solid {palette.LOOKS['two'].colour}" if sign.strip() else ""
    text = html.escape(f"{sign} {line or ''}")
    return f"<td style='text-align:left;white-space:pre;padding:0 1em{mark}'>{text}</td>"
