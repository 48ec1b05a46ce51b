"""How long the ingress gateway lets connections of a replaced rule live: Envoy's drain time, set as Istio sets it.

A change of a route does not move an open connection. Envoy keeps it on its version until the drain time ends, then
closes it. Istio's default is 45 s; a lesson that wants to see it end sets fewer.
Source: istio.io, ProxyConfig.drainDuration, taken from the pod annotation `proxy.istio.io/config`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tcpshift_helpers import kubectl
from tcpshift_helpers.errors import NotFoundError, ProfileError, UsageError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

ANNOTATION = "proxy.istio.io/config"
FIELD = "drainDuration"
DEFAULT_SECONDS = 45
GATEWAY = "istio-ingressgateway"
SYSTEM_NAMESPACE = "istio-system"
_ROLLOUT_TIMEOUT_SECONDS = 120.0


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
    before = _config(_gateway(cluster))
    after = {key: value for key, value in before.items() if key != FIELD}
    after |= {FIELD: f"{seconds}s"} if seconds else {}
    if after == before:
        print(_("The drain time is {seconds} s already.").format(seconds=seconds or DEFAULT_SECONDS))
        return
    value = json.dumps(after) if after else None
    patch = {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: value}}}}}
    kubectl.patch(cluster, "deployment", GATEWAY, patch, namespace=SYSTEM_NAMESPACE)
    kubectl.rollout_status(cluster, GATEWAY, namespace=SYSTEM_NAMESPACE, timeout_seconds=_ROLLOUT_TIMEOUT_SECONDS)


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
