"""Run so many pods of each version, and wait until the ingress gateway sends connections to those and to no others.

`kubectl rollout status` is content when the pods are as wanted; the gateway learns of it a moment later, and until then
a connection may go to a pod that is gone. Who measures has to wait for both.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, inside, kubectl
from tcpshift_helpers.errors import ExecError, NotFoundError, WaitTimeoutError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.connection import Cluster

SERVICE = "tcp-echo"
_TIMEOUT_SECONDS = 120.0
_POLL_SECONDS = 0.1


def scale(cluster: Cluster, replicas: Mapping[str, int]) -> None:
    """Scale the Deployments of tcp-echo, wait, and print the commands that it stands for.

    Args:
        cluster: where.
        replicas: version to number of pods, such as `{"v1": 1, "v2": 4}`.

    Raises:
        UsageError: a number is negative or no whole number.
        NotFoundError: a version has no Deployment.
        WaitTimeoutError: the pods did not come up or did not go, or the gateway did not hear of it.
    """
    for version, number in replicas.items():
        kubectl.scale(cluster, f"{SERVICE}-{version}", number)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    resource = cluster.api.resource_named("deployments.apps")
    for version in replicas:
        name = f"{SERVICE}-{version}"
        wait_until(cluster, resource, name, conditions.RolledOut(), namespace=cluster.namespace, deadline=deadline)
    while not _gateway_knows(cluster):
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                _("The gateway still sends connections to other pods than there are. Look at: istioctl proxy-status")
            )
        time.sleep(_POLL_SECONDS)


def _gateway_knows(cluster: Cluster) -> bool:
    """Whether each of the gateway's clusters for the service leads to its ready pods; true where nobody can be asked."""
    ready = inside.ready_addresses(cluster, SERVICE)
    try:
        known = inside.endpoints(cluster, SERVICE)
    except (ExecError, NotFoundError):
        return True
    return all(
        addresses == (ready.get(subset, set()) if subset else set().union(*ready.values()))
        for subset, addresses in known.items()
    )
