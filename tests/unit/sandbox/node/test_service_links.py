"""What containers are told of Services."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.sandbox.node.service_links import variables


def service(name: str, address: str | None, *ports: dict[str, Any], namespace: str = "here") -> dict[str, Any]:
    spec = {"ports": list(ports)} | ({} if address is None else {"clusterIP": address})
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


API_SERVER = service("kubernetes", "127.1.1.200", {"name": "https", "port": 443}, namespace="default")


def test_of_one_service() -> None:
    tcp, udp = {"name": "tcp-other", "port": 9001, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}
    assert variables([service("tcp-echo", "127.1.1.201", tcp, udp)], "here", enabled=True) == {
        "TCP_ECHO_SERVICE_HOST": "127.1.1.201",
        "TCP_ECHO_SERVICE_PORT": "9001",
        "TCP_ECHO_SERVICE_PORT_TCP_OTHER": "9001",
        "TCP_ECHO_SERVICE_PORT_DNS": "53",
        "TCP_ECHO_PORT": "tcp://127.1.1.201:9001",
        "TCP_ECHO_PORT_9001_TCP": "tcp://127.1.1.201:9001",
        "TCP_ECHO_PORT_9001_TCP_PROTO": "tcp",
        "TCP_ECHO_PORT_9001_TCP_PORT": "9001",
        "TCP_ECHO_PORT_9001_TCP_ADDR": "127.1.1.201",
        "TCP_ECHO_PORT_53_UDP": "udp://127.1.1.201:53",
        "TCP_ECHO_PORT_53_UDP_PROTO": "udp",
        "TCP_ECHO_PORT_53_UDP_PORT": "53",
        "TCP_ECHO_PORT_53_UDP_ADDR": "127.1.1.201",
    }


def test_a_port_without_a_name_or_a_protocol() -> None:
    found = variables([service("a", "127.1.1.201", {"port": 80})], "here", enabled=True)
    assert found["A_SERVICE_PORT"] == "80"
    assert found["A_PORT_80_TCP"] == "tcp://127.1.1.201:80"
    assert not [name for name in found if name.startswith("A_SERVICE_PORT_")]


@pytest.mark.parametrize("address", [None, "", "None"], ids=["external name", "none yet", "headless"])
def test_services_without_an_address_are_left_out(address: str | None) -> None:
    assert variables([service("a", address, {"port": 80})], "here", enabled=True) == {}


@pytest.mark.parametrize(
    ("namespace", "enabled", "hosts"),
    [
        ("here", True, {"A_SERVICE_HOST", "KUBERNETES_SERVICE_HOST"}),
        ("here", False, {"KUBERNETES_SERVICE_HOST"}),
        ("elsewhere", True, {"KUBERNETES_SERVICE_HOST"}),
    ],
)
def test_only_the_own_namespace_and_always_the_api_server(namespace: str, enabled: bool, hosts: set[str]) -> None:
    services = [API_SERVER, service("a", "127.1.1.201", {"port": 80})]
    found = variables(services, namespace, enabled=enabled)
    assert {name for name in found if name.endswith("_SERVICE_HOST")} == hosts


@pytest.mark.parametrize("order", [1, -1])
def test_a_namespaces_own_service_of_the_name_comes_before_the_api_servers(order: int) -> None:
    services = [API_SERVER, service("kubernetes", "127.1.1.201", {"port": 80})][::order]
    assert variables(services, "here", enabled=True)["KUBERNETES_SERVICE_HOST"] == "127.1.1.201"
    assert variables(services, "here", enabled=False)["KUBERNETES_SERVICE_HOST"] == "127.1.1.200"
