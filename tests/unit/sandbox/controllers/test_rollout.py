"""The arithmetic of Deployments, pure. Numbers are those of the real controller's own rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.controllers import rollout


def deployment(replicas: int = 4, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    return {
        "metadata": {"name": "a", "namespace": "n", "generation": 1},
        "spec": {"replicas": replicas, "template": template, "progressDeadlineSeconds": 600, **spec},
        "status": {},
    }


def replica_set(name: str, replicas: int, created: str = "2026-01-01T00:00:00Z", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": created, "annotations": {}},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {}}, "spec": {}}},
        "status": status,
    }


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (10, "25%", "25%", (3, 2)),  # surge rounds up, unavailability down
        (1, "25%", "25%", (1, 0)),
        (1, 0, "25%", (0, 1)),  # both zero would never move
        (3, 0, 0, (0, 1)),
        (3, 5, 10, (5, 3)),  # never more unavailable than there are
        (0, "25%", "25%", (0, 0)),
    ],
)
def test_fenceposts(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    assert rollout.fenceposts(deployment(replicas, strategy=rolling(surge, unavailable))) == expected


def test_recreate_has_no_surge() -> None:
    assert rollout.fenceposts(deployment(4, strategy={"type": "Recreate"})) == (0, 0)


def test_the_newest_set_is_the_one_with_the_template_whatever_its_hash_label() -> None:
    wished = deployment()
    same = replica_set("a-1", 1)
    same["spec"]["template"] = {
        "metadata": {"labels": {"app": "a", "pod-template-hash": "1"}, "creationTimestamp": None},
        "spec": wished["spec"]["template"]["spec"],
    }
    other = replica_set("a-2", 1)
    assert rollout.find_new(wished, [other, same]) is same
    assert rollout.find_new(wished, [other]) is None


def test_template_hash_is_stable_and_of_the_safe_alphabet() -> None:
    template = deployment()["spec"]["template"]
    digest = rollout.template_hash(template, None)
    assert digest == rollout.template_hash({"spec": template["spec"], "metadata": template["metadata"]}, None)
    assert digest != rollout.template_hash(template, 1)
    assert set(digest) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_revisions_and_their_history() -> None:
    wished = deployment()
    wished["metadata"]["annotations"] = {"note": "x", rollout.REVISION: "9", rollout.LAST_APPLIED: "{}"}
    first = rollout.new_annotations(wished, replica_set("a", 1), 1, exists=False)
    assert first == {
        "note": "x",
        rollout.REVISION: "1",
        rollout.DESIRED_REPLICAS: "4",
        rollout.MAX_REPLICAS: "5",
    }
    old = replica_set("a", 1)
    old["metadata"]["annotations"] = {rollout.REVISION: "1", rollout.REVISION_HISTORY: ""}
    again = rollout.new_annotations(wished, old, 3, exists=True)
    assert (again[rollout.REVISION], again[rollout.REVISION_HISTORY]) == ("3", "1")
    old["metadata"]["annotations"] = again
    third = rollout.new_annotations(wished, old, 5, exists=True)
    assert (third[rollout.REVISION], third[rollout.REVISION_HISTORY]) == ("5", "1,3")
    assert rollout.new_annotations(wished, {"metadata": {"annotations": third}}, 4, exists=True) == third


def test_history_is_kept_short() -> None:
    old = replica_set("a", 1)
    old["metadata"]["annotations"] = {rollout.REVISION: "12345", rollout.REVISION_HISTORY: ",".join(["12344"] * 400)}
    history = rollout.new_annotations(deployment(), old, 12346, exists=True)[rollout.REVISION_HISTORY]
    assert len(history) <= 2000
    assert history.endswith(",12345")


def test_room_for_new_pods() -> None:
    wished = deployment(4, strategy=rolling(1, 1))
    assert rollout.new_replica_count(wished, [replica_set("old", 4)], 0) == 1
    assert rollout.new_replica_count(wished, [replica_set("old", 3), replica_set("new", 1)], 1) == 2
    assert rollout.new_replica_count(wished, [replica_set("old", 5)], 0) == 0
    assert rollout.new_replica_count(deployment(4, strategy={"type": "Recreate"}), [replica_set("old", 4)], 0) == 4


def test_proportional_scaling_of_the_documented_example() -> None:
    """Ten replicas, surge 3, unavailable 2, in the middle of a rollout 8 old and 5 new; scaled to 15."""
    wished = deployment(15, strategy=rolling(3, 2))
    old, new = replica_set("old", 8), replica_set("new", 5, "2026-01-02T00:00:00Z")
    for entry in (old, new):
        entry["metadata"]["annotations"] = {rollout.MAX_REPLICAS: "13", rollout.DESIRED_REPLICAS: "10"}
    assert dict(rollout.proportional_sizes(wished, [old, new])) == {"old": 11, "new": 7}


@given(
    total=st.integers(0, 40),
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    before=st.integers(1, 40),
    surge=st.integers(1, 5),
)
def test_proportional_sizes_add_up_and_are_never_negative(
    total: int, sizes: list[int], before: int, surge: int
) -> None:
    wished = deployment(total, strategy=rolling(surge, 0))
    sets = [replica_set(f"a-{index}", size, f"2026-01-0{index + 1}T00:00:00Z") for index, size in enumerate(sizes)]
    for entry in sets:
        entry["metadata"]["annotations"] = {rollout.MAX_REPLICAS: str(before)}
    result = dict(rollout.proportional_sizes(wished, sets))
    assert all(size >= 0 for size in result.values())
    allowed = total + surge if total else 0
    if sum(sizes) <= allowed or total == 0:
        assert sum(result.values()) == allowed


def test_condition_keeps_its_transition_time_while_its_status_stays() -> None:
    status = {"conditions": [{"type": "Available", "status": "True", "reason": "A", "lastTransitionTime": "then"}]}
    rollout.set_condition(status, "Available", "True", "B", "words")
    (changed,) = status["conditions"]
    assert (changed["reason"], changed["lastTransitionTime"]) == ("B", "then")
    rollout.set_condition(status, "Available", "False", "C", "words")
    assert status["conditions"][0]["lastTransitionTime"] != "then"


def test_lack_of_progress_is_reported_once_the_deadline_has_passed() -> None:
    late = deployment(1, progressDeadlineSeconds=10)
    condition = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "message": "",
        "lastUpdateTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    late["status"] = {"conditions": [condition], "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1}
    new = replica_set("a-1", 1)
    new["status"] = {"replicas": 1}
    status = rollout.calculate_status(late, new, [])
    rollout.judge_progress(late, new, status)
    found = rollout.find_condition(status, "Progressing")
    assert found is not None
    assert (found["status"], found["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert found["message"] == 'ReplicaSet "a-1" has timed out progressing.'
    assert rollout.seconds_to_deadline(late, status) is None


def test_time_left_until_the_deadline() -> None:
    waiting = deployment(1, progressDeadlineSeconds=10)
    status: dict[str, Any] = {}
    assert rollout.seconds_to_deadline(waiting, status) is None
    rollout.set_condition(status, "Progressing", "True", "NewReplicaSetCreated", "")
    remaining = rollout.seconds_to_deadline(waiting, status)
    assert remaining is not None
    assert 9 <= remaining <= 11
    assert rollout.seconds_to_deadline(deployment(1, progressDeadlineSeconds=2**31 - 1), status) is None
