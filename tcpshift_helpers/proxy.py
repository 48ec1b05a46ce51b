"""What an Envoy of the mesh says of itself: one request to its admin port, through `pilot-agent` in its own container.

It works wherever exec does, and needs no port to be opened. Nothing is printed here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import execution
from tcpshift_helpers.errors import ExecError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster

CONTAINER = "istio-proxy"


def ask(cluster: Cluster, namespace: str, pod: str, path: str) -> Any:
    """What the Envoy of a pod answers to `GET path`, decoded from JSON.

    Raises:
        ExecError: it cannot be asked, or does not answer in JSON.
    """
    command = ("pilot-agent", "request", "GET", path)
    done = execution.run(cluster, pod, command, namespace=namespace, container=CONTAINER)
    if done.code:
        raise ExecError(
            _("pilot-agent in {pod} answered {words}").format(pod=pod, words=done.stderr.strip() or done.code)
        )
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise ExecError(_("pilot-agent in {pod} did not answer in JSON").format(pod=pod)) from error
