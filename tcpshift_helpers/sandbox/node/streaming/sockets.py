"""What sessions have in common: messages of a websocket, signs of life, and work that ends together."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.hangup import has_hung_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable

PING_SECONDS = 10.0
_CLOSE_SECONDS = 2.0


class RefusedError(Exception):
    """There will be no session; `str()` of it is what the kubelet says.

    Attributes:
        code: HTTP status code.
    """

    def __init__(self, words: str, code: int = 400) -> None:
        super().__init__(words)
        self.code = code


def websocket(protocol: str) -> web.WebSocketResponse:
    """The server's end of a websocket that speaks this protocol, empty for the one without a name."""
    return web.WebSocketResponse(
        protocols=(protocol,) if protocol else (),
        max_msg_size=limits.LONGEST_MESSAGE_BYTES,
        compress=False,
        timeout=_CLOSE_SECONDS,
    )


async def messages(socket: web.WebSocketResponse) -> AsyncIterator[bytes]:
    """What the client sends, until it goes."""
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            yield message.data
        elif message.type == WSMsgType.TEXT:
            yield message.data.encode()
        else:
            return


@contextlib.asynccontextmanager
async def pinged(socket: web.WebSocketResponse, connection: asyncio.Transport | None) -> AsyncIterator[None]:
    """Ping the client now and then. Its answers are not waited for: they stand behind what a command does not read yet.

    A client that has vanished while it was not read from is only noticed by writing to it, or by asking. Then its connection is
    cut, and with it ends the request.
    """

    async def ping() -> None:
        with contextlib.suppress(ConnectionError):
            while not has_hung_up(connection):
                await asyncio.sleep(PING_SECONDS)
                await socket.ping()
        if connection is not None:
            connection.abort()

    task = asyncio.create_task(ping())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until the first ends, and cancel the others; raises what it raised."""
    await _together(work, asyncio.FIRST_COMPLETED)


async def all_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until the last ends, or the first fails; then the others are cancelled, and what it raised is raised."""
    await _together(work, asyncio.FIRST_EXCEPTION)


async def _together(work: Iterable[Coroutine[Any, Any, None]], until: str) -> None:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=until)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
