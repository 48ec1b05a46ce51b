"""kubectl rollout, and what deletion leaves: with controllers at work, and without a pod that has to run."""

from __future__ import annotations

import pytest

DONE = 'deployment "d" successfully rolled out\n'
IMAGE = "jsonpath={.spec.template.spec.containers[0].image}"


@pytest.fixture
def kubectl(live_kubectl):
    """Runs kubectl where a Deployment without replicas has been rolled out."""
    live_kubectl("create", "deployment", "d", "--image=example.com/one", "--replicas=0")
    assert live_kubectl("rollout", "status", "deployment/d", "--timeout=60s").endswith(DONE)
    return live_kubectl


@pytest.fixture
def changed(kubectl):
    """The Deployment has got its second image."""
    kubectl("set", "image", "deployment/d", "*=example.com/two")
    assert kubectl("rollout", "status", "deployment/d", "--timeout=60s").endswith(DONE)


def revisions(kubectl):
    head, columns, *rows = kubectl("rollout", "history", "deployment/d").strip().splitlines()
    assert (head.strip(), columns.split()) == ("deployment.apps/d", ["REVISION", "CHANGE-CAUSE"])
    return [tuple(row.split(maxsplit=1)) for row in rows]


@pytest.mark.parity("kubectl rollout status", "works")
def test_status(kubectl):
    assert kubectl("rollout", "status", "service/d", code=1) == 'Error from server (NotFound): services "d" not found\n'
    kubectl("scale", "deployment/d", "--replicas=1")
    output = kubectl("rollout", "status", "deployment/d", "--timeout=2s", code=1)
    assert output.splitlines()[-2:] == [
        'Waiting for deployment "d" rollout to finish: 0 of 1 updated replicas are available...',
        "error: timed out waiting for the condition",
    ]


@pytest.mark.parity("kubectl rollout history, with --revision", "works")
def test_history(kubectl, changed):
    assert revisions(kubectl) == [("1", "<none>"), ("2", "<none>")]
    lines = kubectl("rollout", "history", "deployment/d", "--revision=2").splitlines()
    assert lines[0] == "deployment.apps/d with revision #2"
    assert "    Image:\texample.com/two" in lines
    assert kubectl("rollout", "history", "deployment/d", "--revision=9", code=1) == (
        "error: unable to find the specified revision\n"
    )


@pytest.mark.parity("kubectl annotate kubernetes.io/change-cause, shown by rollout history", "works")
def test_change_cause(kubectl):
    kubectl("annotate", "deployment/d", "kubernetes.io/change-cause=a reason")
    kubectl("set", "image", "deployment/d", "*=example.com/two")
    assert kubectl("rollout", "status", "deployment/d", "--timeout=60s").endswith(DONE)
    assert revisions(kubectl)[-1] == ("2", "a reason")


@pytest.mark.parity("kubectl rollout undo, with --to-revision", "works")
def test_undo(kubectl, changed):
    assert kubectl("rollout", "undo", "deployment/d") == "deployment.apps/d rolled back\n"
    assert kubectl("get", "deployment", "d", "-o", IMAGE) == "example.com/one"
    assert kubectl("rollout", "status", "deployment/d", "--timeout=60s").endswith(DONE)
    assert revisions(kubectl) == [("2", "<none>"), ("3", "<none>")]
    kubectl("rollout", "undo", "deployment/d", "--to-revision=2")
    assert kubectl("get", "deployment", "d", "-o", IMAGE) == "example.com/two"
    assert kubectl("rollout", "undo", "deployment/d", "--to-revision=9", code=1) == (
        "error: unable to find specified revision 9 in history\n"
    )


@pytest.mark.parity("kubectl rollout pause, resume, restart", "works")
def test_pause_and_restart(kubectl):
    assert kubectl("rollout", "pause", "deployment/d") == "deployment.apps/d paused\n"
    assert kubectl("rollout", "pause", "deployment/d", code=1) == 'error: deployments.apps "d" is already paused\n'
    assert kubectl("rollout", "restart", "deployment/d", code=1) == (
        'error: deployments.apps "d" can\'t restart paused deployment (run rollout resume first)\n'
    )
    assert kubectl("rollout", "resume", "deployment/d") == "deployment.apps/d resumed\n"
    assert kubectl("rollout", "restart", "deployment/d") == "deployment.apps/d restarted\n"
    assert kubectl("rollout", "status", "deployment/d", "--timeout=60s").endswith(DONE)
    assert [number for number, _ in revisions(kubectl)] == ["1", "2"]


@pytest.mark.parametrize("cascade", ["background", "foreground"])
@pytest.mark.parity("kubectl delete --cascade=background, foreground", "works")
def test_dependents_go(kubectl, cascade):
    assert kubectl("delete", "deployment", "d", f"--cascade={cascade}") == 'deployment.apps "d" deleted\n'
    kubectl("wait", "--for=delete", "replicasets", "-l", "app=d", "--timeout=60s")
    assert kubectl("get", "replicasets", "-o", "name") == ""


@pytest.mark.parity("kubectl delete --cascade=orphan", "works")
def test_orphans_stay(kubectl):
    (name,) = kubectl("get", "replicasets", "-o", "name").split()
    assert kubectl("delete", "deployment", "d", "--cascade=orphan") == 'deployment.apps "d" deleted\n'
    assert (
        kubectl("get", name, "-o", "jsonpath={.metadata.name} {.metadata.ownerReferences}").strip()
        == name.split("/")[1]
    )
