"""Whom `metadata.managedFields` names for what Kubernetes itself writes: the programs of a real cluster, by their own names."""

from __future__ import annotations

import json

import pytest

CONTROLLERS = "kube-controller-manager"
IMAGE = "--image=docker.io/istio/tcp-echo-server:1.3"


@pytest.fixture
def kubectl(live_kubectl):
    """Runs kubectl where a Deployment and its Service have been taken care of."""
    live_kubectl("create", "deployment", "d", IMAGE, "--port=9000", "--", "/bin/tcp-echo", "9000", "hello")
    live_kubectl("expose", "deployment", "d", "--port=9000")
    live_kubectl("wait", "--for=jsonpath={.status.observedGeneration}=1", "replicasets", "--all", "--timeout=60s")
    return live_kubectl


def writers(kubectl, *what: str) -> list[tuple[str, str, str]]:
    """Manager, operation and subresource of each entry of one object, or of all objects of a kind."""
    text = kubectl("get", *what, "-o", "json", "--show-managed-fields")
    found, _ = json.JSONDecoder().raw_decode(text)  # a warning may follow
    entries = [entry for obj in found.get("items", [found]) for entry in obj["metadata"]["managedFields"]]
    return sorted({(entry["manager"], entry["operation"], entry.get("subresource", "")) for entry in entries})


@pytest.mark.parity("API: the manager of what controllers write", "works")
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (("deployment", "d"), [(CONTROLLERS, "Update", "status"), ("kubectl-create", "Update", "")]),
        (("replicasets",), [(CONTROLLERS, "Update", ""), (CONTROLLERS, "Update", "status")]),
        (("endpointslices",), [(CONTROLLERS, "Update", "")]),
        (("endpoints", "d"), [(CONTROLLERS, "Update", "")]),
        (("configmap", "kube-root-ca.crt"), [(CONTROLLERS, "Update", "")]),
        (("events", "--field-selector=source=deployment-controller"), [(CONTROLLERS, "Update", "")]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_controllers(kubectl, what, expected):
    assert writers(kubectl, *what) == expected


@pytest.mark.parity("API: the managers of what scheduler and kubelet write", "works")
@pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node")
def test_scheduler_and_kubelet(kubectl):
    kubectl("wait", "--for=condition=Available", "deployment/d", "--timeout=60s")
    assert writers(kubectl, "pods") == [(CONTROLLERS, "Update", ""), ("kubelet", "Update", "status")]
    scheduled = "--field-selector=reason=Scheduled"
    assert writers(kubectl, "events", scheduled) == [("kube-scheduler", "Update", "")]
    assert writers(kubectl, "events", "--field-selector=reason=Started") == [("kubelet", "Update", "")]
    assert ("kubelet", "Update", "status") in writers(kubectl, "nodes")


@pytest.mark.parity("API: the manager of what istiod writes", "works")
@pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node for what a Gateway needs")
def test_istiod(live_kubectl):
    spec = "spec: {gatewayClassName: istio, listeners: [{name: t, port: 31500, protocol: TCP}]}"
    text = f"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g}}\n{spec}\n"
    live_kubectl("apply", "-f", "-", stdin=text)
    live_kubectl("wait", "--for=condition=Accepted", "gtw/g", "--timeout=60s")
    assert writers(live_kubectl, "gtw", "g") == [
        ("kubectl-client-side-apply", "Update", ""),
        ("pilot-discovery", "Update", "status"),
    ]
    assert writers(live_kubectl, "gatewayclass", "istio")[0][0] == "pilot-discovery"
    assert ("istio.io/gateway-controller", "Apply", "") in writers(live_kubectl, "deployment", "g-istio")


@pytest.mark.parity("Gateway API: what a Gateway no longer asks for goes from what was made for it", "works")
@pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node for what a Gateway needs")
def test_what_a_gateway_no_longer_asks_for(live_kubectl):
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
        "spec: {gatewayClassName: istio, listeners: [{name: t, port: 31501, protocol: TCP}], infrastructure: {labels: %s}}\n"
    )
    live_kubectl("apply", "-f", "-", stdin=text % "{one: a, two: b}")
    live_kubectl("wait", "--for=jsonpath={.metadata.labels.one}=a", "service/g-istio", "--timeout=60s")
    live_kubectl("apply", "-f", "-", stdin=text % "{two: b}")
    # istiod tells how a Gateway fares after it has seen to what it needs.
    seen = "--for=jsonpath={.status.conditions[0].observedGeneration}=2"
    live_kubectl("wait", seen, "gtw/g", "--timeout=60s")
    assert live_kubectl("get", "service", "g-istio", "-o", "jsonpath={.metadata.labels.one}") == ""
