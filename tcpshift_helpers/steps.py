"""What each step of the lesson should have achieved, and how to tell from the cluster alone.

A check gives None when the step is done, or the reason why not with the command that leads there. It changes nothing,
except that the ones about answers open connections through the gateway. Printing is course.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, distribution, drain, ingress, manifests, preflight, routes, traffic_steps
from tcpshift_helpers.errors import NotFoundError
from tcpshift_helpers.judgement import PASS, Problem, headline, printed
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.routes.tcp_route import programmed
from tcpshift_helpers.traffic_steps import ENOUGH_FOR_ALL, FEW, MANY
from tcpshift_helpers.waiting import pods_of
from tcpshift_helpers.ways import A_FIFTH_TO_V2, ALL_TO_V1, CLASSIC, GATEWAY_API, Way, apply_command, there_is_no

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

INJECTION_LABEL = "istio-injection"
SIDECAR = "istio-proxy"
VERSIONS = ("v1", "v2")
SHORT_DRAIN_SECONDS = 5  # of lesson 06
# What a namespace has by itself, and what pods and services bring along.
_OWN_NAMES = {"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl", "default"}
_OTHER_KINDS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "pods", "services", "configmaps", "secrets",
                "serviceaccounts", "persistentvolumeclaims", "virtualservices.networking.istio.io", "gateways.networking.istio.io",
                "destinationrules.networking.istio.io", "gateways.gateway.networking.k8s.io",
                "tcproutes.gateway.networking.k8s.io")  # fmt: skip


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


def _as_preflight(test: Callable[[Cluster], preflight.Failure | None], cluster: Cluster) -> Problem | None:
    failure = test(cluster)
    return Problem(failure.because, failure.do) if failure else None


def _istio(cluster: Cluster) -> Problem | None:
    return _as_preflight(preflight.istiod, cluster) or _as_preflight(preflight.gateway, cluster)


def _namespace_there(cluster: Cluster) -> Problem | None:
    found = cluster.read_or_none(cluster.api.resource_named("namespaces"), cluster.namespace)
    if found is not None and not found["metadata"].get("deletionTimestamp"):
        return None
    return Problem(
        _("there is no namespace {name}").format(name=cluster.namespace), "kubectl.create_namespace(cluster)"
    )


def _namespace(cluster: Cluster) -> Problem | None:
    problem = _namespace_there(cluster)
    if problem is not None:
        return problem
    if not is_labelled(cluster.read(cluster.api.resource_named("namespaces"), cluster.namespace)):
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
            return Problem(why, apply_command(manifest))
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
        return Problem(there_is_no("Service", "tcp-echo"), apply_command("tcp-echo-services.yaml"))
    return problem


def _client(cluster: Cluster) -> Problem | None:
    return _available(cluster, ("curl",), "curl.yaml")


def _sidecars(cluster: Cluster) -> Problem | None:
    pods = cluster.list(cluster.api.resource_named("pods"), selector="app=tcp-echo")
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if not alive:
        return Problem(_("no pod of tcp-echo runs"), apply_command("tcp-echo-services.yaml"))
    bare = [pod["metadata"]["name"] for pod in alive if not has_sidecar(pod)]
    if bare:
        return Problem(
            _(
                "{count} of {total} pods of tcp-echo have no container {container}: they are older than the namespace's label"
            ).format(count=len(bare), total=len(alive), container=SIDECAR),
            _("{first}, then {second}").format(
                first='kubectl.delete_manifest(cluster, "tcp-echo-services.yaml")',
                second=apply_command("tcp-echo-services.yaml"),
            ),
        )
    return None


def _routed(cluster: Cluster, way: Way, wanted: dict[str, int], manifest: str) -> Problem | None:
    routes.resource_of(cluster, routes.kind_of(way.route)[0])
    for word, name in way.leans_on:
        resource = cluster.api.resource_named(word)
        if cluster.read_or_none(resource, name) is None:
            return Problem(there_is_no(resource.kind, name), apply_command(way.all_v1))
    route = routes.named_or_none(cluster, way.route)
    if route is None:
        kind, name = routes.kind_of(way.route)
        return Problem(there_is_no(kind.KIND, name), apply_command(manifest))
    there = route.weights()
    # A weight of 0 is as good as no destination.
    positive = {name: weight for name, weight in there.items() if weight}
    if not positive or distribution.expected(positive) != distribution.expected(wanted):
        why = _("{kind} {name} has the weights {weights}, not {wanted}").format(
            kind=route.KIND, name=route.name, weights=_words(there), wanted=_words(wanted)
        )
        return Problem(why, apply_command(manifest))
    told = route.told()
    if told.answer is False:
        return Problem(
            _("the gateway refused it: {message}").format(message=told.message),
            _("correct the manifest, then {command}").format(command=apply_command(manifest)),
        )
    return None


def _all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, ALL_TO_V1, way.all_v1)


def _shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _routed(cluster, way, A_FIFTH_TO_V2, way.shifted)


def _answers_all_v1(cluster: Cluster, way: Way) -> Problem | None:
    return _all_v1(cluster, way) or traffic_steps.answers(cluster, way, ALL_TO_V1, FEW)


def _answers_shifted(cluster: Cluster, way: Way) -> Problem | None:
    return _shifted(cluster, way) or traffic_steps.answers(cluster, way, A_FIFTH_TO_V2, MANY)


def _all_v2(cluster: Cluster) -> Problem | None:
    problem = _routed(cluster, CLASSIC, {"v2": 100}, CLASSIC.shifted)
    return problem and Problem(problem.because, 'istio.set_weights(cluster, "tcp-echo", {"v2": 100})')


def _drain_time(cluster: Cluster, wanted: int | None) -> Problem | None:
    seconds = drain.drain_time_seconds(cluster)
    if seconds == (wanted or drain.DEFAULT_SECONDS):
        return None
    return Problem(
        _("the gateway closes old connections after {seconds} s").format(seconds=seconds),
        f"drain.set_drain_time(cluster, {wanted})",
    )


def _one_pod_each(cluster: Cluster) -> Problem | None:
    ready = traffic_steps.ready_pods(cluster)
    if ready == dict.fromkeys(VERSIONS, 1):
        return None
    counted = _words({version: ready.get(version, 0) for version in VERSIONS})
    return Problem(_("ready pods: {pods}").format(pods=counted), 'scaling.scale(cluster, {"v1": 1, "v2": 1})')


def _broken_v2(cluster: Cluster) -> Problem | None:
    manifest = "tcp-echo-v2-broken.yaml"
    problem = _available(cluster, ("tcp-echo-v2",), manifest)
    if problem is not None:
        return problem
    there = cluster.read(cluster.api.resource_named("deployments.apps"), "tcp-echo-v2")
    wanted = manifests.load(manifest).objects[0]
    ours, theirs = (one["spec"]["template"]["spec"]["containers"][0]["args"] for one in (wanted, there))
    if ours == theirs:
        return None
    return Problem(_("tcp-echo-v2 listens at {ports}").format(ports=theirs[0]), apply_command(manifest))


def _no_route(cluster: Cluster) -> Problem | None:
    return _left(cluster, lambda kind: "networking" in kind)


def _no_workload(cluster: Cluster) -> Problem | None:
    return _left(cluster, lambda kind: "networking" not in kind)


def _programmed(cluster: Cluster) -> Problem | None:
    word, name = GATEWAY_API.leans_on[0]
    routes.resource_of(cluster, routes.TcpRoute)
    gateway = cluster.read_or_none(cluster.api.resource_named(word), name)
    if gateway is None:
        return Problem(there_is_no("Gateway", name), apply_command(GATEWAY_API.all_v1))
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
    return _left(cluster, lambda _kind: True)


def _left(cluster: Cluster, counts: Callable[[str], bool]) -> Problem | None:
    """What is left of the course's objects, of the kinds that count."""
    words = [word.rpartition("/") for word in other_objects(cluster)]
    left = [f"{kind}/{name}" for kind, _slash, name in words if name.startswith(("tcp-echo", "curl")) and counts(kind)]
    if left:
        return Problem(_("{objects} still there").format(objects=listed(left)), "course.reset(cluster)")
    return None


