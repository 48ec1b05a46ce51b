"""Waiting for an object, and the reasons told when it does not come, on an API server where nothing happens by itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import kubectl
from tcpshift_helpers.conditions import Wanted
from tcpshift_helpers.errors import ClusterUnreachableError, NotFoundError, WaitTimeoutError
from tcpshift_helpers.waiting import pod_name, pods_of, wait_until

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster


def wait(cluster: Cluster, kind: str, name: str, statement: str, seconds: float = 0.0) -> Any:
    resource = cluster.api.resource_named(kind)
    deadline = time.monotonic() + seconds
    return wait_until(cluster, resource, name, Wanted(statement), namespace=cluster.namespace, deadline=deadline)


def config_map(cluster: Cluster, **data: str) -> None:
    kubectl.apply(cluster, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": data})


def make_pod(cluster: Cluster, name: str, phase: str = "Pending", **labels: str) -> None:
    spec = {"containers": [{"name": "c", "image": "x"}]}
    metadata = {"name": name, "labels": {"app": "tcp-echo", "version": "v1", **labels}}
    kubectl.create(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    body = {"status": {"phase": phase}}
    cluster.patch(cluster.api.resource_named("pods"), name, body, subresource="status")


def test_what_is_so_already_needs_no_time(cluster: Cluster) -> None:
    config_map(cluster, a="1")
    assert wait(cluster, "configmaps", "cm", "jsonpath={.data.a}=1")["data"] == {"a": "1"}
    assert wait(cluster, "configmaps", "other", "delete") is None


@pytest.mark.parametrize("statement", ["jsonpath={.data.a}=2", "delete"])
def test_a_change_ends_the_wait(cluster: Cluster, statement: str) -> None:
    config_map(cluster, a="1")
    resource = cluster.api.resource_named("configmaps")
    path = resource.path(cluster.namespace, "cm")

    def change() -> None:
        if statement == "delete":
            cluster.api.request("DELETE", path)
        else:
            cluster.patch(resource, "cm", {"data": {"a": "2"}})

    timer = threading.Timer(0.3, change)
    timer.start()
    try:
        found = wait(cluster, "configmaps", "cm", statement, 60.0)
        assert found == (None if statement == "delete" else cluster.read(resource, "cm"))
    finally:
        timer.join()


def test_a_timeout_tells_what_was_last_seen_and_where_to_look(cluster: Cluster) -> None:
    config_map(cluster, a="1")
    with pytest.raises(WaitTimeoutError) as caught:
        wait(cluster, "configmaps", "cm", "jsonpath={.data.a}=2")
    assert str(caught.value).splitlines() == [
        "timed out after 0 s waiting for jsonpath={.data.a}=2 of configmap/cm: .data.a is '1'",
        f"Look closer with: kubectl -n {cluster.namespace} describe configmap cm",
    ]
    with pytest.raises(WaitTimeoutError, match="of configmap/none: it does not exist"):
        wait(cluster, "configmaps", "none", "condition=Ready")


def test_a_deployment_tells_what_its_pods_lack(cluster: Cluster) -> None:
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    with pytest.raises(WaitTimeoutError) as caught:
        wait(cluster, "deployments.apps", "tcp-echo-v1", "condition=Available")
    assert "  it has no pods yet" in str(caught.value).splitlines()
    make_pod(cluster, "one")
    make_pod(cluster, "foreign", version="v2")
    for number in range(5):
        event(cluster, "one", f"warning {number}")
    event(cluster, "one", "all is well", kind="Normal")
    event(cluster, "another", "not ours")
    with pytest.raises(WaitTimeoutError) as caught:
        wait(cluster, "deployments.apps", "tcp-echo-v1", "condition=Available")
    assert str(caught.value).splitlines()[1:-1] == [
        "  pod one: Pending",
        *(f"  event Failed: warning {number}" for number in (2, 3, 4)),
    ]


def event(cluster: Cluster, about: str, message: str, kind: str = "Warning") -> None:
    kubectl.create(
        cluster,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about}-{message.replace(' ', '-')}"},
            "involvedObject": {"kind": "Pod", "name": about, "namespace": cluster.namespace},
            "reason": "Failed",
            "message": message,
            "type": kind,
        },
    )


def test_reasons_that_cannot_be_had_do_not_hide_the_timeout(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl.apply(cluster, "tcp-echo-services.yaml")

    def down(*args: object, **more: object) -> None:
        raise ClusterUnreachableError("nothing answers")

    monkeypatch.setattr(type(cluster), "list", down)
    with pytest.raises(WaitTimeoutError, match=r"of deployment\.apps/tcp-echo-v1"):
        wait(cluster, "deployments.apps", "tcp-echo-v1", "condition=Available")


@pytest.mark.parametrize("word", ["some-pod", "pod/some-pod", "pods/some-pod", "po/some-pod"])
def test_a_pods_name_is_taken_as_it_stands(cluster: Cluster, word: str) -> None:
    assert pod_name(cluster, word, cluster.namespace) == "some-pod"


def test_a_deployments_pod_is_one_that_runs_if_there_is_one(cluster: Cluster) -> None:
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    with pytest.raises(NotFoundError, match="deployment/tcp-echo-v1 has no pods\nWait for it: kubectl -n"):
        pod_name(cluster, "deployment/tcp-echo-v1", cluster.namespace)
    make_pod(cluster, "a")
    make_pod(cluster, "b")
    assert pod_name(cluster, "deployment/tcp-echo-v1", cluster.namespace) == "a"
    make_pod(cluster, "c", "Running")
    make_pod(cluster, "0", "Running", version="v2")
    assert pod_name(cluster, "deploy/tcp-echo-v1", cluster.namespace) == "c"
    assert pod_name(cluster, "service/tcp-echo", cluster.namespace) == "0"


def test_what_selects_nothing_has_no_pods(cluster: Cluster) -> None:
    make_pod(cluster, "a")
    for owner in ({"kind": "Service", "spec": {}}, {"kind": "Deployment", "spec": {"selector": {"matchLabels": {}}}}):
        assert pods_of(cluster, owner, cluster.namespace) == []
    pod = {"kind": "Pod", "metadata": {"name": "a"}}
    assert pods_of(cluster, pod, cluster.namespace) == [pod]
