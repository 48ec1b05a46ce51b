"""A lesson's Markdown as HTML for paper: nbconvert's, but a link says where it leads.

What a browser would follow, paper has to name: an address becomes a numbered note, and a lesson that is printed along is
jumped to. Pure.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_LESSON = re.compile(r"(?:\./)?((\d\d)-[^/#?]+\.ipynb)(?:#.*)?")
_FENCE = re.compile(r" {0,3}(```|~~~)")


def steps(text: str) -> Iterator[tuple[bool, str]]:
    """A Markdown text, cut before each heading of the second level, and whether a part begins with one."""
    part: list[str] = []
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        if line.startswith("## ") and not fence and part:
            yield part[0].startswith("## "), "".join(part)
            part = []
        # Blank lines before a heading belong to nothing.
        if part or line.strip():
            part.append(line)
    if part:
        yield part[0].startswith("## "), "".join(part)


class Writer:
    """Writes the Markdown of one lesson as HTML and collects the addresses that it links to.

    Attributes:
        notes: those addresses, in order; the first is note 1.
    """

    def __init__(self, folder: Path, printed: Collection[str]) -> None:
        """Write for a lesson in `folder`, with the lessons of these file names in the same document."""
        self.notes: list[str] = []
        self._folder, self._printed = folder, printed

    def html(self, text: str, attachments: dict[str, dict[str, str]] | None = None) -> str:
        """A text as HTML."""
        return MarkdownWithMath(renderer=_Renderer(self, attachments)).render(text)

    @property
    def folder(self) -> Path:
        """Where pictures are looked for."""
        return self._folder

    def link(self, text: str, url: str) -> str:
        """A link as paper can have it."""
        lesson = _LESSON.fullmatch(unquote(url))
        if lesson and lesson[1] in self._printed:
            return f'<a href="#lesson-{lesson[2]}">{text}</a>'
        if lesson:
            where = _("lesson {number}").format(number=lesson[2])
            return f"{text} <i>({escape(where)})</i>"
        if re.match(r"https?://", url):
            if url not in self.notes:
                self.notes.append(url)
            return f'<a href="{escape(url)}">{text}</a><sup>{self.notes.index(url) + 1}</sup>'
        return f"{text} <i>({escape(url)})</i>"


class _Renderer(IPythonRenderer):
    def __init__(self, writer: Writer, attachments: dict[str, dict[str, str]] | None) -> None:
        super().__init__(
            escape=False,
            embed_images=True,
            exclude_anchor_links=True,
            path=str(writer.folder),
            attachments=attachments,
        )
        self._writer = writer

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return self._writer.link(text, url)

    def inline_html(self, html: str) -> str:
        # One tag at a time comes here, and nbconvert's search for pictures would close it before its text.
        return str(super().inline_html(html)) if html.lower().startswith("<img") else html
