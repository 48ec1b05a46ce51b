"""Is this cluster ready for a lesson? Every condition, with cause, remedy and where others met the same.

It changes nothing: what it tries to write is a dry run, and it opens one connection to the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, ingress, netcat, routes
from tcpshift_helpers.errors import AlreadyExistsError, NotFoundError, TcpShiftError
from tcpshift_helpers.routes import TcpRoute
from tcpshift_helpers.routes.tcp_route import CLASS
from tcpshift_helpers.routes.tcp_route import GROUP as GATEWAY_API

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

_KINDS = ("gateways", "virtualservices", "destinationrules")
_INSTALL = "install Istio: https://istio.io/latest/docs/setup/getting-started/ (istioctl install --set profile=demo), or use the sandbox"


@dataclass(frozen=True)
class Failure:
    """Why the cluster is not ready: cause, remedy, and public threads about it."""

    because: str
    do: str
    threads: str = ""


@dataclass(frozen=True)
class Outcome:
    """What was found wrong, by title; true when nothing was."""

    failures: dict[str, Failure]

    def __bool__(self) -> bool:
        return not self.failures

    def _ipython_display_(self) -> None:
        """Nothing: it was printed already."""


def preflight(cluster: Cluster, route: str = "tcp-echo") -> Outcome:
    """Check everything a lesson needs, print a line for each, and say whether all is well.

    Nothing is raised for a failure: it is a line with its cause and remedy.

    Args:
        cluster: where.
        route: the lesson's route: a VirtualService's name, or `tcproute/NAME` for the Gateway API.

    Raises:
        UsageError: the word means no kind of route.
    """
    failures: dict[str, Failure] = {}
    kind, _ = routes.kind_of(route)
    for title, test in _GATEWAY_API_TESTS if kind is TcpRoute else _TESTS:
        try:
            failure = test(cluster)
        except TcpShiftError as error:
            failure = Failure(str(error), "mend that first, then run this again")
        print(_line(title, failure))
        if failure is not None:
            failures[title] = failure
    print(
        "Ready for the lesson."
        if not failures
        else "Not ready yet: mend the first line that says FAIL, then run this again."
    )
    return Outcome(failures)


def _line(title: str, failure: Failure | None) -> str:
    if failure is None:
        return f"PASS {title}"
    threads = f"\n  others met this: {failure.threads}" if failure.threads else ""
    because = failure.because.replace("\n", "\n    ")
    return f"FAIL {title}\n  because {because}\n  do: {failure.do}{threads}"


def _api(cluster: Cluster) -> Failure | None:
    cluster.api.request("GET", "/version")
    return None


def _kinds(cluster: Cluster) -> Failure | None:
    missing = []
    for plural in _KINDS:
        try:
            cluster.api.resource_named(f"{plural}.networking.istio.io")
        except NotFoundError:
            missing.append(plural)
    return Failure(f"the API server does not know {', '.join(missing)}", _INSTALL) if missing else None


def _istiod(cluster: Cluster) -> Failure | None:
    return _ready(cluster, "app=istiod", "istiod")


def _gateway(cluster: Cluster) -> Failure | None:
    return _ready(cluster, "istio=ingressgateway", "ingress gateway", threads="istio/istio.io#12464")


def _ready(cluster: Cluster, selector: str, what: str, threads: str = "") -> Failure | None:
    pods = cluster.list(cluster.api.resource_named("pods"), ingress.SYSTEM_NAMESPACE, selector=selector)
    if not pods:
        return Failure(
            f"no pod {selector} in {ingress.SYSTEM_NAMESPACE}",
            _INSTALL if what == "istiod" else "istioctl install --set profile=demo adds one",
        )
    if any(conditions.condition(pod, "Ready").get("status") == "True" for pod in pods):
        return None
    troubles = "; ".join(conditions.pod_troubles(pods)) or "no pod is Ready"
    return Failure(troubles, f"kubectl -n {ingress.SYSTEM_NAMESPACE} get pods; wait, or look at its log", threads)


def _port(cluster: Cluster) -> Failure | None:
    service = cluster.read_or_none(
        cluster.api.resource_named("services"), ingress.INGRESS_SERVICE, ingress.SYSTEM_NAMESPACE
    )
    if service is None:
        return Failure(
            f"there is no Service {ingress.SYSTEM_NAMESPACE}/{ingress.INGRESS_SERVICE}",
            "istioctl install --set profile=demo adds one",
        )
    try:
        ingress.tcp_port(service)
    except TcpShiftError as error:
        first, *rest = str(error).split("\n")
        return Failure(first, rest[0] if rest else "", "istio/istio.io#7270, istio/istio#19995, istio/istio#21471")
    return None


def _answer(cluster: Cluster) -> Failure | None:
    (host, port), _ = ingress.find(cluster)
    frame = netcat.probe(host, port, 1, timeout_seconds=3.0, progress=False)
    failure, answer = frame["failure"].iloc[0], frame["answer"].iloc[0]
    routed = routes.named_or_none(cluster, "tcp-echo") is not None
    if isinstance(answer, str) and not routed:
        return Failure(
            f"{host}:{port} answers {answer!r} although the lesson has no route yet: another route owns the port",
            "kubectl get gateways.networking.istio.io -A shows whose it is",
        )
    if isinstance(failure, str) and (routed or failure in {"timeout", "unreachable", "name"}):
        why = f"{host}:{port}: {frame['error'].iloc[0]}"
        return Failure(
            why,
            "from minikube or kind use their load balancer, or set INGRESS_HOST and TCP_INGRESS_PORT",
            "istio/istio#27283, istio/istio#40324, istio/istio.io#14792",
        )
    return None


def _gateway_api(cluster: Cluster) -> Failure | None:
    try:
        routes.resource_of(cluster, TcpRoute)
        cluster.api.resource_named(f"gateways.{GATEWAY_API}")
    except TcpShiftError:
        because, _, do = TcpRoute.NOT_INSTALLED.partition("\n")
        return Failure(because, do)
    return None


def _gateway_class(cluster: Cluster) -> Failure | None:
    found = cluster.read_or_none(cluster.api.resource_named(f"gatewayclasses.{GATEWAY_API}"), CLASS)
    if found is None:
        restart = f"kubectl -n {ingress.SYSTEM_NAMESPACE} rollout restart deployment/istiod"
        return Failure(f"there is no GatewayClass {CLASS}; istiod makes it once it sees the Gateway API", restart)
    accepted = conditions.condition(found, "Accepted")
    if accepted.get("status") == "True":
        return None
    return Failure(
        f"{accepted.get('reason')}: {accepted.get('message')}",
        f"is istiod its controller? kubectl describe gatewayclass {CLASS}",
    )


def _namespace(cluster: Cluster) -> Failure | None:
    resource = cluster.api.resource_named("namespaces")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    try:
        cluster.api.request("POST", resource.path(), query={"dryRun": "All"}, body=body)
    except AlreadyExistsError:
        found = cluster.read_or_none(resource, cluster.namespace)
        if found is not None and found["metadata"].get("deletionTimestamp"):
            return Failure("it is being deleted", f"wait: kubectl wait --for=delete namespace/{cluster.namespace}")
        path = cluster.api.resource_named("configmaps").path(cluster.namespace)
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "tcpshift-preflight-"}}
        cluster.api.request("POST", path, query={"dryRun": "All"}, body=probe)
    return None


_Test = tuple[str, "Callable[[Cluster], Failure | None]"]
_API: _Test = ("the API server answers", _api)
_ISTIOD: _Test = ("istiod is ready", _istiod)
_NAMESPACE: _Test = ("the namespace of the lesson can be used", _namespace)

_TESTS: tuple[_Test, ...] = (
    _API,
    ("Istio's kinds are known", _kinds),
    _ISTIOD,
    ("the ingress gateway is ready", _gateway),
    (f'the gateway has a port named "{ingress.TCP_PORT_NAME}"', _port),
    ("the gateway's port can be reached, and nobody else's route owns it", _answer),
    _NAMESPACE,
)
_GATEWAY_API_TESTS: tuple[_Test, ...] = (
    _API,
    ("the Gateway API's kinds are known", _gateway_api),
    _ISTIOD,
    (f"istiod takes care of Gateways of class {CLASS}", _gateway_class),
    _NAMESPACE,
)
