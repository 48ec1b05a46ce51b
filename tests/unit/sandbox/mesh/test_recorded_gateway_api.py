"""The Gateway API means here what it means to istiod: every recorded case, statuses and Envoy's configuration.

recorded/gateway_api.json holds all objects of a case as the real API server had them, the statuses that istiod wrote,
and the config_dump of an Envoy in the gateway pod's place (its header says of which versions and how).

Known differences, each with its case: listeners other than TCP are not served, traffic within the mesh is not captured,
and no ConfigMap can change what is made for a Gateway.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tcpshift_helpers.sandbox.mesh.configuration import Configuration, build
from tcpshift_helpers.sandbox.mesh.gateway_api import classes, infrastructure
from tcpshift_helpers.sandbox.mesh.gateway_api.translation import Translation, translate
from tcpshift_helpers.sandbox.mesh.model import Snapshot

from .objects import snapshot_of
from .test_recorded_gateway import addresses_of, normalised

RECORDED = json.loads((Path(__file__).parent / "recorded" / "gateway_api.json").read_text(encoding="utf-8"))
CASES = {case["case"]: case for case in RECORDED["cases"]}
WITH_PROXY = {name: case for name, case in CASES.items() if "proxy" in case}
WITH_INFRASTRUCTURE = {name: case for name, case in CASES.items() if "infrastructure" in case}
NOW = "2026-11-25T04:00:00Z"
HTTP_CONFLICT = "two listeners on a port: TCP and HTTP"
PARAMETERS = "parameters that are not there"
MESH_PARENT = "route to a Service as parent: the mesh"


def snapshot(case: dict[str, Any]) -> Snapshot:
    return snapshot_of([*RECORDED["base"], *case["objects"]])


def translated(case: dict[str, Any]) -> Translation:
    return translate(snapshot(case))


def configuration(case: dict[str, Any]) -> Configuration:
    everything = translated(case).with_istio()
    proxy = next(proxy for proxy in everything.proxies if proxy.name == case["proxy"])
    return build(proxy, everything, Path("/xds"))


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "lastTransitionTime"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def statuses(case: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for obj, status in translated(case).statuses(NOW):
        if obj["kind"] != "GatewayClass":
            metadata = obj["metadata"]
            found[f"{obj['kind']}/{metadata['namespace']}/{metadata['name']}"] = without_times(status)
    return found


@pytest.mark.parity(
    "Gateway API: conditions of Gateway, its listeners and TCPRoute, with and without ReferenceGrant, as recorded from istiod",
    "works",
)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_statuses(case: dict[str, Any]) -> None:
    ours, theirs = statuses(case), json.loads(json.dumps(case["statuses"]))
    for status in theirs.values():
        if case["case"] == HTTP_CONFLICT and "listeners" in status:
            status["listeners"][1]["supportedKinds"] = []
    if case["case"] == MESH_PARENT:
        theirs = {"TCPRoute/default/tcp-echo": {"parents": []}}
    if case["case"] == PARAMETERS:
        message = "Unsupported parametersRef group/kind /ConfigMap: the sandbox acts on none"
        theirs["Gateway/default/tcp-echo-gateway"]["conditions"][0]["message"] = message
    # What the API server filled in for a Gateway that nobody takes care of is none of istiod's statuses.
    assert ours == {name: status for name, status in theirs.items() if not is_pending(status)}


def test_statuses_of_classes() -> None:
    """Recorded as objects, with their statuses: computed without them they come out the same."""
    for case in CASES.values():
        everything = [*RECORDED["base"], *case["objects"]]
        theirs_of = [obj for obj in everything if obj["kind"] == "GatewayClass"]
        bare = [{key: value for key, value in obj.items() if key != "status"} for obj in theirs_of]
        ours = {
            obj["metadata"]["name"]: without_times(status) for obj, status in translate(snapshot_of(bare)).statuses(NOW)
        }
        theirs = {
            obj["metadata"]["name"]: without_times(obj["status"]) for obj in theirs_of if not is_pending(obj["status"])
        }
        assert ours == theirs
        assert {"istio", "istio-remote"} <= ours.keys()


@pytest.mark.parity("Gateway API: GatewayClasses istio and istio-remote, made by istiod", "works")
def test_the_classes_made_are_istiods() -> None:
    theirs = {obj["metadata"]["name"]: obj["spec"] for obj in RECORDED["base"] if obj["kind"] == "GatewayClass"}
    assert {obj["metadata"]["name"]: obj["spec"] for obj in classes.built_in()} == theirs


def is_pending(status: dict[str, Any]) -> bool:
    return any(condition["reason"] == "Pending" for condition in status.get("conditions", ()))


@pytest.mark.parametrize("case", WITH_PROXY.values(), ids=WITH_PROXY.keys())
def test_listeners(case: dict[str, Any]) -> None:
    ours = {
        name: normalised(one)
        for name, one in configuration(case).listeners.items()
        if name.startswith("0.0.0.0_") and not name.endswith("_15021")
    }
    assert ours == case["listeners"]


@pytest.mark.parametrize("case", WITH_PROXY.values(), ids=WITH_PROXY.keys())
def test_clusters_and_endpoints(case: dict[str, Any]) -> None:
    found = configuration(case)
    ours = {
        name: {key: cluster[key] for key in ("type", "connect_timeout", "lb_policy")}
        for name, cluster in found.clusters.items()
    }
    # A dump leaves out what has protobuf's default value.
    assert ours == {name: {"lb_policy": "ROUND_ROBIN", **one} for name, one in case["clusters"].items()}
    assert {name: addresses_of(one) for name, one in found.endpoints.items()} == case["endpoints"]


@pytest.mark.parametrize("case", WITH_PROXY.values(), ids=WITH_PROXY.keys())
def test_a_translated_object_stands_for_the_one_it_was_made_from(case: dict[str, Any]) -> None:
    found = configuration(case)
    routes = {key for key in found.concerns if key[0] == "TCPRoute"}
    accepted = {
        ("TCPRoute", *name.split("/")[1:])
        for name, status in case["statuses"].items()
        for parent in status.get("parents", ())
        if parent["conditions"][0]["status"] == "True"
    }
    assert routes <= accepted
    assert bool(routes) == any(name.startswith("0.0.0.0_314") and name != "0.0.0.0_31405" for name in case["listeners"])


@pytest.mark.parity(
    "Gateway API: Deployment, Service and ServiceAccount made for a Gateway, as recorded from istiod", "works"
)
@pytest.mark.parametrize("case", WITH_INFRASTRUCTURE.values(), ids=WITH_INFRASTRUCTURE.keys())
def test_infrastructure(case: dict[str, Any]) -> None:
    """Metadata, selector, the Service and the pods' labels are the real ones; the proxy's container is our own."""
    made = {}
    for gateway in translated(case).managed:
        for obj in infrastructure.objects(gateway):
            (owner,) = obj["metadata"]["ownerReferences"]
            assert owner["uid"] == gateway["metadata"]["uid"]
            owner["uid"] = "UID"
            made[f"{obj['kind']}/{obj['metadata']['name']}"] = obj
    theirs = case["infrastructure"]
    assert made.keys() == theirs.keys()
    for name, obj in made.items():
        assert obj["metadata"] == theirs[name]["metadata"]
        wanted, spec = theirs[name].get("spec", {}), obj.get("spec", {})
        if obj["kind"] == "Deployment":
            assert spec["selector"] == wanted["selector"]
            assert spec["template"]["metadata"] == wanted["template"]["metadata"]
        if obj["kind"] == "Service":
            ports = [{**port, "targetPort": port["port"]} for port in spec["ports"]]
            assert ports == wanted["ports"]
            for field in spec.keys() - {"ports"}:
                assert spec[field] == wanted[field]


def test_the_proxy_is_started_as_the_real_one() -> None:
    (gateway,) = translated(CASES["Gateway alone"]).managed
    deployment = infrastructure.objects(gateway)[1]
    theirs = CASES["Gateway alone"]["infrastructure"]["Deployment/tcp-echo-gateway-istio"]
    ours_container = deployment["spec"]["template"]["spec"]["containers"][0]
    their_container = theirs["spec"]["template"]["spec"]["containers"][0]
    for field in ("name", "args"):
        assert ours_container[field] == their_container[field]
    port_numbers = [[port["containerPort"] for port in one["ports"]] for one in (ours_container, their_container)]
    assert port_numbers[0] == port_numbers[1]


def test_the_same_state_again_changes_nothing() -> None:
    """A status that stands is computed to be exactly itself, times included: nothing is written twice."""
    for case in CASES.values():
        first = {id(obj): status for obj, status in translated(case).statuses(NOW)}
        before = snapshot(case)
        told = [{**obj, "status": status} for obj, status in translate(before).statuses(NOW)]
        rest = [
            obj
            for obj in [*RECORDED["base"], *case["objects"]]
            if obj["kind"] not in ("GatewayClass", "Gateway", "TCPRoute") or "istio.io/v1" in obj["apiVersion"]
        ]
        again = translate(snapshot_of([*rest, *told])).statuses("2027-01-01T00:00:00Z")
        assert [status for _, status in again] == list(first.values())
