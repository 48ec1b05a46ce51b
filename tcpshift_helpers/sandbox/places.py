"""Places: so many may be in at a time, and whoever leaves makes room.

It counts and knows no requests; what is said to whoever finds no place is decided by whoever asks.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Places:
    """A number of places.

    Attributes:
        taken: how many are in.
    """

    def __init__(self, most: int) -> None:
        """Let in as many as `most`."""
        self.taken = 0
        self._most = most

    @property
    def are_full(self) -> bool:
        """Whether the next one finds no place. Ask before `one`, with nothing awaited in between."""
        return self.taken >= self._most

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Take a place, for as long as the context is open."""
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
