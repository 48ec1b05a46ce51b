"""A lesson can be begun from any state, again and again, and cleaning up leaves what is not the course's.

That it begins where nothing was before is what tests/notebooks is about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, istio, kubectl, steps
from tcpshift_helpers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
pytestmark = pytest.mark.sandbox
# What has to be done, and what not yet, at the start of each lesson.
DONE = {
    "01": {"cleaned-up"},
    "02": {"namespace", "deployed", "sidecars", "client"},
    "03": {"namespace", "deployed", "sidecars", "client", "all-v1", "ingress", "answers-all-v1"},
    # Whether the answers fit 80/20 is a matter of luck once in ten thousand times; that the rule is in force is not.
    "04": {"namespace", "deployed", "sidecars", "client", "shifted", "ingress"},
}


def without_sidecars(cluster: Cluster) -> None:
    """The label came after the pods."""
    course.reset(cluster)
    kubectl.create_namespace(cluster)
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    kubectl.wait(cluster, "deployment/tcp-echo-v1", wait_for="condition=Available")


def played_with(cluster: Cluster) -> None:
    """A learner's own changes by other means than apply: weights, one more route, replicas, a deleted Gateway."""
    course.begin(cluster, "04")
    istio.set_weights(cluster, "tcp-echo", {"v2": 100})
    destination = {"host": "tcp-echo", "subset": "v2", "port": {"number": 9000}}
    entry = {"match": [{"port": 31400}], "route": [{"destination": destination}]}
    kubectl.patch(
        cluster, "virtualservice", "tcp-echo", [{"op": "add", "path": "/spec/tcp/0", "value": entry}], patch_type="json"
    )
    kubectl.scale(cluster, "tcp-echo-v2", replicas=2)
    kubectl.delete(cluster, "gateways.networking.istio.io", "tcp-echo-gateway")


def going(cluster: Cluster) -> None:
    """The namespace is being deleted at this moment."""
    course.begin(cluster, "02")
    cluster.api.request("DELETE", cluster.api.resource_named("namespaces").path(None, cluster.namespace))


@pytest.mark.parametrize("lesson", ["01", "02", "03", "04"])
@pytest.mark.parametrize("before", [without_sidecars, played_with, going], ids=lambda one: one.__name__)
def test_a_lesson_begins_from_any_state(
    sandbox: Cluster, before: Callable[[Cluster], None], lesson: str, capsys: Captured
) -> None:
    before(sandbox)
    capsys.readouterr()
    course.begin(sandbox, lesson)
    assert capsys.readouterr().out == f"Lesson {lesson}. {course.LESSONS[lesson]}\n"
    done = {name for name, (_, test) in steps.CHECKS.items() if name in DONE[lesson] and test(sandbox) is None}
    assert done == DONE[lesson]
    rules = [word for word in steps.other_objects(sandbox) if ".networking.istio.io/" in word]
    assert len(rules) == (3 if lesson in {"03", "04"} else 0)


GATEWAY_RULES = ("gateway-api/tcp-echo-all-v1.yaml", "gateway-api/tcp-echo-20-v2.yaml")


def rules_in(cluster: Cluster) -> dict[str, tuple[str, int]]:
    """Objects of Istio and the Gateway API with their uid and generation."""
    kinds = [f"{word}.networking.istio.io" for word in ("gateways", "virtualservices", "destinationrules")]
    kinds += [f"{word}.gateway.networking.k8s.io" for word in ("gateways", "tcproutes")]
    return {
        f"{word}/{obj['metadata']['name']}": (obj["metadata"]["uid"], obj["metadata"]["generation"])
        for word in kinds
        for obj in cluster.list(cluster.api.resource_named(word))
    }


