"""Steps that are judged by connections: against a gateway that answers in turn, and on a real Envoy."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import OpenConnections, course, istio, kubectl, scaling, steps, traffic_steps

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

    from .tcp_server import Serve

ALL_V1, SHIFTED, NO_WEIGHTS = "tcp-echo-all-v1.yaml", "tcp-echo-20-v2.yaml", "tcp-echo-no-weights.yaml"
WAIT = "istio.wait_in_force(cluster), then check again"


def problem(cluster: Cluster, name: str) -> tuple[str, str] | None:
    """Why a step is not done and what to type, or None when it is."""
    found = steps.CHECKS[name][1](cluster)
    return (found.because, found.do) if found else None


def apply(manifest: str) -> str:
    return f'kubectl.apply(cluster, "{manifest}")'


@pytest.fixture
def gateway(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a gateway that gives these answers in turn; one that is empty closes the connection."""

    def make(*words: str) -> None:
        answers, lock = itertools.cycle(words), threading.Lock()

        def answer(connection: socket.socket) -> None:
            connection.recv(100)
            with lock:
                word = next(answers)
            connection.sendall(f"{word} again\n".encode() if word else b"")

        monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
        monkeypatch.setenv("TCP_INGRESS_PORT", str(serve(answer)))

    return make


def make_ready_pod(cluster: Cluster, name: str, version: str, address: str) -> None:
    labels = {"app": "tcp-echo", "version": version}
    spec = {"containers": [{"name": "tcp-echo", "image": "x"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
    kubectl.create(cluster, body)
    ready = {"type": "Ready", "status": "True"}
    status: dict[str, Any] = {"status": {"podIP": address, "podIPs": [{"ip": address}], "conditions": [ready]}}
    cluster.patch(cluster.api.resource_named("pods"), name, status, subresource="status")


def test_answered_does_not_ask_by_whom(cluster: Cluster, gateway: Callable[..., None]) -> None:
    gateway("one", "two")
    assert problem(cluster, "answered") is None
    gateway("one", "one", "one", "")
    because = "5 of 20 probes got no answer: 15 one, 5 failed (closed without answer)"
    assert problem(cluster, "answered") == (because, WAIT)


def test_answers_are_held_against_whatever_weights_are_set(cluster: Cluster, gateway: Callable[..., None]) -> None:
    assert problem(cluster, "answers-as-set") == ("there is no VirtualService tcp-echo", apply(ALL_V1))
    kubectl.apply(cluster, ALL_V1)
    istio.set_weights(cluster, "tcp-echo", {"v1": 50, "v2": 50})
    gateway("one", "two")
    assert problem(cluster, "answers-as-set") is None
    istio.set_weights(cluster, "tcp-echo", {"v1": 80, "v2": 20})
    found = problem(cluster, "answers-as-set")
    assert found is not None
    assert found[0].startswith("105 of 210 answered one; a weight of 80% gives ")
    assert found[1] == WAIT
    gateway("one", "one", "one", "one", "two")
    assert problem(cluster, "answers-as-set") is None


def test_without_weights_answers_are_held_against_the_ready_pods(
    cluster: Cluster, gateway: Callable[..., None]
) -> None:
    told = ("no rule without weights is there", apply(NO_WEIGHTS))
    assert problem(cluster, "answers-by-pods") == told
    kubectl.apply(cluster, ALL_V1)
    assert problem(cluster, "answers-by-pods") == told
    kubectl.apply(cluster, NO_WEIGHTS)
    assert problem(cluster, "answers-by-pods") == ("no pod of tcp-echo runs", apply("tcp-echo-services.yaml"))
    make_ready_pod(cluster, "first", "v1", "10.0.0.1")
    make_ready_pod(cluster, "second", "v2", "10.0.0.2")
    gateway("one", "two")
    assert problem(cluster, "answers-by-pods") is None
    for number in (3, 4, 5):
        make_ready_pod(cluster, f"pod-{number}", "v1", f"10.0.0.{number}")
    found = problem(cluster, "answers-by-pods")
    assert found is not None
    assert found[0].startswith("105 of 210 answered one; a weight of 80% gives ")


def test_one_pod_of_each_version_has_to_be_ready(cluster: Cluster) -> None:
    scale = 'scaling.scale(cluster, {"v1": 1, "v2": 1})'
    make_ready_pod(cluster, "first", "v1", "10.0.0.1")
    assert problem(cluster, "one-pod-each") == ("ready pods: v1 1, v2 0", scale)
    make_ready_pod(cluster, "second", "v2", "10.0.0.2")
    assert problem(cluster, "one-pod-each") is None
    make_ready_pod(cluster, "third", "v2", "10.0.0.3")
    assert problem(cluster, "one-pod-each") == ("ready pods: v1 1, v2 2", scale)


def test_what_the_target_needs_is_told_as_the_preflight_tells_it(cluster: Cluster) -> None:
    assert problem(cluster, "connected") is None
    found = problem(cluster, "istio")
    assert found is not None
    assert found[0] == "no pod app=istiod in istio-system"
    found = problem(cluster, "tcp-port")
    assert found == (
        "there is no Service istio-system/istio-ingressgateway",
        "istioctl install --set profile=demo adds one",
    )


@pytest.mark.sandbox
def test_a_target_that_is_ready_passes(sandbox: Cluster) -> None:
    for name in ("connected", "istio", "tcp-port"):
        assert problem(sandbox, name) is None


@pytest.mark.sandbox
def test_a_rule_is_in_force_when_the_gateway_has_it(sandbox: Cluster) -> None:
    course.begin(sandbox, "03")
    assert problem(sandbox, "in-force") is None
    move = [{"op": "replace", "path": "/spec/servers/0/port/number", "value": 31499}]
    kubectl.patch(sandbox, "gateways.networking.istio.io", "tcp-echo-gateway", move, patch_type="json")
    found = problem(sandbox, "in-force")
    assert found is not None
    assert "No proxy uses this VirtualService" in found[0]
    assert found[1] == "istio.wait_in_force(cluster)"
    kubectl.delete(sandbox, "virtualservice", "tcp-echo")
    assert problem(sandbox, "in-force") == ("there is no VirtualService tcp-echo", apply(ALL_V1))


@pytest.mark.sandbox
def test_an_open_connection_to_v1_is_seen_until_it_is_closed(sandbox: Cluster) -> None:
    course.begin(sandbox, "03")
    assert problem(sandbox, "v1-idle") is None
    host, port = istio.ingress(sandbox)
    with OpenConnections(host, port, 2) as held:
        told = ("2 connections to v1 are open at the gateway", "held.wait_until_closed(timeout_seconds=60)")
        assert problem(sandbox, "v1-idle") == told
        # Those of another namespace do not count.
        assert problem(replace(sandbox, namespace="no-such"), "v1-idle") is None
        held.close()
    # Envoy counts a connection out when its own end has been closed, too.
    deadline = threading.Event()
    for _attempt in range(100):
        if problem(sandbox, "v1-idle") is None:
            break
        deadline.wait(0.1)
    assert problem(sandbox, "v1-idle") is None


@pytest.mark.sandbox
def test_calls_of_the_service_are_held_against_the_pods_without_a_word(
    sandbox: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    course.begin(sandbox, "05")
    scaling.scale(sandbox, {"v1": 1, "v2": 4})
    capsys.readouterr()
    assert problem(sandbox, "service-by-pods") is None
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(traffic_steps, "ready_pods", lambda _cluster: {"v1": 4, "v2": 1})
    found = problem(sandbox, "service-by-pods")
    assert found is not None
    assert " answered one; a weight of 80% gives " in found[0]
    assert found[1] == "scale again by scaling.scale, which waits, then check again"
    monkeypatch.undo()
    scaling.scale(sandbox, {"v1": 0, "v2": 0})
    assert problem(sandbox, "service-by-pods") == ("no pod of tcp-echo runs", apply("tcp-echo-services.yaml"))
    course.begin(sandbox, "05")
