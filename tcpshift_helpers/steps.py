"""What each step of the lesson should have achieved, and how to tell from the cluster alone.

A check gives None when the step is done, or the reason why not with the command that leads there. It changes nothing,
except that the ones about answers open connections through the gateway. Printing is course.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, distribution, ingress, netcat, routes
from tcpshift_helpers.errors import NotFoundError
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
    """Why a step is not done: the reason, and what to type."""

    because: str
    do: str


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
            return f"PASS {self.title}"
        return f"NOT YET {self.title}\n  because {self.problem.because}\n  do: {self.problem.do}"

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
        return Problem(f"there is no namespace {cluster.namespace}", "kubectl.create_namespace(cluster)")
    if not is_labelled(found):
        return Problem(
            f"the namespace lacks the label {INJECTION_LABEL}=enabled, so pods get no sidecar",
            "istio.label_namespace_for_injection(cluster)",
        )
    return None


def _available(cluster: Cluster, names: tuple[str, ...], manifest: str) -> Problem | None:
    resource = cluster.api.resource_named("deployments.apps")
    for name in names:
        deployment = cluster.read_or_none(resource, name)
        if deployment is None:
            return Problem(
                f"there is no Deployment {name} in {cluster.namespace}", f'kubectl.apply(cluster, "{manifest}")'
            )
        wanted = conditions.Wanted("condition=Available")
        if not wanted.holds(deployment):
            troubles = conditions.pod_troubles(pods_of(cluster, deployment, cluster.namespace))
            why = "; ".join(troubles) or wanted.last_seen(deployment)
            return Problem(f"Deployment {name} is not available: {why}", f'kubectl.wait(cluster, "deployment/{name}")')
    return None


def _deployed(cluster: Cluster) -> Problem | None:
    problem = _available(cluster, tuple(f"tcp-echo-{version}" for version in VERSIONS), "tcp-echo-services.yaml")
    if problem is None and cluster.read_or_none(cluster.api.resource_named("services"), "tcp-echo") is None:
        return Problem("there is no Service tcp-echo", 'kubectl.apply(cluster, "tcp-echo-services.yaml")')
    return problem


def _client(cluster: Cluster) -> Problem | None:
    return _available(cluster, ("curl",), "curl.yaml")


def _sidecars(cluster: Cluster) -> Problem | None:
    pods = cluster.list(cluster.api.resource_named("pods"), selector="app=tcp-echo")
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not alive:
        return Problem("no pod of tcp-echo runs", 'kubectl.apply(cluster, "tcp-echo-services.yaml")')
    bare = [pod["metadata"]["name"] for pod in alive if not has_sidecar(pod)]
    if bare:
        again = 'kubectl.delete_manifest(cluster, "tcp-echo-services.yaml"), then kubectl.apply(cluster, "tcp-echo-services.yaml")'
        return Problem(
            f"{len(bare)} of {len(alive)} pods of tcp-echo have no container {SIDECAR}: they are older than the namespace's label",
            again,
        )
    return None


def _routed(cluster: Cluster, way: Way, wanted: dict[str, int], manifest: str) -> Problem | None:
    routes.resource_of(cluster, routes.kind_of(way.route)[0])
    for word, name in way.leans_on:
        resource = cluster.api.resource_named(word)
        if cluster.read_or_none(resource, name) is None:
            return Problem(f"there is no {resource.kind} {name}", _apply(way.all_v1))
    route = routes.named_or_none(cluster, way.route)
    if route is None:
        kind, name = routes.kind_of(way.route)
        return Problem(f"there is no {kind.KIND} {name}", _apply(manifest))
    label, there = f"{route.KIND} {route.name}", route.weights()
    # A weight of 0 is as good as no destination.
    positive = {name: weight for name, weight in there.items() if weight}
    if not positive or distribution.expected(positive) != distribution.expected(wanted):
        return Problem(f"{label} has the weights {_words(there)}, not {_words(wanted)}", _apply(manifest))
    told = route.told()
    if told.answer is False:
        return Problem(f"the gateway refused it: {told.message}", f"correct the manifest, then {_apply(manifest)}")
    return None


def _apply(manifest: str) -> str:
    return f'kubectl.apply(cluster, "{manifest}")'


def _all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, _ALL_TO_V1, way.all_v1)


def _shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, _A_FIFTH_TO_V2, way.shifted)


def _ingress(cluster: Cluster, way: Way) -> Problem | None:
    (host, port), _ = ingress.find(cluster, way.route)
    frame = netcat.probe(host, port, 1, progress=False)
    if frame["answer"].isna().all():
        routed = routes.named_or_none(cluster, way.route) is not None
        return Problem(
            f"no answer from {host}:{port}: {frame['error'].iloc[0]}", way.wait if routed else _apply(way.all_v1)
        )
    return None


def _answers(cluster: Cluster, way: Way, wanted: dict[str, int], count: int) -> Problem | None:
    (host, port), _ = ingress.find(cluster, way.route)
    frame = netcat.probe(host, port, count, at_once=_AT_ONCE, progress=False)
    verdict = distribution.verdict(distribution.counts(frame), wanted)
    return None if verdict.passed else Problem(verdict.reason, f"{way.wait}, then check again")


def _answers_all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _all_v1(cluster, way) or _answers(cluster, way, _ALL_TO_V1, _FEW)


def _answers_shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _shifted(cluster, way) or _answers(cluster, way, _A_FIFTH_TO_V2, _MANY)


def _programmed(cluster: Cluster) -> Problem | None:
    word, name = GATEWAY_API.leans_on[0]
    routes.resource_of(cluster, routes.TcpRoute)
    gateway = cluster.read_or_none(cluster.api.resource_named(word), name)
    if gateway is None:
        return Problem(f"there is no Gateway {name}", _apply(GATEWAY_API.all_v1))
    told = programmed(gateway)
    if told.answer:
        return None
    why = f"{told.reason}: {told.message}" if told.reason else "it has no status yet"
    return Problem(why, f'kubectl.wait(cluster, "gtw/{name}", wait_for="condition=programmed")')


def _clean(cluster: Cluster) -> Problem | None:
    namespace = cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace)
    if namespace is None:
        return None
    if namespace["metadata"].get("deletionTimestamp"):
        return Problem(
            f"the namespace {cluster.namespace} is still going",
            f'kubectl.wait(cluster, "namespace/{cluster.namespace}", wait_for="delete")',
        )
    names = ("tcp-echo", "curl")
    left = [word for word in other_objects(cluster) if word.rpartition("/")[2].startswith(names)]
    if left:
        return Problem(f"{', '.join(left)} still there", "course.clean_up(cluster)")
    return None


def _words(weights: dict[str, int]) -> str:
    return ", ".join(f"{subset} {weight}" for subset, weight in weights.items())


def _of_way(way: Way) -> dict[str, tuple[str, Callable[[Cluster], Problem | None]]]:
    """The checks of a route, by the words that follow `tcproute-` for the Gateway API's."""
    return {
        "all-v1": ("the rule sends every connection to v1", partial(_all_v1, way=way)),
        "ingress": ("the gateway answers from outside", partial(_ingress, way=way)),
        "answers-all-v1": (f"{_FEW} of {_FEW} fresh probes are answered by v1", partial(_answers_all_v1, way=way)),
        "shifted": ("the rule sends 80% to v1 and 20% to v2", partial(_shifted, way=way)),
        "answers-shifted": (f"the answers to {_MANY} fresh probes fit 80% and 20%", partial(_answers_shifted, way=way)),
    }


CHECKS: dict[str, tuple[str, Callable[[Cluster], Problem | None]]] = {
    "namespace": ("the namespace is there, and new pods in it get a sidecar", _namespace),
    "deployed": ("both versions of tcp-echo are deployed and available", _deployed),
    "sidecars": ("every pod of tcp-echo has its sidecar", _sidecars),
    "client": ("the client pod is available", _client),
    **_of_way(CLASSIC),
    "programmed": ("the Gateway is programmed and has an address", _programmed),
    **{f"tcproute-{name}": check for name, check in _of_way(GATEWAY_API).items()},
    "cleaned-up": ("nothing of the lesson is left", _clean),
}
