"""Selection rules that the recorded cases do not reach: who is a proxy, whose address is whose, what is not served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tcpshift_helpers.sandbox.mesh import hostnames, xds_files
from tcpshift_helpers.sandbox.mesh.configuration import build
from tcpshift_helpers.sandbox.mesh.model import ROUTER, SIDECAR, Snapshot

from .objects import base_snapshot, gateway_pod, pod, service, stamped, with_objects

SIDECAR_ARGS = ["proxy", "sidecar"]


def balanced(*pods: dict[str, Any]) -> Snapshot:
    gateway = service(
        "istio-ingressgateway",
        {"istio": "ingressgateway"},
        [{"name": "tcp", "port": 31400}, {"name": "web", "port": 80, "targetPort": 8080}],
        "istio-system",
        type="LoadBalancer",
    )
    gateway["status"] = {"loadBalancer": {"ingress": [{"ip": "127.1.2.2"}]}}
    return Snapshot(pods=pods, services=[gateway])


def bound(snapshot: Snapshot, name: str) -> list[tuple[str, int, int]]:
    proxy = next(one for one in snapshot.proxies if one.name == name)
    return [(address, port.port, port.target) for address, port in snapshot.load_balancer_ports(proxy)]


def test_load_balancer_address_goes_to_the_oldest_gateway_that_stays() -> None:
    old, new = gateway_pod("old", "127.1.2.10"), gateway_pod("new", "127.1.2.11")
    both = [("127.1.2.2", 31400, 31400), ("127.1.2.2", 80, 8080)]
    snapshot = balanced(old, new)
    assert (bound(snapshot, "old"), bound(snapshot, "new")) == (both, [])
    leaving = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    snapshot = balanced(leaving, new)
    assert (bound(snapshot, "old"), bound(snapshot, "new")) == ([], both)


def test_load_balancer_port_leads_to_the_target_port() -> None:
    snapshot = balanced(gateway_pod("gw", "127.1.2.10"))
    server = {"port": {"number": 80, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    route = [{"destination": {"host": "a.b"}}]
    objects: list[dict[str, Any]] = [
        {"kind": "Gateway", "metadata": {"name": "g", "namespace": "d"}, "spec": {"servers": [server]}},
        {
            "kind": "VirtualService",
            "metadata": {"name": "v", "namespace": "d"},
            "spec": {"hosts": ["*"], "gateways": ["g"], "tcp": [{"match": [{"port": 80}], "route": route}]},
        },
    ]
    snapshot = with_objects(snapshot, objects)
    made = build(snapshot.proxies[0], snapshot, Path("/xds"))
    places = {
        name: one["address"]["socket_address"] for name, one in made.listeners.items() if not name.endswith("_15021")
    }
    assert places == {
        "0.0.0.0_8080": {"address": "127.1.2.10", "port_value": 8080},
        "127.1.2.2_80": {"address": "127.1.2.2", "port_value": 80},
    }
    assert all(one["enable_reuse_port"] is False for one in made.listeners.values())


@pytest.mark.parametrize(
    ("args", "annotations", "kind"),
    [
        (["proxy", "router"], {}, ROUTER),
        (SIDECAR_ARGS, {"sidecar.istio.io/status": "{}"}, SIDECAR),
        (["proxy", "router"], {"sidecar.istio.io/status": "{}"}, ROUTER),
        ([], {}, ROUTER),
    ],
)
def test_kind_of_proxy(args: list[str], annotations: dict[str, str], kind: str) -> None:
    made = pod("p", "127.1.2.10", {}, containers=[{"name": "istio-proxy", "args": args}])
    made["metadata"]["annotations"] = annotations
    assert [one.kind for one in Snapshot(pods=[made]).proxies] == [kind]


def test_who_is_no_proxy() -> None:
    plain = pod("plain", "127.1.2.10", {})
    without_address = gateway_pod("no-address", "")
    over = gateway_pod("over", "127.1.2.11")
    over["status"]["phase"] = "Failed"
    assert Snapshot(pods=[plain, without_address, over]).proxies == []


def test_sidecar_opens_declared_and_targeted_ports_and_none_of_its_own() -> None:
    app = {
        "name": "app",
        "ports": [
            {"containerPort": 9000},
            {"containerPort": 9001, "name": "more"},
            {"containerPort": 53, "protocol": "UDP"},
            {"containerPort": 15021},
        ],
    }
    made = pod("p", "127.1.2.10", {"app": "x"}, containers=[app, {"name": "istio-proxy", "args": SIDECAR_ARGS}])
    made["metadata"]["annotations"] = {"sidecar.istio.io/status": "{}"}
    ports = [{"port": 1, "targetPort": 9002}, {"port": 2, "targetPort": "more"}, {"port": 3, "targetPort": "no-such"}]
    snapshot = Snapshot(pods=[made], services=[service("s", {"app": "x"}, ports), service("t", {"app": "y"}, ports)])
    configuration = build(snapshot.proxies[0], snapshot, Path("/xds"))
    assert sorted(configuration.listeners) == [
        "127.1.2.10_15021",
        "127.1.2.10_9000",
        "127.1.2.10_9001",
        "127.1.2.10_9002",
    ]
    cluster = configuration.clusters["inbound|9000||"]
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert cluster["type"] == "STATIC"
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "127.1.2.110", "port_value": 9000}


def test_what_is_not_served_is_noted() -> None:
    servers = [
        {"port": {"number": 31400, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]},
        {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
    ]
    policy = {"outlierDetection": {}, "connectionPool": {"http": {}, "tcp": {"maxConnections": 1, "idleTimeout": "1s"}}}
    destination = {"host": "tcp-echo", "port": {"number": 9000}}
    objects: list[dict[str, Any]] = [
        {"kind": "Gateway", "metadata": {"name": "g", "namespace": "default"}, "spec": {"servers": servers}},
        {
            "kind": "DestinationRule",
            "metadata": {"name": "d", "namespace": "default"},
            "spec": {"host": "tcp-echo", "trafficPolicy": policy},
        },
        {
            "kind": "VirtualService",
            "metadata": {"name": "v", "namespace": "default"},
            "spec": {
                "hosts": ["*"],
                "gateways": ["g"],
                "http": [{"route": [{"destination": destination}]}],
                "tcp": [{"route": [{"destination": destination}]}],
            },
        },
    ]
    snapshot = with_objects(base_snapshot(), objects)
    made = build(snapshot.proxies[0], snapshot, Path("/xds"))
    assert set(made.listeners) == {"0.0.0.0_15021", "0.0.0.0_31400"}
    notes = {key[0]: " ".join(notes) for key, notes in made.notes.items()}
    assert "port 80 (HTTP)" in notes["Gateway"]
    assert "http routes" in notes["VirtualService"]
    assert "connectionPool.http, connectionPool.tcp.idleTimeout, outlierDetection" in notes["DestinationRule"]


def test_unready_endpoints_get_no_connections() -> None:
    snapshot = base_snapshot()
    slices = [dict(one) for one in snapshot.endpoint_slices]
    for one in slices:
        one["endpoints"] = [{**endpoint, "conditions": {"ready": False}} for endpoint in one["endpoints"]]
    route = {
        "kind": "VirtualService",
        "metadata": {"name": "v", "namespace": "default"},
        "spec": {"hosts": ["*"], "gateways": ["g"], "tcp": [{"route": [{"destination": {"host": "tcp-echo"}}]}]},
    }
    server = {"port": {"number": 31400, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    gateway = {"kind": "Gateway", "metadata": {"name": "g", "namespace": "default"}, "spec": {"servers": [server]}}
    snapshot = with_objects(replace(snapshot, endpoint_slices=slices), [gateway, route])
    made = build(snapshot.proxies[0], snapshot, Path("/xds"))
    assert made.endpoints
    assert not any("endpoints" in one for one in made.endpoints.values())


def test_same_second_is_decided_by_name() -> None:
    server = {"port": {"number": 31400, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    made = []
    for name in ("b", "a"):
        one = stamped({"kind": "Gateway", "metadata": {"name": name, "namespace": "d"}, "spec": {"servers": [server]}})
        one["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        made.append(one)
    snapshot = replace(base_snapshot(), gateways=made)
    assert [one.gateway["metadata"]["name"] for one in snapshot.servers(snapshot.proxies[0])] == ["a"]


def test_file_names_of_endpoints_are_distinct_and_short() -> None:
    long = "outbound|9000|v1|" + "a" * 240
    names = {xds_files.endpoints(name) for name in (long, long + "b", "outbound|1||x", "outbound|1|a|x")}
    assert len(names) == 4
    assert all(len(name) < 255 and "/" not in name and "|" not in name for name in names)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "a.b", True),
        ("a.b", "*", True),
        ("*.b", "a.b", True),
        ("*.b", "a.c", False),
        ("*.a.b", "*.b", True),
        ("*.b", "*.a.b", True),
        ("*.b", "*.c", False),
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
    ],
)
def test_hosts_that_can_be_the_same(one: str, other: str, expected: bool) -> None:
    assert hostnames.matches(one, other) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("tcp-echo", "tcp-echo.ns.svc.cluster.local"),
        ("tcp-echo.other", "tcp-echo.other"),
        ("*", "*"),
        ("10.0.0.1", "10.0.0.1"),
        ("", ""),
    ],
)
def test_short_hosts_belong_to_the_objects_namespace(host: str, expected: str) -> None:
    assert hostnames.fully_qualified(host, "ns") == expected
