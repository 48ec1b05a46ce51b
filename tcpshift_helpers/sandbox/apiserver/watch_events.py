"""What a change is to a watcher: one event or none, in the form that it asked for, ready to be sent.

A write wakes all watchers of its kind at once, so what was made of the last change is kept: it is decoded once for all of them,
and encoded once for those that are shown the same. No earlier change is kept, so this costs the memory of one object.

Source: kubernetes/apiserver pkg/storage/cacher (event types under selectors; caching_object.go, which encodes once, too).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.store import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tcpshift_helpers.sandbox.apiserver.representation import Representation
    from tcpshift_helpers.sandbox.apiserver.store import Change

Object = dict[str, Any]


def event_line(kind: str, obj: Object) -> bytes:
    """One event as a line of a watch response."""
    return f'{{"type":"{kind}","object":{encode(obj)}}}\n'.encode()


class Events:
    """Makes the events of changes, for all watchers of a server."""

    def __init__(self) -> None:
        self._last: _Decoded | None = None

    def line(
        self, change: Change, matches: Callable[[Object], bool] | None, representation: Representation
    ) -> bytes | None:
        """The event that a change is to this watcher, as a line; None if it is none.

        Args:
            change: of the watcher's kind.
            matches: label and field selectors as one predicate; None if there are none.
            representation: how this watcher is shown objects.
        """
        if matches is None and representation.is_stored_form():
            return f'{{"type":"{change.type}","object":{change.text}}}\n'.encode()
        if self._last is None or self._last.change.revision != change.revision:
            self._last = _Decoded(change)
        return self._last.line(matches, representation)


class _Decoded:
    """One change, and the lines made of it so far. Its objects are shared: nobody may change them."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self._lines: dict[Hashable, bytes] = {}
        self._object: Object = json.loads(change.text)
        self._previous: Object | None = json.loads(change.previous_text) if change.previous_text else None

    def line(self, matches: Callable[[Object], bool] | None, representation: Representation) -> bytes | None:
        """As `Events.line`."""
        matched = self._previous is not None and (matches is None or matches(self._previous))
        if self.change.type != "DELETED" and (matches is None or matches(self._object)):
            return self._encoded("MODIFIED" if matched else "ADDED", representation)
        return self._encoded("DELETED", representation) if matched else None

    def _encoded(self, kind: str, representation: Representation) -> bytes:
        form = representation.shared_event_form()
        if form is None:
            return event_line(kind, representation.event_object(self._shown(kind)))
        # Ages in the cells of Tables are of the second in which they are told.
        key = (kind, form, int(time.time()))
        if key not in self._lines:
            self._lines[key] = event_line(kind, representation.event_object(self._shown(kind)))
        return self._lines[key]

    def _shown(self, kind: str) -> Object:
        """What has gone, whether from the server or from the selector's view, is shown as it was, at the version of its going."""
        if kind != "DELETED" or self._previous is None:
            return self._object
        metadata = {**self._previous["metadata"], "resourceVersion": str(self.change.revision)}
        return {**self._previous, "metadata": metadata}
