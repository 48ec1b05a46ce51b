"""The files of translations, brought up to the messages in the source: new ones come in empty, old ones go.

`make messages` writes them anew; a unit test fails when one is out of step. A message that changed a little keeps its
translation, marked `fuzzy`: look at it, correct it, take the mark away. A file is in the order of modules and words, and
says nothing of lines or dates, so that it changes, and can conflict, only where a message does.
"""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from tcpshift_helpers import language

PACKAGE = Path(language.__file__).parent
TAGS = tuple(tag for tag in language.LANGUAGES if tag != "en")
_METHODS = [("sandbox/**", "ignore"), ("**.py", "python")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}
_COMMENTS = ("Translators:",)
_HEAD = """\
msgid ""
msgstr ""
"Language: {locale}\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def in_source() -> Catalog:
    """Every message of the learner's half, with the files that say it."""
    found = extract_from_dir(
        PACKAGE, method_map=_METHODS, keywords=_KEYWORDS, comment_tags=_COMMENTS, strip_comment_tags=True
    )
    catalog = Catalog()
    for name, _line, message, comments, _context in sorted(found, key=_place):
        catalog.add(message, locations=[(f"tcpshift_helpers/{name}", 0)], auto_comments=comments)
    return catalog


def _place(found: tuple[str, int, str | tuple[str, ...], list[str], str | None]) -> tuple[str, str]:
    name, _line, message, _comments, _context = found
    return name, message if isinstance(message, str) else message[0]


def translations(tag: str) -> Catalog:
    """The file of a language as it is."""
    with language.file_of(tag).open("rb") as file:
        return read_po(file, locale=language.locale_of(tag))


def brought_up(tag: str) -> str:
    """The file of a language as it should be, with the translations that it has."""
    catalog = translations(tag) if language.file_of(tag).exists() else Catalog(locale=language.locale_of(tag))
    catalog.update(in_source(), update_creation_date=False)
    for message in catalog:
        # A per cent sign in a message is just that.
        message.flags.discard("python-format")
    text = io.BytesIO()
    write_po(text, catalog, width=0, omit_header=True, sort_by_file=True, ignore_obsolete=True, include_lineno=False)
    return _HEAD.format(locale=language.locale_of(tag), plural=catalog.plural_forms) + text.getvalue().decode()


if __name__ == "__main__":
    for tag in TAGS:
        file = language.file_of(tag)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(brought_up(tag), encoding="utf-8")
