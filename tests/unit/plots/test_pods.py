"""The picture of what runs: pods, containers, and which Service leads where."""

from __future__ import annotations

from typing import Any

from tcpshift_helpers import palette, plots

from .conftest import drawn, looks, texts


def pod(name: str, *containers: str, not_ready: str = "", proxy_first: bool = False, **labels: str) -> dict[str, Any]:
    statuses = [{"name": one, "ready": one != not_ready} for one in (*containers, "istio-proxy")]
    init = [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}] if proxy_first else []
    rest = [] if proxy_first else [{"name": "istio-proxy"}]
    return {
        "metadata": {"name": f"{name}-5d4f-x2x", "labels": labels},
        "spec": {"containers": [*({"name": one} for one in containers), *rest], "initContainers": init},
        "status": {"containerStatuses": statuses[:-1], "initContainerStatuses": statuses[-1:]},
    }


def service(name: str, **selector: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": selector}}


CURL = pod("curl", "curl", app="curl")
ONE = pod("tcp-echo-v1", "tcp-echo", app="tcp-echo", version="v1", proxy_first=True)
TWO = pod("tcp-echo-v2", "tcp-echo", app="tcp-echo", version="v2", not_ready="tcp-echo")


def test_each_pod_has_its_containers_and_each_service_a_line_to_its_pods() -> None:
    figure = plots.pods([TWO, CURL, ONE], [service("tcp-echo", app="tcp-echo"), service("other")])
    (axes,) = drawn(figure)
    words = texts(axes)
    assert [word for word in words if word.startswith("Pod ")] == ["Pod curl", "Pod tcp-echo v1", "Pod tcp-echo v2"]
    assert [word for word in words if not word.startswith(("Pod ", "Service"))] == [
        "curl",
        "istio-proxy",
        "tcp-echo",
        "istio-proxy",
        "tcp-echo\nnot ready",
        "istio-proxy",
    ]
    assert len(axes.lines) == 2
    # v1 in its colour; v2, which is not ready, in that of failures.
    assert (palette.LOOKS["one"].colour, "") in looks(axes)
    assert (palette.FAILURE.colour, palette.FAILURE.hatch.matplotlib) in looks(axes)
    assert palette.LOOKS["two"].colour not in {colour for colour, _hatch in looks(axes)}


def test_the_words_say_the_same_and_name_no_pod_by_its_passing_name() -> None:
    alt = plots.pods([CURL, ONE, TWO], [service("curl", app="curl"), service("tcp-echo", app="tcp-echo")]).alt
    assert alt == (
        "Service curl leads to 1 pod: curl. Service tcp-echo leads to 2 pods: tcp-echo v1, tcp-echo v2. Pod curl has 2 containers: curl, istio-proxy. "
        "Pod tcp-echo v1 has 2 containers: tcp-echo, istio-proxy. "
        "Pod tcp-echo v2 has 2 containers: tcp-echo (not ready), istio-proxy."
    )


def test_no_pods_are_a_picture_too() -> None:
    figure = plots.pods([], [])
    drawn(figure)
    assert figure.alt == "No pod runs: 0 pods."
