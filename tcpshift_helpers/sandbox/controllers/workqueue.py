"""A queue of keys to be brought in order: what every controller works from.

A key that is added while it is being worked on is worked on again afterwards, never twice at once; different keys run side
by side. A failure is tried again with growing pauses. Nothing is polled: without an event nothing runs.

Source: kubernetes/client-go util/workqueue (same guarantees; default rate limiter 5 ms doubling to 1000 s, here to 30 s).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from tcpshift_helpers.sandbox.client import ApiError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

K = TypeVar("K", bound=tuple[str, ...])

log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 0.005
_LONGEST_RETRY_SECONDS = 30.0
_LONGEST_RETRY_AFTER_RESTART_SECONDS = 0.5


class WorkQueue(Generic[K]):
    """Ks waiting for `handle`.

    `handle(key)` may return seconds after which it wants to see the key again, and may raise to be called again soon.
    """

    def __init__(self, name: str, handle: Callable[[K], Awaitable[float | None]]) -> None:
        self._name = name
        self._handle = handle
        self._running: dict[K, asyncio.Task[None]] = {}
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._closed = False

    def add(self, key: K) -> None:
        """Have the key worked on as soon as it is not being worked on already."""
        if self._closed:
            return
        if key in self._running:
            self._again.add(key)
            return
        self._running[key] = asyncio.create_task(self._work(key), name=f"{self._name} {'/'.join(key)}")

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key worked on after a pause; an earlier wish for the same key stands."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None and not known.cancelled() and known.when() <= loop.time() + seconds:
            return
        if known is not None:
            known.cancel()
        self._timers[key] = loop.call_later(max(0.0, seconds), self._due, key)

    async def close(self) -> None:
        """Take no more keys and end the work under way."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self, key: K) -> None:
        try:
            while True:
                self._again.discard(key)
                await self._once(key)
                if key not in self._again:
                    return
        finally:
            # No await lies between the last look at `_again` and this line, so no wish is lost.
            del self._running[key]

    async def _once(self, key: K) -> None:
        try:
            seconds = await self._handle(key)
        except (UnreachableError, ApiError) as error:
            self._retry(key, error)
        except Exception as error:
            log.exception("%s failed on %s", self._name, "/".join(key))
            self._retry(key, error)
        else:
            self._failures.pop(key, None)
            if seconds is not None:
                self.add_after(key, seconds)

    def _retry(self, key: K, error: Exception) -> None:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        away = isinstance(error, UnreachableError)
        longest = _LONGEST_RETRY_AFTER_RESTART_SECONDS if away else _LONGEST_RETRY_SECONDS
        pause = min(_FIRST_RETRY_SECONDS * 2 ** min(failures, 20), longest)
        level = logging.DEBUG if away or getattr(error, "code", 0) in (404, 409) else logging.WARNING
        log.log(level, "%s: %s will be tried again in %.3f s: %s", self._name, "/".join(key), pause, error)
        self.add_after(key, pause)
