"""What a wait waits for, and the words when it is not there."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.conditions import RolledOut, Wanted, condition, dig, fill, find, pod_troubles
from tcpshift_helpers.errors import UsageError


def deployment(status: str, *, generation: int = 1, observed: int = 1) -> dict[str, Any]:
    conditions = [{"type": "Available", "status": status, "reason": "Why", "message": "because"}]
    return {
        "metadata": {"name": "d", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("statement", "obj", "holds"),
    [
        ("condition=Available", deployment("True"), True),
        ("condition=available", deployment("True"), True),
        ("condition=Available=true", deployment("True"), True),
        ("condition=Available", deployment("False"), False),
        ("condition=Available=False", deployment("False"), True),
        ("condition=Available", deployment("True", generation=2), False),
        ("condition=Ready", deployment("True"), False),
        ("condition=Ready", None, False),
        ("jsonpath={.status.phase}=Running", {"metadata": {}, "status": {"phase": "Running"}}, True),
        ("jsonpath={.status.phase}=Running", {"metadata": {}, "status": {}}, False),
        ("delete", None, True),
        ("delete", {"metadata": {}}, False),
    ],
)
def test_holds(statement: str, obj: dict[str, Any] | None, holds: bool) -> None:
    assert Wanted(statement).holds(obj) is holds


@pytest.mark.parametrize("statement", ["", "Available", "condition=", "jsonpath={.a}", "deleted"])
def test_refuses_other_statements(statement: str) -> None:
    with pytest.raises(UsageError, match="is not understood"):
        Wanted(statement)


@pytest.mark.parametrize(
    ("statement", "obj", "words"),
    [
        ("condition=Available", deployment("False"), "Available=False (Why: because)"),
        ("condition=Ready", deployment("False"), "it has no condition Ready yet"),
        ("condition=Ready", None, "it does not exist"),
        (
            "jsonpath={.status.phase}=Running",
            {"metadata": {}, "status": {"phase": "Pending"}},
            ".status.phase is 'Pending'",
        ),
        ("delete", {"metadata": {"finalizers": ["x/y"]}}, "it is still there, held by x/y"),
        ("delete", {"metadata": {}}, "it is still there"),
    ],
)
def test_last_seen(statement: str, obj: dict[str, Any] | None, words: str) -> None:
    assert Wanted(statement).last_seen(obj) == words


def test_dig() -> None:
    obj = {"a": [{"b": 1}], "c": "text"}
    assert dig(obj, ".a[0].b") == 1
    assert [dig(obj, path) for path in (".a[1].b", ".a.b", ".c.d", ".x")] == [None] * 4
    assert condition({}, "Ready") == {}


def test_pod_troubles() -> None:
    def pod(name: str, **status: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "status": status}

    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pods = [
        pod("a", containerStatuses=[waiting]),
        pod("b", containerStatuses=[{"name": "c", "ready": False, "state": {"running": {"startedAt": "now"}}}]),
        pod(
            "d",
            phase="Pending",
            conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}],
        ),
        pod("e", phase="Pending"),
        pod("f", containerStatuses=[{"name": "c", "ready": True, "state": {"running": {"startedAt": "now"}}}]),
        pod("g", containerStatuses=[{"name": "c", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]),
    ]
    assert pod_troubles(pods) == [
        "pod a, container c: ImagePullBackOff: no such image",
        "pod b, container c: running, not ready yet",
        "pod d: Unschedulable: no room",
        "pod e: Pending",
        "pod g, container c: Error",
    ]


def test_find_gives_every_value_and_filters() -> None:
    obj = {"ports": [{"name": "tcp", "port": 31400}, {"name": "http", "port": 80}], "labels": {"app.io/name": "x"}}
    assert find(obj, '.ports[?(@.name=="tcp")].port') == [31400]
    assert find(obj, ".ports[*].name") == ["tcp", "http"]
    assert find(obj, ".ports[-1].port") == [80]
    assert find(obj, r".labels.app\.io/name") == ["x"]
    assert find(obj, ".ports[?(@.name=='none')].port") == []


@pytest.mark.parametrize("path", [".ports[", ".ports[a]", "..port", ".ports[?(@.port>80)]", "range .items[*]"])
def test_a_path_that_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is not understood from"):
        find({"ports": []}, path)


def test_fill_prints_texts_bare_and_the_rest_as_json() -> None:
    obj = {"a": "x", "b": [1, True], "c": {"d": "e"}}
    assert fill("{.a}: {.b[*]} {.c}{$.none}", obj) == 'x: 1 true {"d":"e"}'


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        ({}, "waiting for deployment spec update to be observed"),
        ({"observedGeneration": 2, "updatedReplicas": 1}, "1 out of 2 new replicas have been updated"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3}, "1 old replicas are pending termination"),
        (
            {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1},
            "1 of 2 updated replicas are available",
        ),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, ""),
    ],
)
def test_a_rollout_is_over_when_every_pod_is_new_and_available(status: dict[str, int], missing: str) -> None:
    obj = {"metadata": {"name": "d", "generation": 2}, "spec": {"replicas": 2}, "status": status}
    assert RolledOut().last_seen(obj) == missing
    assert RolledOut().holds(obj) is (not missing)
    assert not RolledOut().holds(None)
