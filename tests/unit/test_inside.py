"""What is shown of Envoy's own configuration and counters: taken from what the real admin port answers, cut to what matters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import inside, kubectl, proxy
from tcpshift_helpers.errors import NotFoundError

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

HOST = "tcp-echo.lesson.svc.cluster.local"
TCP_PROXY = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
    "stat_prefix": "tcp-echo.lesson",
    "idle_timeout": "0s",
    "weighted_clusters": {"clusters": [{"name": f"outbound|9000|v1|{HOST}", "weight": 80}]},
}
LISTENERS = {
    "configs": [
        {"name": "warming", "warming_state": {}},
        {
            "name": "0.0.0.0_31400",
            "active_state": {
                "listener": {
                    "address": {"socket_address": {"address": "127.0.0.2", "port_value": 31400}},
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "istio.stats", "typed_config": {}},
                                {"name": "envoy.filters.network.tcp_proxy", "typed_config": TCP_PROXY},
                            ]
                        }
                    ],
                }
            },
        },
    ]
}
STATS = {
    "stats": [
        {"name": f"cluster.outbound|9000|v1|{HOST};.upstream_cx_total", "value": 150},
        {"name": f"cluster.outbound|9000|v2|{HOST};.upstream_cx_total", "value": 0},
        {"histograms": {}},
    ]
}


@pytest.fixture
def envoy(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A gateway pod whose Envoy answers with the recorded texts; the paths that it was asked for."""
    asked: list[str] = []

    def answer(_cluster: Cluster, _namespace: str, _pod: str, path: str) -> Any:
        asked.append(path)
        return STATS if path.startswith("stats") else LISTENERS

    monkeypatch.setattr(inside, "_pod", lambda _: "istio-ingressgateway-1")
    monkeypatch.setattr(proxy, "ask", answer)
    return asked


@pytest.mark.usefixtures("envoy")
def test_of_the_listener_that_is_shown_which_says_where_connections_go(cluster: Cluster) -> None:
    assert inside.listener(cluster) == {
        "name": "0.0.0.0_31400",
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.tcp_proxy",
                        "stat_prefix": "tcp-echo.lesson",
                        "weighted_clusters": TCP_PROXY["weighted_clusters"],
                    }
                ]
            }
        ],
    }


@pytest.mark.usefixtures("envoy")
def test_a_port_that_nobody_opened_is_said(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match="Envoy does not listen at port 31401"):
        inside.listener(cluster, 31401)


def test_connections_are_counted_by_cluster_and_those_without_any_left_out(cluster: Cluster, envoy: list[str]) -> None:
    frame = inside.connections(cluster)
    assert frame["connections"].to_dict() == {f"outbound|9000|v1|{HOST}": 150}
    assert str(frame["connections"].dtype) == "int64"
    assert envoy == ["stats?format=json&filter=^cluster\\.outbound.*upstream_cx_total$"]


def test_without_a_gateway_it_says_where_to_look(cluster: Cluster) -> None:
    kubectl.create_namespace(cluster, "istio-system")
    with pytest.raises(NotFoundError, match="no pod of the ingress gateway runs"):
        inside.listener(cluster)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    bundles: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))
    return bundles


def test_lines_that_differ_are_marked_by_a_sign_and_not_by_colour_alone(shown: list[dict[str, str]]) -> None:
    inside.side_by_side({"a": 1, "b": "<x>"}, {"a": 1, "b": 2, "c": 3}, "before", "after")
    (bundle,) = shown
    assert bundle["text/plain"].splitlines() == [
        "--- before",
        "+++ after",
        "@@ -1,2 +1,3 @@",
        " a: 1",
        "-b: <x>",
        "+b: 2",
        "+c: 3",
    ]
    rows = bundle["text/html"].split("<tr>")[2:]
    assert [row.count("▸") for row in rows] == [0, 2, 1]
    assert [row.count("border-left") for row in rows] == [0, 2, 1]
    assert "b: &lt;x&gt;" in rows[1]


def test_two_kinds_of_things_are_shown_without_marks(shown: list[dict[str, str]]) -> None:
    inside.side_by_side({"a": 1}, {"b": 2, "c": 3}, "one", "other", compare=False)
    (bundle,) = shown
    assert bundle["text/plain"] == "one:\na: 1\n\nother:\nb: 2\nc: 3"
    assert "▸" not in bundle["text/html"]
