"""What each step of the lesson should have achieved, and how to tell from the cluster alone.

A check gives None when the step is done, or the reason why not with the command that leads there. It changes nothing,
except that the ones about answers open connections through the gateway. Printing is course.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, distribution, drain, ingress, netcat, routes
from tcpshift_helpers.errors import NotFoundError
from tcpshift_helpers.judgement import NOT_YET, PASS, TOO_FEW, headline, printed
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.routes.tcp_route import programmed
from tcpshift_helpers.waiting import pods_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

INJECTION_LABEL = "istio-injection"
SIDECAR = "istio-proxy"
VERSIONS = ("v1", "v2")
_FEW, _MANY, _AT_ONCE = 20, 200, 8
# What a namespace has by itself, and what pods and services bring along.
_OWN_NAMES = {"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl", "default"}
_OTHER_KINDS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "pods", "services", "configmaps", "secrets",
                "serviceaccounts", "persistentvolumeclaims", "virtualservices.networking.istio.io", "gateways.networking.istio.io",
                "destinationrules.networking.istio.io", "gateways.gateway.networking.k8s.io",
                "tcproutes.gateway.networking.k8s.io")  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Why a step is not done: the reason, what to type, and the word for it (NOT YET, or TOO FEW TO SAY)."""

    because: str
    do: str
    word: str = NOT_YET


@dataclass(frozen=True)
class Way:
    """One of the two ways to split connections that the course teaches.

    Attributes:
        route: the route, as the helpers name it.
        all_v1: the manifest that sends everything to v1.
        shifted: the one that sends a fifth to v2.
        leans_on: kind and name of what the route needs besides.
    """

    route: str
    all_v1: str
    shifted: str
    leans_on: tuple[tuple[str, str], ...]

    @property
    def wait(self) -> str:
        """What to type to wait for it."""
        return "istio.wait_in_force(cluster)" if self is CLASSIC else f'istio.wait_in_force(cluster, "{self.route}")'


CLASSIC = Way(
    "tcp-echo",
    "tcp-echo-all-v1.yaml",
    "tcp-echo-20-v2.yaml",
    (
        ("gateways.networking.istio.io", "tcp-echo-gateway"),
        ("destinationrules.networking.istio.io", "tcp-echo-destination"),
    ),
)
GATEWAY_API = Way(
    "tcproute/tcp-echo",
    "gateway-api/tcp-echo-all-v1.yaml",
    "gateway-api/tcp-echo-20-v2.yaml",
    (
        ("gateways.gateway.networking.k8s.io", "tcp-echo-gateway"),
        ("services", "tcp-echo-v1"),
        ("services", "tcp-echo-v2"),
    ),
)
WAYS = (CLASSIC, GATEWAY_API)
_ALL_TO_V1, _A_FIFTH_TO_V2 = {"v1": 100}, {"v1": 80, "v2": 20}


@dataclass(frozen=True)
class Outcome:
    """A check's result; true when it passed."""

    name: str
    title: str
    problem: Problem | None

    def __bool__(self) -> bool:
        return self.problem is None

    def __str__(self) -> str:
        if self.problem is None:
            return headline(PASS, self.title)
        return printed(headline(self.problem.word, self.title), because=self.problem.because, do=self.problem.do)

    def _ipython_display_(self) -> None:
        """Nothing: it was printed already."""


def is_labelled(namespace: Object) -> bool:
    """Whether Istio injects sidecars into new pods of this namespace."""
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(INJECTION_LABEL) == "enabled" or "istio.io/rev" in labels


def has_sidecar(pod: Object) -> bool:
    """Whether the pod has Istio's proxy, as a container or (newer Istio) as a restartable init container."""
    containers = [*pod["spec"].get("containers", []), *(pod["spec"].get("initContainers") or [])]
    return any(container["name"] == SIDECAR for container in containers)


def other_objects(cluster: Cluster) -> list[str]:
    """What lives in the cluster's namespace besides what every namespace has, as `kind/name`."""
    found = []
    for word in _OTHER_KINDS:
        try:
            resource = cluster.api.resource_named(word)
        except NotFoundError:
            continue
        for obj in cluster.list(resource):
            metadata = obj["metadata"]
            leaving = metadata.get("deletionTimestamp") or metadata.get("ownerReferences")
            if metadata["name"] not in _OWN_NAMES and not leaving:
                found.append(f"{resource.word}/{metadata['name']}")
    return found


