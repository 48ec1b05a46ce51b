"""When is a VirtualService in force: what it wants, what Envoy has, and every way a wait can end."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, execution, in_force, istio, kubectl, netcat
from tcpshift_helpers.errors import ConfigRejectedError, ExecError, NotFoundError, WaitTimeoutError
from tcpshift_helpers.in_force import wait_in_force
from tcpshift_helpers.routes.splits import Destination, Split, same_split, splits_in_force
from tcpshift_helpers.routes.virtual_service import reconciled, wanted_splits

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
GROUP = "networking.istio.io/v1"
HOST = "tcp-echo.ns.svc.cluster.local"


def to(subset: str = "", weight: int | None = None, port: int | None = 9000) -> dict[str, Any]:
    destination: dict[str, Any] = {"host": "tcp-echo"}
    if subset:
        destination["subset"] = subset
    if port:
        destination["port"] = {"number": port}
    return {"destination": destination, **({} if weight is None else {"weight": weight})}


def at(subset: str, port: int = 9000) -> Destination:
    return Destination("tcp-echo.ns", port, subset)


def virtual_service(*tcp: dict[str, Any], **more: Any) -> dict[str, Any]:
    spec = {"hosts": ["*"], "gateways": ["tcp-echo-gateway"], "tcp": list(tcp)}
    return {"apiVersion": GROUP, "kind": "VirtualService", "metadata": {"name": "tcp-echo"}, "spec": spec, **more}


def on(port: int | None, *route: dict[str, Any]) -> dict[str, Any]:
    return {"match": [{"port": port} if port else {}], "route": list(route)}


def listener(port: int, *filters: dict[str, Any]) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"active_state": {"listener": {"address": address, "filter_chains": [{"filters": list(filters)}]}}}


def tcp_proxy(**typed_config: Any) -> dict[str, Any]:
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": typed_config}


def dump(*listeners: dict[str, Any]) -> dict[str, Any]:
    return {"configs": [{"@type": "BootstrapConfigDump"}, {"dynamic_listeners": list(listeners)}]}


def cluster_name(subset: str, port: int = 9000, host: str = HOST) -> str:
    return f"outbound|{port}|{subset}|{host}"


@pytest.mark.parametrize(
    ("tcp", "wanted"),
    [
        ([on(31400, to("v1"))], {31400: {at("v1"): 1.0}}),
        ([on(31400, to("v1", 80), to("v2", 20))], {31400: {at("v1"): 0.8, at("v2"): 0.2}}),
        # Weights are proportions, and Istio leaves a zero out.
        ([on(31400, to("v1", 1), to("v2", 3))], {31400: {at("v1"): 0.25, at("v2"): 0.75}}),
        ([on(31400, to("v1", 100), to("v2", 0))], {31400: {at("v1"): 1.0}}),
        ([on(31400, to("v1", 30), to("v1", 70))], {31400: {at("v1"): 1.0}}),
        ([on(31400, to("v1", port=None))], {31400: {at("v1", 0): 1.0}}),
        ([on(31400, to())], {31400: {at(""): 1.0}}),
        ([{"route": [to("v1")]}], {0: {at("v1"): 1.0}}),
        ([on(None, to("v1"))], {0: {at("v1"): 1.0}}),
        (
            [{"match": [{"port": 31400}, {"port": 31401}], "route": [to("v1")]}],
            {31400: {at("v1"): 1.0}, 31401: {at("v1"): 1.0}},
        ),
        ([], {}),
    ],
)
def test_what_a_virtual_service_wants(tcp: list[dict[str, Any]], wanted: dict[int, Split]) -> None:
    assert wanted_splits(virtual_service(*tcp), "ns") == wanted


def test_a_virtual_service_for_http_wants_no_tcp_route() -> None:
    assert wanted_splits({"spec": {"http": [{"route": [to("v1")]}]}}, "ns") == {}


def test_what_envoy_has() -> None:
    weighted = [{"name": cluster_name("v1"), "weight": 80}, {"name": cluster_name("v2"), "weight": 20}]
    seen = splits_in_force(
        dump(
            listener(31400, {"name": "istio.stats"}, tcp_proxy(weighted_clusters={"clusters": weighted})),
            listener(31401, tcp_proxy(cluster=cluster_name("v1"))),
            listener(31402, tcp_proxy(cluster="BlackHoleCluster")),
            listener(8080, {"name": "envoy.filters.network.http_connection_manager"}),
            {"warming_state": {"listener": {"address": {"socket_address": {"port_value": 31403}}}}},
        )
    )
    assert seen == {
        31400: {at("v1"): 0.8, at("v2"): 0.2},
        31401: {at("v1"): 1.0},
        31402: {},
    }
    assert splits_in_force({}) == {}


@pytest.mark.parametrize(
    ("wanted", "seen", "same"),
    [
        ({at("v1"): 1.0}, {at("v1"): 1.0}, True),
        ({at("v1"): 0.8, at("v2"): 0.2}, {at("v2"): 0.2, at("v1"): 0.8}, True),
        ({at("v1"): 1 / 3, at("v2"): 2 / 3}, {at("v1"): 0.33333333, at("v2"): 0.66666667}, True),
        ({at("v1"): 0.8, at("v2"): 0.2}, {at("v1"): 0.79, at("v2"): 0.21}, False),
        ({at("v1"): 1.0}, {at("v2"): 1.0}, False),
        ({at("v1"): 1.0}, {at("v1"): 0.8, at("v2"): 0.2}, False),
        ({at("v1"): 1.0}, {at("v1", 9001): 1.0}, False),
        ({at("v1"): 1.0}, {}, False),
        # A route without a port goes where Istio sends it: to the service's only port.
        ({at("v1", 0): 1.0}, {at("v1", 9001): 1.0}, True),
        ({at("v1", 0): 1.0}, {at("v2", 9001): 1.0}, False),
    ],
)
def test_the_same_split(wanted: Split, seen: Split, same: bool) -> None:
    assert same_split(wanted, seen) is same


@pytest.mark.parametrize(
    ("status", "observed", "answer"),
    [("True", 2, True), ("False", 2, False), ("Unknown", 2, None), ("True", 1, None), ("False", 1, None)],
)
def test_a_status_tells_about_its_own_generation_alone(status: str, observed: int, answer: bool | None) -> None:
    condition = {"type": "Reconciled", "status": status, "observedGeneration": observed}
    assert reconciled({"metadata": {"generation": 2}, "status": {"conditions": [condition]}}).answer is answer
    # Istio writes int64 as a string where it marshals with protobuf's JSON.
    as_text = {**condition, "observedGeneration": str(observed)}
    assert reconciled({"metadata": {"generation": 2}, "status": {"conditions": [as_text]}}).answer is answer
    assert reconciled({"metadata": {"generation": 2}}).answer is None


def test_the_first_route_for_a_port_decides_as_in_istio() -> None:
    shadowed = virtual_service(on(31400, to("v1")), on(31400, to("v2")), on(None, to("v1")), on(31401, to("v2")))
    assert wanted_splits(shadowed, "ns") == {31400: {at("v1"): 1.0}, 0: {at("v1"): 1.0}}


def set_status(
    cluster: Cluster, status: str, generation: int = 1, kind: str = "virtualservices", **details: str
) -> None:
    condition = {"type": "Reconciled", "status": status, "observedGeneration": generation, **details}
    resource = cluster.api.resource_named(f"{kind}.networking.istio.io")
    name = {"gateways": "tcp-echo-gateway", "destinationrules": "tcp-echo-destination"}.get(kind, "tcp-echo")
    cluster.patch(resource, name, {"status": {"conditions": [condition]}}, subresource="status")


@pytest.fixture
def applied(cluster: Cluster, capsys: Captured) -> Cluster:
    """The route to v1 on an API server without istiod; Gateway and DestinationRule look as if istiod had seen them."""
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    for kind in ("gateways", "destinationrules"):
        set_status(cluster, "True", kind=kind)
    capsys.readouterr()
    return cluster


def test_a_status_of_this_generation_ends_the_wait(applied: Cluster, capsys: Captured) -> None:
    set_status(applied, "True")
    wait_in_force(applied)
    assert capsys.readouterr().out == "virtualservice.networking.istio.io/tcp-echo in force (its status says so)\n"
    wait_in_force(applied, say=None)
    assert capsys.readouterr().out == ""


def test_a_status_of_an_older_generation_does_not(applied: Cluster) -> None:
    set_status(applied, "True", reason="Accepted", message="1/1 proxies up to date.")
    kubectl.apply(applied, "tcp-echo-20-v2.yaml")
    with pytest.raises(WaitTimeoutError) as caught:
        wait_in_force(applied, timeout_seconds=0.2)
    words = str(caught.value)
    assert "was not in force after 0.2 s. Last seen: Accepted: 1/1 proxies up to date." in words
    assert "kubectl -n istio-system get pods" in words


@pytest.mark.parametrize("kind", ["gateways", "destinationrules"])
def test_what_it_leans_on_has_to_be_looked_at_first(applied: Cluster, kind: str) -> None:
    set_status(applied, "True")
    set_status(applied, "True", generation=0, kind=kind, reason="Accepted", message="older")
    with pytest.raises(WaitTimeoutError, match=rf"^{kind[:-1]}\.networking\.istio\.io/.* Last seen: Accepted: older"):
        wait_in_force(applied, timeout_seconds=0.2)
    # Whatever is said about it: the VirtualService's own status decides.
    set_status(applied, "Unknown", kind=kind)
    wait_in_force(applied)


def test_no_status_at_all_asks_after_istiod(applied: Cluster) -> None:
    with pytest.raises(WaitTimeoutError, match=r"Last seen: no status at all; is istiod running\?"):
        wait_in_force(applied, timeout_seconds=0.2)


def test_a_refusal_is_told_in_envoys_words(applied: Cluster) -> None:
    set_status(applied, "False", reason="ConfigRejected", message="Envoy said no")
    with pytest.raises(ConfigRejectedError, match=r"not in force \(ConfigRejected\): Envoy said no\nWhat was in force"):
        wait_in_force(applied)


def test_no_such_virtual_service(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match='"tcp-echo" not found'):
        wait_in_force(cluster)


@pytest.mark.sandbox
def test_in_force_means_that_the_next_connection_goes_the_new_way(sandbox: Cluster, capsys: Captured) -> None:
    course.begin(sandbox, "03")
    host, port = istio.ingress(sandbox)
    for subset, answer in (("v2", "two"), ("v1", "one"), ("v2", "two")):
        istio.set_weights(sandbox, "tcp-echo", {subset: 100})
        wait_in_force(sandbox)
        frame = netcat.probe(host, port, 5, progress=False)
        assert list(frame["answer"]) == [answer] * 5


@pytest.mark.sandbox
def test_without_its_gateway_it_is_not_in_force_whatever_its_status_says(sandbox: Cluster) -> None:
    course.begin(sandbox, "03")
    kubectl.delete(sandbox, "gateways.networking.istio.io", "tcp-echo-gateway")
    with pytest.raises(NotFoundError) as caught:
        wait_in_force(sandbox)
    assert 'gateways.networking.istio.io "tcp-echo-gateway" not found' in str(caught.value)
    assert "VirtualService tcp-echo names it, so no connection comes to its routes. Apply it first." in str(
        caught.value
    )


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["gateways.networking.istio.io", "destinationrules.networking.istio.io"])
def test_in_force_with_what_it_refers_to_even_if_only_that_is_new(sandbox: Cluster, kind: str) -> None:
    course.begin(sandbox, "03")
    host, port = istio.ingress(sandbox)
    name = "tcp-echo-gateway" if kind.startswith("gateways") else "tcp-echo-destination"
    for _ in range(5):
        kubectl.delete(sandbox, kind, name)
        kubectl.apply(sandbox, "tcp-echo-all-v1.yaml")
        wait_in_force(sandbox)
        frame = netcat.probe(host, port, 1, progress=False)
        assert frame["answer"].to_list() == ["one"], frame["error"].to_list()


@pytest.mark.sandbox
def test_what_envoy_refuses_is_told_and_what_was_in_force_stays(sandbox: Cluster) -> None:
    course.begin(sandbox, "03")
    host, port = istio.ingress(sandbox)
    pods = sandbox.list(sandbox.api.resource_named("pods"), "istio-system", selector="istio=ingressgateway")
    server = {"port": {"number": 31409, "name": "taken", "protocol": "TCP"}, "hosts": ["*"]}
    with socket.create_server((pods[0]["status"]["podIP"], 31409)):
        for kind, name, path, value in (
            ("gateways.networking.istio.io", "tcp-echo-gateway", "/spec/servers/-", server),
            ("virtualservices", "tcp-echo", "/spec/tcp/-", on(31409, to("v2"))),
        ):
            kubectl.patch(sandbox, kind, name, [{"op": "add", "path": path, "value": value}], patch_type="json")
        with pytest.raises(ConfigRejectedError, match="Another process holds port 31409"):
            wait_in_force(sandbox)
        assert netcat.probe(host, port, 1, progress=False)["answer"].to_list() == ["one"]


class Gateways:
    """Gateway pods that answer `pilot-agent request GET config_dump` with one given answer after the other."""

    def __init__(self, namespace: str) -> None:
        self._host = f"tcp-echo.{namespace}.svc.cluster.local"
        self.answers: list[execution.Finished | ExecError] = []
        self.asked: list[tuple[str, tuple[str, ...], str, str | None]] = []

    def run(
        self, cluster: Cluster, pod: str, command: tuple[str, ...], *, namespace: str, container: str | None = None
    ) -> execution.Finished:
        del cluster
        self.asked.append((pod, command, namespace, container))
        answer = self.answers.pop(0)
        if isinstance(answer, ExecError):
            raise answer
        return answer

    def answer(self, *shares: tuple[str, int]) -> None:
        weighted = [{"name": cluster_name(subset, host=self._host), "weight": weight} for subset, weight in shares]
        text = json.dumps(dump(listener(31400, tcp_proxy(weighted_clusters={"clusters": weighted}))))
        self.answers.append(execution.Finished(0, text, ""))


@pytest.fixture
def elsewhere(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> tuple[Cluster, Gateways]:
    """A cluster whose Istio writes no status, with a gateway pod in it, and the route 80/20."""
    gateways = Gateways(cluster.namespace)
    monkeypatch.setattr(execution, "run", gateways.run)
    monkeypatch.setattr(in_force, "BLIND_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(in_force, "_POLL_SECONDS", 0.0)
    elsewhere = replace(cluster, is_sandbox=False)
    labels = {"istio": cluster.namespace}
    for name in ("gateway", "pending"):
        spec = {"containers": [{"name": "istio-proxy", "image": "proxyv2"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
        kubectl.create(elsewhere, pod)
    phase = {"status": {"phase": "Running"}}
    cluster.patch(cluster.api.resource_named("pods"), "gateway", phase, subresource="status")
    kubectl.apply(elsewhere, "tcp-echo-all-v1.yaml")
    kubectl.apply(elsewhere, "tcp-echo-20-v2.yaml")
    selector = {"spec": {"selector": labels}}
    kubectl.patch(elsewhere, "gateways.networking.istio.io", "tcp-echo-gateway", selector)
    return elsewhere, gateways


def test_without_a_status_the_gateways_envoy_is_asked_until_it_has_the_split(
    elsewhere: tuple[Cluster, Gateways], capsys: Captured
) -> None:
    cluster, gateways = elsewhere
    gateways.answer(("v1", 100))
    gateways.answer(("v1", 50), ("v2", 50))
    gateways.answer(("v1", 80), ("v2", 20))
    capsys.readouterr()
    wait_in_force(cluster)
    assert capsys.readouterr().out == (
        "virtualservice.networking.istio.io/tcp-echo in force (the gateway's Envoy has it)\n"
    )
    question = ("gateway", ("pilot-agent", "request", "GET", "config_dump"), cluster.namespace, "istio-proxy")
    assert gateways.asked == [question] * 3


def test_an_envoy_that_never_gets_it_is_told_with_both_splits(elsewhere: tuple[Cluster, Gateways]) -> None:
    cluster, gateways = elsewhere
    gateways.answer(("v1", 100))
    with pytest.raises(WaitTimeoutError) as caught:
        wait_in_force(cluster, timeout_seconds=0)
    words = str(caught.value)
    assert "gateway does not have the wanted routes. Wanted: port 31400 to v1 80%, v2 20%. " in words
    assert "In force: port 31400 to v1 100%." in words
    assert f"istioctl analyze -n {cluster.namespace}" in words


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (execution.Finished(1, "", "no such command\n"), "pilot-agent in gateway answered no such command"),
        (execution.Finished(0, "<html>", ""), "pilot-agent in gateway did not answer in JSON"),
        (ExecError("pods/exec is forbidden\nAsk for a role"), "pods/exec is forbidden"),
    ],
)
def test_where_envoy_cannot_be_asked_it_says_that_it_cannot_tell(
    elsewhere: tuple[Cluster, Gateways], capsys: Captured, answer: execution.Finished | ExecError, why: str
) -> None:
    cluster, gateways = elsewhere
    gateways.answers.append(answer)
    capsys.readouterr()
    wait_in_force(cluster)
    assert capsys.readouterr().out == (
        f"virtualservice.networking.istio.io/tcp-echo: cannot tell whether it is in force ({why}); waited 0 s instead\n"
    )


def test_no_running_gateway_pod_and_no_tcp_route_cannot_be_told_either(
    elsewhere: tuple[Cluster, Gateways], capsys: Captured
) -> None:
    cluster, _ = elsewhere
    kubectl.patch(cluster, "gateways.networking.istio.io", "tcp-echo-gateway", {"spec": {"selector": {"istio": "no"}}})
    capsys.readouterr()
    wait_in_force(cluster)
    assert "(no ingress gateway pod runs that the Gateway's selector names)" in capsys.readouterr().out
    http = [{"route": [{"destination": {"host": "tcp-echo"}}]}]
    kubectl.patch(cluster, "virtualservice", "tcp-echo", {"spec": {"tcp": None, "http": http}})
    capsys.readouterr()
    wait_in_force(cluster)
    assert "(it has no TCP route, and only those can be looked for in Envoy)" in capsys.readouterr().out
