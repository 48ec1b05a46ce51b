"""When is a TCPRoute in force: what istiod has to say, what Envoy has to have, and every way a wait can end."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, execution, in_force, istio, kubectl, netcat
from tcpshift_helpers.errors import ConfigRejectedError, ExecError, NotFoundError, UsageError, WaitTimeoutError
from tcpshift_helpers.routes import TcpRoute
from tcpshift_helpers.routes.tcp_route import CONTROLLER, GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
ROUTE = "tcproute/tcp-echo"
LABEL = "tcproute.gateway.networking.k8s.io/tcp-echo"
NOT_FOUND = {"reason": "BackendNotFound", "message": "backend(tcp-echo-v1) not found"}


def condition(kind: str, status: str = "True", generation: int = 1, **words: str) -> dict[str, Any]:
    told = {"reason": kind, "message": "so it is", "lastTransitionTime": "2026-11-26T00:00:00Z", **words}
    return {"type": kind, "status": status, "observedGeneration": generation, **told}


def set_status(cluster: Cluster, kind: str, name: str, status: dict[str, Any]) -> None:
    resource = cluster.api.resource_named(f"{kind}.{GROUP}")
    cluster.patch(resource, name, {"status": status}, subresource="status")


def set_programmed(cluster: Cluster, status: str = "True", generation: int = 1, **words: str) -> None:
    """As if istiod had looked at the Gateway."""
    conditions = [condition("Accepted", generation=generation), condition("Programmed", status, generation, **words)]
    set_status(cluster, "gateways", "tcp-echo-gateway", {"conditions": conditions})


def set_told(cluster: Cluster, *conditions: dict[str, Any]) -> None:
    """As if istiod had looked at the route."""
    parent = {"group": GROUP, "kind": "Gateway", "name": "tcp-echo-gateway", "sectionName": "tcp-31400"}
    entry = {"parentRef": parent, "controllerName": CONTROLLER, "conditions": list(conditions)}
    set_status(cluster, "tcproutes", "tcp-echo", {"parents": [entry]})


@pytest.fixture
def applied(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Cluster:
    """The route to v1 on an API server without istiod, its Gateway programmed, and a running pod of that Gateway."""
    monkeypatch.setattr(in_force, "BLIND_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(in_force, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(TcpRoute, "REFUSAL_SECONDS", 0.0)
    kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
    set_programmed(cluster)
    labels = {"gateway.networking.k8s.io/gateway-name": "tcp-echo-gateway"}
    spec = {"nodeName": "node", "containers": [{"name": "istio-proxy", "image": "proxyv2"}]}
    pods = cluster.api.resource_named("pods")
    for name in ("gateway", "going", "pending"):
        metadata = {"name": name, "labels": labels}
        kubectl.create(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        if name != "pending":
            cluster.patch(pods, name, {"status": {"phase": "Running"}}, subresource="status")
    # Without a kubelet it never ends.
    cluster.api.request("DELETE", pods.path(cluster.namespace, "going"))
    capsys.readouterr()
    return cluster


@pytest.fixture
def envoy(applied: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what the pod's Envoy answers next; the last answer stays. Weights are by backend."""
    answers: list[execution.Finished | Exception] = []

    def run(cluster: Cluster, pod: str, command: tuple[str, ...], **more: Any) -> execution.Finished:
        del cluster, command
        assert (pod, more) == ("gateway", {"namespace": applied.namespace, "container": "istio-proxy"})
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer(failure: Exception | None = None, **weights: int) -> None:
        clusters = [
            {"name": f"outbound|9000||tcp-echo-{version}.{applied.namespace}.svc.cluster.local", "weight": weight}
            for version, weight in weights.items()
        ]
        proxy = {
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {"weighted_clusters": {"clusters": clusters}},
        }
        address = {"socket_address": {"port_value": 31400}}
        listener = {"address": address, "filter_chains": [{"filters": [proxy]}]}
        dump = {"configs": [{"dynamic_listeners": [{"active_state": {"listener": listener}}]}]}
        answers.append(failure or execution.Finished(0, json.dumps(dump), ""))

    monkeypatch.setattr(execution, "run", run)
    return answer


def test_accepted_and_in_envoy_is_in_force(applied: Cluster, envoy: Callable[..., None], capsys: Captured) -> None:
    set_told(applied, condition("Accepted"), condition("ResolvedRefs"))
    envoy(v2=1)
    envoy(v1=1)
    istio.wait_in_force(applied, ROUTE)
    assert capsys.readouterr().out == f"{LABEL} in force (the gateway's Envoy has it)\n"
    istio.wait_in_force(applied, ROUTE, say=None)
    assert capsys.readouterr().out == ""


