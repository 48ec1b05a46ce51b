"""Clients of the API server that go in the middle of something leave nothing behind, there or at the node.

API server, node and client are one process here, so that its tasks, sockets and children are those of all three.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tcpshift_helpers.sandbox.client import PODS
from tcpshift_helpers.sandbox.network import API_PORT, load_subnet
from tcpshift_helpers.sandbox.node.streaming import channels, sockets, spdy

from ..conftest import shell
from .conftest import Session
from .left_behind import CUTS, counts, until_nothing_is_left

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ..conftest import Node

    Begin = Callable[["Caller"], Awaitable[asyncio.BaseTransport]]

AT_ONCE = 8
POD = "/api/v1/namespaces/default/pods/pod"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
NO_LINGER = struct.pack("ii", 1, 0)


@dataclass
class Caller:
    """A client of the API server; what it opens is cut by whoever holds its transport."""

    http: aiohttp.ClientSession
    address: str
    tls: ssl.SSLContext
    token: str
    echo_port: int
    uploads: list[asyncio.StreamWriter] = field(default_factory=list)

    async def session(self, subresource: str, *, protocol: str = channels.V5, **query: Any) -> Session:
        return Session(await self.http.ws_connect(f"{POD}/{subresource}", params=query, protocols=(protocol,)))

    async def exec(self, script: str, **wanted: Any) -> Session:
        """A shell in the pod that has said `up`."""
        query = {"command": ["sh", "-c", script], "stdout": "true", **wanted}
        session = await self.session("exec", **query)
        await session.until(channels.STDOUT, b"up")
        return session

    async def get(self, path: str, first: bytes) -> asyncio.BaseTransport:
        """An answer that has begun in this way and does not end."""
        answer = await self.http.get(path)
        assert first in await answer.content.readline()
        return transport_of(answer)

    async def upload(self, method: str, path: str, *headers: str, part: bytes) -> asyncio.BaseTransport:
        """A body of which this part is sent, once the server has begun to wait for it."""
        reader, writer = await asyncio.open_connection(self.address, API_PORT, ssl=self.tls)
        head = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.address}",
            f"Authorization: Bearer {self.token}",
            "Content-Type: application/json",
            "Expect: 100-continue",
            *headers,
        ]
        writer.write("\r\n".join([*head, "", ""]).encode())
        assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
        writer.write(part)
        await writer.drain()
        self.uploads.append(writer)
        return writer.transport


def transport_of(answer: aiohttp.ClientResponse) -> asyncio.BaseTransport:
    assert answer.connection is not None
    assert answer.connection.transport is not None
    return answer.connection.transport


def of(session: Session) -> asyncio.BaseTransport:
    return transport_of(session.socket._response)


async def watch(caller: Caller) -> asyncio.BaseTransport:
    return await caller.get("/api/v1/namespaces?watch=true", b"ADDED")


async def log(caller: Caller) -> asyncio.BaseTransport:
    return await caller.get(f"{POD}/log?follow=true", b"talk")


async def exec_(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("echo up; sleep 1000"))


async def exec_with_input(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("echo up; cat", stdin="true"))


async def exec_that_ignores_it_all(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("trap '' HUP INT TERM PIPE; echo up; sleep 1000; sleep 1000", stdin="true"))


async def exec_on_a_terminal(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("echo up; sleep 1000", stdin="true", tty="true"))


async def exec_on_a_terminal_that_ignores_it_all(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("trap '' HUP INT TERM PIPE; echo up; sleep 1000", stdin="true", tty="true"))


async def exec_of_a_shell_with_jobs(caller: Caller) -> asyncio.BaseTransport:
    """Each job of an interactive shell is a process group of its own."""
    session = await caller.session("exec", command=["sh", "-i"], stdin="true", stdout="true", tty="true")
    await session.send(channels.STDIN, b"(trap '' HUP; sleep 1000) &\n sh -c 'trap \"\" HUP; echo u''p; sleep 1000'\n")
    await session.until(channels.STDOUT, b"up")
    return of(session)


async def exec_of_a_daemon(caller: Caller) -> asyncio.BaseTransport:
    return of(await caller.exec("mkfifo $$; setsid sh -c 'echo up; read line < $0' $$ & sleep 1000"))


async def exec_that_is_flooded(caller: Caller) -> asyncio.BaseTransport:
    """More input than all buffers hold, for a command that does not read."""
    session = await caller.exec("echo up; sleep 1000", stdin="true")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while True:
                await session.send(channels.STDIN, b"x" * 1_000_000)
    return of(session)


async def exec_that_floods(caller: Caller) -> asyncio.BaseTransport:
    """More output than all buffers hold, for a client that does not read."""
    return of(await caller.exec("echo up; cat /dev/zero"))


async def copy(caller: Caller) -> asyncio.BaseTransport:
    """What kubectl cp does: an archive to the standard input of tar, cut in the middle of a file."""
    session = await caller.exec("echo up; tar xf - -C /dev -O >/dev/null", stdin="true")
    header = b"name".ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"00400000000\0" + b"0" * 12
    header = header + b" " * 8 + b"0"
    checksum = f"{sum(header):06o}\0 ".encode()
    header = (header[:148] + checksum + b"0").ljust(512, b"\0")
    await session.send(channels.STDIN, header + b"x" * 200_000)
    return of(session)


async def attach(caller: Caller) -> asyncio.BaseTransport:
    session = await caller.session("attach", stdout="true")
    await session.until(channels.STDOUT, b"talk")
    return of(session)


async def port_forward(caller: Caller) -> asyncio.BaseTransport:
    session = await caller.session("portforward", protocol=channels.V4, ports=str(caller.echo_port))
    await session.send(0, b"hello\n")
    await session.until(0, b"hello\n")
    return of(session)


async def port_forward_as_kubectl(caller: Caller) -> asyncio.BaseTransport:
    session = await caller.session("portforward", protocol=channels.SPDY_TUNNEL)
    encoder, decoder = spdy.Encoder(), spdy.Decoder()
    head = {"port": str(caller.echo_port), "requestid": "0"}
    frames = [spdy.SynStream(1, {**head, "streamtype": "error"}), spdy.SynStream(3, {**head, "streamtype": "data"})]
    await session.socket.send_bytes(b"".join(map(encoder.encode, [*frames, spdy.Data(3, b"hello\n")])))
    came: list[spdy.Frame] = []
    while spdy.Data(3, b"hello\n") not in came:
        came += decoder.feed((await session.socket.receive(30)).data)
    return of(session)


async def upload(caller: Caller) -> asyncio.BaseTransport:
    return await caller.upload("POST", CONFIG_MAPS, "Content-Length: 100000", part=b'{"data": {"a": "')


async def upload_in_chunks(caller: Caller) -> asyncio.BaseTransport:
    part = b'10\r\n{"data": {"a": "\r\n100\r\nnot all'
    return await caller.upload("POST", CONFIG_MAPS, "Transfer-Encoding: chunked", part=part)


async def upload_of_a_patch(caller: Caller) -> asyncio.BaseTransport:
    return await caller.upload("PATCH", POD, "Content-Length: 100000", part=b"{")


KINDS: dict[str, list[Begin]] = {
    "answers": [watch, log],
    "uploads": [upload, upload_in_chunks, upload_of_a_patch],
    "port-forward and attach": [port_forward, port_forward_as_kubectl, attach],
    "exec on pipes": [exec_, exec_with_input, exec_that_ignores_it_all, exec_of_a_daemon],
    "exec on a terminal": [exec_on_a_terminal, exec_on_a_terminal_that_ignores_it_all, exec_of_a_shell_with_jobs],
    "exec in full flow": [copy, exec_that_is_flooded, exec_that_floods],
}


@pytest.fixture
async def caller(node: Node, until: Any) -> AsyncIterator[Caller]:
    """A client, and a pod `pod` that talks and at one of whose ports everything is sent back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    await node.run("pod", shell("while :; do echo talk; sleep 0.05; done"))
    await until(lambda: node.is_ready("pod"), "the pod to run")
    server = await asyncio.start_server(echo, node.status("pod")["podIP"], 0)
    address, token = load_subnet(node.home).api_server, node.home.token.read_text().strip()
    tls = ssl.create_default_context(cafile=str(node.home.pki / "ca.crt"))
    async with aiohttp.ClientSession(
        f"https://{address}:{API_PORT}",
        connector=aiohttp.TCPConnector(ssl=tls, limit=0),
        headers={"Authorization": f"Bearer {token}"},
    ) as http:
        yield Caller(http, address, tls, token, server.sockets[0].getsockname()[1])
    server.close()


