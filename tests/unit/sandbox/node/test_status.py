"""A pod's phase and conditions from its containers', pure."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.sandbox.node import status

RUNNING = {"running": {"startedAt": "x"}}
WAITING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


def of(*states: dict[str, Any], ready: bool = False, last: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [
        {"name": f"c{index}", "state": state, "lastState": last or {}, "ready": ready}
        for index, state in enumerate(states)
    ]


def spec(policy: str = "Always", containers: int = 1, init: int = 0, **init_fields: Any) -> dict[str, Any]:
    return {
        "restartPolicy": policy,
        "containers": [{"name": f"c{index}"} for index in range(containers)],
        "initContainers": [{"name": f"c{index}", **init_fields} for index in range(init)],
    }


@pytest.mark.parametrize(
    ("policy", "states", "expected"),
    [
        ("Always", [RUNNING], "Running"),
        ("Always", [WAITING], "Pending"),
        ("Always", [RUNNING, WAITING], "Pending"),
        ("Always", [ended(0)], "Running"),
        ("Always", [ended(1)], "Running"),
        ("Never", [ended(0)], "Succeeded"),
        ("Never", [ended(0), ended(1)], "Failed"),
        ("Never", [ended(0), RUNNING], "Running"),
        ("OnFailure", [ended(0)], "Succeeded"),
        ("OnFailure", [ended(1)], "Running"),
    ],
)
def test_phase(policy: str, states: list[dict[str, Any]], expected: str) -> None:
    assert status.phase(spec(policy, len(states)), [], of(*states), ending=False) == expected


def test_phase_of_a_pod_on_its_way_out() -> None:
    assert status.phase(spec(), [], of(ended(0)), ending=True) == "Succeeded"
    assert status.phase(spec(), [], of(ended(143)), ending=True) == "Failed"


def test_a_container_in_back_off_has_run() -> None:
    assert status.phase(spec(), [], of(WAITING, last=ended(1)), ending=False) == "Running"


def test_init_containers_hold_the_pod_back() -> None:
    assert status.phase(spec(init=1), of(RUNNING), of(WAITING), ending=False) == "Pending"
    assert status.phase(spec("Never", init=1), of(ended(1)), of(WAITING), ending=False) == "Failed"
    assert status.phase(spec("Always", init=1), of(ended(1)), of(WAITING), ending=False) == "Pending"
    assert status.phase(spec(init=1), of(ended(0)), of(RUNNING), ending=False) == "Running"
    assert status.phase(spec(init=1, restartPolicy="Always"), of(RUNNING), of(RUNNING), ending=False) == "Running"


def conditions(pod_spec: dict[str, Any], phase: str, main: list[dict[str, Any]], **known: Any) -> dict[str, Any]:
    pod = {"metadata": {"generation": 3}, "spec": pod_spec, "status": {"podIP": "10.0.0.1", **known}}
    return {entry["type"]: entry for entry in status.conditions(pod, phase, [], main)}


def test_conditions_of_a_pod_that_is_not_ready() -> None:
    found = conditions(spec(containers=2), "Running", of(RUNNING, RUNNING))
    assert found["Ready"]["reason"] == "ContainersNotReady"
    assert found["Ready"]["message"] == "containers with unready status: [c0 c1]"
    assert found["Initialized"]["status"] == "True"
    assert found["Ready"]["observedGeneration"] == 3


def test_conditions_of_a_finished_pod() -> None:
    found = conditions(spec("Never"), "Succeeded", of(ended(0)))
    assert (found["Ready"]["status"], found["Ready"]["reason"]) == ("False", "PodCompleted")
    assert (found["Initialized"]["status"], found["Initialized"]["reason"]) == ("True", "PodCompleted")
    assert conditions(spec("Never"), "Failed", of(ended(1)))["Ready"]["reason"] == "PodFailed"


def test_a_condition_keeps_its_time_and_strangers_keep_theirs() -> None:
    known = [
        {"type": "Ready", "status": "True", "lastTransitionTime": "then"},
        {"type": "example.com/own", "status": "False", "lastTransitionTime": "then"},
    ]
    found = conditions(spec(), "Running", of(RUNNING, ready=True), conditions=known)
    assert found["Ready"]["lastTransitionTime"] == "then"
    assert found["ContainersReady"]["lastTransitionTime"] != "then"
    assert found["example.com/own"] == known[1]


def test_readiness_gates() -> None:
    gated = {**spec(), "readinessGates": [{"conditionType": "example.com/own"}]}
    found = conditions(gated, "Running", of(RUNNING, ready=True))
    assert found["Ready"]["reason"] == "ReadinessGatesNotReady"
    assert (
        found["Ready"]["message"] == 'corresponding condition of pod readiness gate "example.com/own" does not exist.'
    )
    open_gate = [{"type": "example.com/own", "status": "True", "lastTransitionTime": "then"}]
    assert conditions(gated, "Running", of(RUNNING, ready=True), conditions=open_gate)["Ready"]["status"] == "True"
