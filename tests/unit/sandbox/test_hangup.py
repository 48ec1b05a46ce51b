"""Whether the other end has gone: over TLS and in the clear, read from or not, with a goodbye and without."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox import certificates
from tcpshift_helpers.sandbox.hangup import has_hung_up
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    Ends = tuple[asyncio.Transport, asyncio.Transport]


class Server(asyncio.Protocol):
    """The end that is asked."""

    def __init__(self, connected: asyncio.Future[asyncio.Transport]) -> None:
        self._connected = connected

    def connection_made(self, transport: Any) -> None:
        self._connected.set_result(transport)


@pytest.fixture(params=["TLS", "plain"])
async def ends(request: Any, tmp_path: Path) -> AsyncIterator[Ends]:
    """Both ends of a connection: the client's, and the server's."""
    ours = theirs = None
    if request.param == "TLS":
        home = Home(tmp_path)
        home.create()
        certificates.ensure(home, ["127.0.0.1"])
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
        theirs = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
    loop = asyncio.get_running_loop()
    connected: asyncio.Future[asyncio.Transport] = loop.create_future()
    server = await loop.create_server(lambda: Server(connected), "127.0.0.1", 0, ssl=ours)
    client, _ = await loop.create_connection(
        asyncio.Protocol, "127.0.0.1", server.sockets[0].getsockname()[1], ssl=theirs
    )
    served = await connected
    yield client, served
    client.abort()
    served.abort()
    server.close()
    await server.wait_closed()


async def test_one_that_stays(ends: Ends, until: Any) -> None:
    client, served = ends
    assert not has_hung_up(served)
    served.pause_reading()
    client.write(b"x" * 100)
    assert not has_hung_up(served)


async def test_one_that_goes(ends: Ends, until: Any) -> None:
    client, served = ends
    client.close()
    await until(lambda: has_hung_up(served), "the goodbye to come")


async def test_one_that_goes_without_a_word_while_nobody_reads(ends: Ends, until: Any) -> None:
    client, served = ends
    served.pause_reading()
    client.abort()
    await until(lambda: has_hung_up(served), "the end to come")


async def test_one_that_resets(ends: Ends, until: Any) -> None:
    client, served = ends
    served.pause_reading()
    client.pause_reading()
    served.write(b"x" * 100_000)
    client.abort()
    await until(lambda: has_hung_up(served), "the reset to come")


async def test_one_that_we_have_closed(ends: Ends) -> None:
    ends[1].abort()
    assert has_hung_up(ends[1])
    assert has_hung_up(None)
