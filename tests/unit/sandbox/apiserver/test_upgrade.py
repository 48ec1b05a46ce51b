"""The relay between a client and the kubelet, with a kubelet that does as it is told; with real ones it is tested at the node."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.apiserver import upgrade
from tcpshift_helpers.sandbox.client import PODS
from tcpshift_helpers.sandbox.network import API_PORT, KUBELET_PORT, load_subnet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tcpshift_helpers.sandbox.client import Client
    from tcpshift_helpers.sandbox.home import Home

UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "pod", "namespace": "default"},
    "spec": {"nodeName": "node", "containers": [{"name": "c", "image": "busybox"}]},
}


class Kubelet:
    """It agrees to anything, and from then on talks until nobody is there any more.

    Attributes:
        sessions: how many go on.
    """

    def __init__(self) -> None:
        self.sessions = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{UPGRADE}\r\n\r\n".encode())
        self.sessions += 1
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"talk")
                await writer.drain()
                await asyncio.sleep(0.01)
        self.sessions -= 1
        writer.close()


@pytest.fixture
async def kubelet(api_home: Home, api: Client) -> AsyncIterator[Kubelet]:
    await api.create(PODS, POD)
    made = Kubelet()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(api_home.pki / "apiserver.crt", api_home.pki / "apiserver.key")
    server = await asyncio.start_server(made.serve, load_subnet(api_home).api_server, KUBELET_PORT, ssl=tls)
    yield made
    server.close()


async def connect(home: Home) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has been upgraded."""
    tls = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
    reader, writer = await asyncio.open_connection(load_subnet(home).api_server, API_PORT, ssl=tls)
    path = "/api/v1/namespaces/default/pods/pod/exec?command=cat&stdin=true"
    token = home.token.read_text().strip()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{UPGRADE}\r\n\r\n".encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_client_that_has_hung_up_unheard(
    api_home: Home, kubelet: Kubelet, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells of its end while it is not read from: the relay asks, and then ends both connections."""
    reader, writer = await connect(api_home)
    assert await reader.readexactly(8) == b"talktalk"
    assert kubelet.sessions == 1
    monkeypatch.setattr(upgrade, "has_hung_up", lambda _: True)
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(-1), 20)
    await until(lambda: kubelet.sessions == 0, "the kubelet's session to end")
    writer.close()
