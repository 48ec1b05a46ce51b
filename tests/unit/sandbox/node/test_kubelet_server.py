"""The kubelet's port: who may ask, before anything is answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from .conftest import Node

POD = "default/pod"
PATHS = [
    f"/containerLogs/{POD}/c?follow=true",
    f"/exec/{POD}/c?command=true&output=1",
    f"/attach/{POD}/c?output=1",
    f"/portForward/{POD}?port=80",
    "/pods",
    "/nope",
]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": "v4.channel.k8s.io"}


@pytest.mark.parametrize("path", PATHS)
async def test_only_the_owner_is_answered(node: Node, kubelet: aiohttp.ClientSession, path: str) -> None:
    """In a real kubelet's words, which are no `metav1.Status`."""
    token = node.home.token.read_text().strip()
    for wrong in ("", "Bearer wrong", f"Bearer {token}x", token, f"Basic {token}", "Bearer \udcff"):
        for headers in ({"Authorization": wrong}, {"Authorization": wrong, **UPGRADE}):
            async with kubelet.get(path, headers=headers) as answer:
                assert (answer.status, await answer.text()) == (401, "Unauthorized")
            async with kubelet.post(path, headers=headers) as answer:
                assert answer.status == 401
    async with kubelet.get(path) as answer:
        assert answer.status != 401


async def test_nothing_is_said_without_tls(node: Node) -> None:
    token = node.home.token.read_text().strip()
    reader, writer = await asyncio.open_connection(node.kubelet.subnet.api_server, 10250)
    writer.write(f"GET /containerLogs/{POD}/c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    said: Any = await asyncio.gather(asyncio.wait_for(reader.read(), 30), return_exceptions=True)
    assert said[0] == b"" or isinstance(said[0], ConnectionError)
    writer.close()
