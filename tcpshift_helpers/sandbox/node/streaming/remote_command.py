"""One exec or attach session over a websocket.

It ends when the command or the container ends, or when the client goes; then the command is killed. Nothing is held in memory but
what the system's pipes hold: a client that does not read stops the command, a command that does not read stops the client.

Not as on a cluster: attach shows a container's output line by line and as standard output alone, because that is how its log
is kept, and standard input of a container is always empty.

Source: kubernetes 1.34 kubelet pkg/cri/streaming/remotecommand/{exec,attach}.go; containerd's words.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.node import container_log
from tcpshift_helpers.sandbox.node.streaming import channels
from tcpshift_helpers.sandbox.node.streaming.command import Command, CommandError, Place, read
from tcpshift_helpers.sandbox.node.streaming.sockets import RefusedError, all_of, first_of, messages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from tcpshift_helpers.sandbox.node.container import Container
    from tcpshift_helpers.sandbox.node.container_process import ContainerProcess


@dataclass(frozen=True)
class Options:
    """Which streams a client wants."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Options:
        """From the parameters of a request to the kubelet.

        Raises:
            RefusedError: none is wanted.
        """
        stdin, stdout, stderr, tty = (query.get(name) == "1" for name in ("input", "output", "error", "tty"))
        if not (stdin or stdout or (stderr and not tty)):
            raise RefusedError("you must specify at least 1 of stdin, stdout, stderr")
        return cls(stdin, stdout, stderr and not tty, tty)

    @property
    def lowest_output(self) -> int:
        """The channel on which the client is told that the connection stands."""
        return channels.STDOUT if self.stdout else channels.STDERR if self.stderr else channels.ERROR


class Session:
    """A websocket with channels."""

    def __init__(self, socket: web.WebSocketResponse, options: Options) -> None:
        self._socket = socket
        self._options = options
        self._protocol = socket.ws_protocol or channels.UNNAMED

    async def begin(self) -> None:
        """Tell the client that the connection stands."""
        await self.send(self._options.lowest_output, b"")

    async def send(self, channel: int, data: bytes) -> None:
        """Send a message, as fast as the client reads."""
        await self._socket.send_bytes(bytes((channel,)) + data)

    async def refuse(self, words: str) -> None:
        """Say that there will be nothing, in words of the kubelet that the API server passes on."""
        await self._conclude(channels.internal_error(f"unable to upgrade connection: {words}"))

    async def _conclude(self, status: bytes) -> None:
        message = channels.last_message(status, self._protocol)
        if message is not None:
            await self.send(channels.ERROR, message)

    async def exec(self, words: Sequence[str], container: Container, process: ContainerProcess) -> None:
        """Run a command in a container to its end."""
        mark = f"{process.record.mark}/exec/{secrets.token_hex(8)}"
        place = Place(container.environment, container.working_directory, mark)
        try:
            command = await Command.start(words, place, stdin=self._options.stdin, terminal=self._options.tty)
        except CommandError as error:
            start = f'failed to start exec "{secrets.token_hex(32)}": OCI runtime exec failed: exec failed: {error}'
            said = f"error executing command in container: failed to exec in container: {start}: unknown"
            await self._conclude(channels.failed(said, self._protocol))
            return
        try:
            code = await self._run(command, process)
        finally:
            await command.close()
        if code is None:
            return
        await self._conclude(channels.exited(words, code, self._protocol) if code else channels.succeeded())

    async def _run(self, command: Command, process: ContainerProcess) -> int | None:
        """The command's exit code; None if the client has gone."""
        codes: list[int] = []

        async def run() -> None:
            wanted = (self._options.stdout, self._options.stderr)
            outputs = enumerate(command.outputs, start=channels.STDOUT)
            code, _ = await asyncio.gather(
                command.wait(),
                all_of(*[self._carry_output(number, output, wanted=wanted[number - 1]) for number, output in outputs]),
            )
            codes.append(code)

        async def end_with_container() -> None:
            await process.ended.wait()
            command.kill()
            await asyncio.Event().wait()

        await first_of(run(), self._receive(command), end_with_container())
        return codes[0] if codes else None

    async def _carry_output(self, channel: int, output: asyncio.StreamReader, *, wanted: bool) -> None:
        while data := await read(output):
            if wanted:
                await self.send(channel, data)

    async def _receive(self, command: Command | None) -> None:
        """Take what the client sends, until it goes."""
        async for data in messages(self._socket):
            if not data or command is None:
                continue
            channel, rest = data[0], data[1:]
            if channel == channels.STDIN:
                await command.write(rest)
            elif channel == channels.RESIZE:
                size = channels.terminal_size(rest)
                if size is not None:
                    command.resize(*size)
            elif channel == channels.CLOSE and self._protocol == channels.V5 and rest == bytes((channels.STDIN,)):
                command.close_stdin()

    async def attach(self, container: Container) -> None:
        """Show what a container writes from now on, until it ends."""
        await first_of(self._show(container), self._receive(None))

    async def _show(self, container: Container) -> None:
        pump = container.pump
        if pump is None:
            return
        async for piece in container_log.read(pump.path, pump=pump, tail_lines=0):
            if self._options.stdout:
                await self.send(channels.STDOUT, piece)
        await self._conclude(channels.succeeded())
