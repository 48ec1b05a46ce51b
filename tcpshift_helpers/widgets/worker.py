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
            step: does a piece of work, and says after how many seconds the next is due; None for not before `wake`.
        """
        self._step = step
        self._woken = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Do the next step now."""
        self._woken.set()

    def stop(self) -> None:
        """End after the step that is being done."""
        self._stopped = True
        self._woken.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopped:
            self._woken.clear()
            pause = self._step()
            if not self._stopped:
                self._woken.wait(pause)


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
