"""The guarantees every controller rests on."""

from __future__ import annotations

import asyncio
from typing import Any

from tcpshift_helpers.sandbox.client import ApiError, UnreachableError
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

KEY = ("n", "a")


async def test_a_key_is_never_worked_on_twice_at_once_and_no_wish_is_lost(until: Any) -> None:
    running: list[tuple[str, str]] = []
    done: list[tuple[str, str]] = []
    go_on = asyncio.Event()

    async def handle(key: tuple[str, str]) -> None:
        assert key not in running
        running.append(key)
        await go_on.wait()
        running.remove(key)
        done.append(key)

    queue = WorkQueue("test", handle)
    for _ in range(5):
        queue.add(KEY)
    queue.add(("n", "b"))
    await until(lambda: len(running) == 2, "both keys at work side by side")
    queue.add(KEY)
    queue.add(KEY)
    go_on.set()
    await until(lambda: len(done) == 3, "one more round for the wishes that came meanwhile")
    assert done.count(KEY) == 2
    await queue.close()


async def test_failures_are_tried_again(until: Any) -> None:
    failures = [ApiError(409, "Conflict", "x"), UnreachableError("x"), ValueError("x")]
    seen: list[Exception] = []

    async def handle(_: tuple[str, str]) -> None:
        if failures:
            seen.append(failures.pop(0))
            raise seen[-1]
        seen.append(StopIteration())

    queue = WorkQueue("test", handle)
    queue.add(KEY)
    await until(lambda: len(seen) == 4, "three failures and a success")
    await queue.close()


async def test_a_handler_may_ask_to_see_the_key_again(until: Any) -> None:
    rounds: list[int] = []

    async def handle(_: tuple[str, str]) -> float | None:
        rounds.append(1)
        return 0.01 if len(rounds) < 3 else None

    queue = WorkQueue("test", handle)
    queue.add(KEY)
    await until(lambda: len(rounds) == 3, "three rounds")
    await queue.close()


async def test_the_earlier_of_two_later_wishes_stands(until: Any) -> None:
    seen: list[float] = []
    loop = asyncio.get_running_loop()

    async def handle(_: tuple[str, str]) -> None:
        seen.append(loop.time())

    queue = WorkQueue("test", handle)
    queue.add_after(KEY, 60)
    queue.add_after(KEY, 0.01)
    queue.add_after(KEY, 30)
    await until(lambda: seen, "the early wish", 5)
    await queue.close()
    queue.add(KEY)
    assert not queue._running, "a closed queue takes nothing"