def _namespace(cluster: Cluster) -> Problem | None:
    found = cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace)
    if found is None or found["metadata"].get("deletionTimestamp"):
        return Problem(
            _("there is no namespace {name}").format(name=cluster.namespace), "kubectl.create_namespace(cluster)"
        )
    if not is_labelled(found):
        return Problem(
            _("the namespace lacks the label {label}, so pods get no sidecar").format(
                label=f"{INJECTION_LABEL}=enabled"
            ),
            "istio.label_namespace_for_injection(cluster)",
        )
    return None


def _available(cluster: Cluster, names: tuple[str, ...], manifest: str) -> Problem | None:
    resource = cluster.api.resource_named("deployments.apps")
    for name in names:
        deployment = cluster.read_or_none(resource, name)
        if deployment is None:
            why = _("there is no {kind} {name} in {namespace}").format(
                kind=resource.kind, name=name, namespace=cluster.namespace
            )
            return Problem(why, _apply(manifest))
        wanted = conditions.Wanted("condition=Available")
        if not wanted.holds(deployment):
            troubles = conditions.pod_troubles(pods_of(cluster, deployment, cluster.namespace))
            why = _("{kind} {name} is not available: {trouble}").format(
                kind=resource.kind, name=name, trouble=_("; ").join(troubles) or wanted.last_seen(deployment)
            )
            return Problem(why, f'kubectl.wait(cluster, "deployment/{name}")')
    return None


def _deployed(cluster: Cluster) -> Problem | None:
    problem = _available(cluster, tuple(f"tcp-echo-{version}" for version in VERSIONS), "tcp-echo-services.yaml")
    if problem is None and cluster.read_or_none(cluster.api.resource_named("services"), "tcp-echo") is None:
        return Problem(_there_is_no("Service", "tcp-echo"), _apply("tcp-echo-services.yaml"))
    return problem


def _client(cluster: Cluster) -> Problem | None:
    return _available(cluster, ("curl",), "curl.yaml")


def _sidecars(cluster: Cluster) -> Problem | None:
    pods = cluster.list(cluster.api.resource_named("pods"), selector="app=tcp-echo")
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not alive:
        return Problem(_("no pod of tcp-echo runs"), _apply("tcp-echo-services.yaml"))
    bare = [pod["metadata"]["name"] for pod in alive if not has_sidecar(pod)]
    if bare:
        return Problem(
            _(
                "{count} of {total} pods of tcp-echo have no container {container}: they are older than the namespace's label"
            ).format(count=len(bare), total=len(alive), container=SIDECAR),
            _("{first}, then {second}").format(
                first='kubectl.delete_manifest(cluster, "tcp-echo-services.yaml")',
                second=_apply("tcp-echo-services.yaml"),
            ),
        )
    return None


def _routed(cluster: Cluster, way: Way, wanted: dict[str, int], manifest: str) -> Problem | None:
    routes.resource_of(cluster, routes.kind_of(way.route)[0])
    for word, name in way.leans_on:
        resource = cluster.api.resource_named(word)
        if cluster.read_or_none(resource, name) is None:
            return Problem(_there_is_no(resource.kind, name), _apply(way.all_v1))
    route = routes.named_or_none(cluster, way.route)
    if route is None:
        kind, name = routes.kind_of(way.route)
        return Problem(_there_is_no(kind.KIND, name), _apply(manifest))
    there = route.weights()
    # A weight of 0 is as good as no destination.
    positive = {name: weight for name, weight in there.items() if weight}
    if not positive or distribution.expected(positive) != distribution.expected(wanted):
        why = _("{kind} {name} has the weights {weights}, not {wanted}").format(
            kind=route.KIND, name=route.name, weights=_words(there), wanted=_words(wanted)
        )
        return Problem(why, _apply(manifest))
    told = route.told()
    if told.answer is False:
        return Problem(
            _("the gateway refused it: {message}").format(message=told.message),
            _("correct the manifest, then {command}").format(command=_apply(manifest)),
        )
    return None


def _there_is_no(kind: str, name: str) -> str:
    return _("there is no {kind} {name}").format(kind=kind, name=name)


def _apply(manifest: str) -> str:
    return f'kubectl.apply(cluster, "{manifest}")'


def _all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, _ALL_TO_V1, way.all_v1)


def _shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, _A_FIFTH_TO_V2, way.shifted)


def _ingress(cluster: Cluster, way: Way) -> Problem | None:
    (host, port), _steps = ingress.find(cluster, way.route)
    frame = netcat.probe(host, port, 1, progress=False)
    if frame["answer"].isna().all():
        routed = routes.named_or_none(cluster, way.route) is not None
        why = _("no answer from {address}: {error}").format(address=f"{host}:{port}", error=frame["error"].iloc[0])
        return Problem(why, way.wait if routed else _apply(way.all_v1))
    return None


