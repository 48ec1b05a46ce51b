"""A thread that does a widget's work step by step, and the newest of many wishes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_SECONDS = 15.0
_Wish = TypeVar("_Wish")


class Worker:
    """Calls a function again and again in a thread, until it is stopped."""

    def __init__(self, name: str, step: Callable[[], float | None]) -> None:
        """Begin.

        Args:
            name: of the thread.
            step: does a piece of work, and says after how many seconds the next is due; None for no other.
        """
        self._step = step
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> bool:
        """Do the next step now; False when it has ended and there will be none."""
        with self._lock:
            self._woken.set()
            return not self._stopped

    def stop(self) -> None:
        """End after the step that is being done, and wait for that."""
        with self._lock:
            self._stopped = True
            self._woken.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            self._woken.clear()
            pause = self._step()
            if pause is not None:
                self._woken.wait(pause)
                continue
            with self._lock:
                # Who woke it during the last step was promised another.
                self._stopped = self._stopped or not self._woken.is_set()


class Newest(Generic[_Wish]):
    """Holds one wish: a later one takes the place of one that nobody took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wish: _Wish | None = None

    def put(self, wish: _Wish) -> None:
        """Wish for this, and for nothing that was wished before."""
        with self._lock:
            self._wish = wish

    def take(self) -> _Wish | None:
        """The wish, once; None when there is none."""
        with self._lock:
            wish, self._wish = self._wish, None
            return wish

    @property
    def waits(self) -> bool:
        """Whether there is one."""
        with self._lock:
            return self._wish is not None
