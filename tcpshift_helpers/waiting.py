"""Waiting for an object, and finding out why it is not there yet.

The quiet part of `kubectl wait`, `delete` and `logs`: nothing is printed here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions
from tcpshift_helpers.errors import NotFoundError, TcpShiftError, WaitTimeoutError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster


def wait_until(
    cluster: Cluster, resource: Resource, name: str, wanted: conditions.Goal, *, namespace: str, deadline: float
) -> Object | None:
    """The waiting behind `wait`, without a printed line. `deadline` is in `time.monotonic` seconds."""
    seen: Object | None = None
    started = time.monotonic()
    for seen in cluster.watch(resource, name, namespace, timeout_seconds=max(0.0, deadline - started)):
        if wanted.holds(seen):
            return seen
    troubles = "".join(f"\n  {line}" for line in _troubles(cluster, resource, seen, namespace))
    raise WaitTimeoutError(
        _(
            "timed out after {seconds:.0f} s waiting for {condition} of {target}: {last_seen}{troubles}\n"
            "Look closer with: kubectl -n {namespace} describe {kind} {name}"
        ).format(
            seconds=time.monotonic() - started,
            condition=wanted.statement,
            target=f"{resource.word}/{name}",
            last_seen=wanted.last_seen(seen),
            troubles=troubles,
            namespace=namespace,
            kind=resource.kind.lower(),
            name=name,
        )
    )


def pod_name(cluster: Cluster, word: str, namespace: str) -> str:
    """The pod that `NAME`, `pod/NAME` or `deployment/NAME` means.

    Raises:
        NotFoundError: the deployment has no pod.
    """
    kind, _slash, name = word.rpartition("/")
    if kind in {"", "pod", "pods", "po"}:
        return name
    resource = cluster.api.resource_named(kind)
    pods = pods_of(cluster, cluster.read(resource, name, namespace), namespace)
    if not pods:
        raise NotFoundError(
            404,
            "NotFound",
            _("{owner} has no pods").format(owner=word),
            _("Wait for it: kubectl -n {namespace} get pods").format(namespace=namespace),
        )
    pods.sort(key=lambda pod: (pod.get("status", {}).get("phase") != "Running", pod["metadata"]["name"]))
    return str(pods[0]["metadata"]["name"])


def pods_of(cluster: Cluster, owner: Object, namespace: str) -> list[Object]:
    """The pods that a Deployment, ReplicaSet or Service selects."""
    pods = cluster.api.resource_named("pods")
    if owner["kind"] == "Pod":
        return [owner]
    labels = owner.get("spec", {}).get("selector") or {}
    labels = labels.get("matchLabels", labels)
    return (
        cluster.list(pods, namespace, selector=",".join(f"{key}={value}" for key, value in labels.items()))
        if labels
        else []
    )


def _troubles(cluster: Cluster, resource: Resource, seen: Object | None, namespace: str) -> list[str]:
    """Pods' waiting reasons and the latest warnings; best effort, because it is only an explanation."""
    if seen is None or resource.kind not in {"Deployment", "ReplicaSet", "Pod", "Service"}:
        return []
    try:
        pods = pods_of(cluster, seen, namespace)
        names = {seen["metadata"]["name"], *(pod["metadata"]["name"] for pod in pods)}
        events = cluster.list(cluster.api.resource_named("events"), namespace)
    except TcpShiftError:
        return []
    warnings = [
        event
        for event in events
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("name") in names
    ]
    lines = [
        _("event {reason}: {message}").format(reason=event.get("reason"), message=event.get("message"))
        for event in warnings[-3:]
    ]
    missing = [] if pods else [_("it has no pods yet")]
    return [*missing, *conditions.pod_troubles(pods), *lines]
