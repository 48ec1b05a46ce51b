"""What `istioctl kube-inject` does: the difference an injector makes, put into a template, and the sandbox's own injector."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import istio, kubectl, manifests
from tcpshift_helpers.errors import ProfileError
from tcpshift_helpers.injection import added, merged

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("plain", "injected", "difference"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": 1, "b": {"c": 1}}, {"b": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ([{"name": "x"}], [{"name": "x"}, {"name": "y", "v": 1}], [{"name": "y", "v": 1}]),
        ([{"name": "x", "v": 1}], [{"name": "x", "v": 2, "w": 3}], [{"name": "x", "v": 2, "w": 3}]),
        ([{"name": "x"}], [{"name": "x"}], None),
        (["a"], ["a", "b"], ["a", "b"]),
    ],
)
def test_the_difference_put_into_the_plain_one_gives_the_injected_one(
    plain: Any, injected: Any, difference: Any
) -> None:
    assert added(plain, injected) == difference
    before = copy.deepcopy(plain)
    if difference is not None:
        assert merged(plain, difference) == injected
    assert plain == before


def test_what_the_template_has_of_its_own_is_kept() -> None:
    template = {"spec": {"containers": [{"name": "app", "image": "x"}]}, "metadata": {"labels": {"mine": "1"}}}
    addition = {"spec": {"containers": [{"name": "istio-proxy"}]}, "metadata": {"labels": {"theirs": "2"}}}
    assert merged(template, addition) == {
        "spec": {"containers": [{"name": "app", "image": "x"}, {"name": "istio-proxy"}]},
        "metadata": {"labels": {"mine": "1", "theirs": "2"}},
    }


def test_every_pod_template_of_a_manifest_gets_a_sidecar_and_nothing_else_changes(
    sandbox: Cluster, capsys: Captured
) -> None:
    kubectl.create_namespace(sandbox)
    capsys.readouterr()
    injected = istio.kube_inject(sandbox, "tcp-echo-services.yaml")
    assert capsys.readouterr().out == "$ istioctl kube-inject -f manifests/tcp-echo-services.yaml\n"
    plain = manifests.load("tcp-echo-services.yaml").objects
    assert [obj["kind"] for obj in injected] == ["Service", "Deployment", "Deployment"]
    assert injected[0] == plain[0]
    for before, after in zip(plain[1:], injected[1:], strict=True):
        own, theirs = (obj["spec"]["template"] for obj in (before, after))
        assert [one["name"] for one in theirs["spec"]["containers"]] == ["tcp-echo", "istio-proxy"]
        assert theirs["spec"]["containers"][0] == own["spec"]["containers"][0]
        assert theirs["metadata"]["labels"].items() >= own["metadata"]["labels"].items()
        # What was needed for asking does not stay.
        assert {"sidecar.istio.io/inject", "pod-template-hash"} & theirs["metadata"]["labels"].keys() == set()
        assert {**after["spec"], "template": own} == before["spec"]
    # The course's namespace holds no pod of the questions.
    assert sandbox.list(sandbox.api.resource_named("pods"), selector="pod-template-hash=bcdfg24578") == []


def test_a_cluster_that_injects_nothing_is_told_so(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.api, "request", lambda *args, body, **more: copy.deepcopy(body))
    with pytest.raises(ProfileError, match="Nothing in this cluster injected a sidecar: istiod is not running"):
        istio.kube_inject(cluster, "curl.yaml")
