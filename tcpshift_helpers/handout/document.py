"""A handout from the lessons to the file: read, set, print, and put in place only when it is whole."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tcpshift_helpers import language as languages
from tcpshift_helpers.errors import HandoutError
from tcpshift_helpers.handout import Format, Reader, browser, lessons
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Sequence


def write(
    notebooks: Path,
    language: str,
    *,
    reader: Reader,
    form: Format,
    numbers: Sequence[str] = (),
    folder: Path = Path(),
) -> Path:
    """Write a handout and return where it is; one of that name is replaced.

    Args:
        notebooks: the folder that has a folder for each language.
        language: of the lessons and of the page.
        reader: for whom.
        form: HTML, or PDF where there is a browser that makes it.
        numbers: which lessons; all without any.
        folder: where it goes; made if it is not there.

    Raises:
        UsageError: no such language or lesson.
        HandoutError: a lesson cannot be read, there is no browser, or the file cannot be written.
    """
    chosen = lessons.read(notebooks, language, numbers)
    program = browser.find() if form is Format.PDF else ""
    from tcpshift_helpers.handout import page  # noqa: PLC0415 - nbconvert: a second

    with languages.only(language):
        html = page.render(chosen, reader, language, notebooks / language)
    which = "".join(f"-{lesson.number}" for lesson in chosen) if numbers else ""
    target = folder.resolve() / f"tcpshift-{reader}-{language}{which}.{form}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that it can be put in its place at once; and a Chromium from a snap sees nothing of /tmp.
        with tempfile.TemporaryDirectory(
            prefix="tcpshift-handout-", dir=target.parent, ignore_cleanup_errors=True
        ) as name:
            work = Path(name)
            done = work / "page.html"
            done.write_text(html, encoding="utf-8")
            if program:
                browser.print_pdf(program, done, work / "page.pdf", work / "profile")
                done = work / "page.pdf"
            done.replace(target)
    except OSError as error:
        raise HandoutError(
            _("{path} cannot be written: {error}. Choose another folder with --output.").format(
                path=target, error=error.strerror or error
            )
        ) from error
    return target
