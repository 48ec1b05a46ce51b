"""A local copy of all objects of one kind, kept by list and watch; it survives restarts of the API server.

It reads only: writes are `client.Client`'s, and `remember` takes in what they answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ApiError, UnreachableError, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcpshift_helpers.sandbox.client import Client, Key, Resource

    OnChange = Callable[[str, dict[str, Any]], None]

log = logging.getLogger(__name__)

FIRST_BACK_OFF_SECONDS = 0.02
LONGEST_BACK_OFF_SECONDS = 0.5
_REMEMBERED_DELETIONS = 1000


class Informer:
    """A local copy of all objects of one kind, kept by list and watch.

    Attributes:
        objects: the copy, by (namespace, name). Treat the objects as read-only: they are shared.
        synced: set once the first list has been taken in.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> None:
        self.resource = resource
        self.objects: dict[Key, dict[str, Any]] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._scope = {"namespace": namespace, "label_selector": label_selector, "field_selector": field_selector}
        self._callbacks: list[OnChange] = []
        self._deleted_uids: deque[str] = deque(maxlen=_REMEMBERED_DELETIONS)

    def on_change(self, callback: OnChange) -> None:
        """Call `callback(type, object)` for each ADDED, MODIFIED and DELETED from now on, in order."""
        self._callbacks.append(callback)

    def remember(self, obj: dict[str, Any]) -> None:
        """Take in the answer of a write at once, before the watch tells of it: read your own writes.

        Without this a controller that wakes between its write and the watch event would act twice.
        """
        known = self.objects.get(key_of(obj))
        if obj["metadata"]["uid"] in self._deleted_uids or (known is not None and not _is_newer(obj, known)):
            return
        self._take("ADDED" if known is None else "MODIFIED", obj)

    async def run(self) -> None:
        """List and watch for ever; an API server that is away is waited for."""
        back_off = FIRST_BACK_OFF_SECONDS
        while True:
            try:
                version = await self._list()
                back_off = FIRST_BACK_OFF_SECONDS
                while True:
                    version = await self._watch(version)
            except UnreachableError:
                log.debug("%s: the API server is away; next try in %.2f s", self.resource.plural, back_off)
            except ApiError as error:
                if error.code == 410:
                    continue
                log.warning("cannot follow %s: %s", self.resource.plural, error)
            await asyncio.sleep(back_off)
            back_off = min(back_off * 2, LONGEST_BACK_OFF_SECONDS)

    async def _list(self) -> str:
        items, version = await self._client.list(self.resource, **self._scope)
        found = {key_of(item): item for item in items}
        for key in [key for key in self.objects if key not in found]:
            self._take("DELETED", self.objects[key])
        for key, item in found.items():
            known = self.objects.get(key)
            if known is not None and known["metadata"]["uid"] != item["metadata"]["uid"]:
                self._take("DELETED", known)
                known = None
            if known is None:
                self._take("ADDED", item)
            elif known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._take("MODIFIED", item)
        self.synced.set()
        return version

    async def _watch(self, version: str) -> str:
        # Closed explicitly: a cancelled generator would otherwise keep its connection until collected.
        async with contextlib.aclosing(self._client.watch(self.resource, version, **self._scope)) as events:
            async for event_type, obj in events:
                version = obj["metadata"]["resourceVersion"]
                if event_type == "DELETED":
                    self._take(event_type, obj)
                elif event_type != "BOOKMARK":
                    self._take_if_newer(obj)
        return version

    def _take_if_newer(self, obj: dict[str, Any]) -> None:
        known = self.objects.get(key_of(obj))
        if known is None or known["metadata"]["uid"] != obj["metadata"]["uid"]:
            self._take("ADDED", obj)
        elif _is_newer(obj, known):
            self._take("MODIFIED", obj)

    def _take(self, event_type: str, obj: dict[str, Any]) -> None:
        if event_type == "DELETED":
            self._deleted_uids.append(obj["metadata"]["uid"])
            known = self.objects.get(key_of(obj))
            if known is not None and known["metadata"]["uid"] == obj["metadata"]["uid"]:
                del self.objects[key_of(obj)]
        else:
            self.objects[key_of(obj)] = obj
        for callback in self._callbacks:
            try:
                callback(event_type, obj)
            except Exception:
                # One broken subscriber must not end the copy that all others live on.
                log.exception("a subscriber of %s failed on %s", self.resource.plural, key_of(obj))


def _is_newer(obj: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    # Both servers count resource versions upwards in one sequence.
    return int(obj["metadata"]["resourceVersion"]) > int(known["metadata"]["resourceVersion"])
