"""Waiting for a version that is not reached yet.

Versions are handed out by this server alone, so one from the future is of another server's, or of a state directory that was made anew.
It is waited for all the same, for as long as the real server waits: a cache of its own may lag behind there.

Source: kubernetes/apiserver pkg/storage/cacher/watch_cache.go (waitUntilFreshAndBlock).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.apiserver.status import StatusError

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.store import Store

PATIENCE_SECONDS = 3.0
_RETRY_SECONDS = 1


class Freshness:
    """Tells when a store has reached a version.

    Attributes:
        waiting: how many requests wait.
    """

    def __init__(self, store: Store) -> None:
        """Listen to `store`."""
        self.waiting = 0
        self._store = store
        self._written = asyncio.Event()
        store.on_change(self._wake)

    async def reach(self, version: int) -> None:
        """Wait until the store has reached `version`.

        Raises:
            StatusError: 504, it did not in time.
        """
        if version <= self._store.revision:
            return
        self.waiting += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while version > self._store.revision:
                    await self._written.wait()
        except TimeoutError:
            raise too_large(version, self._store.revision) from None
        finally:
            self.waiting -= 1

    def _wake(self, _: str) -> None:
        if self.waiting:
            self._written.set()
            self._written = asyncio.Event()


def too_large(asked: int, current: int) -> StatusError:
    """504: the version is not reached."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return StatusError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": _RETRY_SECONDS})
