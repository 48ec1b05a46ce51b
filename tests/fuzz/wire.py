"""An HTTP client that sends whatever it is told to, over TLS, byte by byte as given, and reads what comes back.

It keeps its connection while the server does. It is not a client to build upon: nothing is checked, quoted or retried.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass

from .requests import Request

_PATIENCE_SECONDS = 20.0
_STREAM_SECONDS = 0.02


@dataclass(frozen=True)
class Response:
    """What came back: code 0 if the server closed the connection without a word, -1 if it said nothing for long."""

    code: int
    content_type: str
    body: bytes
    is_stream: bool = False


class Wire:
    """One connection at a time."""

    def __init__(self, host: str, tls: ssl.SSLContext, token_header: str) -> None:
        """Talk to `host` (name:port); requests without an Authorization header get this one."""
        self._address, _, port = host.partition(":")
        self._port = int(port)
        self._tls = tls
        self._token = token_header
        self._socket: ssl.SSLSocket | None = None

    def ask(self, request: Request) -> Response:
        """Send and read."""
        fresh = self._socket is None
        try:
            return self._ask(request)
        except (ConnectionError, ssl.SSLError, http.client.BadStatusLine):
            self.close()
            if not fresh:  # the server may have closed a kept connection before it saw this request
                return self.ask(request)
            return Response(0, "", b"")
        except TimeoutError:
            self.close()
            return Response(-1, "", b"")

    def _ask(self, request: Request) -> Response:
        if self._socket is None:
            plain = socket.create_connection((self._address, self._port), _PATIENCE_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._tls.wrap_socket(plain, server_hostname=self._address)
        self._socket.sendall(self._bytes(request))
        response = http.client.HTTPResponse(self._socket, method="HEAD" if request.method == "HEAD" else None)
        try:
            response.begin()
            content_type = response.headers.get("Content-Type", "")
            if response.status == 101 or _is_watch(request, response):
                body = b"" if response.status == 101 else self._first_line(response)
                self.close()
                return Response(response.status, content_type, body, is_stream=True)
            body = response.read()
            if response.will_close or request.malformed:
                self.close()
            return Response(response.status, content_type, body)
        finally:
            response.close()

    def _bytes(self, request: Request) -> bytes:
        if request.malformed:
            return request.malformed
        headers = list(request.headers)
        names = {name.lower() for name, _ in headers}
        if "host" not in names:
            headers.insert(0, ("Host", f"{self._address}:{self._port}"))
        if "authorization" not in names:
            headers.append(("Authorization", self._token))
        body = request.body or b""
        if request.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
            half = len(body) // 2
            pieces = (piece for piece in (body[:half], body[half:]) if piece)
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        elif request.body is not None:
            headers.append(("Content-Length", str(len(body))))
        head = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(head).encode("latin-1", "replace") + body

    def _first_line(self, response: http.client.HTTPResponse) -> bytes:
        """What a stream says at once, if it does: a client that waits for more would wait for long."""
        assert self._socket is not None
        self._socket.settimeout(_STREAM_SECONDS)
        try:
            return response.readline()
        except TimeoutError:
            return b""

    def close(self) -> None:
        """Hang up, whatever the server was about to say."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _is_watch(request: Request, response: http.client.HTTPResponse) -> bool:
    return response.status == 200 and response.chunked and ("watch" in request.target or "follow" in request.target)
