"""Logs: through the pipe into the file and out again."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tcpshift_helpers.sandbox.node import container_log
from tcpshift_helpers.sandbox.node.container_log import LogPump, read, set_aside

LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout [FP] .*\n")


def pump_in(directory: Path) -> LogPump:
    return LogPump(directory / "pipe", directory / "logs" / "0.log")


async def text_of(pump: LogPump, **options: Any) -> bytes:
    return b"".join([piece async for piece in read(pump.path, **options)])


async def test_lines_get_a_time_and_pieces_are_joined_again(tmp_path: Path) -> None:
    pump = pump_in(tmp_path)
    pump.start()
    writer = pump.open_writer()
    os.write(writer, b"one\ntw")
    os.write(writer, b"o\nunended")
    os.close(writer)
    await asyncio.wait_for(pump.ended.wait(), 5)
    entries = pump.path.read_bytes().splitlines(keepends=True)
    assert len(entries) == 3
    assert all(LINE.fullmatch(entry) for entry in entries)
    assert await text_of(pump) == b"one\ntwo\nunended"


async def test_what_is_written_while_nobody_reads_is_kept(tmp_path: Path, until: Any) -> None:
    first = pump_in(tmp_path)
    first.start()
    writer = first.open_writer()
    os.write(writer, b"before\n")
    await until(first.path.read_bytes, "the first line")
    first.close()
    os.write(writer, b"meanwhile\n")
    second = pump_in(tmp_path)
    second.start()
    os.write(writer, b"after\n")
    os.close(writer)
    await asyncio.wait_for(second.ended.wait(), 5)
    assert await text_of(second) == b"before\nmeanwhile\nafter\n"


async def test_a_very_long_line_comes_in_pieces_and_out_whole(tmp_path: Path) -> None:
    pump = pump_in(tmp_path)
    pump.start()
    writer = pump.open_writer()
    long = b"x" * 200_000 + b"\n"
    await asyncio.to_thread(os.write, writer, long)
    os.close(writer)
    await asyncio.wait_for(pump.ended.wait(), 5)
    assert max(map(len, pump.path.read_bytes().splitlines())) < 17_000
    assert await text_of(pump) == long


async def test_a_large_log_is_set_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_log, "LONGEST_FILE", 1000)
    pump = pump_in(tmp_path)
    pump.start()
    writer = pump.open_writer()
    for number in range(100):
        os.write(writer, b"line %d\n" % number)
        await asyncio.sleep(0)
    os.close(writer)
    await asyncio.wait_for(pump.ended.wait(), 5)
    kept = (await text_of(pump)).splitlines()
    assert kept[-1] == b"line 99"
    assert kept == [b"line %d" % number for number in range(100 - len(kept), 100)]
    assert pump.path.stat().st_size + set_aside(pump.path).stat().st_size < 3000


async def test_tail_since_and_timestamps(tmp_path: Path) -> None:
    pump = pump_in(tmp_path)
    pump.path.parent.mkdir()
    old = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 100)).encode()
    new = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()).encode()
    pump.path.write_bytes(
        b"%b.000000001Z stdout F old\n%b.000000002Z stdout F new 1\n%b.000000003Z stdout F new 2\n" % (old, new, new)
    )
    assert await text_of(pump, tail_lines=1) == b"new 2\n"
    assert await text_of(pump, tail_lines=0) == b""
    assert await text_of(pump, since=time.time() - 50) == b"new 1\nnew 2\n"
    assert await text_of(pump, tail_lines=1, timestamps=True) == b"%b.000000003Z new 2\n" % new


async def test_following_ends_with_the_container(tmp_path: Path, until: Any) -> None:
    pump = pump_in(tmp_path)
    pump.start()
    writer = pump.open_writer()
    os.write(writer, b"first\n")
    seen: list[bytes] = []

    async def follow() -> None:
        async for piece in read(pump.path, pump=pump):
            seen.append(piece)  # noqa: PERF401  (each piece is looked at as it comes)

    following = asyncio.create_task(follow())
    for number in range(3):
        os.write(writer, b"line %d\n" % number)
        await until(lambda number=number: seen and seen[-1] == b"line %d\n" % number, "the line to be shown")
    assert not following.done()
    os.close(writer)
    await asyncio.wait_for(following, 5)
    assert b"".join(seen) == b"first\nline 0\nline 1\nline 2\n"
    assert not pump._followers


async def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert await text_of(pump_in(tmp_path)) == b""