def test_accepted_is_not_enough_while_envoy_has_another_split(applied: Cluster, envoy: Callable[..., None]) -> None:
    set_told(applied, condition("Accepted"), condition("ResolvedRefs"))
    envoy(v1=50, v2=50)
    with pytest.raises(WaitTimeoutError) as caught:
        istio.wait_in_force(applied, ROUTE, timeout_seconds=0.5)
    words = str(caught.value)
    assert "gateway does not have the wanted routes. Wanted: port 31400 to tcp-echo-v1 100%. " in words
    assert "In force: port 31400 to tcp-echo-v1 50%, tcp-echo-v2 50%." in words


@pytest.mark.parametrize(
    ("conditions", "last"),
    [
        ([], "no status at all; is istiod running?"),
        ([condition("Accepted")], "no status at all; is istiod running?"),
        ([condition("Accepted", generation=0), condition("ResolvedRefs")], "Accepted: so it is"),
        ([condition("Accepted"), condition("ResolvedRefs", generation=0)], "ResolvedRefs: so it is"),
        ([condition("Accepted", "Unknown"), condition("ResolvedRefs")], "Accepted: so it is"),
    ],
)
def test_without_a_yes_to_this_generation_it_is_not(
    applied: Cluster, conditions: list[dict[str, Any]], last: str
) -> None:
    if conditions:
        set_told(applied, *conditions)
    with pytest.raises(WaitTimeoutError) as caught:
        istio.wait_in_force(applied, ROUTE, timeout_seconds=0.2)
    words = str(caught.value)
    assert words.startswith(f"{LABEL} was not in force after 0.2 s. Last seen: {last}\n")
    assert "kubectl -n istio-system get pods" in words
    assert "PILOT_ENABLE_ALPHA_GATEWAY_API=true" in words


def test_its_gateway_has_to_be_programmed_first(applied: Cluster) -> None:
    set_told(applied, condition("Accepted"), condition("ResolvedRefs"))
    set_programmed(applied, "False", reason="AddressNotAssigned", message="address pending")
    with pytest.raises(WaitTimeoutError) as caught:
        istio.wait_in_force(applied, ROUTE, timeout_seconds=0.2)
    assert str(caught.value).splitlines() == [
        "gateway.gateway.networking.k8s.io/tcp-echo-gateway was not programmed after 0.2 s. "
        "Last seen: AddressNotAssigned: address pending",
        f"Look at: kubectl -n {applied.namespace} describe gtw",
    ]
    set_programmed(applied, generation=0)
    with pytest.raises(WaitTimeoutError, match="was not programmed"):
        istio.wait_in_force(applied, ROUTE, timeout_seconds=0.2)


@pytest.mark.parametrize("kind", ["Accepted", "ResolvedRefs", "Reconciled"])
def test_a_refusal_is_told_in_its_own_words(applied: Cluster, kind: str) -> None:
    told = {one: condition(one) for one in ("Accepted", "ResolvedRefs")}
    set_told(applied, *(told | {kind: condition(kind, "False", **NOT_FOUND)}).values())
    with pytest.raises(ConfigRejectedError) as caught:
        istio.wait_in_force(applied, ROUTE)
    assert str(caught.value).splitlines() == [
        f"{LABEL} is not in force (BackendNotFound): backend(tcp-echo-v1) not found",
        "Correct the route, or create what it names, and wait again.",
    ]


