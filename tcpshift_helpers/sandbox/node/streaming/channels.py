"""What goes over the websocket of an exec or attach: channels in front of each message, and how it went as a `metav1.Status`.

Pure. Version 4 is what the kubelet itself speaks, and before it version 1, also with clients that name no protocol: there the words of
a failure are all that is said of the end. Version 5, which adds that a client can close its standard input, is spoken on a
cluster by the API server alone, which asks the kubelet by SPDY and wraps once more what that says: hence the doubled words.

Source: kubernetes 1.34 apimachinery pkg/util/remotecommand; kubelet pkg/cri/streaming/remotecommand/{websocket,exec,attach}.go;
apiserver pkg/util/proxy/streamtranslator.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

UNNAMED, V1, V4, V5 = "", "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"
SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255


def negotiate(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first protocol offered that is supported, None if there is none."""
    return next((protocol for protocol in offered if protocol in supported), None)


def last_message(status: bytes, protocol: str) -> bytes | None:
    """What the error channel brings at the end; None if nothing.

    Args:
        status: how it went.
        protocol: what is spoken.
    """
    if protocol in (V4, V5):
        return status
    said = json.loads(status)
    return None if said["status"] == "Success" else str(said["message"]).encode()


def succeeded() -> bytes:
    """It went well."""
    return _status({"metadata": {}, "status": "Success"})


def exited(command: Sequence[str], code: int, protocol: str) -> bytes:
    """The command ended with an exit code other than 0."""
    words = f"error executing command [{' '.join(command)}], exit code {code}"
    if protocol == V5:
        words = f"command terminated with exit code {code}"
    return _status(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: {words}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
        }
    )


def failed(words: str, protocol: str) -> bytes:
    """The container runtime could not do it."""
    message = f"Internal error occurred: {words}"
    return internal_error(message) if protocol == V5 else internal_error(words)


def internal_error(words: str) -> bytes:
    """A failure nobody foresaw, in its server's words."""
    return _status(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"Internal error occurred: {words}",
            "reason": "InternalError",
            "details": {"causes": [{"message": words}]},
            "code": 500,
        }
    )


def terminal_size(message: bytes) -> tuple[int, int] | None:
    """Rows and columns that a message of the resize channel asks for; None if it makes no sense."""
    try:
        asked = json.loads(message)
        rows, columns = int(asked["Height"]), int(asked["Width"])
    except (ValueError, KeyError, TypeError):
        return None
    return (rows, columns) if 0 < rows < 65536 and 0 < columns < 65536 else None


def _status(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
