"""TCPRoute as the helpers see it: its weights, the patch for new ones, what its status says, and what Envoy should have.

What a route wants and what its status means is held against everything that was recorded of a real istiod and Envoy; the
rest runs on an API server where no istiod helps or hides anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tcpshift_helpers import istio, kubectl, routes
from tcpshift_helpers.api import Resource
from tcpshift_helpers.errors import InvalidError, NotFoundError, ProfileError, UsageError
from tcpshift_helpers.routes import TcpRoute, VirtualService, splits

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
GROUP = "gateway.networking.k8s.io"
ROUTE = "tcproute/tcp-echo"
RECORDED = json.loads(
    (Path(__file__).parent / "sandbox" / "mesh" / "recorded" / "gateway_api.json").read_text(encoding="utf-8")
)
CASES = {case["case"]: case for case in RECORDED["cases"]}

# What comes of the routes of a case. All others are in force.
DENIED = "NotAllowedByListeners"
NOT_GRANTED = "RefNotPermitted"
OUTCOMES = {
    "Gateway with a route, pod pending": ["not in force"],
    "route without Gateway": ["no Gateway"],
    "unknown backend": ["BackendNotFound"],
    "one backend unknown": ["BackendNotFound"],
    "two unknown backends: the last is told": ["BackendNotFound"],
    "backend of another kind": ["InvalidKind"],
    "backend of another kind beside v1": ["InvalidKind"],
    "backend named by its host": ["InvalidDestination"],
    "backend in another namespace, no grant": [NOT_GRANTED],
    "backends here and in another namespace, no grant": [NOT_GRANTED],
    "granted for another name": [NOT_GRANTED],
    "granted to another namespace": [NOT_GRANTED],
    "granted to another kind": [NOT_GRANTED],
    "granted from the wrong side": [NOT_GRANTED],
    "unknown backend in another namespace, granted": ["BackendNotFound"],
    "unknown backend in another namespace, no grant": [NOT_GRANTED],
    "parent by another port": ["NoMatchingParent"],
    "parent by another section": ["NoMatchingParent"],
    "unknown parent": ["no Gateway"],
    "parent of another kind": ["no Gateway"],
    "no parent": ["no Gateway"],
    "route to a Service as parent: the mesh": ["no Gateway"],
    "route in another namespace, listener for its own": [DENIED],
    "route in another namespace, listener by another label": [DENIED],
    "listener allows another kind": [DENIED],
    "listener UDP": [DENIED],
    "listener tcp in small letters": [DENIED],
    "listener of a protocol of its own": [DENIED],
    # Wanted at both listeners, for the route does not say which of them lets it in.
    "two listeners, one is denied": ["not in force"],
    # Both are accepted, but only the older one decides.
    "two routes to one listener: the older": ["not in force", "in force"],
    "two routes, the older has an unknown backend": ["not in force", "BackendNotFound"],
    "unknown class": ["no answer"],
    "class istio-remote": ["no answer"],
    "class of another controller": ["no answer"],
    "Gateway on a Service that is not there": ["not in force"],
    "Gateway on a Service of another namespace": ["not in force"],
    "Gateway on a port that the existing Service has not": ["not in force"],
    "Gateway with a named address": ["no answer"],
}


def resource(kind: str = "TCPRoute") -> Resource:
    return Resource(GROUP, "v1", kind, f"{kind.lower()}s", (), True)


def routes_of(case: dict[str, Any]) -> list[TcpRoute]:
    """The TCPRoutes of a recorded case, with the statuses that istiod wrote, on a cluster that has its Gateways."""
    objects = [*RECORDED["base"], *case["objects"]]
    known = {
        (obj["kind"], obj["metadata"]["namespace"], obj["metadata"]["name"]): obj
        for obj in objects
        if obj["kind"] == "Service" or (obj["kind"] == "Gateway" and obj["apiVersion"].startswith(GROUP))
    }
    kinds = {f"gateways.{GROUP}": resource("Gateway"), "services": Resource("", "v1", "Service", "services", (), True)}
    cluster = SimpleNamespace(
        namespace="default",
        api=SimpleNamespace(resource_named=kinds.__getitem__),
        read_or_none=lambda kind, name, namespace: known.get((kind.kind, namespace, name)),
    )
    found = [obj for obj in objects if obj["kind"] == "TCPRoute"]
    told = {key.removeprefix("TCPRoute/"): status for key, status in case["statuses"].items()}
    return [
        TcpRoute(
            cast("Cluster", cluster),
            resource(),
            {**obj, "status": told.get(f"{obj['metadata']['namespace']}/{obj['metadata']['name']}", {})},
        )
        for obj in found
    ]


def config_dump(case: dict[str, Any]) -> dict[str, Any]:
    listeners = [
        {
            "address": {"socket_address": {"port_value": listener["port"]}},
            "filter_chains": [{"filters": filters} for filters in listener["filter_chains"]],
        }
        for listener in case.get("listeners", {}).values()
    ]
    return {"configs": [{"dynamic_listeners": [{"active_state": {"listener": one}} for one in listeners]}]}


def outcome(route: TcpRoute, case: dict[str, Any]) -> str:
    try:
        told = route.statuses()[-1].judge(route.obj)
    except (NotFoundError, UsageError):
        return "no Gateway"
    if not told.answer:
        return told.reason if told.answer is False else "no answer"
    seen = splits.splits_in_force(config_dump(case))
    wanted = [item for one in route.served() for item in one.splits.items()]
    return "in force" if wanted and all(splits.has_split(seen, *item) for item in wanted) else "not in force"


@pytest.mark.parametrize("name", CASES)
def test_what_it_wants_is_what_istiod_makes_of_it(name: str) -> None:
    found = routes_of(CASES[name])
    assert [outcome(route, CASES[name]) for route in found] == OUTCOMES.get(name, ["in force"] * len(found))


def test_a_missing_weight_is_1() -> None:
    """As the Gateway API says; an API server that has its definitions fills it in."""
    (route,) = routes_of(json.loads(json.dumps(CASES["80/20"])))
    for backend in route.obj["spec"]["rules"][0]["backendRefs"]:
        del backend["weight"]
    assert route.weights() == {"tcp-echo-v1": 1, "tcp-echo-v2": 1}
    (split,) = route.served()[0].splits.values()
    assert list(split.values()) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("case", "selectors"),
    [
        ("Gateway with an address of its own", [{"gateway.networking.k8s.io/gateway-name": "tcp-echo-gateway"}]),
        ("Gateway on an existing Service: not managed", [{"app": "existing"}]),
        ("Gateway on a Service that is not there", []),
    ],
)
def test_a_gateway_on_a_service_is_served_by_its_pods(case: str, selectors: list[dict[str, str]]) -> None:
    (route,) = routes_of(CASES[case])
    assert [served.selector for served in route.served()] == selectors


def test_each_gateway_has_its_own_pods() -> None:
    (route,) = routes_of(CASES["two listeners, two parents"])
    (served,) = route.served()
    assert served.selector == {"gateway.networking.k8s.io/gateway-name": "tcp-echo-gateway"}
    assert served.namespace == "default"
    assert set(served.splits) == {31400, 31401}


@pytest.mark.parametrize("mistake", ["another generation", "another controller", "another section"])
def test_a_status_counts_for_this_generation_controller_and_parent_alone(mistake: str) -> None:
    (route,) = routes_of(json.loads(json.dumps(CASES["80/20"])))
    assert route.told().answer is True
    (entry,) = route.obj["status"]["parents"]
    if mistake == "another generation":
        route.obj["metadata"]["generation"] += 1
    elif mistake == "another controller":
        entry["controllerName"] = "example.com/controller"
    else:
        entry["parentRef"]["sectionName"] = "other"
    assert route.told().answer is None


def test_what_envoy_refused_is_a_no_whatever_istiod_said() -> None:
    (route,) = routes_of(json.loads(json.dumps(CASES["80/20"])))
    refused = {
        "type": "Reconciled",
        "status": "False",
        "observedGeneration": 1,
        "reason": "ConfigRejected",
        "message": "no",
    }
    route.obj["status"]["parents"][0]["conditions"].append(refused)
    assert route.told() == (False, "ConfigRejected", "no")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("tcp-echo", VirtualService),
        ("vs/tcp-echo", VirtualService),
        ("virtualservices.networking.istio.io/tcp-echo", VirtualService),
        ("TCPRoute/tcp-echo", TcpRoute),
        ("tcproutes/tcp-echo", TcpRoute),
        ("tcproute.gateway.networking.k8s.io/tcp-echo", TcpRoute),
    ],
)
def test_a_route_is_named_as_kubectl_would(word: str, kind: type) -> None:
    assert routes.kind_of(word) == (kind, "tcp-echo")


@pytest.mark.parametrize("word", ["deployment/tcp-echo", "tcproute.example.com/tcp-echo", "gtw/tcp-echo-gateway"])
def test_what_is_no_route_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=rf"^{word} is no route of TCP connections\. Write tcp-echo for"):
        routes.kind_of(word)


def to(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 9000, **more, **({} if weight is None else {"weight": weight})}


def route_to(cluster: Cluster, *backends: dict[str, Any], version: str = "v1") -> None:
    """Make the TCPRoute have these backends."""
    spec = {"parentRefs": [{"name": "tcp-echo-gateway"}], "rules": [{"backendRefs": list(backends)}]}
    metadata = {"name": "tcp-echo"}
    kubectl.apply(cluster, {"apiVersion": f"{GROUP}/{version}", "kind": "TCPRoute", "metadata": metadata, "spec": spec})


def backends_of(cluster: Cluster) -> Any:
    found = cluster.read(cluster.api.resource_named(f"tcproutes.{GROUP}"), "tcp-echo")
    return found["spec"]["rules"][0]["backendRefs"]


@pytest.mark.parametrize(
    ("backends", "weights"),
    [
        ([to("tcp-echo-v1")], {"tcp-echo-v1": 1}),
        ([to("tcp-echo-v2", 20), to("tcp-echo-v1", 80)], {"tcp-echo-v2": 20, "tcp-echo-v1": 80}),
        ([to("tcp-echo-v1", 3), to("tcp-echo-v2")], {"tcp-echo-v1": 3, "tcp-echo-v2": 1}),
        ([to("tcp-echo-v1", 0), to("tcp-echo-v2", 0)], {"tcp-echo-v1": 0, "tcp-echo-v2": 0}),
        ([to("tcp-echo-v1", 2), to("tcp-echo-v2", 1), to("tcp-echo-v1", 3)], {"tcp-echo-v1": 5, "tcp-echo-v2": 1}),
    ],
)
def test_weights_are_those_of_the_backends_as_written(
    cluster: Cluster, backends: list[dict[str, Any]], weights: dict[str, int]
) -> None:
    route_to(cluster, *backends)
    found = istio.weights(cluster, ROUTE)
    assert list(found.items()) == list(weights.items())


def test_a_route_of_the_older_version_is_the_same_route(cluster: Cluster) -> None:
    route_to(cluster, to("tcp-echo-v1", 80), to("tcp-echo-v2", 20), version="v1alpha2")
    assert istio.weights(cluster, ROUTE) == {"tcp-echo-v1": 80, "tcp-echo-v2": 20}


def test_weights_that_cannot_be_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError) as caught:
        istio.weights(cluster, ROUTE)
    assert str(caught.value).splitlines() == [
        'Error from server (NotFound): tcproutes.gateway.networking.k8s.io "tcp-echo" not found',
        'Apply one first, for instance: kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")',
    ]
    # Plain names stay those of VirtualServices.
    route_to(cluster, to("tcp-echo-v1"))
    with pytest.raises(NotFoundError, match="virtualservices"):
        istio.weights(cluster, "tcp-echo")

    def unknown(word: str) -> None:
        raise NotFoundError(404, "NotFound", f"the server doesn't have a resource type {word}")

    monkeypatch.setattr(cluster.api, "resource_named", unknown)
    with pytest.raises(ProfileError) as missing:
        istio.weights(cluster, ROUTE)
    words = str(missing.value)
    assert words.startswith("This cluster does not know TCPRoute: the definitions of the Gateway API are not installed")
    assert "standard channel, which has TCPRoute only since version 1.6" in words
    assert "\nInstall the experimental channel with: kubectl apply --server-side -f https://" in words
    assert "PILOT_ENABLE_ALPHA_GATEWAY_API=true" in words


def test_set_weights_states_the_whole_split_and_prints_what_it_stands_for(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
    capsys.readouterr()
    for new in (
        {"tcp-echo-v1": 80, "tcp-echo-v2": 20},
        {"tcp-echo-v2": 1_000_000},
        {"tcp-echo-v1": 1, "tcp-echo-v2": 0},
    ):
        istio.set_weights(cluster, ROUTE, new)
        assert list(istio.weights(cluster, ROUTE).items()) == list(new.items())
        command, result = capsys.readouterr().out.splitlines()
        start = f"$ kubectl -n {cluster.namespace} patch tcproute tcp-echo --type=json -p "
        assert command.startswith(start)
        (patch,) = json.loads(command.removeprefix(start).strip("'"))
        value = [to(*one) for one in new.items()]
        assert patch == {"op": "replace", "path": "/spec/rules/0/backendRefs", "value": value}
        assert result == "tcproute.gateway.networking.k8s.io/tcp-echo patched"


def test_backends_that_were_there_keep_their_references(cluster: Cluster) -> None:
    kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
    host = {"group": "networking.istio.io", "kind": "Hostname", "name": "tcp-echo.example"}
    # Of two references to one Service the first is kept.
    route_to(cluster, {**host, "port": 9001}, to("tcp-echo-v1", port=9001), to("tcp-echo-v1", port=9002))
    istio.set_weights(cluster, ROUTE, {"tcp-echo-v2": 1, "tcp-echo.example": 2, "tcp-echo-v1": 3})
    service = {"group": "", "kind": "Service", "port": 9001}
    assert backends_of(cluster) == [
        {**service, "name": "tcp-echo-v2", "weight": 1},
        {**host, "port": 9001, "weight": 2},
        {**service, "name": "tcp-echo-v1", "weight": 3},
    ]


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({}, r'^No weights were given. Write for instance \{"tcp-echo-v1": 80, "tcp-echo-v2": 20\}\.$'),
        ({"tcp-echo-v1": -1, "tcp-echo-v2": 101}, r"^The weight of tcp-echo-v1 is -1 < 0"),
        ({"tcp-echo-v1": 1_000_001}, r"^The weight of tcp-echo-v1 is 1000001 > 1000000, the largest there is"),
        (
            {"tcp-echo-v1": 0, "tcp-echo-v2": 0},
            r"^With every weight 0 the gateway would accept connections and cut each",
        ),
        ({"tcp-echo-v1": 79.5}, r"^The weight of tcp-echo-v1 is 79\.5: weights are whole numbers"),
        ({"tcp-echo-v1": True}, r"^The weight of tcp-echo-v1 is True: weights are whole numbers"),
        (
            {"tcp-echo-v1": 80, "v2": 20},
            r"^There is no Service v2 in test-\w+\. Services there: tcp-echo-v1, tcp-echo-v2\. Create it first, or",
        ),
    ],
)
def test_set_weights_refuses_what_cannot_be_meant_and_changes_nothing(cluster: Cluster, new: Any, message: str) -> None:
    kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
    before = backends_of(cluster)
    with pytest.raises(UsageError, match=message) as caught:
        istio.set_weights(cluster, ROUTE, new)
    assert not new or "othing was changed." in str(caught.value)
    assert backends_of(cluster) == before


@pytest.mark.parametrize("weight", [-1, 1_000_001])
def test_the_bounds_are_the_api_servers(cluster: Cluster, weight: int) -> None:
    with pytest.raises(InvalidError, match=r"spec\.rules\[0\]\.backendRefs\[0\]\.weight"):
        route_to(cluster, to("tcp-echo-v1", weight))


def test_a_backend_whose_service_has_gone_is_refused(cluster: Cluster) -> None:
    kubectl.apply(cluster, "gateway-api/tcp-echo-20-v2.yaml")
    with pytest.raises(UsageError, match=r"no Service tcp-echo-v1, tcp-echo-v2 in .*\. Services there: none\."):
        istio.set_weights(cluster, ROUTE, {"tcp-echo-v1": 1, "tcp-echo-v2": 1})
