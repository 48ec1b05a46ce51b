"""Each check of the lesson against each state that it has words for; the states are written into an API server by hand."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, ingress, istio, kubectl, steps
from tcpshift_helpers.errors import ProfileError, UsageError

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
SERVICES, CLIENT = "tcp-echo-services.yaml", "curl.yaml"
ALL_V1, SHIFTED = "tcp-echo-all-v1.yaml", "tcp-echo-20-v2.yaml"
GATEWAY_ALL_V1, GATEWAY_SHIFTED = f"gateway-api/{ALL_V1}", f"gateway-api/{SHIFTED}"


def problem(cluster: Cluster, name: str) -> tuple[str, str] | None:
    """Why a step is not done and what to type, or None when it is."""
    found = steps.CHECKS[name][1](cluster)
    return (found.because.replace(cluster.namespace, "NS"), found.do) if found else None


def apply(manifest: str) -> str:
    return f'kubectl.apply(cluster, "{manifest}")'


def set_available(cluster: Cluster, name: str, status: str = "True", generation: int = 1) -> None:
    condition = {"type": "Available", "status": status, "reason": "MinimumReplicas", "message": "so it is"}
    body = {"status": {"observedGeneration": generation, "conditions": [condition]}}
    cluster.patch(cluster.api.resource_named("deployments.apps"), name, body, subresource="status")


def make_pod(cluster: Cluster, name: str, app: str, *containers: str, **metadata: Any) -> None:
    spec = {"containers": [{"name": container, "image": "x"} for container in containers]}
    labels = {"app": app, "version": "v1"}
    kubectl.create(
        cluster,
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels, **metadata}, "spec": spec},
    )


def test_a_namespace_that_is_not_there(cluster: Cluster) -> None:

    elsewhere = replace(cluster, namespace="no-such")
    assert problem(elsewhere, "namespace") == ("there is no namespace NS", "kubectl.create_namespace(cluster)")
    assert problem(elsewhere, "cleaned-up") is None


@pytest.mark.parametrize("labels", [{"istio-injection": "enabled"}, {"istio.io/rev": "canary"}])
def test_a_namespace_needs_one_of_istios_labels(cluster: Cluster, labels: dict[str, str]) -> None:
    because = "the namespace lacks the label istio-injection=enabled, so pods get no sidecar"
    assert problem(cluster, "namespace") == (because, "istio.label_namespace_for_injection(cluster)")
    kubectl.label(cluster, "namespace", cluster.namespace, {"istio-injection": "disabled"})
    assert problem(cluster, "namespace") == (because, "istio.label_namespace_for_injection(cluster)")
    kubectl.label(cluster, "namespace", cluster.namespace, labels)
    assert problem(cluster, "namespace") is None


def test_a_namespace_that_is_going_is_neither_there_nor_gone(cluster: Cluster) -> None:
    # Without the namespace controller it stays so.
    cluster.api.request("DELETE", cluster.api.resource_named("namespaces").path(None, cluster.namespace))
    assert problem(cluster, "namespace") == ("there is no namespace NS", "kubectl.create_namespace(cluster)")
    command = f'kubectl.wait(cluster, "namespace/{cluster.namespace}", wait_for="delete")'
    assert problem(cluster, "cleaned-up") == ("the namespace NS is still going", command)


def test_a_namespace_that_is_there_is_all_that_the_first_step_asks_for(cluster: Cluster) -> None:
    assert problem(cluster, "namespace-there") is None
    elsewhere = replace(cluster, namespace="no-such")
    told = ("there is no namespace NS", "kubectl.create_namespace(cluster)")
    assert problem(elsewhere, "namespace-there") == told
    cluster.api.request("DELETE", cluster.api.resource_named("namespaces").path(None, cluster.namespace))
    assert problem(cluster, "namespace-there") == told


def test_deployed_asks_for_both_versions_to_be_available_and_for_the_service(cluster: Cluster) -> None:
    assert problem(cluster, "deployed") == ("there is no Deployment tcp-echo-v1 in NS", apply(SERVICES))
    kubectl.apply(cluster, SERVICES)
    because = "Deployment tcp-echo-v1 is not available: it has no condition Available yet"
    assert problem(cluster, "deployed") == (because, 'kubectl.wait(cluster, "deployment/tcp-echo-v1")')
    set_available(cluster, "tcp-echo-v1")
    set_available(cluster, "tcp-echo-v2", "False")
    because = "Deployment tcp-echo-v2 is not available: Available=False (MinimumReplicas: so it is)"
    assert problem(cluster, "deployed") == (because, 'kubectl.wait(cluster, "deployment/tcp-echo-v2")')
    set_available(cluster, "tcp-echo-v2")
    assert problem(cluster, "deployed") is None
    kubectl.delete(cluster, "service", "tcp-echo")
    assert problem(cluster, "deployed") == ("there is no Service tcp-echo", apply(SERVICES))


def test_what_a_pod_waits_for_is_the_reason(cluster: Cluster) -> None:
    assert problem(cluster, "client") == ("there is no Deployment curl in NS", apply(CLIENT))
    kubectl.apply(cluster, CLIENT)
    make_pod(cluster, "curl-1", "curl", "curl")
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    container = {"name": "curl", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    body = {"status": {"containerStatuses": [{**container, "state": {"waiting": waiting}}]}}
    cluster.patch(cluster.api.resource_named("pods"), "curl-1", body, subresource="status")
    assert problem(cluster, "client") == (
        "Deployment curl is not available: pod curl-1, container curl: ImagePullBackOff: no such image",
        'kubectl.wait(cluster, "deployment/curl")',
    )


def test_every_pod_needs_its_sidecar(cluster: Cluster) -> None:
    assert problem(cluster, "sidecars") == ("no pod of tcp-echo runs", apply(SERVICES))
    make_pod(cluster, "with", "tcp-echo", "tcp-echo", "istio-proxy")
    assert problem(cluster, "sidecars") is None
    make_pod(cluster, "bare", "tcp-echo", "tcp-echo")
    because = "1 of 2 pods of tcp-echo have no container istio-proxy: they are older than the namespace's label"
    found = problem(cluster, "sidecars")
    assert found is not None
    assert found[0] == because
    assert found[1].startswith(f'kubectl.delete_manifest(cluster, "{SERVICES}")')


def test_newer_istio_has_its_proxy_among_the_init_containers() -> None:
    app = {"containers": [{"name": "tcp-echo"}]}
    assert steps.has_sidecar({"spec": {**app, "initContainers": [{"name": "istio-init"}, {"name": "istio-proxy"}]}})
    assert not steps.has_sidecar({"spec": {**app, "initContainers": [{"name": "istio-init"}]}})


def test_the_rules_are_looked_for_one_after_the_other(cluster: Cluster) -> None:
    for kind, name in (("Gateway", "tcp-echo-gateway"), ("DestinationRule", "tcp-echo-destination")):
        kubectl.apply(cluster, ALL_V1)
        kubectl.delete(cluster, f"{kind.lower()}s.networking.istio.io", name)
        for check in ("all-v1", "shifted", "answers-all-v1", "answers-shifted"):
            assert problem(cluster, check) == (f"there is no {kind} {name}", apply(ALL_V1))
    kubectl.apply(cluster, ALL_V1)
    kubectl.delete(cluster, "virtualservice", "tcp-echo")
    assert problem(cluster, "all-v1") == ("there is no VirtualService tcp-echo", apply(ALL_V1))
    assert problem(cluster, "shifted") == ("there is no VirtualService tcp-echo", apply(SHIFTED))


def test_what_a_tcproute_leans_on_is_looked_for_first(cluster: Cluster) -> None:
    checks = ("tcproute-all-v1", "tcproute-shifted", "tcproute-answers-all-v1", "tcproute-answers-shifted")
    for kind, word, name in (
        ("Gateway", "gtw", "tcp-echo-gateway"),
        ("Service", "service", "tcp-echo-v1"),
        ("Service", "service", "tcp-echo-v2"),
    ):
        kubectl.apply(cluster, GATEWAY_ALL_V1)
        kubectl.delete(cluster, word, name)
        for check in checks:
            assert problem(cluster, check) == (f"there is no {kind} {name}", apply(GATEWAY_ALL_V1))
    kubectl.apply(cluster, GATEWAY_ALL_V1)
    kubectl.delete(cluster, "tcproute", "tcp-echo")
    assert problem(cluster, "tcproute-all-v1") == ("there is no TCPRoute tcp-echo", apply(GATEWAY_ALL_V1))
    assert problem(cluster, "tcproute-shifted") == ("there is no TCPRoute tcp-echo", apply(GATEWAY_SHIFTED))


def test_weights_by_backend_are_those_of_the_versions(cluster: Cluster) -> None:
    kubectl.apply(cluster, GATEWAY_ALL_V1)
    assert problem(cluster, "tcproute-all-v1") is None
    because = "TCPRoute tcp-echo has the weights tcp-echo-v1 1, not v1 80, v2 20"
    assert problem(cluster, "tcproute-shifted") == (because, apply(GATEWAY_SHIFTED))
    istio.set_weights(cluster, "tcproute/tcp-echo", {"tcp-echo-v2": 1, "tcp-echo-v1": 4})
    assert problem(cluster, "tcproute-shifted") is None
    because = "TCPRoute tcp-echo has the weights tcp-echo-v2 1, tcp-echo-v1 4, not v1 100"
    assert problem(cluster, "tcproute-all-v1") == (because, apply(GATEWAY_ALL_V1))
    path = "/spec/rules/0/backendRefs"
    for operation in ({"op": "remove", "path": f"{path}/0"}, {"op": "replace", "path": f"{path}/0/weight", "value": 0}):
        kubectl.patch(cluster, "tcproute", "tcp-echo", [operation], patch_type="json")
    because = "TCPRoute tcp-echo has the weights tcp-echo-v1 0, not v1 100"
    assert problem(cluster, "tcproute-all-v1") == (because, apply(GATEWAY_ALL_V1))


def test_a_tcproute_that_was_refused_is_not_done(cluster: Cluster) -> None:
    kubectl.apply(cluster, GATEWAY_ALL_V1)
    since = "2026-11-26T00:00:00Z"
    told = {"reason": "BackendNotFound", "message": "backend not found", "lastTransitionTime": since}
    condition = {"type": "ResolvedRefs", "status": "False", "observedGeneration": 1, **told}
    parent = {"name": "tcp-echo-gateway", "sectionName": "tcp-31400"}
    entry = {"parentRef": parent, "controllerName": "istio.io/gateway-controller", "conditions": [condition]}
    resource = cluster.api.resource_named("tcproutes.gateway.networking.k8s.io")
    cluster.patch(resource, "tcp-echo", {"status": {"parents": [entry]}}, subresource="status")
    because = "the gateway refused it: backend not found"
    assert problem(cluster, "tcproute-all-v1") == (because, f"correct the manifest, then {apply(GATEWAY_ALL_V1)}")


def test_a_gateway_is_done_when_it_is_programmed(cluster: Cluster) -> None:
    assert problem(cluster, "programmed") == ("there is no Gateway tcp-echo-gateway", apply(GATEWAY_ALL_V1))
    kubectl.apply(cluster, GATEWAY_ALL_V1)
    wait = 'kubectl.wait(cluster, "gtw/tcp-echo-gateway", wait_for="condition=programmed")'
    assert problem(cluster, "programmed") == ("Pending: Waiting for controller", wait)
    resource = cluster.api.resource_named("gateways.gateway.networking.k8s.io")
    for status, expected in (("False", ("AddressNotAssigned: pending", wait)), ("True", None)):
        told = {"reason": "AddressNotAssigned", "message": "pending", "lastTransitionTime": "2026-11-26T00:00:00Z"}
        condition = {"type": "Programmed", "status": status, "observedGeneration": 1, **told}
        body = {"status": {"conditions": [condition]}}
        cluster.patch(resource, "tcp-echo-gateway", body, subresource="status")
        assert problem(cluster, "programmed") == expected


def test_rules_and_workloads_are_left_each_by_itself(cluster: Cluster) -> None:
    for check in ("no-route", "no-workload"):
        assert problem(cluster, check) is None
    kubectl.apply(cluster, CLIENT)
    assert problem(cluster, "no-route") is None
    left = "deployment.apps/curl, service/curl, serviceaccount/curl still there"
    assert problem(cluster, "no-workload") == (left, "course.reset(cluster)")
    kubectl.delete_manifest(cluster, CLIENT)
    kubectl.apply(cluster, ALL_V1)
    kubectl.delete(cluster, "gateways.networking.istio.io", "tcp-echo-gateway")
    kubectl.delete(cluster, "destinationrule", "tcp-echo-destination")
    assert problem(cluster, "no-workload") is None
    left = "virtualservice.networking.istio.io/tcp-echo still there"
    assert problem(cluster, "no-route") == (left, "course.reset(cluster)")


def test_a_v2_counts_as_broken_when_it_listens_where_the_broken_one_does(cluster: Cluster) -> None:
    broken = "tcp-echo-v2-broken.yaml"
    assert problem(cluster, "broken-v2") == ("there is no Deployment tcp-echo-v2 in NS", apply(broken))
    kubectl.apply(cluster, SERVICES)
    set_available(cluster, "tcp-echo-v2")
    assert problem(cluster, "broken-v2") == ("tcp-echo-v2 listens at 9000,9001,9002", apply(broken))
    kubectl.apply(cluster, broken)
    deployment = cluster.read(cluster.api.resource_named("deployments.apps"), "tcp-echo-v2")
    set_available(cluster, "tcp-echo-v2", generation=deployment["metadata"]["generation"])
    assert problem(cluster, "broken-v2") is None


def test_cleaned_up_looks_for_the_gateway_api_too(cluster: Cluster) -> None:
    kubectl.apply(cluster, GATEWAY_ALL_V1)
    for version in ("v1", "v2"):
        kubectl.delete(cluster, "service", f"tcp-echo-{version}")
    because = (
        "gateway.gateway.networking.k8s.io/tcp-echo-gateway, tcproute.gateway.networking.k8s.io/tcp-echo still there"
    )
    assert problem(cluster, "cleaned-up") == (because, "course.reset(cluster)")


def test_weights_are_compared_as_proportions(cluster: Cluster) -> None:
    kubectl.apply(cluster, ALL_V1)
    assert problem(cluster, "all-v1") is None
    because = "VirtualService tcp-echo has the weights v1 100, not v1 80, v2 20"
    assert problem(cluster, "shifted") == (because, apply(SHIFTED))
    istio.set_weights(cluster, "tcp-echo", {"v1": 8, "v2": 2})
    assert problem(cluster, "shifted") is None
    because = "VirtualService tcp-echo has the weights v1 8, v2 2, not v1 100"
    assert problem(cluster, "all-v1") == (because, apply(ALL_V1))
    istio.set_weights(cluster, "tcp-echo", {"v2": 100})
    assert problem(cluster, "all-v1") == (because.replace("v1 8, v2 2,", "v2 100,"), apply(ALL_V1))


def test_a_destination_of_weight_zero_is_none(cluster: Cluster) -> None:
    kubectl.apply(cluster, ALL_V1)
    istio.set_weights(cluster, "tcp-echo", {"v1": 100, "v2": 0})
    assert problem(cluster, "all-v1") is None


def test_a_rule_that_the_gateway_refused_is_not_done(cluster: Cluster) -> None:
    kubectl.apply(cluster, ALL_V1)
    condition = {"type": "Reconciled", "status": "False", "observedGeneration": 1, "message": "Envoy said no"}
    resource = cluster.api.resource_named("virtualservices.networking.istio.io")
    cluster.patch(resource, "tcp-echo", {"status": {"conditions": [condition]}}, subresource="status")
    because = "the gateway refused it: Envoy said no"
    assert problem(cluster, "all-v1") == (because, f"correct the manifest, then {apply(ALL_V1)}")


def test_cleaned_up_looks_for_the_courses_objects_and_no_others(cluster: Cluster) -> None:
    kubectl.create(
        cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "anothers"}, "data": {"a": "b"}}
    )
    assert problem(cluster, "cleaned-up") is None
    kubectl.apply(cluster, ALL_V1)
    kubectl.delete(cluster, "gateways.networking.istio.io", "tcp-echo-gateway")
    because = "virtualservice.networking.istio.io/tcp-echo, destinationrule.networking.istio.io/tcp-echo-destination still there"
    assert problem(cluster, "cleaned-up") == (because, "course.reset(cluster)")
    assert "configmap/anothers" in steps.other_objects(cluster)


def test_what_others_own_or_every_namespace_has_is_not_counted(cluster: Cluster) -> None:
    owner = kubectl.create(
        cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}, "data": {}}
    )
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner[0]["metadata"]["uid"]}
    make_pod(cluster, "owned", "x", "x", ownerReferences=[reference])
    kubectl.create(
        cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio-ca-root-cert"}, "data": {}}
    )
    assert steps.other_objects(cluster) == ["configmap/owner"]


def test_check_prints_the_outcome_in_words(cluster: Cluster, capsys: Captured) -> None:
    assert not course.check(cluster, "client")
    assert capsys.readouterr().out.splitlines() == [
        "NOT YET the client pod is available",
        f"  because there is no Deployment curl in {cluster.namespace}",
        '  do: kubectl.apply(cluster, "curl.yaml")',
    ]
    assert course.check(cluster, "cleaned-up")
    assert capsys.readouterr().out == "PASS nothing of the lesson is left\n"
    with pytest.raises(
        UsageError, match=r"There is no check 'clean'\. Checks: connected, istio, tcp-port, namespace-there, namespace"
    ):
        course.check(cluster, "clean")


def test_an_error_on_the_way_is_an_outcome_and_not_a_traceback(
    cluster: Cluster, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ProfileError("no gateway")

    monkeypatch.setattr(ingress, "find", broken)
    assert not course.check(cluster, "ingress")
    assert capsys.readouterr().out.splitlines()[1:] == ["  because no gateway", "  do: course.preflight(cluster)"]


def test_a_gateway_that_does_not_answer(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", str(port))
    because = f"no answer from 127.0.0.1:{port}: refused: nothing listens there"
    assert problem(cluster, "ingress") == (because, apply(ALL_V1))
    kubectl.apply(cluster, ALL_V1)
    assert problem(cluster, "ingress") == (because, "istio.wait_in_force(cluster)")
    found = problem(cluster, "answers-all-v1")
    assert found is not None
    assert found[0].startswith("20 of 20 probes got no answer")


def test_a_check_is_printed_in_the_language_of_the_notebook(
    cluster: Cluster, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "zh-CN")
    assert not course.check(replace(cluster, namespace="no-such"), "namespace")
    assert capsys.readouterr().out.splitlines() == [
        "尚未完成：命名空间已存在，其中新建的 Pod 会注入 Sidecar",
        "  原因：没有命名空间 no-such",
        "  下一步：kubectl.create_namespace(cluster)",
    ]