def _answers(cluster: Cluster, way: Way, wanted: dict[str, int], count: int) -> Problem | None:
    (host, port), _steps = ingress.find(cluster, way.route)
    frame = netcat.probe(host, port, count, at_once=_AT_ONCE, progress=False)
    verdict = distribution.verdict(distribution.counts(frame), wanted)
    if verdict.passed:
        return None
    if verdict.word == TOO_FEW:
        return Problem(verdict.reason, verdict.do, TOO_FEW)
    return Problem(verdict.reason, _("{command}, then check again").format(command=way.wait))


def _answers_all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _all_v1(cluster, way) or _answers(cluster, way, _ALL_TO_V1, _FEW)


def _answers_shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _shifted(cluster, way) or _answers(cluster, way, _A_FIFTH_TO_V2, _MANY)


def _all_v2(cluster: Cluster) -> Problem | None:
    problem = _routed(cluster, CLASSIC, {"v2": 100}, CLASSIC.shifted)
    return problem and Problem(problem.because, 'istio.set_weights(cluster, "tcp-echo", {"v2": 100})')


def _drain_default(cluster: Cluster) -> Problem | None:
    seconds = drain.drain_time_seconds(cluster)
    if seconds == drain.DEFAULT_SECONDS:
        return None
    return Problem(
        _("the gateway closes old connections after {seconds} s").format(seconds=seconds),
        "drain.set_drain_time(cluster, None)",
    )


def _programmed(cluster: Cluster) -> Problem | None:
    word, name = GATEWAY_API.leans_on[0]
    routes.resource_of(cluster, routes.TcpRoute)
    gateway = cluster.read_or_none(cluster.api.resource_named(word), name)
    if gateway is None:
        return Problem(_there_is_no("Gateway", name), _apply(GATEWAY_API.all_v1))
    told = programmed(gateway)
    if told.answer:
        return None
    why = f"{told.reason}: {told.message}" if told.reason else _("it has no status yet")
    return Problem(why, f'kubectl.wait(cluster, "gtw/{name}", wait_for="condition=programmed")')


def _clean(cluster: Cluster) -> Problem | None:
    namespace = cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace)
    if namespace is None:
        return None
    if namespace["metadata"].get("deletionTimestamp"):
        return Problem(
            _("the namespace {name} is still going").format(name=cluster.namespace),
            f'kubectl.wait(cluster, "namespace/{cluster.namespace}", wait_for="delete")',
        )
    names = ("tcp-echo", "curl")
    left = [word for word in other_objects(cluster) if word.rpartition("/")[2].startswith(names)]
    if left:
        return Problem(_("{objects} still there").format(objects=listed(left)), "course.reset(cluster)")
    return None


def _words(weights: dict[str, int]) -> str:
    return listed(f"{subset} {weight}" for subset, weight in weights.items())


def _of_way(way: Way) -> dict[str, tuple[str, Callable[[Cluster], Problem | None]]]:
    """The checks of a route, by the words that follow `tcproute-` for the Gateway API's."""
    return {
        "all-v1": (mark("the rule sends every connection to v1"), partial(_all_v1, way=way)),
        "ingress": (mark("the gateway answers from outside"), partial(_ingress, way=way)),
        "answers-all-v1": (
            mark("{count} of {count} fresh probes are answered by v1", count=_FEW),
            partial(_answers_all_v1, way=way),
        ),
        "shifted": (mark("the rule sends 80% to v1 and 20% to v2"), partial(_shifted, way=way)),
        "answers-shifted": (
            mark("the answers to {count} fresh probes fit 80% and 20%", count=_MANY),
            partial(_answers_shifted, way=way),
        ),
    }


CHECKS: dict[str, tuple[str, Callable[[Cluster], Problem | None]]] = {
    "namespace": (mark("the namespace is there, and new pods in it get a sidecar"), _namespace),
    "deployed": (mark("both versions of tcp-echo are deployed and available"), _deployed),
    "sidecars": (mark("every pod of tcp-echo has its sidecar"), _sidecars),
    "client": (mark("the client pod is available"), _client),
    **_of_way(CLASSIC),
    "all-v2": (mark("the rule sends every connection to v2"), _all_v2),
    "drain-default": (mark("the gateway has its default drain time"), _drain_default),
    "programmed": (mark("the Gateway is programmed and has an address"), _programmed),
    **{f"tcproute-{name}": check for name, check in _of_way(GATEWAY_API).items()},
    "cleaned-up": (mark("nothing of the lesson is left"), _clean),
}
