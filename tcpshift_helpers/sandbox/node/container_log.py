"""Container logs: from a pipe into a file with a time in front of each line, and back out.

Lines are kept as container runtimes do it: `<RFC 3339 time> stdout F <text>`, `P` for a piece of a line not ended yet. Standard
output and error share one named pipe, which the container holds open for reading, too: it lives on when the agent dies,
and the next agent reads on where the last one stopped. A file that grows beyond `LONGEST_FILE` is set aside once.

Source: kubernetes CRI logging format; kubernetes 1.34 staging/src/k8s.io/cri-client/pkg/logs (reading).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

LONGEST_FILE = 5 * 1024 * 1024
_LONGEST_PIECE = 16 * 1024
_READ_SIZE = 65536
_PREFIX_FIELDS = 3


def timestamp() -> bytes:
    """The present moment with nanoseconds, as container runtimes write it."""
    nanoseconds = time.time_ns()
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z".encode()


class LogPump:
    """Carries what a container writes from its pipe to its log file.

    Attributes:
        path: the log file.
        ended: set when every writer has closed the pipe and all of it is in the file.
    """

    def __init__(self, pipe: Path, path: Path) -> None:
        self.path = path
        self.ended = asyncio.Event()
        self._pipe = pipe
        self._descriptor = -1
        self._file = -1
        self._size = 0
        self._rest = b""
        self._followers: set[asyncio.Event] = set()

    def start(self) -> None:
        """Open the pipe, made if need be, and the file, and begin to carry."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._pipe.exists():
            os.mkfifo(self._pipe, 0o600)
        self._descriptor = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK)
        self._open_file()
        asyncio.get_running_loop().add_reader(self._descriptor, self._carry)

    def open_writer(self) -> int:
        """A descriptor for the container's output; it can be read, too, so that writing never fails for want of a reader."""
        return os.open(self._pipe, os.O_RDWR)

    def close(self) -> None:
        """Stop carrying; what is still in the pipe stays there."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            os.close(self._file)
            self._descriptor = self._file = -1
        self.ended.set()
        self._wake()

    @contextlib.contextmanager
    def follow(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever the log grew or ended."""
        grown = asyncio.Event()
        self._followers.add(grown)
        try:
            yield grown
        finally:
            self._followers.discard(grown)

    def _open_file(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def _carry(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._write(data)
        else:
            self._flush_rest()
            self.close()
            return
        self._wake()

    def _write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        moment = timestamp()
        entries = [b"%b stdout F %b\n" % (moment, line) for line in lines]
        while len(self._rest) >= _LONGEST_PIECE:
            entries.append(b"%b stdout P %b\n" % (moment, self._rest[:_LONGEST_PIECE]))
            self._rest = self._rest[_LONGEST_PIECE:]
        self._append(b"".join(entries))

    def _flush_rest(self) -> None:
        if self._rest:
            self._append(b"%b stdout P %b\n" % (timestamp(), self._rest))
            self._rest = b""

    def _append(self, text: bytes) -> None:
        if not text:
            return
        # A full disk must not stop the agent, nor the container.
        with contextlib.suppress(OSError):
            self._size += os.write(self._file, text)
            if self._size > LONGEST_FILE:
                os.close(self._file)
                self.path.replace(set_aside(self.path))
                self._open_file()

    def _wake(self) -> None:
        for grown in self._followers:
            grown.set()


def set_aside(path: Path) -> Path:
    """Where the older half of a large log is."""
    return path.with_name(f"{path.name}.1")


def read_entries(path: Path) -> Iterator[bytes]:
    """The raw lines of a log, the part set aside first."""
    for part in (set_aside(path), path):
        with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
            yield from file


def shown(entry: bytes, *, timestamps: bool) -> bytes:
    """What a reader sees of a raw line: its text, with the time in front if asked for."""
    fields = entry.rstrip(b"\n").split(b" ", _PREFIX_FIELDS)
    if len(fields) <= _PREFIX_FIELDS:
        return b""
    moment, _stream, tag, text = fields
    end = b"" if tag == b"P" else b"\n"
    return b"%b %b%b" % (moment, text, end) if timestamps else text + end


def written_at(entry: bytes) -> float:
    """Unix seconds at which a raw line was written; 0 if it has no time."""
    text = entry.partition(b" ")[0].decode(errors="replace")
    try:
        return datetime.fromisoformat(text[:26] + "+00:00").timestamp()
    except ValueError:
        return 0.0


async def read(
    path: Path,
    *,
    pump: LogPump | None = None,
    tail_lines: int | None = None,
    since: float | None = None,
    timestamps: bool = False,
) -> AsyncIterator[bytes]:
    """A log as its reader wants it; with `pump` also what is still to come, until the container ends.

    Args:
        path: the log file.
        pump: what writes it, to follow it.
        tail_lines: only that many of the lines there are.
        since: only lines written at or after that moment, Unix seconds.
        timestamps: put the time in front of each line.

    Yields:
        Pieces of text.
    """
    wanted: Callable[[bytes], bool] = (lambda _: True) if since is None else (lambda entry: written_at(entry) >= since)
    if pump is None:
        for entry in _tail(path, tail_lines, wanted):
            yield shown(entry, timestamps=timestamps)
        return
    with pump.follow() as grown:
        entries = _tail(path, tail_lines, wanted)
        # Between this reading and the next line nothing is awaited, so nothing is written in between.
        position = _size(path)
        for entry in entries:
            yield shown(entry, timestamps=timestamps)
        while True:
            ended = pump.ended.is_set()
            grown.clear()
            fresh, position = _from(path, position)
            for entry in fresh:
                yield shown(entry, timestamps=timestamps)
            if ended:
                return
            if not fresh:
                await grown.wait()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tail(path: Path, tail_lines: int | None, wanted: Callable[[bytes], bool]) -> list[bytes]:
    entries = (entry for entry in read_entries(path) if wanted(entry))
    return list(entries) if tail_lines is None else list(deque(entries, maxlen=tail_lines))


def _from(path: Path, position: int) -> tuple[list[bytes], int]:
    try:
        with path.open("rb") as file:
            if position > os.fstat(file.fileno()).st_size:
                position = 0  # The file was set aside meanwhile.
            file.seek(position)
            data = file.read()
    except FileNotFoundError:
        return [], position
    return data.splitlines(keepends=True), position + len(data)
