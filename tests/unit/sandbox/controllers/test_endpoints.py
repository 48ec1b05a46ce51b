"""Endpoints from Services and pods, as the real controller made them of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINTS, SERVICES
from tcpshift_helpers.sandbox.controllers.endpoints import desired_subsets

if TYPE_CHECKING:
    from .conftest import Controllers


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "default", "labels": {"app": "s"}},
        "spec": {"selector": {"app": "a"}, "ports": list(ports), **spec},
    }


def pod(name: str, address: str, port: int = 9000, *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "a"}, **metadata},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": port}]}],
        },
        "status": {
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def address(name: str, ip: str) -> dict[str, Any]:
    target = {"kind": "Pod", "namespace": "default", "name": name, "uid": name}
    return {"ip": ip, "nodeName": "n", "targetRef": target}


TCP = {"name": "tcp", "port": 80, "targetPort": 9000}


def test_ready_and_unready_addresses_stand_apart_and_in_order() -> None:
    pods = [pod("b", "10.0.0.2"), pod("a", "10.0.0.1"), pod("c", "10.0.0.3", ready=False)]
    assert desired_subsets(service(TCP), pods) == [
        {
            "addresses": [address("a", "10.0.0.1"), address("b", "10.0.0.2")],
            "notReadyAddresses": [address("c", "10.0.0.3")],
            "ports": [{"name": "tcp", "port": 9000, "protocol": "TCP"}],
        }
    ]


def test_pods_that_leave_or_ended_are_left_out() -> None:
    leaving = pod("a", "10.0.0.1", deletionTimestamp="2026-01-01T00:00:00Z")
    ended = pod("b", "10.0.0.2")
    ended["status"]["phase"] = "Succeeded"
    assert desired_subsets(service(TCP), [leaving, ended]) == []


def test_unready_addresses_are_published_on_demand() -> None:
    (subset,) = desired_subsets(service(TCP, publishNotReadyAddresses=True), [pod("a", "10.0.0.1", ready=False)])
    assert subset["addresses"] == [address("a", "10.0.0.1")]


def test_pods_with_other_ports_have_a_subset_of_their_own() -> None:
    named = {"port": 80, "targetPort": "web"}
    subsets = desired_subsets(service(named), [pod("a", "10.0.0.1", 1), pod("b", "10.0.0.2", 2)])
    assert [subset["ports"] for subset in subsets] == [
        [{"port": 1, "protocol": "TCP"}],
        [{"port": 2, "protocol": "TCP"}],
    ]


def test_a_headless_service_may_have_no_ports() -> None:
    assert desired_subsets(service(clusterIP="None"), [pod("a", "10.0.0.1")]) == [
        {"addresses": [address("a", "10.0.0.1")]}
    ]


async def test_they_come_and_go_with_their_service(controllers: Controllers, until: Any) -> None:
    await controllers.client.create(SERVICES, service(TCP))
    known = controllers.context.informer(ENDPOINTS).objects
    made = await until(lambda: known.get(("default", "s")), "the Endpoints")
    assert made["metadata"]["labels"] == {"app": "s", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert "subsets" not in made
    await controllers.client.delete(SERVICES, "s", "default")
    await until(lambda: ("default", "s") not in known, "them to go")
