"""What kubectl learns of the server and of itself: kinds, fields, versions, who may do what."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parity("kubectl explain", "works")
def test_explain(kubectl):
    lines = kubectl("explain", "deployment.spec.replicas").splitlines()
    assert lines[:5] == [
        "GROUP:      apps",
        "KIND:       Deployment",
        "VERSION:    v1",
        "",
        "FIELD: replicas <integer>",
    ]
    assert "    Number of desired pods. This is a pointer to distinguish between explicit" in lines


@pytest.mark.parity("kubectl explain of a custom resource", "works")
def test_explain_custom_resource(kubectl):
    lines = kubectl("explain", "virtualservice.spec.tcp.route").splitlines()
    assert lines[:5] == [
        "GROUP:      networking.istio.io",
        "KIND:       VirtualService",
        "VERSION:    v1",
        "",
        "FIELD: route <[]Object>",
    ]
    assert {"  destination\t<Object> -required-", "  weight\t<integer>"} < set(lines)
    assert 'error: field "nope" does not exist' in kubectl("explain", "virtualservice.spec.nope", code=1)


@pytest.mark.parity("kubectl explain --recursive", "works")
def test_explain_recursive(kubectl):
    lines = kubectl("explain", "service.spec.ports", "--recursive").splitlines()
    assert {"  nodePort\t<integer>", "  targetPort\t<IntOrString>"} < set(lines)


@pytest.mark.parity("kubectl api-versions", "works")
def test_api_versions(kubectl):
    assert {"v1", "apps/v1", "batch/v1", "networking.istio.io/v1"} < set(kubectl("api-versions").split())


@pytest.mark.parity("kubectl api-resources --verbs, --namespaced", "works")
def test_api_resources_by_verb(kubectl):
    names = kubectl("api-resources", "--namespaced=false", "--verbs=list", "-o", "name").split()
    assert {"namespaces", "nodes"} <= set(names)
    assert not {"services", "selfsubjectreviews.authentication.k8s.io"} & set(names)


@pytest.mark.parity("kubectl version", "works")
def test_version(api, kubectl):
    if api.is_peer:
        pytest.skip("that build of a real server has no version of its own")
    assert re.search(r"^Server Version: v1\.34\.\d+", kubectl("version"), re.MULTILINE)


@pytest.mark.parity("kubectl cluster-info", "works")
def test_cluster_info(api, kubectl):
    plain = re.sub(r"\x1b\[[\d;]*m", "", kubectl("cluster-info"))
    assert plain.splitlines()[0] == f"Kubernetes control plane is running at https://{api.host}"


@pytest.mark.parity("kubectl auth can-i", "works")
def test_can_i(kubectl):
    assert kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    assert kubectl("auth", "can-i", "get", "/healthz").endswith("yes\n")


@pytest.mark.parity("kubectl auth whoami", "works")
def test_who_am_i(kubectl):
    rows = [line.split(maxsplit=1) for line in kubectl("auth", "whoami").splitlines()]
    assert rows[0] == ["ATTRIBUTE", "VALUE"]
    assert dict(rows)["Groups"] == "[system:masters system:authenticated]"


@pytest.mark.parity("kubectl config view", "works")
def test_config_view(api, kubectl):
    lines = kubectl("config", "view").splitlines()
    assert {f"    server: https://{api.host}", "    token: REDACTED"} < set(lines)


@pytest.mark.parametrize("kind", ["pods", "nodes"])
@pytest.mark.parity("kubectl top", "refused: error: Metrics API not available")
def test_top(kubectl, kind):
    assert kubectl("top", kind, code=1) == "error: Metrics API not available\n"


@pytest.mark.parity("kubectl get --raw", "works")
def test_raw(kubectl):
    assert kubectl("get", "--raw", "/readyz") == "ok"
