"""Connections of clients: aiohttp's, with the limits of Go's net/http, and its words to those who do not speak HTTP.

What a client sends is no mistake of this server: it is answered, and not logged.

Source: Go's net/http (server.go, DefaultMaxHeaderBytes) as kube-apiserver 1.34 answers by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import http_exceptions, web

if TYPE_CHECKING:
    import asyncio

_KEEP_ALIVE_SECONDS = 75.0
_HEAD_BYTES = 1024 * 1024


class Connection(web.RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        """Serve requests for `server`; bodies are left as they are, as the real server does not unpack them either."""
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # as AppRunner's documentation has it
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
            auto_decompress=False,
        )

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
        is_too_long = isinstance(exc, http_exceptions.LineTooLong)
        text = "431 Request Header Fields Too Large" if is_too_long else "400 Bad Request"
        response = web.Response(text=text, status=431 if is_too_long else 400, headers={"Connection": "close"})
        response.force_close()
        return response
