"""Events: counted, merged, limited, delivered after an outage."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.client import EVENTS, ApiError, UnreachableError
from tcpshift_helpers.sandbox.controllers.events import EventRecorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tcpshift_helpers.sandbox.client import Client

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "uid": "u"},
}


@pytest.fixture
async def recorder(api: Client) -> AsyncIterator[EventRecorder]:
    made = EventRecorder(api)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def recorded(api: Client, recorder: EventRecorder) -> list[tuple[str, int]]:
    await recorder.drained()
    items, _ = await api.list(EVENTS, "default")
    return sorted((item["message"], item["count"]) for item in items)


async def test_an_event_says_who_what_and_about_what(api: Client, recorder: EventRecorder) -> None:
    recorder.source("kubelet", "sandbox").warning(POD, "Failed", "words", "spec.containers{c}")
    await recorder.drained()
    ((event,), _) = await api.list(EVENTS, "default")
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "default",
        "name": "p",
        "uid": "u",
        "apiVersion": "v1",
        "fieldPath": "spec.containers{c}",
    }
    assert (event["type"], event["reason"], event["message"], event["count"]) == ("Warning", "Failed", "words", 1)
    assert event["source"] == {"component": "kubelet", "host": "sandbox"}
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert event["metadata"]["name"].startswith("p.")


async def test_equal_notes_are_counted(api: Client, recorder: EventRecorder) -> None:
    source = recorder.source("kubelet")
    for _ in range(3):
        source.normal(POD, "BackOff", "again")
    source.normal(POD, "BackOff", "other")
    assert await recorded(api, recorder) == [("again", 3), ("other", 1)]


async def test_similar_notes_share_one_event_from_the_tenth_on(api: Client, recorder: EventRecorder) -> None:
    source = recorder.source("kubelet")
    for number in range(12):
        source.normal(POD, "Created", f"pod {number:02}")
    assert await recorded(api, recorder) == [
        ("(combined from similar events): pod 11", 3),
        *((f"pod {number:02}", 1) for number in range(9)),
    ]


async def test_an_object_is_heard_twenty_five_times(api: Client, recorder: EventRecorder) -> None:
    source = recorder.source("kubelet")
    for _ in range(40):
        source.normal(POD, "BackOff", "again")
    recorder.source("other").normal(POD, "BackOff", "another voice")
    assert await recorded(api, recorder) == [("again", 25), ("another voice", 1)]


async def test_an_event_deleted_meanwhile_is_made_anew(api: Client, recorder: EventRecorder) -> None:
    source = recorder.source("kubelet")
    source.normal(POD, "BackOff", "again")
    await recorder.drained()
    ((event,), _) = await api.list(EVENTS, "default")
    await api.delete(EVENTS, event["metadata"]["name"], "default")
    source.normal(POD, "BackOff", "again")
    assert await recorded(api, recorder) == [("again", 1)]


class Away:
    """A client whose server is away for the first calls, then refuses one."""

    def __init__(self) -> None:
        self.failures: list[Exception] = [UnreachableError("x"), UnreachableError("x"), ApiError(403, "Forbidden", "x")]
        self.made: list[dict[str, Any]] = []

    def named(self, _: str) -> Away:
        return self

    async def create(self, _: object, event: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)
        self.made.append(event)
        return event


async def test_notes_outlive_an_outage_but_not_a_refusal() -> None:
    client = Away()
    recorder = EventRecorder(client)  # type: ignore[arg-type]
    task = asyncio.create_task(recorder.run())
    source = recorder.source("kubelet")
    source.normal(POD, "First", "refused after an outage")
    source.normal(POD, "Second", "delivered")
    await asyncio.wait_for(recorder.drained(), 10)
    assert [event["reason"] for event in client.made] == ["Second"]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
