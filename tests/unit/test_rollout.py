"""Stages and their gates: what is set, when it is taken back, and to what. Probes are stood in for, the API server is real."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import istio, kubectl, netcat, rollout
from tcpshift_helpers.errors import NotFoundError, UsageError
from tcpshift_helpers.ingress import Ingress
from tcpshift_helpers.judgement import FAIL, PASS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.connection import Cluster


@pytest.fixture
def traffic(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Connections that go as the weights on the API server say; those to v2 fail while it is broken."""
    state = {"v2 is broken": False}

    def probe(_host: str, _port: int, count: int, **_: Any) -> Any:
        to_v2 = round(count * istio.weights(cluster).get("v2", 0) / 100)
        answers = ["one x"] * (count - to_v2) + ([] if state["v2 is broken"] else ["two x"] * to_v2)
        return netcat.frame_of_lines(answers, count, "closed without answer")

    monkeypatch.setattr(netcat, "probe", probe)
    monkeypatch.setattr(rollout, "wait_in_force", lambda *_, **__: None)
    monkeypatch.setattr(rollout.ingress, "find", lambda *_: (Ingress("127.0.0.1", 31400), []))
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    return state


def weights_of(stages: list[tuple[Mapping[str, int], Any]]) -> list[int]:
    return [weights.get("v2", 0) for weights, _ in stages]


@pytest.mark.usefixtures("traffic")
def test_each_stage_sets_its_weights_and_passes(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    stages = rollout.Rollout(cluster)
    for percent in (0, 20, 50, 100):
        assert stages.to(percent).word == PASS
        assert istio.weights(cluster).get("v2", 0) == percent
    assert weights_of(stages.stages) == [0, 20, 50, 100]
    assert capsys.readouterr().out.splitlines() == [f"{percent}% to v2: PASS" for percent in (0, 20, 50, 100)]


def test_a_stage_that_fails_is_taken_back_to_the_last_good_one(
    cluster: Cluster, traffic: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    stages = rollout.Rollout(cluster)
    stages.to(20)
    traffic["v2 is broken"] = True
    capsys.readouterr()
    assert stages.to(50).word == FAIL
    assert istio.weights(cluster) == {"v1": 80, "v2": 20}
    assert weights_of(stages.stages) == [20, 50, 20]
    assert capsys.readouterr().out == "50% to v2: FAIL; back to 20%\n"


def test_what_the_route_had_before_counts_as_good(cluster: Cluster, traffic: dict[str, bool]) -> None:
    traffic["v2 is broken"] = True
    rollout.Rollout(cluster).to(100)
    assert istio.weights(cluster) == {"v1": 100}


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("percent", [-1, 101, 20.0, True, "20"])
def test_what_is_no_share_is_refused_before_anything_is_set(cluster: Cluster, percent: Any) -> None:
    stages = rollout.Rollout(cluster)
    with pytest.raises(UsageError, match="a whole number from 0 to 100 is needed"):
        stages.to(percent)
    assert stages.stages == []
    assert istio.weights(cluster) == {"v1": 100}


def test_without_a_route_there_is_nothing_to_roll_out(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match='"tcp-echo" not found'):
        rollout.Rollout(cluster)
