"""Istio for the lesson: weights of a route, its gateway's address, injection.

A route is named as kubectl would: `tcproute/tcp-echo` of the Gateway API, and plain `tcp-echo` for a VirtualService; every
function here takes either. Whether a change is in force yet is asked in in_force.py and offered here. Nothing here talks to
istiod: everything goes through the Kubernetes API, so it works the same on every cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers import kubectl, routes
from tcpshift_helpers.in_force import wait_in_force
from tcpshift_helpers.ingress import INGRESS_SERVICE, SYSTEM_NAMESPACE, Ingress, find
from tcpshift_helpers.injection import kube_inject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.connection import Cluster

__all__ = [
    "Ingress",
    "ingress",
    "kube_inject",
    "label_namespace_for_injection",
    "set_weights",
    "wait_in_force",
    "weights",
]

_LABEL = "istio-injection"


def weights(cluster: Cluster, route: str = "tcp-echo") -> dict[str, int]:
    """The weights that a route sets, in the order written.

    Args:
        cluster: where.
        route: a VirtualService's name: its weights are by subset, a lone destination without a weight counts as 100.
            Or `tcproute/NAME`: its weights are by backend Service, a missing one is 1.

    Raises:
        NotFoundError: no such route.
        UsageError: it has no split of TCP connections.
    """
    return routes.named(cluster, route).weights()


def set_weights(cluster: Cluster, route: str, new: Mapping[str, int]) -> None:
    """State the whole split of a route: subsets or backends that are not named get nothing.

    Prints the `kubectl patch` it stands for. Sums other than 100 are valid: weights are proportions.

    Args:
        cluster: where.
        route: a VirtualService's name, or `tcproute/NAME`.
        new: subset or backend to weight, such as `{"v1": 80, "v2": 20}`.

    Raises:
        UsageError: a weight cannot be meant, all are zero, or a subset or Service does not exist; nothing is changed.
        NotFoundError: no such route.
    """
    found = routes.named(cluster, route)
    kubectl.patch(cluster, found.resource.kind.lower(), found.name, found.patch(new), patch_type="json")


def ingress(
    cluster: Cluster,
    route: str = "tcp-echo",
    *,
    namespace: str = SYSTEM_NAMESPACE,
    service: str = INGRESS_SERVICE,
    timeout_seconds: float = 60.0,
) -> Ingress:
    """Host and port at which a route's gateway takes connections, found as the task does, each command printed.

    `INGRESS_HOST` and `TCP_INGRESS_PORT` in the environment win over what the cluster says. Without a LoadBalancer
    address the node port at a node's address is taken.

    Args:
        cluster: where.
        route: a VirtualService's name: it is the ingress gateway's port named `tcp`. Or `tcproute/NAME`: it is the Gateway
            that the route names.
        namespace: of the ingress gateway's Service.
        service: its name.
        timeout_seconds: how long to wait for a Gateway of the Gateway API to be programmed.

    Raises:
        ProfileError: there is no such service, Gateway, port or address; the message says how to get it.
        NotFoundError: no such TCPRoute.
    """
    found, commands = find(cluster, route, namespace=namespace, service=service, timeout_seconds=timeout_seconds)
    for command, answer in commands:
        print(f"$ {command}\n{answer}")
    return found


def label_namespace_for_injection(cluster: Cluster, namespace: str | None = None) -> None:
    """Label a namespace so that new pods in it get a sidecar; pods there already stay as they are."""
    kubectl.label(cluster, "namespace", namespace or cluster.namespace, {_LABEL: "enabled"})
