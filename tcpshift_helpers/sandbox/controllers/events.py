"""Events: the short notes in which controllers and the node tell a person what they did.

Equal notes within the cache are counted on one Event, as the real recorder does. Notes are sent in the background, one at
a time, so that telling never delays doing; a note that cannot be delivered is dropped with a log line.

From the tenth similar note within ten minutes on (same object and reason, other words) they share one Event, too, and an
object that is much talked about is heard 25 times, then once in five minutes.

Source: kubernetes/client-go tools/record/events_cache.go (EventLogger, EventAggregator, EventSourceObjectSpamFilter).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import EVENTS, ApiError, UnreachableError
from tcpshift_helpers.sandbox.controllers.timestamps import from_unix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.client import Client

log = logging.getLogger(__name__)

# The programs that components are parts of; all others are controllers.
_PROGRAMS = {"kubelet": "kubelet", "default-scheduler": "kube-scheduler"}
_CACHED_NOTES = 1024
_LONGEST_MESSAGE = 1024
_DELIVERIES = 8
_SIMILAR_NOTES = 10
_SIMILAR_SECONDS = 600.0
_BURST = 25
_REFILL_SECONDS = 300.0


@dataclass(frozen=True)
class _Note:
    component: str
    host: str
    reference: tuple[tuple[str, str], ...]
    event_type: str
    reason: str
    message: str


class EventRecorder:
    """Takes notes in and delivers them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: asyncio.Queue[tuple[_Note, float]] = asyncio.Queue()
        self._sent: OrderedDict[_Note, dict[str, Any]] = OrderedDict()
        # How many notes each source may still make about each object, and when that was true.
        self._allowance: OrderedDict[_Note, tuple[float, float]] = OrderedDict()
        # By note without message: the messages of the last ten minutes, and when the last one came.
        self._similar: OrderedDict[_Note, tuple[set[str], float]] = OrderedDict()

    def source(self, component: str, host: str = "") -> EventSource:
        """A recorder that signs as `component`, such as `deployment-controller`."""
        return EventSource(self, component, host)

    def put(self, note: _Note) -> None:
        """Queue one note with the present time."""
        self._queue.put_nowait((note, time.time()))

    async def run(self) -> None:
        """Deliver notes for ever."""
        while True:
            note, moment = await self._queue.get()
            try:
                await self._deliver(note, moment)
            except (ApiError, UnreachableError) as error:
                log.info("event %s on %s was not recorded: %s", note.reason, dict(note.reference).get("name"), error)
            finally:
                self._queue.task_done()

    async def drained(self) -> None:
        """Wait until every note taken in so far is delivered or dropped."""
        await self._queue.join()

    def _is_spam(self, note: _Note, moment: float) -> bool:
        subject = replace(note, event_type="", reason="", message="")
        left, since = self._allowance.pop(subject, (float(_BURST), moment))
        left = min(_BURST, left + (moment - since) / _REFILL_SECONDS)
        spam = left < 1
        self._allowance[subject] = (left if spam else left - 1, moment)
        _shorten(self._allowance)
        return spam

    def _merged(self, note: _Note, moment: float) -> tuple[_Note, str]:
        """The note under which this one is counted, and the words it is shown with."""
        kind = replace(note, message="")
        messages, last = self._similar.pop(kind, (set(), moment))
        if moment - last > _SIMILAR_SECONDS:
            messages = set()
        messages.add(note.message)
        self._similar[kind] = (messages, moment)
        _shorten(self._similar)
        if len(messages) < _SIMILAR_NOTES:
            return note, note.message
        messages.pop()
        return kind, f"(combined from similar events): {note.message}"

    async def _deliver(self, note: _Note, moment: float) -> None:
        note, message = self._merged(note, moment)
        if self._is_spam(note, moment):
            return
        client = self._client.named(_PROGRAMS.get(note.component, "kube-controller-manager"))
        known = self._sent.get(note)
        if known is not None:
            try:
                patch = {"count": known["count"] + 1, "lastTimestamp": from_unix(moment), "message": message}
                metadata = known["metadata"]
                self._keep(note, await client.merge_patch(EVENTS, metadata["name"], metadata["namespace"], patch))
            except ApiError as error:
                if error.code != 404:
                    raise
            else:
                return
        self._keep(note, await self._create(client, _event(replace(note, message=message), moment)))

    async def _create(self, client: Client, event: dict[str, Any]) -> dict[str, Any]:
        pause = 0.05
        for attempt in range(_DELIVERIES):
            try:
                return await client.create(EVENTS, event)
            except UnreachableError:
                if attempt == _DELIVERIES - 1:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError("unreachable")

    def _keep(self, note: _Note, event: dict[str, Any]) -> None:
        self._sent[note] = {"metadata": event["metadata"], "count": event.get("count", 1)}
        self._sent.move_to_end(note)
        _shorten(self._sent)


@dataclass(frozen=True)
class EventSource:
    """One component's voice."""

    recorder: EventRecorder
    component: str
    host: str = ""

    def normal(self, obj: Mapping[str, Any], reason: str, message: str, field_path: str = "") -> None:
        """Note that something went as it should."""
        self._put(obj, "Normal", reason, message, field_path)

    def warning(self, obj: Mapping[str, Any], reason: str, message: str, field_path: str = "") -> None:
        """Note that something went wrong."""
        self._put(obj, "Warning", reason, message, field_path)

    def _put(self, obj: Mapping[str, Any], event_type: str, reason: str, message: str, field_path: str) -> None:
        metadata = obj["metadata"]
        reference = {
            "kind": obj["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "apiVersion": obj["apiVersion"],
            "fieldPath": field_path,
        }
        pairs = tuple((key, value) for key, value in reference.items() if value)
        self.recorder.put(_Note(self.component, self.host, pairs, event_type, reason, message[:_LONGEST_MESSAGE]))


def _shorten(cache: OrderedDict[_Note, Any]) -> None:
    while len(cache) > _CACHED_NOTES:
        cache.popitem(last=False)


def _event(note: _Note, moment: float) -> dict[str, Any]:
    reference = dict(note.reference)
    source = {"component": note.component} | ({"host": note.host} if note.host else {})
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # The name ends in nanoseconds in hexadecimal: unique enough, and as the real recorder names them.
            "name": f"{reference['name']}.{time.time_ns():x}",
            "namespace": reference.get("namespace", "default"),
        },
        "involvedObject": reference,
        "reason": note.reason,
        "message": note.message,
        "source": source,
        "firstTimestamp": from_unix(moment),
        "lastTimestamp": from_unix(moment),
        "count": 1,
        "type": note.event_type,
        "reportingComponent": note.component,
        "reportingInstance": note.host,
    }
