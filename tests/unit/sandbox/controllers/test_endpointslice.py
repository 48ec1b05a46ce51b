"""Slices from Services and pods: pure cases, and two that need the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINT_SLICES, PODS, SERVICES
from tcpshift_helpers.sandbox.controllers.endpointslice import desired_slices, port_number, slice_labels

if TYPE_CHECKING:
    from .conftest import Controllers


def service(ports: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "default", "labels": {"app": "s"}},
        "spec": {"selector": {"app": "a"}, "ports": ports, **spec},
    }


def pod(name: str, port: int = 9000, *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "a"}, **metadata},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": port}]}]},
        "status": {
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def conditions_of(wanted: Any) -> dict[str, dict[str, bool]]:
    ((_, endpoints),) = wanted
    return {endpoint["targetRef"]["name"]: endpoint["conditions"] for endpoint in endpoints}


def test_conditions_of_ready_unready_and_terminating_pods() -> None:
    pods = [pod("ready"), pod("unready", ready=False), pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z")]
    ports = [{"name": "tcp", "port": 80}]
    assert conditions_of(desired_slices(service(ports), pods)) == {
        "ready": {"ready": True, "serving": True, "terminating": False},
        "unready": {"ready": False, "serving": False, "terminating": False},
        "leaving": {"ready": False, "serving": True, "terminating": True},
    }
    published = conditions_of(desired_slices(service(ports, publishNotReadyAddresses=True), pods))
    assert all(entry["ready"] for entry in published.values())


def test_only_addresses_of_version_four() -> None:
    ((_, endpoints),) = desired_slices(service([{"port": 80}]), [pod("a")])
    assert endpoints is not None
    assert endpoints[0]["addresses"] == ["10.0.0.1"]


def test_named_ports_of_different_numbers_make_slices_of_their_own() -> None:
    wanted = desired_slices(service([{"name": "tcp", "port": 80, "targetPort": "web"}]), [pod("a", 1), pod("b", 2)])
    assert [ports for ports, _ in wanted] == [
        [{"name": "tcp", "port": 1, "protocol": "TCP"}],
        [{"name": "tcp", "port": 2, "protocol": "TCP"}],
    ]


def test_no_pods_make_one_empty_slice() -> None:
    assert desired_slices(service([{"port": 80}]), []) == [(None, None)]


def test_target_ports() -> None:
    assert port_number({"port": 80}, pod("a")) == 80
    assert port_number({"port": 80, "targetPort": 9}, pod("a")) == 9
    assert port_number({"port": 80, "targetPort": "web"}, pod("a")) == 9000
    assert port_number({"port": 80, "targetPort": "nameless"}, pod("a")) is None
    assert port_number({"port": 80, "targetPort": "web", "protocol": "UDP"}, pod("a")) is None


def test_labels_say_whose_slice_it_is_and_whether_the_service_is_headless() -> None:
    assert slice_labels(service([], clusterIP="None")) == {
        "app": "s",
        "kubernetes.io/service-name": "s",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "service.kubernetes.io/headless": "",
    }
    assert "service.kubernetes.io/headless" not in slice_labels(service([]))


async def test_a_pod_whose_labels_no_longer_match_leaves(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    await client.create(SERVICES, service([{"name": "tcp", "port": 80}]))
    made = pod("a")
    del made["status"], made["metadata"]["uid"]
    await client.create(PODS, made)
    status = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "phase": "Running"}
    await client.merge_patch(PODS, "a", "default", {"status": status}, "status")

    async def endpoints() -> list[str]:
        items, _ = await client.list(ENDPOINT_SLICES, "default", label_selector="kubernetes.io/service-name=s")
        return [entry["targetRef"]["name"] for item in items for entry in item.get("endpoints") or []]

    async def has_pod() -> bool:
        return await endpoints() == ["a"]

    async def has_none() -> bool:
        return await endpoints() == []

    await until(has_pod, "the pod in the slice")
    await client.merge_patch(PODS, "a", "default", {"metadata": {"labels": {"app": "other"}}})
    await until(has_none, "the pod to leave the slice")


async def test_slices_go_with_their_service(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    await client.create(SERVICES, service([{"name": "tcp", "port": 80}]))
    slices = controllers.context.informer(ENDPOINT_SLICES).objects

    def mine() -> list[str]:
        return [name for _, name in slices if name.startswith("s-")]

    await until(lambda: len(mine()) == 1, "the slice")
    await client.delete(SERVICES, "s", "default")
    await until(lambda: not mine(), "the slice to go")
