"""The whole lesson with the Gateway API and the helpers: apply, wait, find the gateway, probe, shift 20%, judge, clean up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers import course, distribution, istio, kubectl, netcat, steps

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

ROUTE = "tcproute/tcp-echo"
# With 200 probes and 20%, 20 to 63 pass: an honest run fails with a probability of 0.00009 (binomial, exact).
PROBES = 200

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("no_other_routes")]


def test_the_lesson_with_the_gateway_api(sandbox: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert course.preflight(sandbox, ROUTE)
    course.begin(sandbox, "02")
    kubectl.apply(sandbox, "gateway-api/tcp-echo-all-v1.yaml")
    kubectl.wait(sandbox, "gtw/tcp-echo-gateway", wait_for="condition=programmed")
    istio.wait_in_force(sandbox, ROUTE)
    capsys.readouterr()
    host, port = istio.ingress(sandbox, ROUTE)
    kubectl.get(sandbox, "tcproute")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("$")] == [
        f"$ kubectl -n {sandbox.namespace} wait --for=condition=programmed gtw tcp-echo-gateway --timeout=60s",
        f"$ kubectl -n {sandbox.namespace} get gtw tcp-echo-gateway -o jsonpath='{{.status.addresses[0].value}}'",
        f"$ kubectl -n {sandbox.namespace} get gtw tcp-echo-gateway "
        """-o jsonpath='{.spec.listeners[?(@.name=="tcp-31400")].port}'""",
        f"$ kubectl -n {sandbox.namespace} get tcproute",
    ]
    assert lines[-2].split() == ["NAME", "AGE"]
    assert lines[-1].startswith("tcp-echo ")
    assert istio.weights(sandbox, ROUTE) == {"tcp-echo-v1": 1}
    assert set(netcat.probe(host, port, 20, progress=False)["answer"]) == {"one"}
    for check in ("programmed", "tcproute-all-v1", "tcproute-ingress", "tcproute-answers-all-v1"):
        assert course.check(sandbox, check)

    istio.set_weights(sandbox, ROUTE, {"tcp-echo-v1": 80, "tcp-echo-v2": 20})
    istio.wait_in_force(sandbox, ROUTE)
    frame = netcat.probe(host, port, PROBES, at_once=8, progress=False)
    verdict = distribution.verdict(distribution.counts(frame), istio.weights(sandbox, ROUTE))
    assert verdict.passed, str(verdict)
    assert list(distribution.shares(distribution.counts(frame), istio.weights(sandbox, ROUTE))["set_percent"]) == [
        80,
        20,
    ]
    assert course.check(sandbox, "tcproute-shifted")
    # The manifest states the same weights: nothing to change.
    kubectl.apply(sandbox, "gateway-api/tcp-echo-20-v2.yaml")
    istio.wait_in_force(sandbox, ROUTE)

    course.reset(sandbox)
    assert course.check(sandbox, "cleaned-up")
    assert steps.other_objects(sandbox) == []
    assert sandbox.read_or_none(sandbox.api.resource_named("namespaces"), sandbox.namespace) is None


@pytest.mark.parity("kubectl exec … -c istio-proxy -- pilot-agent request GET config_dump", "works")
def test_a_gateways_envoy_can_be_asked_what_it_has(sandbox: Cluster) -> None:
    (pod,) = sandbox.list(sandbox.api.resource_named("pods"), "istio-system", selector="istio=ingressgateway")
    command = ["pilot-agent", "request", "GET", "config_dump"]
    name = pod["metadata"]["name"]
    answer = kubectl.exec(sandbox, name, command, container="istio-proxy", namespace="istio-system")
    assert '"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"' in answer
