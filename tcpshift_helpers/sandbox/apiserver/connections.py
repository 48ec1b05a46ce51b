"""Connections of clients: aiohttp's, with the limits of Go's net/http, and its words to those who do not speak HTTP.

What a client sends is no mistake of this server: it is answered, and not logged. Nobody's credentials are known yet when the head of a
request is read, so that is where the limits matter most.

Source: Go's net/http (server.go, DefaultMaxHeaderBytes) as kube-apiserver 1.34 answers by it; kubernetes/apiserver
pkg/server/secure_serving.go (ReadHeaderTimeout).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import EMPTY_PAYLOAD, http_exceptions, web

from tcpshift_helpers.sandbox import limits

if TYPE_CHECKING:
    import asyncio

_KEEP_ALIVE_SECONDS = 75.0
_TOO_LARGE = "431 Request Header Fields Too Large"


class Connection(web.RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        """Serve requests for `server`; bodies are left as they are, as the real server does not unpack them either."""
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # as AppRunner's documentation has it
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            max_line_size=limits.LARGEST_HEAD_BYTES,
            max_field_size=limits.LARGEST_HEAD_BYTES,
            max_headers=limits.MOST_HEADERS,
            auto_decompress=False,
        )
        self._head_bytes = 0
        self._body = EMPTY_PAYLOAD  # of the newest request
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._silence = self._loop.call_later(limits.FIRST_HEAD_SECONDS, transport.abort)  # type: ignore[attr-defined]

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wait for nothing any more."""
        self._hear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and answer when they are too many for a head: aiohttp counts each of its lines alone."""
        known = self._request_count
        super().data_received(data)
        if self._request_count != known:
            self._hear()
            self._head_bytes = 0
            self._body = self._messages[-1][1] if self._messages else self._body
        elif self._body.is_eof() and self._payload_parser is None:
            self._head_bytes += len(data)
            if self._head_bytes > limits.LARGEST_HEAD_BYTES and self.transport is not None:
                head = f"HTTP/1.1 {_TOO_LARGE}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
                self.transport.write((head + _TOO_LARGE).encode())
                self.close()
                self.transport.close()

    def _hear(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read as a request; anything else is ours, and aiohttp's to tell."""
        if not isinstance(exc, http_exceptions.HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        is_too_long = isinstance(exc, http_exceptions.LineTooLong) or "Too many headers" in exc.message
        text = _TOO_LARGE if is_too_long else "400 Bad Request"
        response = web.Response(text=text, status=431 if is_too_long else 400, headers={"Connection": "close"})
        response.force_close()
        return response
