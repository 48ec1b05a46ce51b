"""What kubectl shows of objects: get in its forms, describe, and Events."""

from __future__ import annotations

import pytest

EVENT = {
    "metadata": {"name": "e"},
    "involvedObject": {"apiVersion": "v1", "kind": "Service", "name": "tcp-echo"},
    "reason": "Looked",
    "message": "Somebody looked",
    "type": "Normal",
    "source": {"component": "test"},
    "firstTimestamp": "2026-01-01T00:00:00Z",
    "lastTimestamp": "2026-01-01T00:00:00Z",
    "count": 1,
}


@pytest.mark.parity("kubectl get -o custom-columns", "works")
def test_custom_columns(kubectl, applied):
    output = kubectl("get", "services", "-o", "custom-columns=NAME:.metadata.name,TYPE:.spec.type")
    assert [line.split() for line in output.splitlines()] == [["NAME", "TYPE"], ["tcp-echo", "ClusterIP"]]


@pytest.mark.parity("kubectl get -A, -l, --show-labels", "works")
def test_all_namespaces_by_label(kubectl, applied, namespace):
    kubectl("label", "service", "tcp-echo", f"own={namespace}")
    head, row = kubectl("get", "services", "-A", "-l", f"own={namespace}", "--show-labels").splitlines()
    assert (head.split()[0], head.split()[-1]) == ("NAMESPACE", "LABELS")
    assert row.split()[:3] == [namespace, "tcp-echo", "ClusterIP"]
    assert row.split()[-1] == f"app=tcp-echo,own={namespace}"
    assert kubectl("get", "services", "-l", "own notin (x),app!=tcp-echo") == (
        f"No resources found in {namespace} namespace.\n"
    )


@pytest.mark.parity("kubectl get --field-selector", "works")
def test_field_selector(kubectl, applied):
    assert (
        kubectl("get", "services", "--field-selector", "metadata.name=tcp-echo", "-o", "name") == "service/tcp-echo\n"
    )
    assert kubectl("get", "services", "--field-selector", "spec.foo=x", code=1) == (
        'Error from server (BadRequest): Unable to find "/v1, Resource=services" that match label selector "", '
        'field selector "spec.foo=x": field label not supported: spec.foo\n'
    )


@pytest.mark.parity("kubectl get --sort-by", "works")
def test_sort_by(kubectl):
    for name, value in (("a", "3"), ("b", "1"), ("c", "2")):
        kubectl("create", "configmap", name, f"--from-literal=rank={value}")
    own = "metadata.name!=kube-root-ca.crt"
    names = kubectl("get", "configmaps", "--sort-by={.data.rank}", "--field-selector", own, "-o", "name").split()
    assert names == ["configmap/b", "configmap/c", "configmap/a"]


@pytest.mark.parity("kubectl describe deployment", "works")
def test_describe_deployment(kubectl, applied):
    lines = kubectl("describe", "deployment", "tcp-echo-v1").splitlines()
    assert lines[0] == "Name:                   tcp-echo-v1"
    for line in (
        "Selector:               app=tcp-echo,version=v1",
        "StrategyType:           RollingUpdate",
        "RollingUpdateStrategy:  25% max unavailable, 25% max surge",
        "    Image:       docker.io/istio/tcp-echo-server:1.3",
    ):
        assert line in lines


@pytest.mark.parity("kubectl describe, with Events", "works")
def test_describe_with_events(api, core, kubectl, applied, namespace):
    uid = api.get(f"{core}/services/tcp-echo").body["metadata"]["uid"]
    event = {**EVENT, "involvedObject": {**EVENT["involvedObject"], "namespace": namespace, "uid": uid}}
    assert api.post(f"{core}/events", event).code == 201
    lines = kubectl("describe", "service", "tcp-echo").splitlines()
    assert "TargetPort:               9000/TCP" in lines
    start = lines.index("Events:")
    assert lines[start + 1].split() == ["Type", "Reason", "Age", "From", "Message"]
    words = lines[start + 3].split()
    assert (words[:2], words[-3:]) == (["Normal", "Looked"], ["test", "Somebody", "looked"])


@pytest.mark.parity("kubectl describe of a custom resource", "works")
def test_describe_custom_resource(kubectl, applied):
    lines = kubectl("describe", "virtualservice", "tcp-echo").splitlines()
    assert "API Version:  networking.istio.io/v1" in lines
    assert lines[lines.index("Spec:") :][:5] == ["Spec:", "  Gateways:", "    tcp-echo-gateway", "  Hosts:", "    *"]


@pytest.mark.parity("kubectl events", "works")
def test_events(api, core, kubectl, applied, namespace):
    event = {**EVENT, "involvedObject": {**EVENT["involvedObject"], "namespace": namespace}}
    assert api.post(f"{core}/events", event).code == 201
    head, *rows = kubectl("events", "--for", "service/tcp-echo").splitlines()
    assert head.split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert [row.split()[1:] for row in rows] == [["Normal", "Looked", "Service/tcp-echo", "Somebody", "looked"]]
    assert kubectl("events", "--types=Warning", "--for", "service/tcp-echo") == (
        f"No events found in {namespace} namespace.\n"
    )
