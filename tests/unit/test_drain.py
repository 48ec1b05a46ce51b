"""The ingress gateway's drain time, set through a Deployment's annotation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tcpshift_helpers import drain, kubectl, steps
from tcpshift_helpers.errors import ProfileError, UsageError, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster

    Captured = pytest.CaptureFixture[str]


def gateway(**annotations: str) -> dict[str, Any]:
    labels = {"istio": "ingressgateway"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]},
            },
        },
    }


@pytest.fixture
def rolls_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """There are no controllers here: who asks for the rollout's end is written down, and told that it has come."""
    asked: list[str] = []
    monkeypatch.setattr(kubectl, "rollout_status", lambda cluster, name, **_: asked.append(name))
    return asked


@pytest.fixture
def system(cluster: Cluster, capsys: Captured) -> Iterator[Cluster]:
    kubectl.create_namespace(cluster, "istio-system")
    kubectl.apply(cluster, gateway(other="stays"))
    capsys.readouterr()
    yield cluster
    kubectl.delete(cluster, "deployment", "istio-ingressgateway", namespace="istio-system")


def annotations(cluster: Cluster) -> dict[str, str]:
    found = cluster.read(cluster.api.resource_named("deployments"), "istio-ingressgateway", "istio-system")
    return dict(found["spec"]["template"]["metadata"].get("annotations") or {})


@pytest.mark.usefixtures("rolls_out")
def test_the_lesson_s_drain_time_and_the_default_are_steps(system: Cluster) -> None:
    def problem(name: str) -> tuple[str, str] | None:
        found = steps.CHECKS[name][1](system)
        return (found.because, found.do) if found else None

    why = "the gateway closes old connections after {} s"
    assert problem("drain-default") is None
    assert problem("drain-short") == (why.format(45), "drain.set_drain_time(cluster, 5)")
    drain.set_drain_time(system, 5)
    assert problem("drain-short") is None
    assert problem("drain-default") == (why.format(5), "drain.set_drain_time(cluster, None)")


def test_sets_it_waits_and_takes_it_back(system: Cluster, rolls_out: list[str], capsys: Captured) -> None:
    assert drain.drain_time_seconds(system) == 45
    drain.set_drain_time(system, 5)
    assert yaml.safe_load(annotations(system)["proxy.istio.io/config"]) == {"drainDuration": "5s"}
    assert drain.drain_time_seconds(system) == 5
    command, result = capsys.readouterr().out.splitlines()
    assert command.startswith("$ kubectl -n istio-system patch deployment istio-ingressgateway --type=merge -p '{")
    assert result == "deployment.apps/istio-ingressgateway patched"
    drain.set_drain_time(system, None)
    assert annotations(system) == {"other": "stays"}
    assert rolls_out == ["istio-ingressgateway"] * 2


def test_does_nothing_when_it_is_so_already(system: Cluster, rolls_out: list[str], capsys: Captured) -> None:
    drain.set_drain_time(system, None)
    assert capsys.readouterr().out == "The drain time is 45 s already.\n"
    assert rolls_out == []


def test_other_settings_of_the_proxy_stay(system: Cluster, rolls_out: list[str]) -> None:
    kubectl.apply(system, gateway(**{"proxy.istio.io/config": "concurrency: 2\ndrainDuration: 9s"}))
    assert drain.drain_time_seconds(system) == 9
    drain.set_drain_time(system, 5)
    assert json.loads(annotations(system)["proxy.istio.io/config"]) == {"concurrency": 2, "drainDuration": "5s"}
    drain.set_drain_time(system, None)
    assert json.loads(annotations(system)["proxy.istio.io/config"]) == {"concurrency": 2}


@pytest.mark.parametrize("seconds", [0, -1, 1.5, True, "5"])
def test_a_drain_time_that_is_none_is_refused(system: Cluster, seconds: Any, capsys: Captured) -> None:
    with pytest.raises(UsageError, match="a whole number, 1 or more, is needed"):
        drain.set_drain_time(system, seconds)
    assert not capsys.readouterr().out


def test_without_a_gateway_it_says_how_to_add_one(cluster: Cluster) -> None:
    with pytest.raises(ProfileError, match="installed without an ingress gateway"):
        drain.set_drain_time(cluster, 5)


def test_rollout_status_says_what_is_missing(system: Cluster) -> None:
    with pytest.raises(WaitTimeoutError, match="waiting for deployment spec update to be observed"):
        kubectl.rollout_status(system, "istio-ingressgateway", namespace="istio-system", timeout_seconds=0.2)


def test_what_the_course_set_is_taken_back_and_what_others_set_stays(
    system: Cluster, rolls_out: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "wait_until", lambda *_, **__: None)  # there are no controllers here
    kubectl.apply(system, gateway(**{"proxy.istio.io/config": "drainDuration: 9s"}))
    capsys.readouterr()
    drain.take_back(system)
    assert drain.drain_time_seconds(system) == 9
    drain.set_drain_time(system, 5)
    capsys.readouterr()
    drain.take_back(system)
    assert drain.drain_time_seconds(system) == 45
    assert capsys.readouterr().out == ""


def test_taking_back_where_there_is_no_gateway_is_no_matter(cluster: Cluster) -> None:
    drain.take_back(cluster)


def test_it_waits_until_the_old_pods_are_gone_and_the_new_ones_take_connections(
    system: Cluster, rolls_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([True, False, False, True])  # before, and then each time that the old pods are gone
    listed = iter([[{"metadata": {"deletionTimestamp": "now"}}], *[[{"metadata": {}}]] * 3])
    monkeypatch.setattr(drain, "_is_open", lambda _: next(moments))
    monkeypatch.setattr(type(system), "list", lambda *_, **__: next(listed))
    drain.set_drain_time(system, 5)
    assert next(moments, None) is None
    assert next(listed, None) is None


def test_it_does_not_wait_for_connections_where_there_were_none(system: Cluster, rolls_out: list[str]) -> None:
    drain.set_drain_time(system, 5)
    assert rolls_out == ["istio-ingressgateway"]
