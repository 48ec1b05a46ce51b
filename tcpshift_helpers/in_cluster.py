"""Probes from within the cluster: the client pod's own `nc`, through a Service and not through the gateway.

What goes this way is balanced over pods; a rule that names only a gateway has no say in it.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tcpshift_helpers import execution, netcat, shown
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.waiting import pod_name

if TYPE_CHECKING:
    import pandas as pd

    from tcpshift_helpers.connection import Cluster

CLIENT, CONTAINER = "deployment/curl", "curl"
_AT_ONCE = 10
_TIMEOUT_SECONDS = 120.0


def probe(cluster: Cluster, host: str = "tcp-echo", port: int = 9000, count: int = 60) -> pd.DataFrame:
    """Let the client pod connect `count` times, some at a time, and print the one command that does it.

    Args:
        cluster: where; the client of the course has to be there.
        host: a Service's name, or any other that the pod can look up.
        port: TCP port.
        count: number of connections; rounded up to a multiple of ten.

    Returns:
        As `netcat.probe`, without times.

    Raises:
        UsageError: an argument that means nothing.
        NotFoundError: the client is not there.
        ExecError: the command could not be run in it.
    """
    netcat.check_address(host, port)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(
            _("{name}={value!r}: a whole number, {least} or more, is needed.").format(
                name="count", value=count, least=1
            )
        )
    each = -(-count // _AT_ONCE)
    one = f"date | nc {shlex.quote(host)} {port}"
    script = f"for lane in $(seq {_AT_ONCE}); do (for n in $(seq {each}); do {one}; done) & done; wait"
    shown.say(["exec", CLIENT, "-c", CONTAINER, "--", "sh", "-c", script], cluster.namespace)
    done = execution.run(
        cluster,
        pod_name(cluster, CLIENT, cluster.namespace),
        ["sh", "-c", script],
        namespace=cluster.namespace,
        container=CONTAINER,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    why = next(iter(done.stderr.splitlines()), _("closed without answer"))
    return netcat.frame_of_lines(done.stdout.splitlines(), each * _AT_ONCE, why)
