"""Preflight of the target: each failure with its cause, what to do, and where others met the same; and lessons that need a port."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, kubectl, preflight, public_threads
from tcpshift_helpers.errors import ProfileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster

    Captured = pytest.CaptureFixture[str]

SYSTEM = "istio-system"
HTTP = {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"}
TCP = {"name": "tcp", "port": 31400, "targetPort": 31400, "protocol": "TCP"}


@pytest.fixture
def system(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with a namespace for Istio, from which whatever a test puts there is removed."""
    kubectl.create_namespace(cluster, SYSTEM)
    yield cluster
    for kind in ("pods", "services"):
        for obj in cluster.list(cluster.api.resource_named(kind), SYSTEM):
            kubectl.delete(cluster, kind, obj["metadata"]["name"], namespace=SYSTEM)


def make_gateway(cluster: Cluster, *ports: dict[str, Any]) -> None:
    metadata = {"name": "istio-ingressgateway", "namespace": SYSTEM}
    kubectl.apply(cluster, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [*ports]}})


def make_pod(cluster: Cluster, name: str, key: str, value: str) -> None:
    metadata = {"name": name, "namespace": SYSTEM, "labels": {key: value}}
    spec = {"containers": [{"name": "a", "image": "x"}]}
    kubectl.apply(cluster, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def failures(cluster: Cluster) -> dict[str, preflight.Failure]:
    return course.preflight(cluster).failures


def test_every_thread_is_an_address_that_can_be_opened() -> None:
    named = [getattr(public_threads, name) for name in dir(public_threads) if name.isupper() and name[0] != "_"]
    addresses = [address for threads in named for address in threads]
    pattern = r"https://github\.com/(istio/istio|istio/istio\.io|kubernetes/kubernetes)/(issues|pull)/\d+"
    assert len(addresses) >= 10
    assert [address for address in addresses if not re.fullmatch(pattern, address)] == []


def test_a_cluster_without_istio(system: Cluster, capsys: Captured) -> None:
    failures(system)
    out = capsys.readouterr().out
    told = [
        "FAIL istiod is ready",
        "  because no pod app=istiod in istio-system",
        "  do: install Istio: https://istio.io/latest/docs/setup/getting-started/ (istioctl install --set profile=demo), "
        "or use the sandbox",
        "FAIL the ingress gateway is ready",
        "  because no pod istio=ingressgateway in istio-system",
        "  do: istioctl install --set profile=demo adds one",
    ]
    assert "\n".join(told) in out


def test_pods_that_are_not_ready(system: Cluster, capsys: Captured) -> None:
    make_pod(system, "istiod-1", "app", "istiod")
    make_pod(system, "gateway-1", "istio", "ingressgateway")
    found = failures(system)
    for title, threads in (
        ("istiod is ready", public_threads.ISTIOD_NOT_READY),
        ("the ingress gateway is ready", public_threads.GATEWAY_NOT_READY),
    ):
        assert found[title].because.endswith("-1: Pending")
        assert found[title].do == "kubectl -n istio-system get pods; wait, or look at its log"
        assert found[title].threads == threads
    assert "\n  others met this: https://github.com/istio/istio/issues/27974\n" in capsys.readouterr().out


def test_kinds_that_the_cluster_does_not_know(system: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    served = [one for one in system.api.resources() if one.plural != "virtualservices"]
    monkeypatch.setattr(type(system.api), "resources", lambda self, *, refresh=False: served)
    found = failures(system)["Istio's kinds are known"]
    assert found.because == "the API server does not know virtualservices"
    assert found.threads == public_threads.NO_KINDS


def test_a_gateway_without_the_port_is_told_once_with_the_command_that_adds_it(system: Cluster) -> None:
    make_gateway(system, HTTP)
    found = failures(system)['the gateway has a port named "tcp"']
    assert found.because == (
        'Service istio-system/istio-ingressgateway has no port named "tcp"; it has http2 80. '
        "Only Istio's demo profile exposes 31400."
    )
    assert found.do.startswith(
        "Add it with: kubectl -n istio-system patch service istio-ingressgateway --type=json -p "
    )
    assert found.threads == public_threads.NO_TCP_PORT


def test_a_namespace_that_is_being_deleted(system: Cluster) -> None:
    system.api.request("DELETE", system.api.resource_named("namespaces").path(None, system.namespace))
    found = failures(system)["the namespace of the lesson can be used"]
    assert (found.because, found.threads) == ("it is being deleted", public_threads.NAMESPACE_STAYS)


def test_the_gateway_api_is_missing(system: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    served = [one for one in system.api.resources() if "gateway.networking.k8s.io" not in one.group]
    monkeypatch.setattr(type(system.api), "resources", lambda self, *, refresh=False: served)
    found = course.preflight(system, "tcproute/tcp-echo").failures["the Gateway API's kinds are known"]
    assert found.threads == public_threads.NO_GATEWAY_API


LEADS_ELSEWHERE = {**TCP, "targetPort": 8081}


@pytest.mark.parametrize("lesson", ["02", "03", "04", "05", "06", "07", "09", "10"])
def test_a_lesson_that_needs_the_port_says_so_before_it_changes_anything(
    system: Cluster, lesson: str, capsys: Captured
) -> None:
    make_gateway(system, HTTP)
    capsys.readouterr()
    with pytest.raises(ProfileError) as caught:
        course.begin(system, lesson)
    what, do, threads = str(caught.value).splitlines()
    assert what.startswith('Service istio-system/istio-ingressgateway has no port named "tcp"; it has http2 80. Only')
    assert threads == f"Others met this: {' '.join(public_threads.NO_TCP_PORT)}"
    assert capsys.readouterr().out == ""
    assert system.list(system.api.resource_named("deployments.apps")) == []
    # What it says to do mends it.
    command = re.search(r"patch service (\S+) --type=json -p '(.*)'", do)
    assert command is not None
    kubectl.patch(system, "service", command[1], json.loads(command[2]), namespace=SYSTEM, patch_type="json")
    assert 'the gateway has a port named "tcp"' not in failures(system)


def test_a_port_of_that_name_that_leads_elsewhere_is_no_better(system: Cluster) -> None:
    make_gateway(system, HTTP, LEADS_ELSEWHERE)
    with pytest.raises(ProfileError) as caught:
        course.begin(system, "03")
    what, do = str(caught.value).splitlines()
    assert what == (
        'The port named "tcp" of Service istio-system/istio-ingressgateway leads to port 8081 of the gateway; '
        "the lessons open 31400."
    )
    command = re.search(r"patch service (\S+) --type=json -p '(.*)'", do)
    assert command is not None
    kubectl.patch(system, "service", command[1], json.loads(command[2]), namespace=SYSTEM, patch_type="json")
    assert 'the gateway has a port named "tcp"' not in failures(system)


def test_another_way_in_needs_no_such_port(system: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    class BegunError(Exception):
        """The lesson went on."""

    def go_on(_cluster: Cluster) -> None:
        raise BegunError

    monkeypatch.setattr(course, "_ensure_namespace", go_on)
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", "31400")
    make_gateway(system, HTTP)
    with pytest.raises(BegunError):
        course.begin(system, "03")
    monkeypatch.delenv("INGRESS_HOST")
    with pytest.raises(ProfileError):
        course.begin(system, "03")
    # A gateway of its own, and none to clean up after.
    for lesson in ("08", "11"):
        with pytest.raises(BegunError):
            course.begin(system, lesson)
