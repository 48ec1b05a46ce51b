"""The process of an exec: started in a session of its own, on pipes or on a terminal; it and all that it started end together.

What it leaves running ends with it, jobs of a shell and daemons, too, unlike in a real container, where they may live on: here
nothing else would ever end them. Where a terminal is asked for, `sh` opens it once more and thereby makes it the controlling terminal; Python would
have to run code between fork and exec to do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import termios
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tcpshift_helpers.sandbox.node import images
from tcpshift_helpers.sandbox.node.container_process import ended
from tcpshift_helpers.sandbox.node.processes import MARK, end_all_of, signal_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_READ_BYTES = 32 * 1024
_ON_TERMINAL = ("sh", "-c", 'exec "$@" <>"$0" >&0 2>&0')


class CommandError(Exception):
    """A command cannot be started; `str()` of it is what the container runtime would say."""


@dataclass(frozen=True)
class Place:
    """Where a command runs.

    Attributes:
        environment: all of it.
        directory: its working directory.
        mark: whose it is, for whoever has to end what it or a killed agent left; no other command has the same.
    """

    environment: Mapping[str, str]
    directory: Path
    mark: str


class Command:
    """A process that runs.

    Attributes:
        outputs: what it writes: standard output and error, or the one output of a terminal.
    """

    def __init__(self, process: subprocess.Popen[bytes], mark: str, terminal: int | None = None) -> None:
        self.outputs: list[asyncio.StreamReader] = []
        self._process = process
        self._mark = mark
        self._terminal = terminal
        self._stdin: asyncio.StreamWriter | None = None
        self._transports: list[asyncio.BaseTransport] = []

    @classmethod
    async def start(cls, words: Sequence[str], place: Place, *, stdin: bool, terminal: bool) -> Command:
        """Start a command: a program, looked for on the environment's PATH, and its arguments.

        Raises:
            CommandError: there is no such program, or it cannot be run.
        """
        if not words:
            raise CommandError("args must not be empty")
        program = images.program(words[0], place.environment.get("PATH"))
        if program is None:
            raise CommandError(f"unable to start container process: {images.not_found(words[0])}")
        found = [program, *words[1:]]
        if terminal:
            return await cls._start_on_terminal(found, place)
        process = _popen(found, place, subprocess.PIPE if stdin else subprocess.DEVNULL, subprocess.PIPE)
        command = cls(process, place.mark)
        await command._connect()
        return command

    @classmethod
    async def _start_on_terminal(cls, words: Sequence[str], place: Place) -> Command:
        ours, theirs = os.openpty()
        try:
            place = Place({"TERM": "xterm", **place.environment}, place.directory, place.mark)
            # It holds the terminal from the start: one that nobody has open says that its end has come.
            process = _popen([*_ON_TERMINAL, os.ttyname(theirs), *words], place, theirs, theirs)
        except CommandError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        command = cls(process, place.mark, ours)
        await command._connect()
        return command

    async def _connect(self) -> None:
        """Connect its pipes or its terminal; should that be cut short, nothing is left of it."""
        process, terminal = self._process, self._terminal
        read = [process.stdout, process.stderr] if terminal is None else [os.fdopen(os.dup(terminal), "rb", 0)]
        write = process.stdin if terminal is None else os.fdopen(os.dup(terminal), "wb", 0)
        try:
            self.outputs = [await self._reader(file) for file in read if file is not None]
            if write is not None:
                self._stdin = await self._writer(write)
        except BaseException:
            await self.close()
            raise

    async def _reader(self, file: IO[bytes]) -> asyncio.StreamReader:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        self._transports.append(transport)
        return reader

    async def _writer(self, file: IO[bytes]) -> asyncio.StreamWriter:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), file
        )
        self._transports.append(transport)
        return asyncio.StreamWriter(transport, protocol, None, loop)

    async def write(self, data: bytes) -> None:
        """Write to its standard input, as fast as it reads; lost if it does not read any more."""
        if self._stdin is not None and not self._stdin.is_closing():
            with contextlib.suppress(OSError):
                self._stdin.write(data)
                await self._stdin.drain()

    def close_stdin(self) -> None:
        """No more will be written. A terminal stays open, as on a cluster."""
        if self._stdin is not None and self._terminal is None:
            self._stdin.close()

    def resize(self, rows: int, columns: int) -> None:
        """Make its terminal that large, if it has one."""
        if self._terminal is not None:
            termios.tcsetwinsize(self._terminal, (rows, columns))

    async def wait(self) -> int:
        """Wait for its end, and end what it left; gives its exit code, 128 + n after signal n."""
        await ended(self._process.pid)
        # Before the pid is given back by reaping it: until then group and session cannot be anybody else's.
        self.kill()
        await asyncio.to_thread(end_all_of, self._process.pid, self._mark)
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """End it and its group at once, unless it has ended."""
        if self._process.returncode is None:
            signal_group(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End it if it still runs, and let go of everything."""
        self.kill()
        for transport in self._transports:
            if transport.is_closing():
                continue
            # What it has not read of its input is of no use any more.
            transport.abort() if isinstance(transport, asyncio.WriteTransport) else transport.close()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        if self._process.returncode is None:
            await self.wait()


async def read(output: asyncio.StreamReader) -> bytes:
    """The next piece of output; empty at its end."""
    try:
        return await output.read(_READ_BYTES)
    except OSError as error:
        # A terminal that nobody has open any more says so in this way.
        if error.errno != errno.EIO:
            raise
        return b""


def _popen(words: Sequence[str], place: Place, stdin: int, output: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(words),
            env={**place.environment, MARK: place.mark},
            cwd=place.directory,
            stdin=stdin,
            stdout=output,
            stderr=output,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CommandError(f'unable to start container process: exec: "{words[0]}": {why.lower()}') from error
