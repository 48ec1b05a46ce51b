"""The Gateway API from the objects to the connections: istiod over an API of a few lines, and a real Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from tcpshift_helpers import manifests
from tcpshift_helpers.sandbox import client as api
from tcpshift_helpers.sandbox.mesh.gateway_api.addresses import MANAGED

from .conftest import Mesh
from .objects import GATEWAY_API, endpoint_slice, gateway_pod
from .test_istiod import KUBERNETES_GATEWAYS, ControlPlane

Obj = dict[str, Any]
NAME = "tcp-echo-gateway-istio"


def objects(name: str) -> list[Obj]:
    """The course's objects, in the namespace default."""
    loaded = manifests.load(f"gateway-api/{name}").objects
    return [{**obj, "metadata": {**obj["metadata"], "namespace": "default"}} for obj in loaded]


class Plane(ControlPlane):
    """A control plane whose gateway pod is one that a Deployment of a Gateway would have made."""

    def __init__(self, mesh: Mesh) -> None:
        pod = gateway_pod(f"{NAME}-1", mesh.address)
        labels = {f"{GATEWAY_API}/gateway-name": "tcp-echo-gateway"}
        pod["metadata"] |= {"uid": mesh.proxy.uid, "namespace": "default", "labels": labels}
        mesh.snapshot = replace(mesh.snapshot, pods=[pod, *mesh.snapshot.pods[1:]])
        super().__init__(mesh)

    def put_with_endpoints(self, obj: Obj) -> None:
        """A Service as its controllers would leave it, with its EndpointSlice; anything else as it is."""
        stored = self.api.put(obj)
        if obj["kind"] == "Service":
            self.api.put(endpoint_slice(stored, list(self.mesh.snapshot.pods)))

    async def apply(self, name: str) -> None:
        """Apply the course's objects, and do what a cluster does for the Gateway's Service."""
        for obj in objects(name):
            self.put_with_endpoints(obj)
        await self.until(lambda: self.made("services"))
        status = {"loadBalancer": {"ingress": [{"ip": self.mesh.load_balancer}]}}
        self.put_with_endpoints({**self.made("services"), "status": status})

    def made(self, plural: str) -> Obj:
        """What istiod made for the Gateway."""
        return self.api.objects[plural].get(("default", NAME)) or {}

    @property
    def gateway(self) -> Obj:
        return self.api.objects[KUBERNETES_GATEWAYS]["default", "tcp-echo-gateway"]

    def gateway_condition(self, kind: str) -> Obj:
        return _condition((self.gateway.get("status") or {}).get("conditions"), kind)

    def route_condition(self, kind: str) -> Obj:
        parents = (self.api.objects["tcproutes"]["default", "tcp-echo"].get("status") or {}).get("parents") or [{}]
        return _condition(parents[0].get("conditions"), kind)


def _condition(conditions: list[Obj] | None, kind: str) -> Obj:
    return next((one for one in conditions or () if one["type"] == kind), {})


@pytest.fixture
async def plane(mesh: Mesh) -> AsyncIterator[Plane]:
    async with Plane(mesh) as running:
        yield running


@pytest.mark.parity("Gateway API: a Gateway has an Envoy of its own, TCPRoute shares connections by weight", "works")
async def test_a_gateway_is_made_served_and_weighed(plane: Plane) -> None:
    await plane.apply("tcp-echo-all-v1.yaml")
    await plane.until(lambda: plane.gateway_condition("Programmed").get("status") == "True")
    assert plane.gateway["status"]["addresses"] == [{"type": "IPAddress", "value": plane.mesh.load_balancer}]
    assert plane.gateway["status"]["listeners"][0]["attachedRoutes"] == 1
    assert plane.route_condition("Accepted")["status"] == "True"
    assert plane.route_condition("ResolvedRefs")["status"] == "True"
    await answered(plane.mesh, "one")
    assert await plane.mesh.probes(20) == {"one": 20}

    await plane.apply("tcp-echo-20-v2.yaml")
    await answered(plane.mesh, "two")
    answers = await plane.mesh.probes(400)
    assert set(answers) == {"one", "two"}
    # Binomial(400, 0.2): outside 49..114 with probability 9e-5.
    assert 49 <= answers["two"] <= 114

    plane.api.remove(objects("tcp-echo-20-v2.yaml")[0])
    await plane.until(lambda: plane.gateway["status"]["listeners"][0]["attachedRoutes"] == 0)
    await answered(plane.mesh, "refused")


async def answered(mesh: Mesh, word: str) -> None:
    """Wait for the first connection that is answered so: statuses do not wait for Envoy."""
    async with asyncio.timeout(20):
        while await mesh.probe() != word:
            pass


