"""The words that people read, in the language of the notebook they read them in.

The language is the name of the notebook's folder (`notebooks/zh-CN/`), so no code cell has to know it;
`TCPSHIFT_LANGUAGE` wins over the folder. Elsewhere, and for a message without a translation, it is English; the
command line speaks English everywhere, as kubectl does. Which language's lessons it opens follows the locale, as `preferred`.
Messages are written in English where they are said, marked with `gettext` (as `_`), `ngettext` or `mark`; their
translations are `locale/<language>/LC_MESSAGES/tcpshift.po`, read as they are, so that no compiled copy can be stale.
What Kubernetes, Istio and Envoy say is theirs and stays as it is.
"""

from __future__ import annotations

import contextlib
import functools
import gettext as standard_gettext
import io
import os
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LANGUAGES = ("en", "zh-CN")
VARIABLE = "TCPSHIFT_LANGUAGE"
LOCALE = Path(__file__).parent / "locale"
# Where a Jupyter server tells a kernel which notebook it was started for.
_NOTEBOOK = "JPY_SESSION_NAME"
# POSIX: the first of these that is not empty is the locale of messages.
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_only: str | None = None


def current() -> str:
    """The language now, one of `LANGUAGES`.

    Raises:
        UsageError: `TCPSHIFT_LANGUAGE` names another one.
    """
    if _only is not None:
        return _only
    if asked := _asked():
        return asked
    folders = [PurePath(os.environ.get(_NOTEBOOK, "")).parent.name]
    with contextlib.suppress(FileNotFoundError):  # the folder is gone under us
        folders.append(Path.cwd().name)
    return next((folder for folder in folders if folder in LANGUAGES), LANGUAGES[0])


def preferred() -> str:
    """The language to begin the course in, one of `LANGUAGES`: `TCPSHIFT_LANGUAGE`, or that of the user's locale.

    Raises:
        UsageError: `TCPSHIFT_LANGUAGE` names another one.
    """
    if asked := _asked():
        return asked
    locale = next(filter(None, map(os.environ.get, _LOCALE_VARIABLES)), "")
    # zh_CN.UTF-8, zh_SG or plain zh: whoever reads one of them reads zh-CN more easily than English.
    tongue = re.split(r"[_.@-]", locale)[0].lower()
    return next((language for language in LANGUAGES if language.split("-")[0] == tongue), LANGUAGES[0])


def _asked() -> str | None:
    """The language that `TCPSHIFT_LANGUAGE` names, if any."""
    asked = os.environ.get(VARIABLE)
    if asked and asked not in LANGUAGES:
        # Whoever reads this did not type it just now.
        raise UsageError(
            f"{VARIABLE} is {asked!r}, which is no language of the course. Set it to {' or '.join(LANGUAGES)}, or unset it."
        )
    return asked or None


def known(language: str) -> str:
    """The language itself, if there is a translation into it.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if language not in LANGUAGES:
        raise UsageError(f"There is no language {language!r}. Languages: {', '.join(LANGUAGES)}.")
    return language


@contextlib.contextmanager
def only(language: str) -> Iterator[None]:
    """One language for all threads, whatever the folder and the variable say."""
    global _only  # noqa: PLW0603 - a probe speaks in a thread of its own, and must not speak another language
    before, _only = _only, known(language)
    try:
        yield
    finally:
        _only = before


def gettext(message: str) -> str:
    """A message in the language of now; with `str.format` afterwards for what varies in it."""
    return _translations(current()).gettext(message)


def ngettext(one: str, many: str, number: int) -> str:
    """`gettext` of the form that goes with a number."""
    return _translations(current()).ngettext(one, many, number)


def listed(words: Iterable[str]) -> str:
    """Names or short phrases one after the other, as the language of now strings them."""
    # Translators: what stands between the names of a list.
    return gettext(", ").join(str(word) for word in words)


def paragraph(sentences: Iterable[str]) -> str:
    """Sentences one after the other, as the language of now sets them."""
    # Translators: one sentence after the other.
    pattern = gettext("{text} {sentence}")
    return functools.reduce(lambda text, sentence: pattern.format(text=text, sentence=sentence), sentences)


class Word(str):
    """A text that stays English where code compares it, and is in the language of now where it is printed."""

    __slots__ = ("_fields", "_message")
    _message: str
    _fields: dict[str, object]

    def __str__(self) -> str:
        return gettext(self._message).format(**self._fields)


def mark(message: str, **fields: object) -> Word:
    """A message that is translated later, when it is said, with what varies in it; for constants of a module."""
    word = Word(message.format(**fields))
    word._message, word._fields = message, fields
    return word


def file_of(language: str) -> Path:
    """The file of translations into a language."""
    return LOCALE / locale_of(language) / "LC_MESSAGES" / "tcpshift.po"


def locale_of(language: str) -> str:
    """The language as gettext and Babel write it: `zh_CN`."""
    return language.replace("-", "_")


@functools.cache
def _translations(language: str) -> standard_gettext.NullTranslations:
    if language == LANGUAGES[0]:
        return standard_gettext.NullTranslations()
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - for those alone who read another language
    from babel.messages.pofile import read_po  # noqa: PLC0415

    compiled = io.BytesIO()
    with file_of(language).open("rb") as file:
        write_mo(compiled, read_po(file, locale=locale_of(language)))
    compiled.seek(0)
    return standard_gettext.GNUTranslations(compiled)
