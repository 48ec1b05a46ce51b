"""Stands in for `pilot-agent request` of the proxy's image: one request to the pod's own Envoy, whose answer is printed.

Run as `python -S -E pilot_agent.py request METHOD PATH [BODY]`. Where the real one asks localhost:15000, it asks Envoy's admin
socket, which `ENVOY_ADMIN_SOCKET` names; where it asks another port of localhost, the pod's address, which `POD_IP` names.
Its words on failures are the real one's.

Not done: every other command of pilot-agent. The node starts Envoy itself, and there are no agent's ports 15004 and 15020.

Source: istio.io/istio, 1.31 line: pilot/cmd/pilot-agent/app/request.go, pilot/pkg/request/command.go.
"""

import argparse
import http.client
import os
import socket
import sys

ADMIN_PORT = 15000
ALLOWED_PORTS = (ADMIN_PORT, 15004, 15020, 15021)
_TIMEOUT_SECONDS = 60.0
_FAILED = 255  # what the real one's -1 becomes


class AdminConnection(http.client.HTTPConnection):
    """A connection to Envoy's admin socket."""

    def connect(self) -> None:
        """Connect by the socket's name alone: its path may be longer than the 107 bytes of an address."""
        directory, name = os.path.split(os.environ["ENVOY_ADMIN_SOCKET"])
        os.chdir(directory)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(name)


def main(arguments: list[str]) -> int:
    """Be `pilot-agent`; returns its exit code."""
    parser = argparse.ArgumentParser("pilot-agent")
    request = parser.add_subparsers(dest="command", required=True).add_parser("request")
    request.add_argument("--debug-port", type=int, default=ADMIN_PORT)
    request.add_argument("method")
    request.add_argument("path")
    request.add_argument("body", nargs="?", default="")
    asked = parser.parse_args(arguments)
    if asked.debug_port not in ALLOWED_PORTS:
        allowed = " ".join(map(str, ALLOWED_PORTS))
        return _fail(f"debug port {asked.debug_port} is not in allowed list [{allowed}]")
    path = "/" + asked.path.removeprefix("/")
    kind = AdminConnection if asked.debug_port == ADMIN_PORT else http.client.HTTPConnection
    connection = kind(os.environ["POD_IP"], asked.debug_port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request(asked.method, path, asked.body.encode())
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        where = f"http://localhost:{asked.debug_port}{path}"
        # An Envoy that has not yet made its socket is one that does not listen yet.
        missing = isinstance(error, FileNotFoundError)
        why = "connection refused" if missing else (getattr(error, "strerror", None) or str(error)).lower()
        return _fail(f'{asked.method.capitalize()} "{where}": dial tcp 127.0.0.1:{asked.debug_port}: connect: {why}')
    finally:
        connection.close()
    if response.status >= 400 and response.status != http.client.NOT_FOUND:
        return _fail(f"received unsuccessful status code {response.status}: {text.decode(errors='replace')}")
    sys.stdout.buffer.write(text + b"\n")
    return 0


def _fail(words: str) -> int:
    sys.stderr.write(f"Error: {words}\n")
    return _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
