"""The address of a Gateway of the Gateway API, and whether a cluster is ready for one, where no istiod helps or hides anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, ingress, istio, kubectl
from tcpshift_helpers.errors import NotFoundError, ProfileError, UsageError

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
GROUP = "gateway.networking.k8s.io"
ROUTE = "tcproute/tcp-echo"
GATEWAY = "gateway.gateway.networking.k8s.io/tcp-echo-gateway"
INSIDE = "tcp-echo-gateway-istio.{}.svc.cluster.local"


def programmed(
    status: str, reason: str = "Programmed", message: str = "Resource programmed", generation: int = 1
) -> dict[str, Any]:
    since = "2026-11-26T00:00:00Z"
    told = {"reason": reason, "message": message, "lastTransitionTime": since, "observedGeneration": generation}
    return {"type": "Programmed", "status": status, **told}


def set_address(cluster: Cluster, kind: str, value: str, generation: int = 1) -> None:
    """As if istiod had programmed the Gateway and found this address."""
    status = {"conditions": [programmed("True", generation=generation)], "addresses": [{"type": kind, "value": value}]}
    resource = cluster.api.resource_named(f"gateways.{GROUP}")
    cluster.patch(resource, "tcp-echo-gateway", {"status": status}, subresource="status")


@pytest.fixture
def applied(cluster: Cluster, capsys: Captured) -> Cluster:
    kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
    capsys.readouterr()
    return cluster


@pytest.mark.parametrize(("kind", "value"), [("IPAddress", "203.0.113.7"), ("Hostname", "gw.example")])
def test_it_is_the_gateways_address_and_its_listeners_port(
    applied: Cluster, capsys: Captured, kind: str, value: str
) -> None:
    set_address(applied, kind, value)
    assert istio.ingress(applied, ROUTE) == (value, 31400)
    kubectl_n = f"$ kubectl -n {applied.namespace}"
    assert capsys.readouterr().out.splitlines() == [
        f"{kubectl_n} wait --for=condition=programmed gtw tcp-echo-gateway --timeout=60s",
        f"{GATEWAY} condition met",
        f"{kubectl_n} get gtw tcp-echo-gateway -o jsonpath='{{.status.addresses[0].value}}'",
        value,
        kubectl_n + """ get gtw tcp-echo-gateway -o jsonpath='{.spec.listeners[?(@.name=="tcp-31400")].port}'""",
        "31400",
    ]


def test_the_listener_is_the_one_that_the_route_names(applied: Cluster) -> None:
    set_address(applied, "IPAddress", "203.0.113.7")
    listener = {"name": "another", "protocol": "TCP", "port": 31401}
    patch = [{"op": "add", "path": "/spec/listeners/0", "value": listener}]
    kubectl.patch(applied, "gtw", "tcp-echo-gateway", patch, patch_type="json")
    with pytest.raises(ProfileError, match=r"^No controller has looked at Gateway .* as it is now\."):
        ingress.find(applied, ROUTE)
    set_address(applied, "IPAddress", "203.0.113.7", generation=2)
    assert ingress.find(applied, ROUTE)[0] == ("203.0.113.7", 31400)
    for port in (31400, 31401):
        parent = {"spec": {"parentRefs": [{"name": "tcp-echo-gateway", "port": port}]}}
        kubectl.patch(applied, "tcproute", "tcp-echo", parent)
        assert ingress.find(applied, ROUTE)[0] == ("203.0.113.7", port)
    parent = {"spec": {"parentRefs": [{"name": "tcp-echo-gateway", "sectionName": "none"}]}}
    kubectl.patch(applied, "tcproute", "tcp-echo", parent)
    with pytest.raises(ProfileError, match=r"^Gateway tcp-echo-gateway has no TCP listener of the section or port"):
        ingress.find(applied, ROUTE)


def test_the_environment_wins(applied: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    set_address(applied, "IPAddress", "203.0.113.7")
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    assert ingress.find(applied, ROUTE)[0] == ("127.0.0.1", 31400)
    monkeypatch.setenv("TCP_INGRESS_PORT", "4000")
    assert ingress.find(applied, "tcproute/no-such") == (
        ("127.0.0.1", 4000),
        [("echo $INGRESS_HOST $TCP_INGRESS_PORT", "127.0.0.1 4000")],
    )


def test_an_address_inside_the_cluster_is_reached_by_a_node_port(applied: Cluster) -> None:
    inside = INSIDE.format(applied.namespace)
    set_address(applied, "Hostname", inside)
    ports = [{"name": "status-port", "port": 15021}, {"name": "tcp-31400", "port": 31400}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "tcp-echo-gateway-istio"}}
    spec = {"selector": {"app": "gateway"}, "ports": ports}
    kubectl.apply(applied, {**service, "spec": {**spec, "type": "ClusterIP"}})
    with pytest.raises(ProfileError) as caught:
        istio.ingress(applied, ROUTE)
    assert str(caught.value).splitlines() == [
        f"Gateway tcp-echo-gateway has an address within the cluster alone: {inside}.",
        f"Reach it from here with kubectl -n {applied.namespace} port-forward service/tcp-echo-gateway-istio 31400, "
        "and set INGRESS_HOST and TCP_INGRESS_PORT.",
    ]
    kubectl.apply(applied, {**service, "spec": {**spec, "type": "NodePort"}})
    found = applied.read(applied.api.resource_named("services"), "tcp-echo-gateway-istio")
    node = {"metadata": {"name": "a"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            type(applied), "list", lambda _, resource, *args, **more: [node] if resource.plural == "nodes" else []
        )
        address, steps = ingress.find(applied, ROUTE)
    assert address == ("10.0.0.1", found["spec"]["ports"][1]["nodePort"])
    assert [command for command, _ in steps[1:]] == [
        "kubectl get nodes -o wide",
        f"kubectl -n {applied.namespace} get service tcp-echo-gateway-istio -o "
        "jsonpath='{.spec.ports[?(@.port==31400)].nodePort}'",
    ]


def test_a_gateway_that_is_not_programmed_tells_why_and_what_helps(applied: Cluster) -> None:
    with pytest.raises(ProfileError) as nobody:
        istio.ingress(applied, ROUTE, timeout_seconds=0.1)
    assert str(nobody.value).splitlines() == [
        "No controller has looked at Gateway tcp-echo-gateway of class istio as it is now.",
        "Is istiod running, and is there such a class? kubectl get gatewayclass",
    ]
    pending = "Assigned to service(s) x:31400, but failed to assign to all requested addresses: address pending"
    status = {"status": {"conditions": [programmed("False", "AddressNotAssigned", pending)]}}
    resource = applied.api.resource_named(f"gateways.{GROUP}")
    applied.patch(resource, "tcp-echo-gateway", status, subresource="status")
    with pytest.raises(ProfileError) as caught:
        istio.ingress(applied, ROUTE, timeout_seconds=0.1)
    words = str(caught.value)
    assert words.startswith(f"Gateway tcp-echo-gateway is not programmed (AddressNotAssigned): {pending}\n")
    assert "cloud-provider-kind, minikube tunnel" in words
    assert (
        f"kubectl -n {applied.namespace} annotate gtw tcp-echo-gateway networking.istio.io/service-type=NodePort"
        in words
    )
    assert words.endswith("set INGRESS_HOST and TCP_INGRESS_PORT.")


def test_no_such_route_or_gateway(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match=r'tcproutes.* "tcp-echo" not found'):
        istio.ingress(cluster, ROUTE)
    kubectl.apply(cluster, "gateway-api/tcp-echo-20-v2.yaml")
    with pytest.raises(NotFoundError, match=r'gateways\.gateway\.networking\.k8s\.io "tcp-echo-gateway" not found'):
        istio.ingress(cluster, ROUTE)


def failures(cluster: Cluster) -> dict[str, tuple[str, str]]:
    return {title: (one.because, one.do) for title, one in course.preflight(cluster, ROUTE).failures.items()}


def test_preflight_for_the_gateway_api_asks_for_what_it_needs(
    cluster: Cluster, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no istiod here, so no class, as on a cluster whose Istio came before the definitions."""
    known = type(cluster).read_or_none
    answers: dict[str, Any] = {"istio": None}
    monkeypatch.setattr(
        type(cluster),
        "read_or_none",
        lambda self, resource, name, namespace=None: (
            answers[name] if resource.kind == "GatewayClass" else known(self, resource, name, namespace)
        ),
    )
    title = "istiod takes care of Gateways of class istio"
    assert failures(cluster)[title] == (
        "there is no GatewayClass istio; istiod makes it once it sees the Gateway API",
        "kubectl -n istio-system rollout restart deployment/istiod",
    )
    out = capsys.readouterr().out
    assert "PASS the Gateway API's kinds are known\n" in out
    assert "PASS the namespace of the lesson can be used\n" in out
    assert "ingress gateway" not in out
    pending = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
    answers["istio"] = {"status": {"conditions": [pending]}}
    assert failures(cluster)[title][0] == "Pending: Waiting for controller"
    answers["istio"] = {"status": {"conditions": [{**pending, "status": "True"}]}}
    assert title not in failures(cluster)


