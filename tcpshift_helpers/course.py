"""The lessons: put the target into a lesson's starting state, check each step, tidy up.

Everything is read from the cluster itself, never from a notebook's variables, so a lesson can be begun anywhere, a
check can be asked any time, and both can be repeated. Output is the same from run to run.
It touches only objects that the course's manifests name, and the course's namespace when nothing else lives in it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tcpshift_helpers import changes, conditions, drain, in_force, ingress, manifests, routes, steps
from tcpshift_helpers.api import JSON_PATCH
from tcpshift_helpers.connection import COURSE_NAMESPACE
from tcpshift_helpers.errors import NotFoundError, TcpShiftError, UsageError
from tcpshift_helpers.judgement import Problem
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark
from tcpshift_helpers.preflight import preflight
from tcpshift_helpers.waiting import wait_until
from tcpshift_helpers.ways import CLASSIC, WAYS

if TYPE_CHECKING:
    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster

__all__ = ["LESSONS", "begin", "check", "preflight", "reset"]

SERVICES = "tcp-echo-services.yaml"
CLIENT = "curl.yaml"
_ROUTE_MANIFESTS = {way.route: (way.all_v1, way.shifted) for way in WAYS}
_GROUPS = tuple(kind.GROUP for kind in routes.KINDS)
_READY_TIMEOUT_SECONDS = 180.0  # a real cluster pulls images first
_GONE_TIMEOUT_SECONDS = 120.0

LESSONS = {
    "00": mark("Start here: nothing has to be there yet."),
    "01": mark("Deploy: nothing of the course is there yet."),
    "02": mark("All to v1: both versions and the client run; no route leads to them yet."),
    "03": mark("Shift 20%: both versions run, and every connection goes to v1."),
    "04": mark("Is that 20%: both versions run, and one connection in five goes to v2."),
    "05": mark("Weights and replicas: one pod of each version, and one connection in five goes to v2."),
    "06": mark("Open connections: both versions run, and every connection goes to v1."),
    "07": mark("Roll out: both versions run, and every connection goes to v1."),
    "08": mark("Gateway API: both versions run; no route leads to them yet."),
    "09": mark("Look inside: both versions run, and every connection goes to v1."),
    "10": mark("Break and fix: both versions run, and every connection goes to v1."),
    "11": mark("Clean up: both versions run, and one connection in five goes to v2."),
}
# The manifests of routes that are in force at the start of a lesson for which both versions run, in the order applied.
_ROUTED: dict[str, tuple[str, ...]] = {
    "02": (),
    "08": (),
    **dict.fromkeys(("03", "06", "07", "09", "10"), (CLASSIC.all_v1,)),
    **dict.fromkeys(("04", "05", "11"), (CLASSIC.all_v1, CLASSIC.shifted)),
}
# These send connections through Istio's ingress gateway; 08 has a gateway of its own.
_AT_THE_GATEWAY = ("02", "03", "04", "05", "06", "07", "09", "10")


def begin(cluster: Cluster, lesson: str) -> None:
    """Put the cluster into the starting state of a lesson, whatever it was in, and print that state in one line.

    Idempotent. Lesson 00 changes nothing.

    Args:
        cluster: where.
        lesson: `00` to `11`.

    Raises:
        UsageError: no such lesson.
        ProfileError: the ingress gateway lacks the port that the lesson needs; nothing was changed then.
        ClusterError: the cluster refused something, for instance because Istio is not installed.
        WaitTimeoutError: pods did not come up; the message says what they wait for.
    """
    if lesson not in LESSONS:
        raise UsageError(
            _("There is no lesson {lesson!r}. Lessons: {lessons}.").format(lesson=lesson, lessons=listed(LESSONS))
        )
    if lesson in _AT_THE_GATEWAY:
        ingress.require_tcp_port(cluster)
    if lesson == "01":
        _remove(cluster)
    if lesson in _ROUTED:
        _ensure_namespace(cluster)
        _deploy(cluster)
        _route(cluster, _ROUTED[lesson])
    print(_("Lesson {number}. {state}").format(number=lesson, state=LESSONS[lesson]))


def check(cluster: Cluster, name: str) -> steps.Outcome:
    """Check one step against the cluster's real state and print `PASS …` or `NOT YET … because …; do: …`.

    Args:
        cluster: where.
        name: the step, one of `steps.CHECKS`.

    Returns:
        The outcome; true in a condition when it passed. A notebook shows nothing for it.

    Raises:
        UsageError: no such check (the message lists them).
    """
    outcome = outcome_of(cluster, name)
    print(outcome)
    return outcome


def outcome_of(cluster: Cluster, name: str) -> steps.Outcome:
    """`check` without a word.

    Raises:
        UsageError: no such check (the message lists them).
    """
    if name not in steps.CHECKS:
        raise UsageError(
            _("There is no check {name!r}. Checks: {checks}.").format(name=name, checks=listed(steps.CHECKS))
        )
    title, test = steps.CHECKS[name]
    try:
        problem = test(cluster)
    except TcpShiftError as error:
        problem = Problem(str(error), "course.preflight(cluster)")
    return steps.Outcome(name, title, problem)


def reset(cluster: Cluster) -> None:
    """Remove what the course made, and only that; fine when nothing is left.

    The namespace goes too when it is the course's own and nothing else lives in it; otherwise its name and what
    keeps it are printed.
    """
    kept = _remove(cluster)
    if kept:
        print(
            _(
                "Nothing of the course is left. The namespace {namespace} stays, because others use it: {objects}."
            ).format(namespace=cluster.namespace, objects=listed(kept))
        )
    else:
        print(_("Nothing of the course is left in {namespace}.").format(namespace=cluster.namespace))


def _apply(cluster: Cluster, name: str) -> list[Object]:
    result = []
    for written in manifests.load(name).objects:
        obj, resource = _as_served(cluster, written)
        namespace = changes.namespace_of(cluster, obj, resource, None)
        applied = changes.apply_one(cluster, obj, resource, namespace)[1]
        if resource.group in _GROUPS and applied["spec"] != obj["spec"]:
            # Apply leaves alone what a learner added by other means; a starting state must not depend on it.
            patch = [{"op": "replace", "path": "/spec", "value": obj["spec"]}]
            name = obj["metadata"]["name"]
            applied = cluster.patch(resource, name, patch, content_type=JSON_PATCH, namespace=namespace)
        result.append(applied)
    return result


def _ensure_namespace(cluster: Cluster) -> None:
    resource = cluster.api.resource_named("namespaces")
    found = cluster.read_or_none(resource, cluster.namespace)
    if found is not None and found["metadata"].get("deletionTimestamp"):
        gone, deadline = conditions.Wanted("delete"), time.monotonic() + _GONE_TIMEOUT_SECONDS
        wait_until(cluster, resource, cluster.namespace, gone, namespace=cluster.namespace, deadline=deadline)
        found = None
    labels = {steps.INJECTION_LABEL: "enabled"}
    if found is None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace, "labels": labels}}
        changes.post(cluster, body, resource, None)
    elif not steps.is_labelled(found):
        cluster.patch(resource, cluster.namespace, {"metadata": {"labels": labels}})


def _deploy(cluster: Cluster) -> None:
    """Apply services and client, and wait; pods from before the label get their sidecar by being made anew."""
    applied = [*_apply(cluster, SERVICES), *_apply(cluster, CLIENT)]
    pods = cluster.api.resource_named("pods")
    for pod in cluster.list(pods, selector="app in (tcp-echo,curl)"):
        has_owner = bool(pod["metadata"].get("ownerReferences"))
        if has_owner and not steps.has_sidecar(pod) and not pod["metadata"].get("deletionTimestamp"):
            changes.delete_one(cluster, pods, pod["metadata"]["name"], cluster.namespace)
    available = conditions.Wanted("condition=Available")
    deadline = time.monotonic() + _READY_TIMEOUT_SECONDS
    for obj in applied:
        if obj["kind"] == "Deployment":
            resource = cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])
            wait_until(
                cluster, resource, obj["metadata"]["name"], available, namespace=cluster.namespace, deadline=deadline
            )


def _route(cluster: Cluster, wanted: tuple[str, ...]) -> None:
    """Have these manifests of routes in force, and no route of the course besides."""
    for route, names in _ROUTE_MANIFESTS.items():
        own = [name for name in names if name in wanted]
        for name in own:
            _apply(cluster, name)
        if own:
            in_force.wait_in_force(cluster, route, say=None)
        else:
            for name in reversed(names):
                _delete_objects(cluster, name)


def _as_served(cluster: Cluster, obj: Object) -> tuple[Object, Resource]:
    """The object and its kind; in another version where the cluster lacks its own: TCPRoute was v1alpha2 for long.

    Raises:
        NotFoundError: the cluster does not know the kind.
    """
    try:
        return obj, cluster.api.resource_for_kind(obj["apiVersion"], obj["kind"])
    except NotFoundError:
        group = obj["apiVersion"].partition("/")[0]
        served = [one for one in cluster.api.resources() if (one.group, one.kind) == (group, obj["kind"])]
        if not served:
            raise
        return {**obj, "apiVersion": served[0].api_version}, served[0]


def _delete_objects(cluster: Cluster, name: str) -> None:
    for obj in manifests.load(name).objects:
        try:
            _, resource = _as_served(cluster, obj)
        except NotFoundError:
            continue  # Istio or the Gateway API is gone or was never there, and its objects with it
        namespace = changes.namespace_of(cluster, obj, resource, None)
        changes.delete_one(cluster, resource, obj["metadata"]["name"], namespace, timeout_seconds=_GONE_TIMEOUT_SECONDS)


def _remove(cluster: Cluster) -> list[str]:
    """Delete the course's objects, and its namespace if it may go; returns what else lives there."""
    drain.take_back(cluster)
    namespaces = cluster.api.resource_named("namespaces")
    if cluster.read_or_none(namespaces, cluster.namespace) is None:
        return []
    _route(cluster, ())
    for name in (CLIENT, SERVICES):
        _delete_objects(cluster, name)
    others = steps.other_objects(cluster)
    if cluster.namespace == COURSE_NAMESPACE and not others:
        changes.delete_one(cluster, namespaces, cluster.namespace, None, timeout_seconds=_GONE_TIMEOUT_SECONDS)
    return others
