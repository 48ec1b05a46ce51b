"""Weights, the gateway's address and the label for injection, on an API server where no istiod helps or hides anything."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import ingress, istio, kubectl
from tcpshift_helpers.errors import NotFoundError, ProfileError, UsageError
from tcpshift_helpers.routes import virtual_service

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]


def to(subset: str | None, weight: int | None = None, host: str = "tcp-echo", port: int = 9000) -> dict[str, Any]:
    destination = {"host": host, "port": {"number": port}, **({"subset": subset} if subset else {})}
    return {"destination": destination, **({} if weight is None else {"weight": weight})}


def route_to(cluster: Cluster, *entries: dict[str, Any], **spec: Any) -> None:
    """Make the VirtualService have these TCP routes."""
    kubectl.apply(
        cluster,
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "tcp-echo"},
            "spec": {"hosts": ["*"], "gateways": ["gateway"], **({"tcp": list(entries)} if entries else {}), **spec},
        },
    )


def spec_of(cluster: Cluster) -> Any:
    return cluster.read(cluster.api.resource_named("virtualservices.networking.istio.io"), "tcp-echo")["spec"]


@pytest.mark.parametrize(
    ("route", "weights"),
    [
        ([to("v1")], {"v1": 100}),
        ([to("v1", 80), to("v2", 20)], {"v1": 80, "v2": 20}),
        ([to("v1", 1), to("v2", 0)], {"v1": 1, "v2": 0}),
        ([to("v2", 7)], {"v2": 7}),
        ([to("v1", 30), to("v1", 30, port=9001), to("v2", 40)], {"v1": 60, "v2": 40}),
    ],
)
def test_weights_are_those_of_the_route(route: list[dict[str, Any]], weights: dict[str, int]) -> None:
    assert virtual_service.weights_of({"metadata": {"name": "x"}, "spec": {"tcp": [{"route": route}]}}) == weights


def test_weights_that_cannot_be_told(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError) as caught:
        istio.weights(cluster)
    assert str(caught.value).splitlines() == [
        'Error from server (NotFound): virtualservices.networking.istio.io "tcp-echo" not found',
        'Apply one first, for instance: kubectl.apply(cluster, "tcp-echo-all-v1.yaml")',
    ]
    route_to(cluster, {"route": [to(None)]})
    with pytest.raises(UsageError, match="routes to tcp-echo without a subset, so there are no weights by version"):
        istio.weights(cluster)
    route_to(cluster, http=[{"route": [{"destination": {"host": "tcp-echo"}}]}])
    with pytest.raises(UsageError, match="VirtualService tcp-echo has no TCP route"):
        istio.weights(cluster)


def test_set_weights_states_the_whole_split_and_prints_what_it_stands_for(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    capsys.readouterr()
    for new in ({"v1": 80, "v2": 20}, {"v2": 3}, {"v1": 1, "v2": 0}):
        istio.set_weights(cluster, "tcp-echo", new)
        assert istio.weights(cluster, "tcp-echo") == new
        command, result = capsys.readouterr().out.splitlines()
        start = f"$ kubectl -n {cluster.namespace} patch virtualservice tcp-echo --type=json -p "
        assert command.startswith(start)
        (patch,) = json.loads(command.removeprefix(start).strip("'"))
        assert patch == {"op": "replace", "path": "/spec/tcp/0/route", "value": [to(*one) for one in new.items()]}
        assert result == "virtualservice.networking.istio.io/tcp-echo patched"


def test_set_weights_changes_every_route_to_the_same_service_and_no_other(cluster: Cluster) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    foreign = {"match": [{"port": 31402}], "route": [to("red", 50, "paint"), to("blue", 50, "paint")]}
    first = {"match": [{"port": 31400}], "route": [to("v1")]}
    second = {"match": [{"port": 31401}], "route": [to("v2", port=9001)]}
    route_to(cluster, first, foreign, second)
    istio.set_weights(cluster, "tcp-echo", {"v1": 60, "v2": 40})
    assert spec_of(cluster)["tcp"] == [
        {**first, "route": [to("v1", 60), to("v2", 40)]},
        foreign,
        {**second, "route": [to("v1", 60, port=9001), to("v2", 40, port=9001)]},
    ]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({}, r'^No weights were given. Write for instance \{"v1": 80, "v2": 20\}\.$'),
        ({"v1": -1, "v2": 101}, r"^The weight of v1 is -1 < 0"),
        ({"v1": 0, "v2": 0}, r"^total destination weight = 0"),
        ({"v1": 79.5}, r"^The weight of v1 is 79\.5: weights are whole numbers"),
        ({"v1": True}, r"^The weight of v1 is True: weights are whole numbers"),
        ({"v1": "80"}, r"^The weight of v1 is '80': weights are whole numbers"),
        ({"v1": 80, "v3": 20}, r"^There is no subset v3 of tcp-echo\. Subsets there are: v1, v2\. Add it"),
    ],
)
def test_set_weights_refuses_what_cannot_be_meant_and_changes_nothing(cluster: Cluster, new: Any, message: str) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    before = spec_of(cluster)
    with pytest.raises(UsageError, match=message):
        istio.set_weights(cluster, "tcp-echo", new)
    assert spec_of(cluster) == before


def test_a_subset_without_any_destination_rule_is_refused(cluster: Cluster) -> None:
    route_to(cluster, {"route": [to("v1")]})
    with pytest.raises(UsageError, match=r"no subset v2 of tcp-echo\. Subsets there are: none"):
        istio.set_weights(cluster, "tcp-echo", {"v2": 1})


def test_a_cluster_without_istio_is_told_so(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(word: str) -> None:
        raise NotFoundError(404, "NotFound", f"the server doesn't have a resource type {word}")

    monkeypatch.setattr(cluster.api, "resource_named", unknown)
    with pytest.raises(ProfileError, match="does not know VirtualService: Istio is not installed"):
        istio.weights(cluster)


def gateway(cluster: Cluster, ports: list[dict[str, Any]], kind: str = "LoadBalancer") -> None:
    """A Service such as Istio's ingress gateway has, in the test's own namespace."""
    metadata = {"name": "istio-ingressgateway"}
    spec = {"type": kind, "selector": {"istio": "ingressgateway"}, "ports": ports}
    kubectl.create(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def address(cluster: Cluster, **entry: str) -> None:
    status = {"status": {"loadBalancer": {"ingress": [entry]}}}
    cluster.patch(cluster.api.resource_named("services"), "istio-ingressgateway", status, subresource="status")


TCP = {"name": "tcp", "port": 31400, "protocol": "TCP"}
HTTP = {"name": "http2", "port": 80, "protocol": "TCP"}


@pytest.mark.parametrize(("key", "value"), [("ip", "203.0.113.7"), ("hostname", "gw.example")])
def test_ingress_is_the_load_balancers_address_and_the_port_named_tcp(
    cluster: Cluster, capsys: Captured, key: str, value: str
) -> None:
    gateway(cluster, [HTTP, TCP])
    address(cluster, **{key: value})
    capsys.readouterr()
    assert istio.ingress(cluster, namespace=cluster.namespace) == (value, 31400)
    query = f"$ kubectl -n {cluster.namespace} get service istio-ingressgateway -o jsonpath="
    assert capsys.readouterr().out.splitlines() == [
        f"{query}'{{.status.loadBalancer.ingress[0].{key}}}'",
        value,
        query + """'{.spec.ports[?(@.name=="tcp")].port}'""",
        "31400",
    ]


def test_the_environment_wins(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    gateway(cluster, [TCP])
    address(cluster, ip="203.0.113.7")
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    assert istio.ingress(cluster, namespace=cluster.namespace) == ("127.0.0.1", 31400)
    monkeypatch.setenv("TCP_INGRESS_PORT", "4000")
    capsys.readouterr()
    # With both of them the cluster is not even asked.
    assert istio.ingress(cluster, namespace="no-such") == ("127.0.0.1", 4000)
    assert capsys.readouterr().out == "$ echo $INGRESS_HOST $TCP_INGRESS_PORT\n127.0.0.1 4000\n"
    monkeypatch.setenv("TCP_INGRESS_PORT", "tcp")
    with pytest.raises(UsageError, match="TCP_INGRESS_PORT='tcp' is no port number"):
        istio.ingress(cluster, namespace=cluster.namespace)


def node(name: str, **addresses: str) -> dict[str, Any]:
    entries = [{"type": kind, "address": value} for kind, value in addresses.items()]
    return {"metadata": {"name": name}, "status": {"addresses": entries}}


def pod_on(name: str) -> dict[str, Any]:
    return {"metadata": {"name": "gateway"}, "spec": {"nodeName": name}}


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ([node("a", InternalIP="10.0.0.1"), node("b", InternalIP="10.0.0.2")], "10.0.0.2"),
        ([node("a", InternalIP="10.0.0.1", ExternalIP="203.0.113.1"), node("b", InternalIP="10.0.0.2")], "203.0.113.1"),
        ([node("b", Hostname="b.example"), node("c", InternalIP="10.0.0.3")], "10.0.0.3"),
        ([node("b", Hostname="b.example")], "b.example"),
    ],
)
def test_without_a_load_balancer_it_is_a_nodes_address_and_the_node_port(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], host: str
) -> None:
    gateway(cluster, [HTTP, TCP], "NodePort")
    port = ingress.tcp_port(cluster.read(cluster.api.resource_named("services"), "istio-ingressgateway"))["nodePort"]
    answers = {"pods": [pod_on("b")], "nodes": nodes}
    monkeypatch.setattr(type(cluster), "list", lambda _, resource, *args, **more: answers[resource.plural])
    found, commands = ingress.find(cluster, namespace=cluster.namespace)
    assert found == (host, port)
    assert commands[0] == ("kubectl get nodes -o wide", host)
    assert commands[1][0].endswith("""jsonpath='{.spec.ports[?(@.name=="tcp")].nodePort}'""")


def test_no_node_has_an_address(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway(cluster, [TCP], "NodePort")
    monkeypatch.setattr(type(cluster), "list", lambda *args, **more: [])
    with pytest.raises(ProfileError, match=r"No node of this cluster has an address\. Set INGRESS_HOST"):
        istio.ingress(cluster, namespace=cluster.namespace)


def test_neither_address_nor_node_port(cluster: Cluster) -> None:
    gateway(cluster, [TCP], "ClusterIP")
    with pytest.raises(ProfileError, match=r"no address yet \(EXTERNAL-IP <pending>\) and no node port\.\n.*minikube"):
        istio.ingress(cluster, namespace=cluster.namespace)


def test_no_gateway_service(cluster: Cluster) -> None:
    with pytest.raises(ProfileError, match=r"installed without an ingress gateway .*\n.*istioctl install"):
        istio.ingress(cluster, namespace=cluster.namespace)


def test_a_gateway_without_the_tcp_port_gets_one_by_the_command_in_the_message(cluster: Cluster) -> None:
    gateway(cluster, [HTTP])
    address(cluster, ip="203.0.113.7")
    with pytest.raises(ProfileError, match=r'has no port named "tcp"; it has http2 80\. Only Istio') as caught:
        istio.ingress(cluster, namespace=cluster.namespace)
    command = re.search(r"kubectl -n (\S+) patch service (\S+) --type=json -p '(.*)'", str(caught.value))
    assert command is not None
    assert command[1] == cluster.namespace
    kubectl.patch(cluster, "service", command[2], json.loads(command[3]), patch_type="json")
    assert istio.ingress(cluster, namespace=cluster.namespace) == ("203.0.113.7", 31400)


def test_the_label_for_injection(cluster: Cluster, capsys: Captured) -> None:
    istio.label_namespace_for_injection(cluster)
    namespace = cluster.read(cluster.api.resource_named("namespaces"), cluster.namespace)
    assert namespace["metadata"]["labels"]["istio-injection"] == "enabled"
    assert capsys.readouterr().out.splitlines() == [
        f"$ kubectl label namespace {cluster.namespace} istio-injection=enabled --overwrite",
        f"namespace/{cluster.namespace} labeled",
    ]


def test_a_notebook_shows_nothing_for_an_address_that_was_printed(capsys: Captured) -> None:
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()  # type: ignore[no-untyped-call]
    assert formatter.format(istio.Ingress("127.0.0.1", 31400)) == ({}, {})  # type: ignore[no-untyped-call]
    assert capsys.readouterr().out == ""
