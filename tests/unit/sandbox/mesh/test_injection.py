"""Which pods get a sidecar, by labels of namespace and pod, and what they get.

The table is that of the real webhooks' selectors (namespace label, revision, the pod's own label) and of
`injectRequired`.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.mesh.injection import PROXY_CONTAINER, SidecarInjector, inject, wants_sidecar

TYPES = {resource.kind: resource for resource in BUILT_IN}
ON, OFF = {"istio-injection": "enabled"}, {"istio-injection": "disabled"}
YES, NO = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}
REV, OTHER = {"istio.io/rev": "default"}, {"istio.io/rev": "canary"}


def pod(labels: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    container = {"name": "tcp-echo", "image": "x", "ports": [{"containerPort": 9000}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "labels": {"app": "tcp-echo", **(labels or {})}, **metadata},
        "spec": {"containers": [container]},
    }


@pytest.mark.parametrize(
    ("namespace", "labels", "wanted"),
    [
        ({}, {}, False),
        ({}, YES, True),
        ({}, NO, False),
        ({}, REV, True),
        ({}, OTHER, False),
        ({}, {**REV, **NO}, False),
        (ON, {}, True),
        (ON, YES, True),
        (ON, NO, False),
        (ON, OTHER, True),
        (OFF, {}, False),
        (OFF, YES, False),
        (REV, {}, True),
        (REV, NO, False),
        (OTHER, {}, False),
        (OTHER, YES, False),
        ({**OFF, **REV}, {}, False),
        ({**ON, **OTHER}, {}, True),
    ],
)
def test_labels_decide(namespace: dict[str, str], labels: dict[str, str], wanted: bool) -> None:
    assert wants_sidecar(pod(labels), namespace) is wanted


def test_annotation_counts_where_no_label_speaks() -> None:
    annotated = pod(annotations={"sidecar.istio.io/inject": "false"})
    assert not wants_sidecar(annotated, ON)
    assert wants_sidecar(pod(YES, annotations={"sidecar.istio.io/inject": "false"}), ON)


def test_never_injected() -> None:
    assert not wants_sidecar(pod(namespace="kube-system"), ON)
    on_host = pod()
    on_host["spec"]["hostNetwork"] = True
    assert not wants_sidecar(on_host, ON)
    assert not wants_sidecar(inject(pod()), ON)  # twice is once


def test_what_is_added() -> None:
    before = pod({"version": "v1"})
    original = copy.deepcopy(before)
    after = inject(before)
    assert before == original
    assert [one["name"] for one in after["spec"]["containers"]] == ["tcp-echo", PROXY_CONTAINER]
    proxy = after["spec"]["containers"][-1]
    assert proxy["image"] == "docker.io/istio/proxyv2:1.31.0"
    assert proxy["args"][:2] == ["proxy", "sidecar"]
    assert proxy["readinessProbe"]["httpGet"] == {"path": "/healthz/ready", "port": 15021}
    assert after["metadata"]["labels"] == {
        "app": "tcp-echo",
        "version": "v1",
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": "tcp-echo",
        "service.istio.io/canonical-revision": "v1",
    }
    annotations = after["metadata"]["annotations"]
    assert annotations["istio.io/rev"] == "default"
    assert annotations["kubectl.kubernetes.io/default-container"] == "tcp-echo"
    assert annotations["kubectl.kubernetes.io/default-logs-container"] == "tcp-echo"
    assert json.loads(annotations["sidecar.istio.io/status"])["containers"] == [PROXY_CONTAINER]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"labels": {"app.kubernetes.io/name": "full", "app": "short"}}, "full"),
        ({"labels": {"service.istio.io/canonical-name": "own", "app": "short"}}, "own"),
        ({"labels": {}, "name": "p"}, "p"),
        ({"generateName": "job-", "labels": {}}, "job"),
        (
            {
                "name": "web-5d4f-x",
                "labels": {"pod-template-hash": "5d4f"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d4f", "controller": True}],
            },
            "web",
        ),
        ({"labels": {"app": "x" * 70}}, "x" * 63),
    ],
)
def test_canonical_name(metadata: dict[str, Any], name: str) -> None:
    after = inject({"metadata": metadata, "spec": {"containers": []}})
    assert after["metadata"]["labels"]["service.istio.io/canonical-name"] == name


def test_what_is_written_stays() -> None:
    own = {"kubectl.kubernetes.io/default-container": "other", "sidecar.istio.io/proxyImage": "mine/proxy:1"}
    after = inject(pod({"security.istio.io/tlsMode": "disabled"}, annotations=own))
    assert after["metadata"]["labels"]["security.istio.io/tlsMode"] == "disabled"
    assert after["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "other"
    assert after["spec"]["containers"][-1]["image"] == "mine/proxy:1"


def test_plug_in_acts_on_new_pods_only() -> None:
    plug_in, bare = SidecarInjector(), pod()
    assert plug_in.name == "sidecar-injector.istio.io"
    assert plug_in.mutate("UPDATE", TYPES["Pod"], bare, ON) is bare
    assert plug_in.mutate("CREATE", TYPES["Deployment"], bare, ON) is bare
    assert plug_in.mutate("CREATE", TYPES["Pod"], bare, {}) is bare
    assert len(plug_in.mutate("CREATE", TYPES["Pod"], bare, ON)["spec"]["containers"]) == 2
    assert plug_in.validate("CREATE", TYPES["Pod"], bare, None) is None
