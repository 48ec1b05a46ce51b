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
    course.clean_up(cluster)
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
    with pytest.raises(UsageError, match=r"^There is no lesson '5'\. Lessons: 00, 01, 02, 03, 04\.$"):
        course.begin(sandbox, "5")


def test_lesson_00_changes_nothing(sandbox: Cluster, capsys: Captured) -> None:
    course.clean_up(sandbox)
    capsys.readouterr()
    course.begin(sandbox, "00")
    assert capsys.readouterr().out == "Lesson 00. Start here: nothing has to be there yet.\n"
    assert sandbox.read_or_none(sandbox.api.resource_named("namespaces"), sandbox.namespace) is None


def test_cleaning_up_twice_is_fine(sandbox: Cluster, capsys: Captured) -> None:
    course.begin(sandbox, "02")
    capsys.readouterr()
    for _ in range(2):
        course.clean_up(sandbox)
        assert capsys.readouterr().out == f"Nothing of the course is left in {sandbox.namespace}.\n"
    assert sandbox.read_or_none(sandbox.api.resource_named("namespaces"), sandbox.namespace) is None


def test_cleaning_up_leaves_what_is_not_the_courses(sandbox: Cluster, capsys: Captured) -> None:
    course.begin(sandbox, "03")
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"a": "b"}}
    kubectl.create(sandbox, mine)
    capsys.readouterr()
    try:
        course.clean_up(sandbox)
        assert capsys.readouterr().out == (
            f"Nothing of the course is left. The namespace {sandbox.namespace} stays, because others use it: configmap/mine.\n"
        )
        assert sandbox.read(sandbox.api.resource_named("configmaps"), "mine")["data"] == {"a": "b"}
        assert steps.other_objects(sandbox) == ["configmap/mine"]
    finally:
        kubectl.delete(sandbox, "configmap", "mine")
        course.clean_up(sandbox)


def test_a_namespace_of_the_learners_own_stays(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    capsys.readouterr()
    course.clean_up(cluster)
    assert cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace) is not None
    assert steps.other_objects(cluster) == []
