"""A node with pods to stream into, and a client of its kubelet's port."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tcpshift_helpers.sandbox.node.streaming import channels

from ..conftest import shell

if TYPE_CHECKING:
    from ..conftest import Node

Client = aiohttp.ClientSession


@pytest.fixture
async def pod(node: Node, until: Any) -> str:
    """A pod that idles in a container `c`."""
    await node.run("pod", shell("sleep 1000", env=[{"name": "GREETING", "value": "hello"}]))
    await until(lambda: node.is_ready("pod"), "the pod to run")
    return "/exec/default/pod/c"


@dataclass
class Session:
    """What came over a websocket, by channel."""

    socket: aiohttp.ClientWebSocketResponse
    channels: dict[int, bytes] = field(default_factory=dict)

    async def step(self) -> bool:
        """Take one message; False at the end."""
        # A timeout of `receive` itself would begin anew with each ping.
        message = await asyncio.wait_for(self.socket.receive(), 30)
        if message.type != aiohttp.WSMsgType.BINARY:
            return False
        self.channels[message.data[0]] = self.channels.get(message.data[0], b"") + message.data[1:]
        return True

    async def end(self) -> Session:
        """Take all that comes."""
        while await self.step():
            pass
        return self

    async def until(self, channel: int, text: bytes) -> None:
        """Take what comes until a channel has brought this."""
        while text not in self.channels.get(channel, b""):
            assert await self.step(), self.channels

    async def send(self, channel: int, data: bytes) -> None:
        await self.socket.send_bytes(bytes((channel,)) + data)

    @property
    def status(self) -> dict[str, Any]:
        return json.loads(self.channels[channels.ERROR])

    @property
    def code(self) -> int:
        """The exit code."""
        return 0 if self.status["status"] == "Success" else int(self.status["details"]["causes"][0]["message"])


@pytest.fixture
def open_session(kubelet: Client) -> Any:
    """Opens a session; tests close what they open by ending it."""

    async def opened(path: str, *command: str, protocol: str = channels.V4, **wanted: str) -> Session:
        query = [("command", word) for word in command] + list((wanted or {"output": "1", "error": "1"}).items())
        return Session(
            await kubelet.ws_connect(path, params=query, protocols=(protocol,) if protocol else (), max_msg_size=0)
        )

    return opened
