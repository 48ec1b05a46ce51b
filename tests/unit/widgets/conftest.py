"""A page that shows a widget: what it is told, and what it says."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import widgets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.widgets.base import CourseWidget

WAIT_SECONDS = 30


class Page:
    """Stands for the browser: keeps each message of a widget, and waits for the one it needs."""

    def __init__(self, widget: CourseWidget) -> None:
        self.widget = widget
        self.told: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        widget.send = self._hear  # type: ignore[method-assign]

    def _hear(self, message: dict[str, Any], buffers: Any = None) -> None:
        with self._changed:
            self.told.append(message)
            self._changed.notify_all()

    def say(self, kind: str, **fields: Any) -> None:
        self.widget._hear({"kind": kind, **fields})

    def wait_for(self, is_it: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first message from now on, the last one included, that is it."""
        start = max(0, len(self.told) - 1)
        with self._changed:
            found = self._changed.wait_for(
                lambda: next((message for message in self.told[start:] if is_it(message)), None), WAIT_SECONDS
            )
        assert found is not None, self.told[-1:]
        return found


@pytest.fixture
def page() -> Iterator[Callable[[CourseWidget], Page]]:
    """Puts a widget on a page; when the test is over it is closed, and none of its threads lives on."""
    pages: list[Page] = []

    def put(widget: CourseWidget) -> Page:
        pages.append(Page(widget))
        return pages[-1]

    yield put
    for each in pages:
        each.widget.close()
    widgets.Prediction._locked.clear()
    assert threads() == []


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> Callable[[CourseWidget], list[dict[str, Any]]]:
    """What a cell shows of a widget: the data of each output."""

    def display(widget: CourseWidget) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        monkeypatch.setattr("IPython.display.display", lambda data, **_: found.append(data))
        widget._ipython_display_()
        return found

    return display


def threads() -> list[str]:
    """Threads that belong to widgets."""
    ours = ("tcpshift-weights", "tcpshift-live", "tcpshift-progress", "tcpshift-probe-stream")
    return [thread.name for thread in threading.enumerate() if thread.name in ours]


def until_no_thread() -> None:
    """Wait until no widget works any more, though nobody told one to end."""
    deadline = time.monotonic() + WAIT_SECONDS
    while threads():
        assert time.monotonic() < deadline, threads()
        time.sleep(0.05)
