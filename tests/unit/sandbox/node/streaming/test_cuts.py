"""Clients that go without a word leave nothing behind: no task, no process, no socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.node.streaming import channels

from .left_behind import CUTS, counts, until_nothing_is_left

if TYPE_CHECKING:
    from ..conftest import Node


async def cut(open_session: Any, number: int, pod: str, port: int) -> None:
    """Open a session of one of four kinds, see that it is at work, and abort its connection."""
    if number % 4 == 3:
        session = await open_session("/portForward/default/pod", port=str(port))
        await session.send(0, b"hello\n")
        await session.until(0, b"hello\n")
    else:
        wanted = [{"output": "1"}, {"input": "1", "output": "1"}, {"input": "1", "output": "1", "tty": "1"}][number % 4]
        session = await open_session(pod, "sh", "-c", "echo up; sleep 1000", **wanted)
        await session.until(channels.STDOUT, b"up")
    session.socket._response.connection.transport.abort()


async def test_two_hundred_cuts(node: Node, pod: str, open_session: Any, until: Any) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, node.status("pod")["podIP"], 0)
    port = server.sockets[0].getsockname()[1]
    await cut(open_session, 0, pod, port)
    before = counts(node)
    for number in range(CUTS):
        await cut(open_session, number, pod, port)
    # The first cut may still be in `before`; nothing of the others may be left.
    await until_nothing_is_left(node, before, until)
    server.close()


async def test_a_connection_into_a_pod(node: Node, pod: str, open_session: Any) -> None:
    """A port at which nobody listens is said on the error channel, in the kubelet's words."""
    del pod
    session = await open_session("/portForward/default/pod", port="9")
    done = await session.end()
    address = node.status("pod")["podIP"]
    assert done.channels[0] == b"\x09\x00"
    said = done.channels[1].removeprefix(b"\x09\x00").decode()
    assert said.startswith("error forwarding port 9 to pod ")
    assert said.endswith(f"IPv4: dial tcp4 {address}:9: connect: connection refused")