def test_a_refusal_that_does_not_stand_is_none(
    applied: Cluster, envoy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Istiod sees the Service a moment after the route."""
    monkeypatch.setattr(TcpRoute, "REFUSAL_SECONDS", 20.0)
    set_told(applied, condition("Accepted"), condition("ResolvedRefs", "False", **NOT_FOUND))
    watch, looks = type(applied).watch, []

    def watched(self: Cluster, resource: Any, *args: Any, **more: Any) -> Any:
        looks.append(resource.kind)
        if looks.count("TCPRoute") == 2:
            set_told(applied, condition("Accepted"), condition("ResolvedRefs"))
        return watch(self, resource, *args, **more)

    monkeypatch.setattr(type(applied), "watch", watched)
    envoy(v1=1)
    istio.wait_in_force(applied, ROUTE)
    assert looks == ["Gateway", "TCPRoute", "TCPRoute"]


def test_a_refusal_by_envoy_ends_the_wait_for_it(applied: Cluster, envoy: Callable[..., None]) -> None:
    yes = (condition("Accepted"), condition("ResolvedRefs"))
    set_told(applied, *yes)
    envoy(v2=1)
    run = execution.run

    def refused(*args: Any, **more: Any) -> execution.Finished:
        set_told(applied, *yes, condition("Reconciled", "False", reason="ConfigRejected", message="port taken"))
        return run(*args, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execution, "run", refused)
        with pytest.raises(ConfigRejectedError, match=r"not in force \(ConfigRejected\): port taken"):
            istio.wait_in_force(applied, ROUTE)


def test_where_envoy_cannot_be_asked_it_says_that_it_cannot_tell(
    applied: Cluster, envoy: Callable[..., None], capsys: Captured
) -> None:
    set_told(applied, condition("Accepted"), condition("ResolvedRefs"))
    envoy(ExecError("pods/exec is forbidden\nAsk for a role"))
    istio.wait_in_force(applied, ROUTE)
    cannot = f"{LABEL}: cannot tell whether it is in force ({{}}); waited 0 s instead\n"
    assert capsys.readouterr().out == cannot.format("pods/exec is forbidden")
    kubectl.label(applied, "pod", "gateway", {"gateway.networking.k8s.io/gateway-name": None})
    capsys.readouterr()
    istio.wait_in_force(applied, ROUTE)
    assert capsys.readouterr().out == cannot.format("no ingress gateway pod runs that the Gateway's selector names")


def test_no_such_route_gateway_or_parent(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match=r'tcproutes.* "tcp-echo" not found'):
        istio.wait_in_force(cluster, ROUTE)
    kubectl.apply(cluster, "gateway-api/tcp-echo-20-v2.yaml")
    with pytest.raises(NotFoundError) as caught:
        istio.wait_in_force(cluster, ROUTE)
    assert 'gateways.gateway.networking.k8s.io "tcp-echo-gateway" not found' in str(caught.value)
    assert "TCPRoute tcp-echo names it, so no connection comes to its routes. Apply it first." in str(caught.value)
    kubectl.patch(cluster, "tcproute", "tcp-echo", {"spec": {"parentRefs": None}})
    with pytest.raises(UsageError, match=r"TCPRoute tcp-echo names no Gateway in spec\.parentRefs"):
        istio.wait_in_force(cluster, ROUTE)


@pytest.mark.sandbox
def test_in_force_means_that_the_next_connection_goes_the_new_way(sandbox: Cluster) -> None:
    course.begin(sandbox, "02")
    kubectl.apply(sandbox, "gateway-api/tcp-echo-all-v1.yaml")
    istio.wait_in_force(sandbox, ROUTE)
    host, port = istio.ingress(sandbox, ROUTE)
    for backend, answer in (("tcp-echo-v2", "two"), ("tcp-echo-v1", "one"), ("tcp-echo-v2", "two")):
        istio.set_weights(sandbox, ROUTE, {backend: 1})
        istio.wait_in_force(sandbox, ROUTE)
        assert list(netcat.probe(host, port, 5, progress=False)["answer"]) == [answer] * 5


@pytest.mark.sandbox
def test_what_envoy_refuses_is_told_and_what_was_in_force_stays(sandbox: Cluster) -> None:
    course.begin(sandbox, "02")
    kubectl.apply(sandbox, "gateway-api/tcp-echo-all-v1.yaml")
    istio.wait_in_force(sandbox, ROUTE)
    host, port = istio.ingress(sandbox, ROUTE)
    selector = "gateway.networking.k8s.io/gateway-name=tcp-echo-gateway"
    (pod,) = sandbox.list(sandbox.api.resource_named("pods"), selector=selector)
    listener = {"name": "taken", "protocol": "TCP", "port": 31409}
    # Both addresses that the gateway's Envoy binds: with one of them left, the listener would be in force there.
    with socket.create_server((pod["status"]["podIP"], 31409)), socket.create_server((host, 31409)):
        patch = [{"op": "add", "path": "/spec/listeners/-", "value": listener}]
        kubectl.patch(sandbox, "gtw", "tcp-echo-gateway", patch, patch_type="json")
        kubectl.patch(sandbox, "tcproute", "tcp-echo", {"spec": {"parentRefs": [{"name": "tcp-echo-gateway"}]}})
        with pytest.raises(ConfigRejectedError, match="Another process holds port 31409"):
            istio.wait_in_force(sandbox, ROUTE)
        assert netcat.probe(host, port, 1, progress=False)["answer"].to_list() == ["one"]


@pytest.mark.sandbox
def test_of_two_routes_for_a_listener_the_younger_is_not_in_force(sandbox: Cluster) -> None:
    course.begin(sandbox, "02")
    kubectl.apply(sandbox, "gateway-api/tcp-echo-all-v1.yaml")
    istio.wait_in_force(sandbox, ROUTE)
    (older,) = kubectl.get(sandbox, "tcproute", "tcp-echo", output="json")
    backends = [{"name": "tcp-echo-v2", "port": 9000}]
    spec = {**older["spec"], "rules": [{"backendRefs": backends}]}
    younger = {"apiVersion": older["apiVersion"], "kind": "TCPRoute", "metadata": {"name": "younger"}, "spec": spec}
    kubectl.apply(sandbox, younger)
    try:
        with pytest.raises(WaitTimeoutError, match=r"In force: port 31400 to tcp-echo-v1 100%\."):
            istio.wait_in_force(sandbox, "tcproute/younger", timeout_seconds=3)
        kubectl.delete(sandbox, "tcproute", "tcp-echo")
        istio.wait_in_force(sandbox, "tcproute/younger")
    finally:
        kubectl.delete(sandbox, "tcproute", "younger")
