"""Probes: one question, and how answers are counted."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.node import probes
from tcpshift_helpers.sandbox.node.probes import ProbeFailure, ProbeLoop, Target, check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def http_server(status_line: bytes) -> AsyncIterator[tuple[Target, int, list[bytes]]]:
    """A server that answers every request with this status line; an empty one closes the connection."""
    asked: list[bytes] = []
    answers: set[asyncio.Task[Any] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
        if status_line == b"silence":
            await reader.read()
        elif status_line:
            writer.write(status_line + b"\r\n\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Target("127.0.0.1", {"web": port}, {"PATH": "/usr/bin:/bin"}, "/"), port, asked
        for _ in range(10):  # connections made are taken in, and none is left open
            await asyncio.sleep(0)
        await asyncio.gather(*filter(None, answers))


async def failure(probe: dict[str, Any], target: Target) -> str:
    with pytest.raises(ProbeFailure) as failed:
        await check(probe, target)
    return str(failed.value)


async def test_http() -> None:
    async with http_server(b"HTTP/1.1 204 No Content") as (target, _, asked):
        headers = [{"name": "X-Mine", "value": "1"}]
        await check({"httpGet": {"path": "/ready?x=1", "port": "web", "httpHeaders": headers}}, target)
    assert asked[0].startswith(b"GET /ready?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Mine: 1\r\n" in asked[0]
    assert b"\r\nUser-Agent: kube-probe/1.34\r\n" in asked[0]


async def test_http_failures_in_the_kubelets_words() -> None:
    async with http_server(b"HTTP/1.1 503 Service Unavailable") as (target, port, _):
        probe = {"httpGet": {"path": "/", "port": port}}
        assert await failure(probe, target) == "HTTP probe failed with statuscode: 503"
    assert await failure(probe, target) == (
        f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )
    async with http_server(b"") as (target, port, _):
        assert await failure({"httpGet": {"port": port}}, target) == f'Get "http://127.0.0.1:{port}/": EOF'
    async with http_server(b"silence") as (target, port, _):
        assert await failure({"httpGet": {"port": port}, "timeoutSeconds": 0.05}, target) == (
            f'Get "http://127.0.0.1:{port}/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )


async def test_tcp() -> None:
    async with http_server(b"") as (target, port, _):
        await check({"tcpSocket": {"port": port}}, target)
        assert await failure({"tcpSocket": {"port": "unknown"}}, target) == "couldn't find port: unknown"
    words = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert await failure({"tcpSocket": {"port": port}}, target) == words


async def test_exec() -> None:
    target = Target("127.0.0.1", {}, {"PATH": "/usr/bin:/bin", "A": "1"}, "/")
    await check({"exec": {"command": ["sh", "-c", 'test "$A" = 1']}}, target)
    assert await failure({"exec": {"command": ["sh", "-c", "echo no; exit 1"]}}, target) == "no"
    words = await failure({"exec": {"command": ["sleep", "100"]}, "timeoutSeconds": 0.05}, target)
    assert words == 'command timed out: "sleep 100" timed out after 0.05s'


async def test_unknown_kinds_are_refused() -> None:
    assert "httpGet, tcpSocket and exec" in await failure({"grpc": {"port": 1}}, Target("127.0.0.1", {}, {}, "/"))


class Verdicts:
    """A loop over scripted answers."""

    def __init__(self, answers: list[bool], monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.changes: list[bool] = []
        self.failures: list[str] = []
        self.done = asyncio.Event()
        answers = list(answers)

        async def scripted(*_: object) -> None:
            if not answers:
                self.done.set()
                await asyncio.Event().wait()
            if not answers.pop(0):
                raise ProbeFailure("no")

        monkeypatch.setattr(probes, "check", scripted)
        probe = {"periodSeconds": 0.001, **options.pop("probe", {})}
        self.loop = ProbeLoop(
            probe,
            Target("", {}, {}, "/"),
            on_change=self.changes.append,
            on_failure=self.failures.append,
            **{"quick_start": False, "healthy": False, **options},
        )

    async def run(self) -> Verdicts:
        task = asyncio.create_task(self.loop.run())
        await asyncio.wait_for(self.done.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return self


async def test_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [True, False, False, True, False, False, False, False, True]
    seen = await Verdicts(answers, monkeypatch, healthy=True).run()
    assert seen.changes == [False, True]
    assert len(seen.failures) == 6
    probe = {"successThreshold": 2, "failureThreshold": 1}
    seen = await Verdicts([True, False, True, True, False], monkeypatch, probe=probe).run()
    assert seen.changes == [True, False]


async def test_quick_questions_at_the_start_count_no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = {"periodSeconds": 60}
    seen = Verdicts([False, False, False, True], monkeypatch, quick_start=True, probe=probe)
    task = asyncio.create_task(seen.loop.run())
    async with asyncio.timeout(10):
        while not seen.changes:  # noqa: ASYNC110  (the loop has no event to wait for)
            await asyncio.sleep(0.001)
    assert (seen.changes, seen.failures) == ([True], [])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
