"""Watches over a store, without a network."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from tcpshift_helpers.sandbox.apiserver import store as store_module
from tcpshift_helpers.sandbox.apiserver import watch as module
from tcpshift_helpers.sandbox.apiserver.representation import Representation
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.store import Key, Store
from tcpshift_helpers.sandbox.apiserver.watch import Wakeups, WatchOptions, watch

PODS = next(resource for resource in BUILT_IN if resource.plural == "pods")


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


def put(store, name="a", resource="pods", **labels):
    store.put(
        Key(resource, "n", name), {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
    )


def options(**more):
    defaults = {"resource": PODS, "namespace": "", "matches": None, "resource_version": 0, "timeout_seconds": 0.0}
    return WatchOptions(**{**defaults, **more})


async def events(store, wakeups, **more):
    seen = []
    async with aclosing(watch(store, wakeups, options(**more), Representation(PODS, "v1"))) as lines:
        async for line in lines:
            seen.extend(json.loads(part) for part in line.splitlines())
    return [(event["type"], event["object"]["metadata"].get("name")) for event in seen]


async def test_history_and_end(store):
    wakeups = Wakeups(store)
    put(store)
    put(store, x="y")
    put(store, resource="services")
    assert await events(store, wakeups) == [("ADDED", "a"), ("MODIFIED", "a")]
    assert wakeups.count() == 0


async def test_more_changes_than_are_read_at_once(store):
    for number in range(600):
        put(store, f"p{number}")
    assert len(await events(store, Wakeups(store))) == 600


async def test_many_present_objects_come_some_at_a_time(store):
    for number in range(40):
        put(store, f"p{number:02}", filler="x" * 10_000)
    asked = options(resource_version=None, bookmarks=True, initial_events_end=True)
    async with aclosing(watch(store, Wakeups(store), asked, Representation(PODS, "v1"))) as lines:
        pieces = [line async for line in lines]
    assert max(map(len, pieces)) < 100_000
    seen = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert [event["object"]["metadata"].get("name") for event in seen[:-1]] == [f"p{number:02}" for number in range(40)]
    assert {event["type"] for event in seen[:-1]} == {"ADDED"}
    assert "k8s.io/initial-events-end" in seen[-1]["object"]["metadata"]["annotations"]


async def test_selected_by_predicate(store):
    put(store, l="no")
    put(store, l="yes")
    put(store, l="no")
    matches = lambda obj: obj["metadata"]["labels"]["l"] == "yes"  # noqa: E731
    assert await events(store, Wakeups(store), matches=matches) == [("ADDED", "a"), ("DELETED", "a")]


async def test_idle_watch_of_a_quiet_kind_never_expires(store, monkeypatch):
    """Other kinds' writes push the quiet kind's history out; nothing of it was missed."""
    monkeypatch.setattr(store_module, "KEPT_CHANGES", 5)
    monkeypatch.setattr(store_module, "_TRIM_EVERY", 5)
    put(store)
    wakeups = Wakeups(store)
    follower = asyncio.create_task(events(store, wakeups, resource_version=1, timeout_seconds=5.0))
    while not wakeups.count():  # noqa: ASYNC110 (the watch itself tells nobody that it began)
        await asyncio.sleep(0)
    for number in range(50):
        put(store, f"s{number}", resource="services")
    put(store, x="y")
    wakeups.close()
    assert await follower == [("MODIFIED", "a")]


async def test_history_too_short(store, monkeypatch):
    monkeypatch.setattr(store_module, "KEPT_CHANGES", 5)
    monkeypatch.setattr(store_module, "_TRIM_EVERY", 5)
    for _ in range(20):
        put(store)
    async with aclosing(watch(store, Wakeups(store), options(resource_version=3), Representation(PODS, "v1"))) as lines:
        (line,) = [line async for line in lines]
    event = json.loads(line)
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert event["object"]["message"] == "too old resource version: 3 (15)"


async def test_bookmarks_while_nothing_happens(store, monkeypatch):
    monkeypatch.setattr(module, "BOOKMARK_INTERVAL_SECONDS", 0.01)
    put(store, resource="services")
    wakeups = Wakeups(store)
    async with aclosing(
        watch(store, wakeups, options(timeout_seconds=9, bookmarks=True), Representation(PODS, "v1"))
    ) as lines:
        event = json.loads(await anext(lines))
    assert (event["type"], event["object"]["metadata"]) == ("BOOKMARK", {"resourceVersion": "1"})
    assert wakeups.count() == 0
