"""Which addresses the service proxy answers on, and where they lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tcpshift_helpers.sandbox.mesh.configuration import Configuration
from tcpshift_helpers.sandbox.mesh.model import Snapshot
from tcpshift_helpers.sandbox.serviceproxy.configuration import HEALTH_PORT, build

from ..mesh.objects import endpoint_slice, gateway_pod, pod, service

Obj = dict[str, Any]

PROXY, NODE = "127.9.9.12", "127.9.9.1"
V1 = pod("v1", "127.9.9.20", {"app": "echo"})
V2 = pod("v2", "127.9.9.21", {"app": "echo"})
PORT = {"name": "tcp", "port": 9000, "targetPort": 9000, "protocol": "TCP"}
HEALTH = f"{PROXY}_{HEALTH_PORT}"


def echo(**spec: Any) -> Obj:
    ports = spec.pop("ports", [PORT])
    return service("echo", {"app": "echo"}, ports, **{"clusterIPs": ["127.9.9.200"], **spec})


def built(of: Obj, *pods: Obj, slice_of: Obj | None = None) -> Configuration:
    snapshot = Snapshot(pods=pods, services=[of], endpoint_slices=[endpoint_slice(slice_of or of, list(pods))])
    return build(snapshot, PROXY, NODE)


def places(configuration: Configuration) -> list[tuple[str, int]]:
    """Where it listens, but for its health."""
    addresses = [listener["address"]["socket_address"] for listener in configuration.listeners.values()]
    return [
        (a["address"], a["port_value"]) for a in addresses if (a["address"], a["port_value"]) != (PROXY, HEALTH_PORT)
    ]


def endpoints(configuration: Configuration, name: str = "default/echo:tcp") -> list[str]:
    (locality,) = configuration.clusters[name]["load_assignment"]["endpoints"]
    return [one["endpoint"]["address"]["socket_address"]["address"] for one in locality["lb_endpoints"]]


def test_a_cluster_address_leads_to_every_ready_endpoint_with_equal_chances() -> None:
    configuration = built(echo(), V1, V2)
    assert places(configuration) == [("127.9.9.200", 9000)]
    assert endpoints(configuration) == ["127.9.9.20", "127.9.9.21"]
    cluster = configuration.clusters["default/echo:tcp"]
    assert cluster["lb_policy"] == "RANDOM"
    (locality,) = cluster["load_assignment"]["endpoints"]
    assert {one["load_balancing_weight"] for one in locality["lb_endpoints"]} == {1}


def test_health_is_answered_whatever_there_is() -> None:
    configuration = build(Snapshot(), PROXY, NODE)
    assert [one["address"]["socket_address"] for one in configuration.listeners.values()] == [
        {"address": PROXY, "port_value": HEALTH_PORT}
    ]


def test_without_a_ready_endpoint_nothing_listens() -> None:
    assert places(built(echo())) == []
    of, not_ready = echo(), endpoint_slice(echo(), [V1])
    not_ready["endpoints"][0]["conditions"] = {"ready": False}
    assert places(build(Snapshot(pods=[V1], services=[of], endpoint_slices=[not_ready]), PROXY, NODE)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"clusterIPs": ["None"]}, []),
        ({"clusterIPs": None, "type": "ExternalName"}, []),
        ({"ports": [{**PORT, "protocol": "UDP"}]}, []),
        ({"type": "NodePort", "ports": [{**PORT, "nodePort": 30900}]}, [("127.9.9.200", 9000), (NODE, 30900)]),
    ],
    ids=["headless", "external name", "UDP", "node port"],
)
def test_where_a_service_answers(spec: Obj, expected: list[tuple[str, int]]) -> None:
    assert places(built(echo(**spec), V1)) == expected


def test_a_port_without_a_name() -> None:
    configuration = built(echo(ports=[{"port": 9000, "targetPort": 9000, "protocol": "TCP"}]), V1)
    assert endpoints(configuration, "default/echo") == ["127.9.9.20"]


def balanced(name: str, selector: Obj, namespace: str, port: Obj = PORT) -> Obj:
    made = service(name, selector, [port], namespace, type="LoadBalancer", clusterIPs=["127.9.9.201"])
    return {**made, "status": {"loadBalancer": {"ingress": [{"ip": "127.9.9.3"}]}}}


def test_a_load_balancer_without_a_gateway_behind_it_is_answered() -> None:
    configuration = built(balanced("echo", {"app": "echo"}, "default"), V1)
    assert places(configuration) == [("127.9.9.201", 9000), ("127.9.9.3", 9000)]


def test_a_gateway_binds_its_load_balancer_itself() -> None:
    gateway = gateway_pod(address="127.9.9.11")
    port = {"name": "tcp", "port": 31400, "targetPort": 31400, "protocol": "TCP"}
    of = balanced("istio-ingressgateway", {"istio": "ingressgateway"}, "istio-system", port)
    configuration = built(of, gateway)
    assert places(configuration) == [("127.9.9.201", 31400)]


def test_two_services_of_one_name_in_two_namespaces() -> None:
    other_pod = pod("v1", "127.9.9.30", {"app": "echo"}, "other")
    other = service("echo", {"app": "echo"}, [PORT], "other", clusterIPs=["127.9.9.210"])
    snapshot = Snapshot(pods=[V1, other_pod], services=[echo(), other])
    slices = [endpoint_slice(one, [V1, other_pod]) for one in snapshot.services]
    configuration = build(replace(snapshot, endpoint_slices=slices), PROXY, NODE)
    assert places(configuration) == [("127.9.9.200", 9000), ("127.9.9.210", 9000)]
    assert endpoints(configuration, "other/echo:tcp") == ["127.9.9.30"]