def test_preflight_on_a_cluster_without_the_gateway_api(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    known = cluster.api.resource_named

    def without(word: str) -> Any:
        if GROUP in word:
            raise NotFoundError(404, "", f'the server doesn\'t have a resource type "{word}"')
        return known(word)

    monkeypatch.setattr(cluster.api, "resource_named", without)
    because, do = failures(cluster)["the Gateway API's kinds are known"]
    assert because.startswith("This cluster does not know TCPRoute: ")
    assert do.startswith("Install the experimental channel with: kubectl apply --server-side -f https://")
    with pytest.raises(UsageError, match="is no route of TCP connections"):
        course.preflight(cluster, "gtw/tcp-echo-gateway")


@pytest.mark.sandbox
def test_a_node_port_reaches_the_gateway_when_its_service_has_no_balancer(sandbox: Cluster) -> None:
    course.begin(sandbox, "02")
    kubectl.apply(sandbox, "gateway-api/tcp-echo-all-v1.yaml")
    kubectl.annotate(sandbox, "gtw", "tcp-echo-gateway", {"networking.istio.io/service-type": "NodePort"})
    istio.wait_in_force(sandbox, ROUTE)
    where = "jsonpath={.status.addresses[0].value}=" + INSIDE.format(sandbox.namespace)
    kubectl.wait(sandbox, "gtw/tcp-echo-gateway", wait_for=where)
    assert istio.ingress(sandbox, ROUTE).port >= 30000
    assert course.check(sandbox, "tcproute-answers-all-v1")