async def test_what_is_made_belongs_to_the_gateway_and_follows_it(plane: Plane) -> None:
    await plane.until(lambda: len(plane.api.objects["gatewayclasses"]) == 2)
    assert not plane.api.objects["deployments"]  # no proxy while there is no Gateway
    await plane.apply("tcp-echo-all-v1.yaml")
    for plural in ("serviceaccounts", "deployments", "services"):
        (owner,) = plane.made(plural)["metadata"]["ownerReferences"]
        assert owner["uid"] == plane.gateway["metadata"]["uid"]
    gateway = objects("tcp-echo-all-v1.yaml")[0]
    more = {"name": "more", "port": 31500, "protocol": "TCP"}
    plane.api.put({**gateway, "spec": {**gateway["spec"], "listeners": [*gateway["spec"]["listeners"], more]}})
    await plane.until(lambda: 31500 in [port["port"] for port in plane.made("services")["spec"]["ports"]])
    plane.api.remove(plane.made("deployments"))
    await plane.until(lambda: plane.made("deployments"))


async def test_a_service_of_the_same_name_that_somebody_else_made_is_left_alone(plane: Plane) -> None:
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": "default"}}
    plane.api.put({**theirs, "spec": {"selector": {"app": "x"}, "ports": [{"port": 1}]}})
    plane.api.put(objects("tcp-echo-all-v1.yaml")[0])
    await plane.until(lambda: plane.gateway_condition("Programmed").get("status") == "False")
    assert plane.made("deployments")["metadata"]["labels"][MANAGED]
    assert plane.made("services")["spec"] == {"selector": {"app": "x"}, "ports": [{"port": 1}]}


@pytest.mark.parity(
    "Gateway API: what Envoy refuses of a TCPRoute",
    "known difference: a condition Reconciled of its parents says so; istiod tells it in its log alone",
)
async def test_what_envoy_refuses_is_a_condition_of_the_route_until_it_is_taken(plane: Plane) -> None:
    async with await asyncio.start_server(lambda _r, w: w.close(), plane.mesh.load_balancer, 31400):
        await plane.apply("tcp-echo-all-v1.yaml")
        await plane.until(lambda: plane.route_condition("Reconciled").get("reason") == "ConfigRejected")
        assert "Address already in use" in plane.route_condition("Reconciled")["message"]
    await plane.until(lambda: not plane.route_condition("Reconciled"))
    assert await plane.mesh.probe() == "one"


async def test_both_apis_at_once_share_nothing_but_the_model(plane: Plane, istio: Any) -> None:
    """Istio's Gateway does not select the pod of the other one, though both are called the same."""
    for obj in istio({"v2": None}):  # the older of two would win the port
        plane.api.put(obj)
    await plane.condition("VirtualService", "tcp-echo", "Unknown")
    await plane.apply("tcp-echo-all-v1.yaml")
    await answered(plane.mesh, "one")
    assert await plane.mesh.probes(20) == {"one": 20}


async def test_a_status_that_stands_is_not_written_again(plane: Plane) -> None:
    await plane.apply("tcp-echo-all-v1.yaml")
    await answered(plane.mesh, "one")
    await plane.until(lambda: plane.gateway_condition("Programmed").get("status") == "True")
    before = {key: obj["metadata"]["resourceVersion"] for key, obj in plane.api.objects["gatewayclasses"].items()}
    versions = (before, plane.gateway["metadata"]["resourceVersion"])
    # Any change makes istiod look at everything; the last written tells that it has.
    for obj in objects("tcp-echo-20-v2.yaml"):
        plane.api.put(obj)
    await plane.until(lambda: plane.route_condition("Accepted")["observedGeneration"] == 2)
    after = {key: obj["metadata"]["resourceVersion"] for key, obj in plane.api.objects["gatewayclasses"].items()}
    assert (after, plane.gateway["metadata"]["resourceVersion"]) == versions


async def test_statuses_are_caught_up_when_the_api_server_comes_back(plane: Plane) -> None:
    await plane.apply("tcp-echo-all-v1.yaml")
    await plane.until(lambda: plane.gateway_condition("Programmed").get("status") == "True")
    plane.api.go_away()
    route = objects("tcp-echo-20-v2.yaml")[0]
    plane.api.put({**route, "spec": {**route["spec"], "parentRefs": [{"name": "nobody"}]}})
    plane.api.is_away = False
    await plane.until(lambda: plane.gateway["status"]["listeners"][0]["attachedRoutes"] == 0)
    assert api.key_of(plane.gateway) == ("default", "tcp-echo-gateway")
