"""Connections to Services' own addresses, on a real sandbox: they follow pods, not weights."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import distribution, istio, kubectl, netcat
from tcpshift_helpers.sandbox.envoy import Admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

pytestmark = pytest.mark.sandbox


@pytest.fixture
def echo(sandbox: Cluster) -> Iterator[Cluster]:
    """Both echo versions, one pod each, and the rule that sends all of the gateway's connections to v1."""
    kubectl.create_namespace(sandbox)
    for manifest in ("tcp-echo-services.yaml", "tcp-echo-all-v1.yaml"):
        kubectl.apply(sandbox, manifest)
    for version in ("v1", "v2"):
        kubectl.wait(sandbox, f"deployment/tcp-echo-{version}")
    istio.wait_in_force(sandbox, "tcp-echo")
    yield sandbox
    kubectl.delete(sandbox, "namespace", sandbox.namespace)
    kubectl.wait(sandbox, f"namespace/{sandbox.namespace}", wait_for="delete")


def address_of(cluster: Cluster) -> str:
    return str(cluster.read(cluster.api.resource_named("services"), "tcp-echo")["spec"]["clusterIP"])


def until_answered(address: str, port: int, answer: str) -> None:
    """Wait until a probe is answered so."""
    deadline = time.monotonic() + 20
    while (frame := netcat.probe(address, port, 1, progress=False))["answer"].eq(answer).sum() == 0:
        assert time.monotonic() < deadline, frame
        time.sleep(0.05)


def until_refused(address: str, port: int) -> None:
    """Wait until nothing listens there."""
    deadline = time.monotonic() + 20
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            socket.create_connection((address, port)).close()
            assert time.monotonic() < deadline, "still accepted"
            time.sleep(0.05)


def shares(address: str, count: int) -> dict[str, int]:
    counted = distribution.counts(netcat.probe(address, 9000, count, at_once=8, progress=False))
    assert counted.answered == count
    return counted.answers


def cluster_proxies(cluster: Cluster) -> list[dict[str, Any]]:
    pods = cluster.list(cluster.api.resource_named("pods"), "kube-system", selector="k8s-app=kube-proxy")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def until_known_endpoints(cluster: Cluster, home: Home, count: int) -> None:
    """Wait until the proxy's Envoy has so many endpoints of the echo Service."""
    (pod,) = cluster_proxies(cluster)
    admin = Admin(home.admin_socket(pod["metadata"]["uid"]))
    line = f"{cluster.namespace}/tcp-echo:tcp::127."
    deadline = time.monotonic() + 20
    while True:
        lines = asyncio.run(admin.get("/clusters")).splitlines()
        known = {one.split("::")[1] for one in lines if one.startswith(line)}
        if len(known) == count:
            return
        assert time.monotonic() < deadline, known
        time.sleep(0.05)


@pytest.mark.parity(
    "in the cluster: a Service's address leads to its ready pods, each alike, whatever weights say", "works"
)
def test_a_cluster_address_follows_pods_and_not_weights(echo: Cluster, sandbox_home: Home) -> None:
    address = address_of(echo)
    until_answered(address, 9000, "one")
    with socket.create_connection((address, 9000)) as kept:
        kept.sendall(b"before\n")
        word = kept.recv(100).split()[0].decode()
        kubectl.scale(echo, "tcp-echo-v2", replicas=3)
        kubectl.wait(echo, "deployment/tcp-echo-v2", wait_for="jsonpath={.status.readyReplicas}=3")
        until_known_endpoints(echo, sandbox_home, 4)
        # Binomial(300, 3/4): outside 193..254 with probability 8e-5. The gateway's weights say v1 alone.
        assert 193 <= shares(address, 300)["two"] <= 254
        kept.sendall(b"after\n")
        assert kept.recv(100) == f"{word} after\n".encode()
    kubectl.scale(echo, "tcp-echo-v1", replicas=0)
    kubectl.scale(echo, "tcp-echo-v2", replicas=0)
    until_refused(address, 9000)


@pytest.mark.parity("in the cluster: names and addresses of a Service go with it", "works")
def test_names_and_addresses_of_a_service_that_is_deleted_go_with_it(echo: Cluster, sandbox_home: Home) -> None:
    address, hosts = address_of(echo), sandbox_home.hosts_of(echo.namespace)
    until_answered(address, 9000, "one")
    assert f"{address} tcp-echo.{echo.namespace}.svc.cluster.local" in hosts.read_text()
    kubectl.delete(echo, "service", "tcp-echo")
    until_refused(address, 9000)
    assert address not in hosts.read_text()


def test_the_proxy_comes_back_killed_or_deleted(echo: Cluster, sandbox_home: Home) -> None:
    address = address_of(echo)
    until_answered(address, 9000, "one")
    (pod,) = cluster_proxies(echo)
    record = sandbox_home.pod(pod["metadata"]["uid"]) / "processes" / "kube-proxy.json"
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    until_answered(address, 9000, "one")
    kubectl.delete(echo, "pod", pod["metadata"]["name"], namespace="kube-system")
    until_answered(address, 9000, "one")
    (new,) = cluster_proxies(echo)
    assert new["metadata"]["uid"] != pod["metadata"]["uid"]
