"""Is this cluster ready for a lesson? Every condition, with cause, remedy and where others met the same.

It changes nothing: what it tries to write is a dry run, and it opens one connection to the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, ingress, netcat, public_threads, routes
from tcpshift_helpers.errors import AlreadyExistsError, NotFoundError, TcpShiftError
from tcpshift_helpers.judgement import FAIL, PASS, headline, printed
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.routes import TcpRoute
from tcpshift_helpers.routes.tcp_route import CLASS
from tcpshift_helpers.routes.tcp_route import GROUP as GATEWAY_API

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

_KINDS = ("gateways", "virtualservices", "destinationrules")
_INSTALL = mark(
    "install Istio: https://istio.io/latest/docs/setup/getting-started/ (istioctl install --set profile=demo), or use the sandbox"
)
_ADD_GATEWAY = mark("istioctl install --set profile=demo adds one")


@dataclass(frozen=True)
class Failure:
    """Why the cluster is not ready: cause, remedy, and public threads about it."""

    because: str
    do: str
    threads: tuple[str, ...] = ()


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
    kind, _name = routes.kind_of(route)
    for title, test in _GATEWAY_API_TESTS if kind is TcpRoute else _TESTS:
        try:
            failure = test(cluster)
        except TcpShiftError as error:
            failure = Failure(str(error), _("mend that first, then run this again"))
        print(_line(title, failure))
        if failure is not None:
            failures[title] = failure
    print(
        _("Ready for the lesson.")
        if not failures
        else _("Not ready yet: mend the first line that says {fail}, then run this again.").format(fail=FAIL)
    )
    return Outcome(failures)


def _line(title: str, failure: Failure | None) -> str:
    if failure is None:
        return headline(PASS, title)
    return printed(headline(FAIL, title), because=failure.because, do=failure.do, threads=failure.threads)


def api(cluster: Cluster) -> Failure | None:
    """Whether the API server answers.

    Raises:
        TcpShiftError: it does not.
    """
    cluster.api.request("GET", "/version")
    return None


def _kinds(cluster: Cluster) -> Failure | None:
    missing = []
    for plural in _KINDS:
        try:
            cluster.api.resource_named(f"{plural}.networking.istio.io")
        except NotFoundError:
            missing.append(plural)
    if not missing:
        return None
    return Failure(
        _("the API server does not know {kinds}").format(kinds=listed(missing)), str(_INSTALL), public_threads.NO_KINDS
    )


def istiod(cluster: Cluster) -> Failure | None:
    """Whether istiod is ready."""
    return _ready(cluster, "app=istiod", _INSTALL, public_threads.ISTIOD_NOT_READY)


def gateway(cluster: Cluster) -> Failure | None:
    """Whether the ingress gateway is ready."""
    return _ready(cluster, ingress.INGRESS_PODS, _ADD_GATEWAY, public_threads.GATEWAY_NOT_READY)


def _ready(cluster: Cluster, selector: str, remedy: str, threads: tuple[str, ...]) -> Failure | None:
    pods = cluster.list(cluster.api.resource_named("pods"), ingress.SYSTEM_NAMESPACE, selector=selector)
    if not pods:
        why = _("no pod {selector} in {namespace}").format(selector=selector, namespace=ingress.SYSTEM_NAMESPACE)
        return Failure(why, str(remedy))
    if any(conditions.condition(pod, "Ready").get("status") == "True" for pod in pods):
        return None
    troubles = _("; ").join(conditions.pod_troubles(pods)) or _("no pod is Ready")
    advice = _("{command}; wait, or look at its log").format(command=f"kubectl -n {ingress.SYSTEM_NAMESPACE} get pods")
    return Failure(troubles, advice, threads)


def port(cluster: Cluster) -> Failure | None:
    """Whether the ingress gateway's Service has the port that the lessons look for."""
    service = cluster.read_or_none(
        cluster.api.resource_named("services"), ingress.INGRESS_SERVICE, ingress.SYSTEM_NAMESPACE
    )
    if service is None:
        return Failure(
            _("there is no {kind} {name}").format(
                kind="Service", name=f"{ingress.SYSTEM_NAMESPACE}/{ingress.INGRESS_SERVICE}"
            ),
            str(_ADD_GATEWAY),
        )
    try:
        ingress.tcp_port(service)
    except TcpShiftError as error:
        because, do, *_threads = str(error).split("\n")
        return Failure(because, do, public_threads.NO_TCP_PORT)
    return None


