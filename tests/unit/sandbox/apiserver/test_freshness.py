"""Waiting for versions: until they are reached, or for as long as anybody is patient."""

from __future__ import annotations

import asyncio

import pytest

from tcpshift_helpers.sandbox.apiserver import freshness as module
from tcpshift_helpers.sandbox.apiserver.freshness import Freshness
from tcpshift_helpers.sandbox.apiserver.status import StatusError
from tcpshift_helpers.sandbox.apiserver.store import Key, Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "state.db")
    yield made
    made.close()


def write(store):
    store.put(Key("pods", "n", "a"), {"metadata": {"name": "a"}})


async def test_a_version_that_is_reached_is_not_waited_for(store):
    write(store)
    await Freshness(store).reach(1)


async def test_a_version_is_reached_by_writes(store):
    freshness = Freshness(store)
    waiting = asyncio.create_task(freshness.reach(3))
    await asyncio.sleep(0)
    assert freshness.waiting == 1
    for _ in range(2):
        write(store)
        await asyncio.sleep(0)
    assert not waiting.done()
    write(store)
    await asyncio.wait_for(waiting, module.PATIENCE_SECONDS / 2)
    assert freshness.waiting == 0


async def test_a_version_that_is_not_reached(store, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    write(store)
    freshness = Freshness(store)
    with pytest.raises(StatusError, match="Timeout: Too large resource version: 9, current: 1") as refused:
        await freshness.reach(9)
    assert (refused.value.code, freshness.waiting) == (504, 0)


async def test_who_goes_does_not_wait_any_more(store):
    freshness = Freshness(store)
    waiting = asyncio.create_task(freshness.reach(3))
    await asyncio.sleep(0)
    assert freshness.waiting == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert freshness.waiting == 0
