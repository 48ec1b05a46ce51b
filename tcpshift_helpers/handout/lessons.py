"""The saved lessons: which there are in which language, and their cells.

It reads and names what is missing; it neither runs a lesson nor knows what a page looks like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.errors import HandoutError, UsageError
from tcpshift_helpers.language import LANGUAGES, known, listed
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The one line of a lesson's head that says how long it takes.
_TIME = re.compile(r"^\*\*[^*\n]+\*\*\D{0,12}?(\d+)\s*(?:minutes?\b|分钟)[^\n]*\n?", re.MULTILINE)
_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """A lesson as it is saved.

    Attributes:
        number: two digits, as the file's name begins.
        name: the file's name, which is how other lessons link to it.
        title: its heading.
        minutes: how long it takes; None where it does not say.
        cells: nbformat's cells; the first is without the line that says how long it takes.
    """

    number: str
    name: str
    title: str
    minutes: int | None
    cells: Sequence[Any]


def read(notebooks: Path, language: str, numbers: Sequence[str] = ()) -> list[Lesson]:
    """The lessons of a language, in order.

    Args:
        notebooks: the folder that has a folder for each language.
        language: one of `language.LANGUAGES`.
        numbers: which ones, such as `03` or `3`; all without any.

    Raises:
        UsageError: no such language or lesson; the message lists those there are.
        HandoutError: the course is not in that language yet, or a lesson cannot be read.
    """
    paths = {path.name[:2]: path for path in sorted((notebooks / known(language)).glob("[0-9][0-9]-*.ipynb"))}
    if not paths:
        there = [name for name in LANGUAGES if any((notebooks / name).glob("[0-9][0-9]-*.ipynb"))]
        raise HandoutError(
            _("There are no lessons in {language} yet. Languages with lessons: {languages}.").format(
                language=language, languages=listed(there) or "-"
            )
        )
    wanted = {number.zfill(2) if number else "''" for number in numbers} or set(paths)
    if missing := sorted(wanted - set(paths)):
        raise UsageError(
            _("There is no lesson {missing} in {language}. Lessons: {lessons}.").format(
                missing=listed(missing), language=language, lessons=listed(paths)
            )
        )
    return [_read(paths[number]) for number in sorted(wanted)]


def _read(path: Path) -> Lesson:
    import nbformat  # noqa: PLC0415 - half a second, and none of it before the questions above are answered

    try:
        cells = nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise HandoutError(
            _("{path} cannot be read as a notebook: {error}").format(path=path, error=str(error).partition("\n")[0])
        ) from error
    head = cells[0].source if cells else ""
    title, time = _TITLE.search(head), _TIME.search(head)
    if time:
        cells[0].source = _TIME.sub("", head, count=1)
    return Lesson(path.name[:2], path.name, title[1] if title else path.stem, int(time[1]) if time else None, cells)
