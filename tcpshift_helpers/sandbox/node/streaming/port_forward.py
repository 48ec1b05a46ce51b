"""One port-forward session: connections into a pod, by channels of a websocket or by SPDY streams within one.

By channels there is one connection for each port named, opened at once (the Python clients). By SPDY there is one for each pair of
streams that the client opens, data and error (kubectl). Both are held back by whoever does not read: of what is on its way
into the pod, each connection holds `_WAITING_PIECES` pieces; then the client is not read from.

Not as on a cluster: a client that has sent its last byte still gets the whole answer (containerd gives up after a second).

Source: kubernetes 1.34 kubelet pkg/cri/streaming/portforward/{websocket,httpstream}.go; containerd's words.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.node.streaming import spdy
from tcpshift_helpers.sandbox.node.streaming.sockets import RefusedError, all_of, first_of, messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiohttp import web

_READ_BYTES = 32 * 1024
_WAITING_PIECES = 16
_LARGEST_PORT = 65535


class ForwardError(Exception):
    """A connection into a pod failed; `str()` of it is what the kubelet would say."""


@dataclass(frozen=True)
class Pod:
    """Where connections go.

    Attributes:
        sandbox_id: the pod's name in messages.
        address: the pod's, for messages.
        connect: connects to a port of the pod; raises `OSError` if nobody listens there.
    """

    sandbox_id: str
    address: str
    connect: Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Connection:
    """One connection into a pod, and what is on its way there."""

    def __init__(self, pod: Pod, port: int) -> None:
        self._pod = pod
        self._port = port
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_WAITING_PIECES)
        self._closed = False

    async def deliver(self, data: bytes) -> None:
        """Have bytes written to the pod; empty ones say that no more will come. Waits while too many are on their way."""
        if not self._closed:
            await self._waiting.put(data)

    async def carry(self, answer: Callable[[bytes], Awaitable[None]]) -> None:
        """Connect, and carry both ways until the pod has sent its last byte.

        Raises:
            ForwardError: nobody listens there.
        """
        try:
            reader, writer = await self._open()
            writing = asyncio.create_task(self._write(writer))
            try:
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(_READ_BYTES):
                        await answer(data)
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
                writer.transport.abort()
        finally:
            self._closed = True
            # Whoever waits to deliver more is let go.
            while not self._waiting.empty():
                self._waiting.get_nowait()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address, port = self._pod.address, self._port
        try:
            return await self._pod.connect(port)
        except OSError as error:
            why = os.strerror(error.errno or 0).lower()
            raise ForwardError(
                f"error forwarding port {port} to pod {self._pod.sandbox_id}, uid : failed to execute portforward in network "
                f'namespace "{address}": failed to connect to localhost:{port} inside namespace "{self._pod.sandbox_id}", '
                f"IPv4: dial tcp4 {address}:{port}: connect: {why}"
            ) from error

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await self._waiting.get():
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        # The pod does not read any more: take the rest, so that other connections of the session go on.
        while await self._waiting.get():
            pass


def ports_of(query: Mapping[str, str]) -> list[int]:
    """The ports that a request by channels names.

    Raises:
        RefusedError: none or a wrong one.
    """
    if "port" not in query:
        raise RefusedError('query parameter "port" is required')
    text = query["port"]
    if not text:
        raise RefusedError('query parameter "port" cannot be empty')
    return [_port(part, text) for part in text.split(",")]


def _port(part: str, text: str) -> int:
    if not part.isascii() or not part.isdecimal():
        raise RefusedError(f'unable to parse "{text}" as a port: strconv.ParseUint: parsing "{part}": invalid syntax')
    if int(part) > _LARGEST_PORT:
        raise RefusedError(
            f'unable to parse "{text}" as a port: strconv.ParseUint: parsing "{part}": value out of range'
        )
    if int(part) < 1:
        raise RefusedError(f'port "{text}" must be > 0')
    return int(part)


async def by_channels(socket: web.WebSocketResponse, pod: Pod, ports: Sequence[int]) -> None:
    """Serve a session by channels: 2n carries the data of the n-th port, 2n + 1 its error."""
    connections = [Connection(pod, port) for port in ports]
    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            await socket.send_bytes(struct.pack("<BH", channel, port))

    async def carry(number: int) -> None:
        try:
            await connections[number].carry(lambda data: socket.send_bytes(bytes((2 * number,)) + data))
        except ForwardError as error:
            await socket.send_bytes(bytes((2 * number + 1,)) + str(error).encode())

    async def receive() -> None:
        async for data in messages(socket):
            channel = data[0] if data else 1
            # An empty message would be taken for the end, which this protocol cannot express.
            if channel % 2 == 0 and channel // 2 < len(connections) and len(data) > 1:
                await connections[channel // 2].deliver(data[1:])

    await first_of(receive(), all_of(*[carry(number) for number in range(len(connections))]))


async def by_spdy(socket: web.WebSocketResponse, pod: Pod) -> None:
    """Serve a session by SPDY streams within the websocket, until the client goes.

    Raises:
        ProtocolError: the client does not speak SPDY/3.1.
    """
    streams = _Streams(socket, pod)
    try:
        async for data in messages(socket):
            await streams.take(data)
    finally:
        await streams.close()


@dataclass
class _Pair:
    """The two streams of one connection, as far as they have been opened."""

    data: int | None = None
    error: int | None = None
    connection: Connection | None = None
    task: asyncio.Task[None] | None = None


class _Streams:
    """All streams of one session."""

    def __init__(self, socket: web.WebSocketResponse, pod: Pod) -> None:
        self._socket = socket
        self._pod = pod
        self._encoder = spdy.Encoder()
        self._decoder = spdy.Decoder()
        self._pairs: dict[str, _Pair] = {}
        self._by_data_stream: dict[int, _Pair] = {}

    async def take(self, data: bytes) -> None:
        """Do what the client's bytes ask for."""
        for frame in self._decoder.feed(data):
            if isinstance(frame, spdy.SynStream):
                await self._open(frame)
            elif isinstance(frame, spdy.Data):
                await self._deliver(frame)
            elif isinstance(frame, spdy.RstStream):
                self._end(frame.stream_id)
            elif isinstance(frame, spdy.Ping):
                await self._send(frame)

    async def close(self) -> None:
        """End all connections."""
        tasks = [pair.task for pair in self._by_data_stream.values() if pair.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, *frames: spdy.Frame) -> None:
        # Encoded and handed over without a pause: the compression of headers goes by the order of frames.
        await self._socket.send_bytes(b"".join(map(self._encoder.encode, frames)))

    async def _open(self, frame: spdy.SynStream) -> None:
        kind, number = frame.headers.get("streamtype", ""), frame.stream_id
        request_id = frame.headers.get("requestid") or str(number if kind == "error" else number - 2)
        try:
            port = _port(frame.headers.get("port", ""), frame.headers.get("port", ""))
        except RefusedError:
            port = 0
        pair = self._pairs.get(request_id) or _Pair()
        taken = {"data": pair.data, "error": pair.error}
        if not port or taken.get(kind, number) is not None or len(self._pairs) >= limits.MOST_CONNECTIONS:
            await self._send(spdy.RstStream(number, spdy.REFUSED_STREAM))
            return
        self._pairs[request_id] = pair
        setattr(pair, kind, number)
        await self._send(spdy.SynReply(number))
        if pair.data is not None and pair.error is not None:
            pair.connection = Connection(self._pod, port)
            self._by_data_stream[pair.data] = pair
            pair.task = asyncio.create_task(self._carry(request_id, pair, pair.data, pair.error))

    async def _carry(self, request_id: str, pair: _Pair, data_stream: int, error_stream: int) -> None:
        assert pair.connection is not None  # noqa: S101
        try:
            await pair.connection.carry(lambda data: self._send(spdy.Data(data_stream, data)))
            await self._send(spdy.Data(data_stream, b"", fin=True), spdy.Data(error_stream, b"", fin=True))
        except ForwardError as error:
            message = spdy.Data(error_stream, str(error).encode())
            resets = [spdy.RstStream(stream, spdy.CANCEL) for stream in (data_stream, error_stream)]
            with contextlib.suppress(ConnectionError):
                await self._send(message, *resets)
        except ConnectionError:
            pass  # The client is gone, and the session will end.
        finally:
            self._pairs.pop(request_id, None)
            self._by_data_stream.pop(data_stream, None)

    async def _deliver(self, frame: spdy.Data) -> None:
        pair = self._by_data_stream.get(frame.stream_id)
        if pair is None or pair.connection is None:
            return
        if frame.data:
            await pair.connection.deliver(frame.data)
        if frame.fin:
            await pair.connection.deliver(b"")

    def _end(self, stream_id: int) -> None:
        pair = self._by_data_stream.get(stream_id)
        if pair is not None and pair.task is not None:
            pair.task.cancel()
