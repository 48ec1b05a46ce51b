"""How long the ingress gateway lets connections of a replaced rule live: Envoy's drain time, set as Istio sets it.

A change of a route does not move an open connection. Envoy keeps it on its version until the drain time ends, then
closes it. Istio's default is 45 s; a lesson that wants to see it end sets fewer.
Source: istio.io, ProxyConfig.drainDuration, taken from the pod annotation `proxy.istio.io/config`.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import yaml

from tcpshift_helpers import conditions, ingress, kubectl
from tcpshift_helpers.errors import NotFoundError, ProfileError, TcpShiftError, UsageError, WaitTimeoutError
from tcpshift_helpers.ingress import INGRESS_PODS, SYSTEM_NAMESPACE
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.waiting import wait_until

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

ANNOTATION = "proxy.istio.io/config"
FIELD = "drainDuration"
# On the Deployment: what is set there is the course's and not somebody else's.
MARK = "tcpshift/drain-time"
DEFAULT_SECONDS = 45
GATEWAY = "istio-ingressgateway"
_ROLLOUT_TIMEOUT_SECONDS = 120.0
_CONNECT_SECONDS = 1.0
_POLL_SECONDS = 0.1


def drain_time_seconds(cluster: Cluster) -> int:
    """How long connections of a replaced rule live at the ingress gateway; the default where nothing else is set.

    Raises:
        ProfileError: this Istio has no ingress gateway.
    """
    text = str(_config(_gateway(cluster)).get(FIELD, f"{DEFAULT_SECONDS}s"))
    return round(float(text.removesuffix("s")))


def set_drain_time(cluster: Cluster, seconds: int | None) -> None:
    """Set the ingress gateway's drain time, or take back what was set; its pods are made anew, and this waits for them.

    Nothing is done when it is so already. Prints the kubectl commands it stands for.

    Args:
        cluster: where.
        seconds: a whole number, 1 or more; None for Istio's default.

    Raises:
        UsageError: it is no such number.
        ProfileError: this Istio has no ingress gateway.
        WaitTimeoutError: the new pods did not come up.
    """
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1):
        raise UsageError(
            _("seconds={value!r}: a whole number, 1 or more, is needed, or None for Istio's default.").format(
                value=seconds
            )
        )
    gateway = _gateway(cluster)
    if _config(gateway).get(FIELD) == (f"{seconds}s" if seconds else None):
        print(_("The drain time is {seconds} s already.").format(seconds=seconds or DEFAULT_SECONDS))
        return
    was_open = _is_open(cluster)
    patch = _patch(gateway, seconds)
    kubectl.patch(cluster, "deployment", GATEWAY, patch, namespace=SYSTEM_NAMESPACE)
    kubectl.rollout_status(cluster, GATEWAY, namespace=SYSTEM_NAMESPACE, timeout_seconds=_ROLLOUT_TIMEOUT_SECONDS)
    _wait_for_the_change_of_pods(cluster, was_open, time.monotonic() + _ROLLOUT_TIMEOUT_SECONDS)


def take_back(cluster: Cluster) -> None:
    """Take back what `set_drain_time` set, without a word; what others set stays, and a missing gateway is no matter."""
    resource = cluster.api.resource_named("deployments.apps")
    gateway = cluster.read_or_none(resource, GATEWAY, SYSTEM_NAMESPACE)
    if gateway is None or MARK not in (gateway["metadata"].get("annotations") or {}):
        return
    was_open = _is_open(cluster)
    cluster.patch(resource, GATEWAY, _patch(gateway, None), namespace=SYSTEM_NAMESPACE)
    deadline = time.monotonic() + _ROLLOUT_TIMEOUT_SECONDS
    wait_until(cluster, resource, GATEWAY, conditions.RolledOut(), namespace=SYSTEM_NAMESPACE, deadline=deadline)
    _wait_for_the_change_of_pods(cluster, was_open, deadline)


def _is_open(cluster: Cluster) -> bool:
    """Whether the gateway takes connections at its TCP port; it does not where no rule opens it."""
    try:
        address, _commands = ingress.find(cluster)
        socket.create_connection(address, _CONNECT_SECONDS).close()
    except (TcpShiftError, OSError):
        return False
    return True


def _wait_for_the_change_of_pods(cluster: Cluster, was_open: bool, deadline: float) -> None:
    """Wait until the old pods are gone and, if they took connections, the new ones do.

    A rollout counts as done when the old pods are told to go; until they are gone, connections may still reach them.
    """
    pods = cluster.api.resource_named("pods")
    while True:
        alive = cluster.list(pods, SYSTEM_NAMESPACE, selector=INGRESS_PODS)
        if not any(pod["metadata"].get("deletionTimestamp") for pod in alive) and (not was_open or _is_open(cluster)):
            return
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                _("The ingress gateway's pods did not change places. Look at: {command}").format(
                    command=f"kubectl -n {SYSTEM_NAMESPACE} get pods"
                )
            )
        time.sleep(_POLL_SECONDS)


def _patch(gateway: dict[str, Any], seconds: int | None) -> dict[str, Any]:
    config = {key: value for key, value in _config(gateway).items() if key != FIELD}
    config |= {FIELD: f"{seconds}s"} if seconds else {}
    annotations = {ANNOTATION: json.dumps(config) if config else None}
    return {
        "metadata": {"annotations": {MARK: "set" if seconds else None}},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    }


def _gateway(cluster: Cluster) -> dict[str, Any]:
    try:
        return cluster.read(cluster.api.resource_named("deployments.apps"), GATEWAY, SYSTEM_NAMESPACE)
    except NotFoundError as error:
        raise ProfileError(
            _(
                "There is no Deployment {name}: this Istio was installed without an ingress gateway.\n"
                "Add one, for instance with: istioctl install --set profile=demo"
            ).format(name=f"{SYSTEM_NAMESPACE}/{GATEWAY}")
        ) from error


def _config(deployment: dict[str, Any]) -> dict[str, Any]:
    annotations = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    config = yaml.safe_load(annotations.get(ANNOTATION) or "{}")
    return config if isinstance(config, dict) else {}
