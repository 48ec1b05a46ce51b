"""Commands in containers: the exec subresource over the official client's websocket.

It returns what the command wrote and does not print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import ExecError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcpshift_helpers.connection import Cluster


@dataclass(frozen=True)
class Finished:
    """What a command left behind: its exit code and output."""

    code: int
    stdout: str
    stderr: str


def run(
    cluster: Cluster,
    pod: str,
    command: Sequence[str],
    *,
    namespace: str,
    container: str | None = None,
    timeout_seconds: float = 30.0,
) -> Finished:
    """Run a command in a container and collect its output.

    Raises:
        ExecError: it could not be started, or did not end in time.
    """
    from kubernetes.client import CoreV1Api  # noqa: PLC0415 - the websocket client is slow to import and seldom needed
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    from kubernetes.stream import stream  # noqa: PLC0415
    from websocket import WebSocketException  # noqa: PLC0415

    # The stream helper swaps call_api of its client for the call: a client of its own keeps threads apart.
    client = type(cluster.api.client)(cluster.api.client.configuration)
    options = {"container": container} if container else {}
    channel = None
    try:
        channel = stream(
            CoreV1Api(client).connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
            **options,
        )
        channel.run_forever(timeout=timeout_seconds)
        if channel.is_open():
            channel.close()
            raise ExecError(
                _("{command} in pod {pod} did not end within {seconds:g} s; it was let go.").format(
                    command=" ".join(command), pod=pod, seconds=timeout_seconds
                )
            )
        stdout, stderr, code = channel.read_stdout() or "", channel.read_stderr() or "", channel.returncode
    except (ApiException, WebSocketException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise ExecError(
            _(
                "{command} could not be started in pod {pod}: {reason}\n"
                "Is the pod running? kubectl -n {namespace} get pod {pod}"
            ).format(command=" ".join(command), pod=pod, reason=reason, namespace=namespace)
        ) from error
    finally:
        if channel is not None:
            channel.sock.shutdown()  # the client leaves its socket open when the server ends the stream
    return Finished(int(code or 0), str(stdout), str(stderr))