def _answer(cluster: Cluster) -> Failure | None:
    (host, port), _steps = ingress.find(cluster)
    frame = netcat.probe(host, port, 1, timeout_seconds=3.0, progress=False)
    failure, answer = frame["failure"].iloc[0], frame["answer"].iloc[0]
    routed = routes.named_or_none(cluster, "tcp-echo") is not None
    if isinstance(answer, str) and not routed:
        return Failure(
            _("{address} answers {answer!r} although the lesson has no route yet: another route owns the port").format(
                address=f"{host}:{port}", answer=answer
            ),
            _("kubectl get gateways.networking.istio.io -A shows whose it is"),
            public_threads.PORT_OF_OTHERS,
        )
    if isinstance(failure, str) and (routed or failure in {"timeout", "unreachable", "name"}):
        why = f"{host}:{port}: {frame['error'].iloc[0]}"
        return Failure(
            why,
            _("from minikube or kind use their load balancer, or set INGRESS_HOST and TCP_INGRESS_PORT"),
            public_threads.NOT_REACHED,
        )
    return None


def _gateway_api(cluster: Cluster) -> Failure | None:
    try:
        routes.resource_of(cluster, TcpRoute)
        cluster.api.resource_named(f"gateways.{GATEWAY_API}")
    except TcpShiftError:
        because, _newline, do = str(TcpRoute.NOT_INSTALLED).partition("\n")
        return Failure(because, do, public_threads.NO_GATEWAY_API)
    return None


def _gateway_class(cluster: Cluster) -> Failure | None:
    found = cluster.read_or_none(cluster.api.resource_named(f"gatewayclasses.{GATEWAY_API}"), CLASS)
    if found is None:
        restart = f"kubectl -n {ingress.SYSTEM_NAMESPACE} rollout restart deployment/istiod"
        why = _("there is no GatewayClass {name}; istiod makes it once it sees the Gateway API").format(name=CLASS)
        return Failure(why, restart)
    accepted = conditions.condition(found, "Accepted")
    if accepted.get("status") == "True":
        return None
    return Failure(
        f"{accepted.get('reason')}: {accepted.get('message')}",
        _("is istiod its controller? kubectl describe gatewayclass {name}").format(name=CLASS),
    )


def _namespace(cluster: Cluster) -> Failure | None:
    resource = cluster.api.resource_named("namespaces")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    try:
        cluster.api.request("POST", resource.path(), query={"dryRun": "All"}, body=body)
    except AlreadyExistsError:
        found = cluster.read_or_none(resource, cluster.namespace)
        if found is not None and found["metadata"].get("deletionTimestamp"):
            advice = _("wait: kubectl wait --for=delete namespace/{name}").format(name=cluster.namespace)
            return Failure(_("it is being deleted"), advice, public_threads.NAMESPACE_STAYS)
        path = cluster.api.resource_named("configmaps").path(cluster.namespace)
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "tcpshift-preflight-"}}
        cluster.api.request("POST", path, query={"dryRun": "All"}, body=probe)
    return None


_Test = tuple[str, "Callable[[Cluster], Failure | None]"]
_API: _Test = (mark("the API server answers"), api)
_ISTIOD: _Test = (mark("istiod is ready"), istiod)
_NAMESPACE: _Test = (mark("the namespace of the lesson can be used"), _namespace)

_TESTS: tuple[_Test, ...] = (
    _API,
    (mark("Istio's kinds are known"), _kinds),
    _ISTIOD,
    (mark("the ingress gateway is ready"), gateway),
    (mark('the gateway has a port named "{name}"', name=ingress.TCP_PORT_NAME), port),
    (mark("the gateway's port can be reached, and nobody else's route owns it"), _answer),
    _NAMESPACE,
)
_GATEWAY_API_TESTS: tuple[_Test, ...] = (
    _API,
    (mark("the Gateway API's kinds are known"), _gateway_api),
    _ISTIOD,
    (mark("istiod takes care of Gateways of class {name}", name=CLASS), _gateway_class),
    _NAMESPACE,
)
