"""The gateway's configuration is istiod's: every recorded case, compared with what istiod sent a real Envoy.

recorded/gateway.json holds Istio objects and the gateway's config_dump (its header says of which version and how).
Known differences, stripped here: the address bound (pod address, not 0.0.0.0), and clusters of Services that no route
names, which istiod sends too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tcpshift_helpers.sandbox.mesh.configuration import Configuration, build
from tcpshift_helpers.sandbox.mesh.model import Snapshot

from .objects import GATEWAY_ADDRESS, base_snapshot, with_objects

RECORDED = json.loads((Path(__file__).parent / "recorded" / "gateway.json").read_text(encoding="utf-8"))
OWN = {"0.0.0.0_15021"}


def configuration_of(case: dict[str, Any]) -> tuple[Snapshot, Configuration]:
    snapshot = with_objects(base_snapshot(RECORDED["services"]), case["objects"])
    gateway = next(proxy for proxy in snapshot.proxies if proxy.address == GATEWAY_ADDRESS)
    return snapshot, build(gateway, snapshot, Path("/xds"))


def normalised(listener: dict[str, Any]) -> dict[str, Any]:
    return {
        "port": listener["address"]["socket_address"]["port_value"],
        "traffic_direction": listener["traffic_direction"],
        "filter_chains": [chain["filters"] for chain in listener["filter_chains"]],
    }


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["case"])
def test_listeners(case: dict[str, Any]) -> None:
    _, configuration = configuration_of(case)
    ours = {name: normalised(one) for name, one in configuration.listeners.items() if name not in OWN}
    assert ours == case["listeners"]


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["case"])
def test_clusters_and_endpoints(case: dict[str, Any]) -> None:
    _, configuration = configuration_of(case)
    hosts = {name.split("|")[3] for name in configuration.clusters}
    theirs = {name: one for name, one in case["clusters"].items() if name.split("|")[3] in hosts}
    ours = {}
    for name, cluster in configuration.clusters.items():
        ours[name] = {key: cluster[key] for key in ("type", "connect_timeout", "lb_policy")}
        limit = cluster["circuit_breakers"]["thresholds"][0]["max_connections"]
        if limit != 4294967295:
            ours[name]["max_connections"] = limit
    # A dump leaves out what has protobuf's default value.
    assert ours == {name: {"lb_policy": "ROUND_ROBIN", **one} for name, one in theirs.items()}
    endpoints = {name: addresses_of(one) for name, one in configuration.endpoints.items()}
    assert endpoints == {name: case["endpoints"].get(name, []) for name in endpoints}


def addresses_of(assignment: dict[str, Any]) -> list[str]:
    return sorted(
        f"{address['address']}:{address['port_value']}"
        for group in assignment.get("endpoints", [])
        for endpoint in group["lb_endpoints"]
        for address in [endpoint["endpoint"]["address"]["socket_address"]]
    )


def test_routed_clusters_exist_exactly_where_istio_has_them() -> None:
    """A route to an unknown subset, host or port leads to a cluster that does not exist: connections are reset."""
    for case in RECORDED["cases"]:
        _, configuration = configuration_of(case)
        for listener in case["listeners"].values():
            proxy = listener["filter_chains"][0][0]["typed_config"]
            weighted = proxy.get("weighted_clusters", {}).get("clusters", [])
            for name in [proxy["cluster"]] if "cluster" in proxy else [one["name"] for one in weighted]:
                assert (name in configuration.clusters) == (name in case["clusters"]), (case["case"], name)
