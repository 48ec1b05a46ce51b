"""The weight panel on a real Envoy: the last value wins, what is counted belongs to it, and others' changes are followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, istio, kubectl, widgets
from tcpshift_helpers.widgets import weight_panel

from .conftest import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

    from .conftest import Page

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]


@pytest.fixture
def shifted(sandbox: Cluster) -> Cluster:
    """The sandbox with one connection in five going to v2."""
    course.begin(sandbox, "04")
    return sandbox


def is_in_force(percent: int) -> Callable[[dict[str, Any]], bool]:
    return lambda state: state["in_force"] and round(state["set_percent"]) == percent


def test_twenty_clicks_end_with_the_last_value_in_force_and_little_work(
    shifted: Cluster, page: Callable[..., Page], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    shown = page(widgets.weights(shifted))
    shown.say("hello")
    for percent in range(1, 21):
        shown.say("apply", percent=percent)
    shown.say("apply", percent=100)
    state = shown.wait_for(is_in_force(100))
    assert istio.weights(shifted) == {"v1": 0, "v2": 100}
    assert state["trouble"] == ""
    assert "v2 100%: in force after" in state["history"][0]
    # What was overtaken was left out, but for one or two that had begun.
    assert len(state["history"]) < 10
    shown.wait_for(lambda state: state["word"] == "PASS" and state["interval"][1] == 100)
    assert capsys.readouterr().out == ""


def test_what_is_observed_stands_beside_what_is_set(shifted: Cluster, page: Callable[..., Page]) -> None:
    panel = widgets.weights(shifted)
    assert panel._repr_mimebundle_() == ({"text/plain": "Set: v1 80, v2 20. Observed: nothing yet."}, {})
    shown = page(panel)
    assert threads() == []
    shown.say("hello")
    state = shown.wait_for(lambda state: state["interval"])
    low, observed, high = state["interval"]
    assert low <= observed <= high
    assert state["observed"].startswith("Observed: ")
    assert state["set"] == "Set: v1 80, v2 20."
    shown.say("again")
    shown.wait_for(lambda state: not state["interval"] or state["interval"][2] > high)


def test_a_change_made_elsewhere_is_followed(shifted: Cluster, page: Callable[..., Page]) -> None:
    shown = page(widgets.weights(shifted))
    shown.say("hello")
    shown.wait_for(is_in_force(20))
    istio.set_weights(shifted, "tcp-echo", {"v1": 50, "v2": 50})
    state = shown.wait_for(is_in_force(50))
    assert "v2 50%: changed elsewhere" in shown.wait_for(lambda state: state["history"])["history"][0]
    assert state["trouble"] == ""


def test_what_goes_wrong_is_said_and_over_when_it_is(shifted: Cluster, page: Callable[..., Page]) -> None:
    shown = page(widgets.weights(shifted))
    shown.say("hello")
    kubectl.delete(shifted, "virtualservice", "tcp-echo")
    missing = shown.wait_for(lambda state: state["trouble"])
    assert 'virtualservices.networking.istio.io "tcp-echo" not found' in missing["trouble"]
    shown.say("apply", percent=40)
    assert "v2 40%: not done" in shown.wait_for(lambda state: state["history"])["history"][0]
    kubectl.apply(shifted, "tcp-echo-20-v2.yaml")
    shown.say("apply", percent=30)
    shown.wait_for(lambda state: is_in_force(30)(state) and not state["trouble"])


def test_probes_end_when_there_are_enough_and_begin_again_when_asked(
    shifted: Cluster, page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_panel, "_ENOUGH", 5)
    shown = page(widgets.weights(shifted))
    shown.say("hello")
    enough = shown.wait_for(lambda state: "That is enough" in state["observed"])
    shown.wait_for(lambda state: "tcpshift-probe-stream" not in threads())
    shown.say("again")
    shown.wait_for(lambda state: not state["interval"])
    again = shown.wait_for(lambda state: "That is enough" in state["observed"])
    shown.say("apply", percent=100)
    shown.wait_for(lambda state: is_in_force(100)(state) and "That is enough" in state["observed"])
    assert (enough["trouble"], again["trouble"]) == ("", "")


@pytest.mark.parametrize("there", [{"v1": 100}, {"v2": 1}, {"v1": 80, "v2": 20}])
def test_the_split_takes_the_names_of_the_route(there: dict[str, int]) -> None:
    assert weight_panel._split(there, 30) == {"v1": 70, "v2": 30}
    services = {f"tcp-echo-{name}": weight for name, weight in there.items()}
    assert weight_panel._split(services, 30) == {"tcp-echo-v1": 70, "tcp-echo-v2": 30}
