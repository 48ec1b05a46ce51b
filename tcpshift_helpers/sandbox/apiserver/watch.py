"""Watches: changes of one kind, from a version on, as the client's selectors see them.

A watcher holds a version and reads the store's history from there whenever it is woken, so a slow client costs no memory; one
that falls behind what is kept is told 410 and lists again. Tasks end with their request.

Source: kubernetes/apiserver pkg/storage/cacher (event types under selectors, bookmarks, "too old resource version").
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.status import StatusError
from tcpshift_helpers.sandbox.apiserver.watch_events import Events, event_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

    from tcpshift_helpers.sandbox.apiserver.representation import Representation
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
    from tcpshift_helpers.sandbox.apiserver.store import Change, Store

Object = dict[str, Any]

BOOKMARK_INTERVAL_SECONDS = 60.0
_LAST_BOOKMARK_SECONDS = 2.0
_PIECE_BYTES = 64 * 1024


def expired(asked: int, oldest: int) -> StatusError:
    """410: the history no longer reaches back that far."""
    return StatusError(410, "Expired", f"too old resource version: {asked} ({oldest})")


class Wakeup(asyncio.Event):
    """Set after a write.

    Attributes:
        is_last: the watch ends when it has told what was written.
    """

    is_last = False


class Wakeups:
    """Wakes the watchers of a kind when one of its objects was written.

    Attributes:
        closed: the server stops; watches end.
        events: what all that are woken by one write share.
    """

    def __init__(self, store: Store) -> None:
        """Listen to `store`."""
        self.events = Events()
        self._waiting: defaultdict[str, set[Wakeup]] = defaultdict(set)
        self.closed = False
        store.on_change(self._wake)

    def add(self, resource: str) -> Wakeup:
        """An event that is set after each write; give it back with `remove`."""
        event = Wakeup()
        self._waiting[resource].add(event)
        return event

    def remove(self, resource: str, event: Wakeup) -> None:
        """Stop waking."""
        self._waiting[resource].discard(event)

    def end(self, resource: str) -> None:
        """End the watches of a kind, because it is served no longer, or differently."""
        for event in self._waiting[resource]:
            event.is_last = True
            event.set()

    def close(self) -> None:
        """End all watches."""
        self.closed = True
        for resource in list(self._waiting):
            self._wake(resource)

    def count(self) -> int:
        """How many watchers there are."""
        return sum(len(events) for events in self._waiting.values())

    def _wake(self, resource: str) -> None:
        for event in self._waiting[resource]:
            event.set()


@dataclass(frozen=True)
class WatchOptions:
    """What one watch asked for.

    Attributes:
        resource: the kind.
        namespace: empty for all.
        matches: label and field selectors as one predicate; None if there are none.
        resource_version: start after this version; None for the present objects first.
        timeout_seconds: end after so long.
        bookmarks: send bookmarks.
        initial_events_end: mark the end of the present objects with a bookmark.
        not_older_than: the present objects are not to be told before the store has reached this version.
    """

    resource: ResourceType
    namespace: str
    matches: Callable[[Object], bool] | None
    resource_version: int | None
    timeout_seconds: float
    bookmarks: bool = False
    initial_events_end: bool = False
    not_older_than: int = 0


async def watch(
    store: Store, wakeups: Wakeups, options: WatchOptions, representation: Representation
) -> AsyncGenerator[bytes, None]:
    """Lines of a watch response, each one or more complete events, until the time is over or the client has to list again."""
    name = options.resource.group_resource
    ends = time.monotonic() + options.timeout_seconds
    wakeup = wakeups.add(name)
    try:
        cursor = options.resource_version
        if cursor is None:
            cursor = store.revision
            present = store.list_objects(name, options.namespace)
            for piece in _pieces(_arrivals(present, options, representation)):
                yield piece
            if options.initial_events_end:
                yield event_line("BOOKMARK", representation.bookmark(cursor, initial_events_end=True))
        next_bookmark = _next_bookmark(ends)
        while True:
            oldest = store.oldest_watchable(name)
            if cursor < oldest:
                yield event_line("ERROR", expired(cursor, oldest).body())
                return
            wakeup.clear()
            now_at = store.revision
            changes = store.changes(name, cursor)
            lines = [line for change in changes if (line := _told(change, options, representation, wakeups.events))]
            cursor = changes[-1].revision if changes else max(cursor, now_at)
            if lines:
                yield b"".join(lines)
            if changes:
                continue
            now = time.monotonic()
            if options.bookmarks and now >= next_bookmark:
                if cursor <= now_at:  # of a version that is not reached there is nothing to tell
                    yield event_line("BOOKMARK", representation.bookmark(cursor, initial_events_end=False))
                next_bookmark = _next_bookmark(ends)
            if now >= ends or wakeups.closed or wakeup.is_last:
                return
            await _wait(wakeup, min(ends, next_bookmark if options.bookmarks else ends) - now)
    finally:
        wakeups.remove(name, wakeup)


def _next_bookmark(ends: float) -> float:
    now = time.monotonic()
    last = ends - _LAST_BOOKMARK_SECONDS
    soon = now + BOOKMARK_INTERVAL_SECONDS
    return min(soon, last) if now < last else soon


async def _wait(wakeup: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0)):
            await wakeup.wait()
    except TimeoutError:
        pass


def _arrivals(objs: Iterable[Object], options: WatchOptions, representation: Representation) -> Iterator[bytes]:
    for obj in objs:
        if options.matches is None or options.matches(obj):
            yield event_line("ADDED", representation.event_object(obj))


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, some at a time: of what a client has not read yet only one piece is there already."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _told(change: Change, options: WatchOptions, representation: Representation, events: Events) -> bytes | None:
    if options.namespace and change.namespace != options.namespace:
        return None
    return events.line(change, options.matches, representation)