def _words(weights: dict[str, int]) -> str:
    return listed(f"{subset} {weight}" for subset, weight in weights.items())


def _of_way(way: Way) -> dict[str, tuple[str, Callable[[Cluster], Problem | None]]]:
    """The checks of a route, by the words that follow `tcproute-` for the Gateway API's."""
    return {
        "all-v1": (mark("the rule sends every connection to v1"), partial(_all_v1, way=way)),
        "ingress": (mark("the gateway answers from outside"), partial(traffic_steps.gateway_answers, way=way)),
        "answers-all-v1": (
            mark("{count} of {count} fresh probes are answered by v1", count=FEW),
            partial(_answers_all_v1, way=way),
        ),
        "shifted": (mark("the rule sends 80% to v1 and 20% to v2"), partial(_shifted, way=way)),
        "answers-shifted": (
            mark("the answers to {count} fresh probes fit 80% and 20%", count=MANY),
            partial(_answers_shifted, way=way),
        ),
        "in-force": (mark("the gateway has the rule as it is now"), partial(traffic_steps.in_force_now, way=way)),
        "answered": (
            mark("{count} of {count} fresh probes are answered", count=FEW),
            partial(traffic_steps.all_answered, way=way),
        ),
        "answers-as-set": (
            mark("the answers to {count} fresh probes fit the weights that are set", count=ENOUGH_FOR_ALL),
            partial(traffic_steps.answers_as_set, way=way),
        ),
    }


