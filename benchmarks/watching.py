"""Processes that do nothing but hold watches open and note when an event has come to the last of them.

So many processes, so that not the client is what is measured: each line is searched for its version, nothing is decoded, and
the processor time that a process has used is told with every note.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bar import tls

from tcpshift_helpers.sandbox.network import API_PORT, load_subnet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from tcpshift_helpers.sandbox.home import Home

PROCESSES = 5
_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')
_LONGEST_LINE = 4 * 1024 * 1024


@dataclass(frozen=True)
class Arrival:
    """An event has come to all watchers.

    Attributes:
        at: when it came to the last of them, on the clock of `time.perf_counter`, which all processes share.
        busiest_seconds: processor time that the busiest process has used until then.
    """

    at: float
    busiest_seconds: float


class Watchers:
    """Watches of one path, spread over processes."""

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes
        self._newest: list[dict[int, tuple[float, float]]] = [{} for _ in pipes]

    def wait(self, version: int) -> Arrival:
        """Wait until the event of this version has come to all."""
        notes = []
        for pipe, newest in zip(self._pipes, self._newest, strict=True):
            while version not in newest:
                assert pipe.poll(60), f"no event of version {version} after 60 s"
                come, *note = pipe.recv()
                newest[come] = tuple(note)
            notes.append(newest[version])
            newest.clear()
        return Arrival(max(at for at, _ in notes), max(busy for _, busy in notes))


@contextlib.contextmanager
def watching(home: Home, path: str, accept: str, count: int) -> Iterator[Watchers]:
    """`count` watches of `path` from now on, open as long as the context is."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for _ in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_run, args=(home, path, accept, count // PROCESSES, theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        for pipe in pipes:
            assert pipe.recv() == "open"
        yield Watchers(pipes)
    finally:
        for process, pipe in zip(processes, pipes, strict=True):
            process.terminate()
            process.join()
            pipe.close()


def read_at_once(home: Home, path: str, accept: str, count: int) -> None:
    """`count` clients read `path` to its end, all at the same time."""
    spawn = multiprocessing.get_context("spawn")
    arguments = (home, path, accept, count // PROCESSES)
    processes = [spawn.Process(target=_read, args=arguments, daemon=True) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def _read(home: Home, path: str, accept: str, count: int) -> None:
    async def read_one() -> None:
        reader, writer = await _open(home, path, accept)
        while await reader.read(65536):
            pass
        writer.close()

    async def read_all() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(read_one())

    asyncio.run(read_all())


def _run(home: Home, path: str, accept: str, count: int, pipe: Connection) -> None:
    asyncio.run(_watch_all(home, path, accept, count, pipe))


async def _watch_all(home: Home, path: str, accept: str, count: int, pipe: Connection) -> None:
    come: Counter[int] = Counter()

    async def follow(reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            # Between the lines of events there are those of the chunked encoding.
            found = _VERSION.search(line) if line.startswith(b"{") else None
            if found is None:
                continue
            version = int(found[1])
            come[version] += 1
            if come[version] == count:
                del come[version]
                pipe.send((version, time.perf_counter(), time.process_time()))

    streams = [await _open(home, path, accept) for _ in range(count)]
    pipe.send("open")
    async with asyncio.TaskGroup() as tasks:
        for reader, _ in streams:
            tasks.create_task(follow(reader))


async def _open(home: Home, path: str, accept: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A watch whose headers have been answered."""
    host = load_subnet(home).api_server
    reader, writer = await asyncio.open_connection(host, API_PORT, ssl=tls(home), limit=_LONGEST_LINE)
    token = home.token.read_text(encoding="utf-8").strip()
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    status = await reader.readline()
    assert b" 200 " in status, status
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer
