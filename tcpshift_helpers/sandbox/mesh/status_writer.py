"""Writes what `status` finds to the API server, and an Event for each refusal.

It writes only what changed. That an object concerns no proxy is told after a moment: of several objects applied
together the first would otherwise be called unused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox import client as api
from tcpshift_helpers.sandbox.mesh import status
from tcpshift_helpers.sandbox.mesh.model import key_of
from tcpshift_helpers.sandbox.mesh.rounds import Rounds, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tcpshift_helpers.sandbox.mesh.model import Key

log = logging.getLogger("status")

_UNUSED_AFTER_SECONDS = 0.5


class StatusWriter(Rounds):
    """Keeps the condition `Reconciled` of Istio's objects true."""

    def __init__(
        self,
        client: api.Client,
        objects: Callable[[], Iterable[tuple[api.Resource, dict[str, Any]]]],
        proxies: Callable[[], list[status.ProxyState]],
    ) -> None:
        """Nothing is written yet.

        Args:
            client: to write with.
            objects: gives the objects to report on, as they are now.
            proxies: gives how far each proxy is now.
        """
        super().__init__()
        self._client = client
        self._objects = objects
        self._proxies = proxies
        self._unused_since: dict[tuple[Key, int], float] = {}
        self._told: dict[Key, str] = {}

    async def _write_all(self) -> None:
        loop, unused = asyncio.get_running_loop(), {}
        for resource, obj in list(self._objects()):
            found = status.verdict(obj, self._proxies())
            if found is None:
                continue
            if found.status == "Unknown":
                seen = (key_of(obj), found.observed_generation)
                unused[seen] = self._unused_since.get(seen, loop.time())
                left = unused[seen] + _UNUSED_AFTER_SECONDS - loop.time()
                if left > 0:
                    loop.call_later(left, self.wake)
                    continue
            await self._write(resource, obj, found)
        self._unused_since = unused

    async def _write(self, resource: api.Resource, obj: dict[str, Any], found: status.Verdict) -> None:
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        patch = status.patch(obj, found, now)
        metadata, key = obj["metadata"], key_of(obj)
        with attempt(log, f"tell how {'/'.join(key)} fares"):
            if patch is not None:
                await self._client.merge_patch(resource, metadata["name"], metadata["namespace"], patch, "status")
            if found.reason != status.REJECTED:
                self._told.pop(key, None)
            elif self._told.get(key) != found.message:
                self._told[key] = found.message
                await self._client.create(api.EVENTS, status.event(obj, found, now, f"{time.time_ns():x}"))