CHECKS: dict[str, tuple[str, Callable[[Cluster], Problem | None]]] = {
    "connected": (mark("the API server answers"), partial(_as_preflight, preflight.api)),
    "istio": (mark("istiod and the ingress gateway are ready"), _istio),
    "tcp-port": (
        mark('the gateway has a port named "{name}"', name=ingress.TCP_PORT_NAME),
        partial(_as_preflight, preflight.port),
    ),
    "namespace-there": (mark("the namespace is there"), _namespace_there),
    "namespace": (mark("the namespace is there, and new pods in it get a sidecar"), _namespace),
    "deployed": (mark("both versions of tcp-echo are deployed and available"), _deployed),
    "sidecars": (mark("every pod of tcp-echo has its sidecar"), _sidecars),
    "client": (mark("the client pod is available"), _client),
    **_of_way(CLASSIC),
    "all-v2": (mark("the rule sends every connection to v2"), _all_v2),
    "one-pod-each": (mark("one pod of each version is ready"), _one_pod_each),
    "answers-by-pods": (
        mark("without weights, the answers to {count} fresh probes fit the numbers of pods", count=ENOUGH_FOR_ALL),
        traffic_steps.answers_by_pods,
    ),
    "service-by-pods": (
        mark("the answers to {count} calls of the Service fit the numbers of pods", count=ENOUGH_FOR_ALL),
        traffic_steps.service_by_pods,
    ),
    "drain-short": (
        mark("the gateway closes old connections after {seconds} s", seconds=SHORT_DRAIN_SECONDS),
        partial(_drain_time, wanted=SHORT_DRAIN_SECONDS),
    ),
    "v1-idle": (mark("no connection to v1 is open at the gateway"), traffic_steps.v1_is_idle),
    "drain-default": (mark("the gateway has its default drain time"), partial(_drain_time, wanted=None)),
    "broken-v2": (mark("a v2 that listens at the wrong port is deployed"), _broken_v2),
    "programmed": (mark("the Gateway is programmed and has an address"), _programmed),
    **{f"tcproute-{name}": check for name, check in _of_way(GATEWAY_API).items()},
    "no-route": (mark("no rule of the lesson is left"), _no_route),
    "no-workload": (mark("service, versions and client are gone"), _no_workload),
    "cleaned-up": (mark("nothing of the lesson is left"), _clean),
}
