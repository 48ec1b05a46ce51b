"""The sandbox's own API server in the test's process, and a client of it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.client import Client
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def api_home(tmp_path: Path) -> AsyncIterator[Home]:
    """A state directory with an API server over it."""
    from tcpshift_helpers.sandbox.apiserver import server

    home = Home(tmp_path / "home")
    home.create()
    async with server.serve(home):
        yield home


@pytest.fixture
async def api(api_home: Home) -> AsyncIterator[Client]:
    """A client of it."""
    async with Client.from_home(api_home) as client:
        yield client


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until a condition, a plain or an asynchronous one, gives something true, and return that."""
    return _until


async def _until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"still waiting: {what}"
        await asyncio.sleep(0.005)
