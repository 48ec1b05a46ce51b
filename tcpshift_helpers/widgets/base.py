"""What all widgets share: how they look, how they speak with the page, and what is left of them where no page is.

A widget does nothing by itself. Its JavaScript says `hello` once it is on a page, and only then work begins; so in a test
run or an export, where nobody says so, no thread starts. What changes is sent as messages and kept by nobody: no state
grows in the kernel or in the saved notebook.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from tcpshift_helpers import language, palette, plots
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.progress import is_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

STATIC = Path(__file__).parent / "static"


def module_of(name: str) -> str:
    """A widget's JavaScript: one plain ES module, of what all share and the widget's own part."""
    return "".join((STATIC / part).read_text(encoding="utf-8") for part in ("common.js", name))


class CourseWidget(anywidget.AnyWidget):
    """A widget of the course. At most one of each `ONLY` class is open in a kernel: a new one closes the old.

    Attributes:
        labels: what the page says, in the notebook's language.
        looks: the palette as CSS custom properties.
        lang: the language, for screen readers.
    """

    ONLY: ClassVar[bool] = True
    _open: ClassVar[dict[str, CourseWidget]] = {}
    _css = (STATIC / "widgets.css").read_text(encoding="utf-8")

    labels = traitlets.Dict().tag(sync=True)
    looks = traitlets.Dict().tag(sync=True)
    lang = traitlets.Unicode().tag(sync=True)

    def __init__(self, labels: Mapping[str, str], **traits: Any) -> None:
        super().__init__(
            labels={**_labels(), **labels}, looks=palette.custom_properties(), lang=language.current(), **traits
        )
        self._has_ended = False
        self._heard_at = time.monotonic()
        # The page is heard in another thread than that of the cells, where the kernel has subshells.
        self._lock = threading.Lock()
        self.on_msg(lambda _widget, content, _buffers: self._hear(content))
        if self.ONLY:
            # anywidget gives each widget a class of its own; the name stays.
            before = self._open.get(type(self).__name__)
            if before is not None:
                before.end()
            self._open[type(self).__name__] = self

    def in_words(self) -> str:
        """The widget as plain text."""
        raise NotImplementedError

    def still(self) -> plots.Picture | None:
        """The widget as a picture, if it is one."""
        return None

    def receive(self, content: Mapping[str, Any]) -> None:
        """What the page says: `{"kind": "hello"}` when it shows the widget, `here` while it does, and what was clicked."""
        raise NotImplementedError

    def rest(self) -> None:
        """Stop all work until the page says something."""

    def end(self) -> None:
        """Stop all work for good; the page says so. Does nothing the second time."""
        with self._lock:
            if self._has_ended:
                return
            self._has_ended = True
            self.rest()
        if self._open.get(type(self).__name__) is self:
            del self._open[type(self).__name__]
        self.send({"kind": "closed"})

    def close(self) -> None:
        """Stop all work, and be gone from the page."""
        self.end()
        super().close()

    def _hear(self, content: Mapping[str, Any]) -> None:
        left = content.get("kind") == "leave"
        with self._lock:
            self._heard_at = time.monotonic()
            if not self._has_ended:
                if left:
                    self.rest()
                else:
                    self.receive(content)
                return
        if left:
            self.close()
        else:
            self.send({"kind": "closed"})

    def _ipython_display_(self) -> None:
        """What a cell shows: the widget; where nobody can click, its picture with the words below, or the words alone."""
        from IPython.display import display  # noqa: PLC0415 - only notebooks have it loaded

        picture = None if is_wanted() else self.still()
        if picture is not None:
            plots.show(picture)
            return
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]

    def _repr_mimebundle_(self, **_asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        picture = self.still()
        data: dict[str, Any] = {"text/plain": self.in_words()}
        metadata: dict[str, Any] = {}
        if picture is not None:
            data["image/png"], metadata["image/png"] = picture.as_output()
        if is_wanted() and self.comm is not None:
            data["application/vnd.jupyter.widget-view+json"] = {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            }
        return data, metadata


def _labels() -> dict[str, str]:
    return {
        "begun": _("Asking …"),
        "silent": _(
            "The kernel does not answer: it is busy, or was stopped or restarted. Run the cell again if this stays."
        ),
        "closed": _("Ended. Run the cell again to go on."),
    }
