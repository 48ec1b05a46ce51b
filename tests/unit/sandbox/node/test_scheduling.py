"""Which pods the node takes."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.sandbox.node.scheduling import obstacle

TAINT = {"key": "a", "value": "b", "effect": "NoSchedule"}


def node(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "n", "labels": {"disk": "slow"}}, "spec": spec}


def pod(*tolerations: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"spec": {"tolerations": list(tolerations), **spec}}


def test_nothing_is_in_the_way() -> None:
    assert obstacle(pod(nodeSelector={"disk": "slow"}), node()) is None


def test_a_node_of_another_kind() -> None:
    assert obstacle(pod(nodeSelector={"disk": "fast"}), node()) == "1 node(s) didn't match Pod's node affinity/selector"


def test_a_node_that_is_cordoned() -> None:
    assert obstacle(pod(), node(unschedulable=True)) == "1 node(s) were unschedulable"
    tolerated = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    assert obstacle(pod(tolerated), node(unschedulable=True)) is None


@pytest.mark.parametrize(
    ("toleration", "is_enough"),
    [
        ({}, False),
        ({"key": "a", "value": "b"}, True),
        ({"key": "a", "operator": "Equal", "value": "c"}, False),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "c", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
    ],
)
def test_a_taint(toleration: dict[str, str], is_enough: bool) -> None:
    found = obstacle(pod(toleration), node(taints=[TAINT]))
    assert found == (None if is_enough else "1 node(s) had untolerated taint {a: b}")


def test_a_taint_that_only_prefers() -> None:
    assert obstacle(pod(), node(taints=[{**TAINT, "effect": "PreferNoSchedule"}])) is None
