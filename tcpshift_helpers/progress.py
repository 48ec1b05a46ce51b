"""A progress line for a person who is watching, and silence for everybody else.

In a terminal it rewrites one line of stderr; in a notebook it updates one output and empties it at the end, so that
saved notebooks stay the same from run to run. Piped output, test runs (`PYTEST_VERSION`) and `TCPSHIFT_PROGRESS=off`
get nothing.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

_REDRAW_SECONDS = 0.1


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")


def is_wanted() -> bool:
    """Whether somebody is there to see progress."""
    if os.environ.get("TCPSHIFT_PROGRESS") == "off" or "PYTEST_VERSION" in os.environ:
        return False
    return in_notebook() or sys.stderr.isatty()


class ProgressLine:
    """One line that says what is going on; a context manager that leaves nothing behind."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._active = wanted and is_wanted()
        self._handle: Any = None
        self._last = 0.0
        self._written = False

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._written:
            self._draw("")

    def say(self, text: str, *, always: bool = True) -> None:
        """Show `text`; with `always=False` only if the last drawing is a tenth of a second old."""
        now = time.monotonic()
        if not self._active or (not always and now - self._last < _REDRAW_SECONDS):
            return
        self._last = now
        self._draw(text)

    def bar(self, done: int, total: int, what: str) -> None:
        """Show how many of `total` are done."""
        filled = round(20 * done / total) if total else 20
        self.say(f"{'█' * filled}{'░' * (20 - filled)} {done}/{total} {what}", always=done >= total)

    def _draw(self, text: str) -> None:
        self._written = True
        if not in_notebook():
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
            return
        from IPython.display import display  # noqa: PLC0415 - costs half a second, and only notebooks need it

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)
