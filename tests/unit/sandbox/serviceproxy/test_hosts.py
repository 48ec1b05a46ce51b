"""The names a container resolves."""

from __future__ import annotations

from typing import Any

from tcpshift_helpers.sandbox.mesh.model import Snapshot
from tcpshift_helpers.sandbox.serviceproxy.hosts import content

from ..mesh.objects import endpoint_slice, pod, service

PORT: dict[str, Any] = {"name": "tcp", "port": 9000}


def test_short_names_are_those_of_the_own_namespace() -> None:
    echo = service("echo", {"app": "echo"}, [PORT], "a", clusterIP="127.9.9.200", clusterIPs=["127.9.9.200"])
    snapshot = Snapshot(services=[echo])
    assert content("a", snapshot) == "127.9.9.200 echo.a.svc.cluster.local echo.a.svc echo.a echo\n"
    assert content("b", snapshot) == "127.9.9.200 echo.a.svc.cluster.local echo.a.svc echo.a\n"


def test_a_headless_service_is_its_ready_endpoints() -> None:
    pods = [pod(f"p{number}", f"127.9.9.2{number}", {"app": "echo"}) for number in range(3)]
    headless = service("echo", {"app": "echo"}, [PORT], clusterIP="None", clusterIPs=["None"])
    endpoints = endpoint_slice(headless, pods)
    endpoints["endpoints"][1]["conditions"] = {"ready": False}
    lines = content("default", Snapshot(services=[headless], endpoint_slices=[endpoints])).splitlines()
    assert [line.split()[0] for line in lines] == ["127.9.9.20", "127.9.9.22"]


def test_a_service_without_an_address_has_no_line() -> None:
    external = service("web", {}, [], type="ExternalName", externalName="example.org")
    assert content("default", Snapshot(services=[external])) == ""