def cut(transport: asyncio.BaseTransport, number: int) -> None:
    """Take leave of TLS and TCP, of TCP alone, or of neither: the system resets what is closed without lingering."""
    assert isinstance(transport, asyncio.Transport)
    if number % 3 == 2:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    # One that has more to say would stay until that is said.
    transport.close() if number % 3 == 0 and not transport.get_write_buffer_size() else transport.abort()


@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS.keys())
async def test_two_hundred_cuts(kinds: list[Begin], node: Node, caller: Caller, until: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sockets, "PING_SECONDS", 0.05)
    before = counts(node)

    async def in_turn(first: int) -> None:
        for number in range(first, CUTS, AT_ONCE):
            way, kind = divmod(number, len(kinds))
            cut(await kinds[kind](caller), way)

    await asyncio.gather(*map(in_turn, range(AT_ONCE)))
    await until_nothing_is_left(node, before, until)


async def test_a_pod_that_is_killed(node: Node, caller: Caller, until: Any) -> None:
    """It takes with it what goes on in it: each client is told, and nothing is left of a command, whatever that ignores."""
    alone = counts(node)
    stubborn = "trap '' HUP INT TERM PIPE; echo up; sleep 1000; sleep 1000"
    sessions = [await caller.exec(stubborn, stdin="true", tty=str(number % 2 == 0).lower()) for number in range(20)]
    await node.client.delete(PODS, "pod", "default", grace_period_seconds=0)
    ended = await asyncio.gather(*(session.end() for session in sessions))
    assert [session.code for session in ended] == [128 + signal.SIGKILL] * len(sessions)
    assert [session.socket.close_code for session in ended] == [aiohttp.WSCloseCode.OK] * len(sessions)
    await until_nothing_is_left(node, alone, until)
