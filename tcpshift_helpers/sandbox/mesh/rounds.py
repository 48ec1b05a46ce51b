"""Telling the API server again whenever something changed: one round at a time, repeated when the server was away.

It does not know what is told.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox import client as api

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

_RETRY_SECONDS = 0.25


class Rounds(abc.ABC):
    """Rounds of writing; what changes during one makes another follow."""

    def __init__(self) -> None:
        """Nothing is written until the first `wake`."""
        self._awake = asyncio.Event()

    @abc.abstractmethod
    async def _write_all(self) -> None:
        """One round: write what is not so yet."""

    def wake(self) -> None:
        """Something changed: look again."""
        self._awake.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            try:
                await self._write_all()
            except api.UnreachableError:
                await asyncio.sleep(_RETRY_SECONDS)
                self.wake()


@contextlib.contextmanager
def attempt(log: logging.Logger, what: str) -> Iterator[None]:
    """Around one write: a refusal is logged as `cannot <what>`, and does not end the round.

    Raises:
        UnreachableError: the server is not well; the whole round is to be repeated.
    """
    try:
        yield
    except api.ApiError as error:
        if error.code >= 500:
            raise api.UnreachableError(str(error)) from error
        # Deleted, changed or made meanwhile: the next event brings it here again.
        if error.code not in (404, 409):
            log.warning("cannot %s: %s", what, error)