def test_a_lesson_can_begin_with_routes_of_the_gateway_api(sandbox: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(course.LESSONS, "08", "The Gateway API.")
    monkeypatch.setitem(course._ROUTED, "08", GATEWAY_RULES[:1])
    course.begin(sandbox, "04")
    course.begin(sandbox, "08")
    first = rules_in(sandbox)
    assert set(first) == {
        "gateways.gateway.networking.k8s.io/tcp-echo-gateway",
        "tcproutes.gateway.networking.k8s.io/tcp-echo",
    }
    for check in ("programmed", "tcproute-all-v1", "tcproute-ingress", "tcproute-answers-all-v1"):
        assert course.check(sandbox, check)
    course.begin(sandbox, "08")
    assert rules_in(sandbox) == first
    # What a learner changed by other means than apply is put right.
    backend = {"name": "tcp-echo-v2", "port": 9000, "weight": 7}
    patch = [{"op": "add", "path": "/spec/rules/0/backendRefs/-", "value": backend}]
    kubectl.patch(sandbox, "tcproute", "tcp-echo", patch, patch_type="json")
    course.begin(sandbox, "08")
    assert istio.weights(sandbox, "tcproute/tcp-echo") == {"tcp-echo-v1": 1}


@pytest.mark.parametrize("lesson", ["02", "03"])
def test_other_lessons_begin_without_them(sandbox: Cluster, lesson: str) -> None:
    course.begin(sandbox, "02")
    for manifest in GATEWAY_RULES:
        kubectl.apply(sandbox, manifest)
    course.begin(sandbox, lesson)
    assert not [rule for rule in rules_in(sandbox) if "gateway.networking.k8s.io" in rule]
    services = {one["metadata"]["name"] for one in sandbox.list(sandbox.api.resource_named("services"))}
    assert not services & {"tcp-echo-v1", "tcp-echo-v2"}


def test_cleaning_up_removes_the_gateway_api_too(cluster: Cluster) -> None:
    for manifest in ("tcp-echo-all-v1.yaml", *GATEWAY_RULES):
        kubectl.apply(cluster, manifest)
    for _ in range(2):
        course.reset(cluster)
        assert rules_in(cluster) == {}
        assert steps.other_objects(cluster) == []


def test_a_cluster_that_has_tcproute_as_v1alpha2_alone(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    served = [one for one in cluster.api.resources() if (one.kind, one.version) != ("TCPRoute", "v1")]
    monkeypatch.setattr(type(cluster.api), "resources", lambda self, *, refresh=False: served)
    course._apply(cluster, GATEWAY_RULES[1])
    found = cluster.read(cluster.api.resource_named("tcproutes.gateway.networking.k8s.io"), "tcp-echo")
    assert found["apiVersion"] == "gateway.networking.k8s.io/v1alpha2"
    assert istio.weights(cluster, "tcproute/tcp-echo") == {"tcp-echo-v1": 80, "tcp-echo-v2": 20}
    course.reset(cluster)
    assert rules_in(cluster) == {}


@pytest.mark.parametrize("lesson", ["02", "03", "04"])
def test_beginning_again_changes_nothing(sandbox: Cluster, lesson: str) -> None:
    def versions() -> dict[str, Any]:
        return {
            f"{word}/{obj['metadata']['name']}": (obj["metadata"]["uid"], obj["metadata"].get("generation"))
            for word in ("pods", "deployments.apps", "services", "virtualservices.networking.istio.io")
            for obj in sandbox.list(sandbox.api.resource_named(word))
            if not obj["metadata"].get("deletionTimestamp")
        }

    course.begin(sandbox, lesson)
    before = versions()
    course.begin(sandbox, lesson)
    if lesson != "04":
        assert versions() == before
    else:
        # By way of the rules of lesson 03: the same objects, with newer generations.
        assert {name: uid for name, (uid, _) in versions().items()} == {name: uid for name, (uid, _) in before.items()}


def test_no_such_lesson(sandbox: Cluster) -> None:
    with pytest.raises(
        UsageError, match=r"^There is no lesson '5'\. Lessons: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11\.$"
    ):
        course.begin(sandbox, "5")


def test_lesson_00_changes_nothing(sandbox: Cluster, capsys: Captured) -> None:
    course.reset(sandbox)
    capsys.readouterr()
    course.begin(sandbox, "00")
    assert capsys.readouterr().out == "Lesson 00. Start here: nothing has to be there yet.\n"
    assert sandbox.read_or_none(sandbox.api.resource_named("namespaces"), sandbox.namespace) is None


def test_cleaning_up_twice_is_fine(sandbox: Cluster, capsys: Captured) -> None:
    course.begin(sandbox, "02")
    capsys.readouterr()
    for _ in range(2):
        course.reset(sandbox)
        assert capsys.readouterr().out == f"Nothing of the course is left in {sandbox.namespace}.\n"
    assert sandbox.read_or_none(sandbox.api.resource_named("namespaces"), sandbox.namespace) is None


def test_cleaning_up_leaves_what_is_not_the_courses(sandbox: Cluster, capsys: Captured) -> None:
    course.begin(sandbox, "03")
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "b"}}
    kubectl.create(sandbox, mine)
    capsys.readouterr()
    try:
        course.reset(sandbox)
        assert capsys.readouterr().out == (
            f"Nothing of the course is left. The namespace {sandbox.namespace} stays, because others use it: configmap/mine.\n"
        )
        assert sandbox.read(sandbox.api.resource_named("configmaps"), "mine")["data"] == {"a": "b"}
        assert steps.other_objects(sandbox) == ["configmap/mine"]
    finally:
        kubectl.delete(sandbox, "configmap", "mine")
        course.reset(sandbox)


def test_a_namespace_of_the_learners_own_stays(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    capsys.readouterr()
    course.reset(cluster)
    assert cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace) is not None
    assert steps.other_objects(cluster) == []
