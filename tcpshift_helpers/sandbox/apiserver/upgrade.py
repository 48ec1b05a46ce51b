"""Requests that change their protocol: handed through to the kubelet, byte by byte once it has agreed.

It knows HTTP's way of upgrading and nothing of what is spoken afterwards. Neither side is read from faster than the other reads.

Source: kubernetes/apimachinery pkg/util/proxy/upgradeaware.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import os
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import StreamReader, web

from tcpshift_helpers.sandbox.apiserver.status import bad_request, internal_error
from tcpshift_helpers.sandbox.hangup import has_hung_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import Message

_HANDED_ON = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "X-Stream-Protocol-Version",
    "Upgrade",
    "Connection",
)
_HANDED_BACK = (
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "X-Accepted-Stream-Protocol-Versions",
    "Retry-After",
    "Upgrade",
    "Connection",
)
_BUFFER_BYTES = 64 * 1024
_LONGEST_REFUSAL = 64 * 1024
_LAST_WORDS_SECONDS = 2.0


@dataclass(frozen=True)
class Kubelet:
    """Where the kubelet is, and what makes it listen."""

    address: str
    port: int
    token: str
    tls: ssl.SSLContext

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"https://{self.address}:{self.port}"


async def relay(request: web.Request, kubelet: Kubelet, path: str) -> web.StreamResponse:
    """Ask the kubelet for what the client asks for, and stand between the two until one of them ends.

    Args:
        request: the client's request.
        kubelet: whom to ask.
        path: what to ask it for, with query.

    Returns:
        The answer: the kubelet's refusal as it is, or a connection that is over.

    Raises:
        StatusError: 400, no upgrade is asked for; 500, the kubelet cannot be reached.
    """
    if "upgrade" not in request.headers.get("Connection", "").lower():
        raise bad_request("Upgrade request required")
    async with _connection(kubelet) as (reader, writer):
        headers = {name: request.headers[name] for name in _HANDED_ON if name in request.headers}
        headers |= {"Host": f"{kubelet.address}:{kubelet.port}", "Authorization": f"Bearer {kubelet.token}"}
        lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        code, answer = await _head(reader)
        if code < 400 and code != HTTPStatus.SWITCHING_PROTOCOLS:
            raise internal_error(f"invalid upgrade response: status code {code}")
        kept = {name: answer[name] for name in _HANDED_BACK if name in answer}
        if code != HTTPStatus.SWITCHING_PROTOCOLS:
            body = await reader.read(min(int(answer.get("Content-Length", 0)), _LONGEST_REFUSAL))
            kept.pop("Connection", None)
            return web.Response(body=body, status=code, headers=kept, content_type="text/plain")
        return await _join(request, kept, reader, writer)


@contextlib.asynccontextmanager
async def _connection(kubelet: Kubelet) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        reader, writer = await asyncio.open_connection(
            kubelet.address, kubelet.port, ssl=kubelet.tls, limit=_BUFFER_BYTES
        )
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        where = f"dial tcp {kubelet.address}:{kubelet.port}: connect: {why}"
        raise internal_error(f"error dialing backend: {where}") from error
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[int, Message]:
    """Status code and headers of the kubelet's answer."""
    try:
        first, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
        raise internal_error("error dialing backend: EOF") from error
    return int(first.split()[1]), http.client.parse_headers(io.BytesIO(rest))


class _Incoming:
    """What the client sends after the upgrade; takes the place of aiohttp's reader of websocket frames."""

    def __init__(self, request: web.Request) -> None:
        self.stream = StreamReader(request.protocol, limit=_BUFFER_BYTES, loop=asyncio.get_running_loop())

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.stream.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.stream.feed_eof()

    def set_exception(self, error: BaseException, cause: BaseException | None = None) -> None:
        self.stream.set_exception(error)


async def _join(
    request: web.Request, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> web.StreamResponse:
    response = web.StreamResponse(status=HTTPStatus.SWITCHING_PROTOCOLS, headers=headers)
    response.force_close()
    await response.prepare(request)
    incoming = _Incoming(request)
    request.protocol.set_parser(incoming)  # type: ignore[arg-type]

    async def to_kubelet() -> None:
        with contextlib.suppress(OSError):
            async for chunk in incoming.stream.iter_any():
                writer.write(chunk)
                await writer.drain()

    async def to_client() -> bool:
        """Whether the client was still there when the kubelet had sent its last byte."""
        with contextlib.suppress(OSError):
            while data := await reader.read(_BUFFER_BYTES):
                await response.write(data)
                # One that is not read from, since the kubelet does not read, has to be asked.
                if has_hung_up(request.transport):
                    return False
        return True

    sending, answering = asyncio.create_task(to_kubelet()), asyncio.create_task(to_client())
    try:
        await asyncio.wait([sending, answering], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done() or not answering.result():
            # The client has gone: what it sent last still reaches the kubelet.
            await asyncio.wait([sending], timeout=_LAST_WORDS_SECONDS)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _LAST_WORDS_SECONDS)
            if request.transport is not None:
                request.transport.abort()
    finally:
        for task in (sending, answering):
            task.cancel()
        await asyncio.gather(sending, answering, return_exceptions=True)
    return response
