"""Commands in containers: the exec subresource over the official client's websocket.

It returns what the command wrote and does not print.
"""

from __future__ import annotations

import contextlib
import json
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
        ExecError: it could not be started, did not end in time, or the connection to it ended before.
    """
    from kubernetes.client import CoreV1Api  # noqa: PLC0415 - the websocket client is slow to import and seldom needed
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    from kubernetes.stream import stream  # noqa: PLC0415
    from kubernetes.stream.ws_client import ERROR_CHANNEL  # noqa: PLC0415
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
        stdout, stderr, status = channel.read_stdout(), channel.read_stderr(), channel.read_channel(ERROR_CHANNEL)
    except (ApiException, WebSocketException, OSError) as error:
        if channel is not None:
            raise _cut_off(command, pod, namespace) from error
        raise _not_started(command, pod, namespace, _refusal(error)) from error
    finally:
        if channel is not None:
            channel.sock.shutdown()  # the client leaves its socket open when the server ends the stream
    outcome = exit_code(status)
    if isinstance(outcome, str):
        raise _not_started(command, pod, namespace, outcome)
    if outcome is None:
        raise _cut_off(command, pod, namespace)
    return Finished(outcome, str(stdout), str(stderr))


def exit_code(status: str) -> int | str | None:
    """What the error channel says at the end.

    Args:
        status: a `metav1.Status` as JSON; empty if the connection ended without one.

    Returns:
        The command's exit code; why there is none, in the server's words; or None: nobody knows.

    Source: kubernetes apimachinery pkg/util/remotecommand (StreamProtocolV4Name), client-go tools/remotecommand/v4.go.
    """
    if not status:
        return None
    said = json.loads(status)
    if said["status"] == "Success":
        return 0
    causes = said.get("details", {}).get("causes", [])
    codes = [int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"]
    return codes[0] if codes else str(said["message"])


def _refusal(error: Exception) -> str:
    """Why there is no connection: in the server's words, if it said any."""
    # The client keeps of a refused handshake its text alone; what was refused hangs behind that.
    body = getattr(error.__context__, "resp_body", None)
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body or b"")["message"])
    return str(getattr(error, "reason", None) or error)


def _not_started(command: Sequence[str], pod: str, namespace: str, reason: str) -> ExecError:
    return ExecError(
        _(
            "{command} could not be started in pod {pod}: {reason}\n"
            "Is the pod running? kubectl -n {namespace} get pod {pod}"
        ).format(command=" ".join(command), pod=pod, reason=reason, namespace=namespace)
    )


def _cut_off(command: Sequence[str], pod: str, namespace: str) -> ExecError:
    return ExecError(
        _(
            "{command} in pod {pod} was cut off: the connection ended before the command did.\n"
            "Is the pod running? kubectl -n {namespace} get pod {pod}"
        ).format(command=" ".join(command), pod=pod, namespace=namespace)
    )
