"""Lessons as one HTML document that needs nothing beside itself: no file, no font, no network.

What a learner's document leaves out is never put in, so that there is nothing to find in its source. The words of the
page are in the language of now; `document` sets it. How it looks is `handout.css`.
"""

from __future__ import annotations

import ast
import base64
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from nbconvert.filters.ansi import strip_ansi
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from tcpshift_helpers.errors import HandoutError
from tcpshift_helpers.handout import Reader
from tcpshift_helpers.handout.answers import Answer, parted
from tcpshift_helpers.handout.markdown import Writer, steps
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import ngettext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tcpshift_helpers.handout.lessons import Lesson

FONT = Path(__file__).parents[1] / "fonts" / "NotoSansSC-subset.otf"
# nbval's word for a cell whose output is another one each time.
VARIES = "nbval-ignore-output"
# What asks for a prediction: on a screen there is a field for it.
ASKS = "widgets.predict("
_FOLDER = Path(__file__).parent
_WIDGET = "application/vnd.jupyter.widget-view+json"
_FIGURES = ("image/png", "image/svg+xml", "image/jpeg")
_CHINESE = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
# Rules and programs of an output would be those of the whole document.
_STYLE_OR_SCRIPT = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_OPTION = re.compile(r"(?<!\S)--?[a-z]\S*")
_FEWEST_LINES, _MOST_LINES = 3, 12


@dataclass(frozen=True)
class Output:
    """One output of a cell: text, HTML or a picture.

    Attributes:
        text: what was printed.
        html: a table, or what a figure says in words.
        picture: a `data:` address.
        alt: what the picture shows, in words.
        width: the picture's, in the pixels of CSS.
    """

    text: str = ""
    html: str = ""
    picture: str = ""
    alt: str = ""
    width: int | None = None


@dataclass
class Block:
    """What stands in a step: a text, a cell with its output, or a place for an answer.

    Attributes:
        kind: `text`, `run`, `solution` or `answer`.
        html: the text, the code or the solution; none for a place for an answer.
        title: what a solution or a place for an answer is headed by.
        outputs: what a cell printed and showed.
        varies: whether that is of one run alone.
        lines: how many lines there are to write on.
    """

    kind: str
    html: str = ""
    title: str = ""
    outputs: list[Output] = field(default_factory=list)
    varies: bool = False
    lines: int = 0


@dataclass
class _Pages:
    """A lesson, ready for the template."""

    number: str
    title: str
    minutes: str
    steps: list[list[Block]]
    notes: list[str]


def render(lessons: Sequence[Lesson], reader: Reader, language: str, folder: Path) -> str:
    """The document.

    Args:
        lessons: in the order in which they are printed.
        reader: for whom.
        language: what the document says it is in; the words come from `language.current()`.
        folder: where the lessons' files are, for pictures that they link to.

    Raises:
        HandoutError: an answer of a lesson cannot be told from its text.
    """
    printed = {lesson.name for lesson in lessons}
    pages = [_pages(lesson, reader, Writer(folder, printed)) for lesson in lessons]
    instructor = reader is Reader.INSTRUCTOR
    title = _("Instructor's handout") if instructor else _("Learner's handout")
    minutes = sum(lesson.minutes or 0 for lesson in lessons)
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["css_string"] = _css_string
    environment.filters["whole_options"] = _whole_options
    template = environment.get_template("handout.html.jinja")
    content = {
        "language": language,
        "course": _("TCP traffic shifting with Istio"),
        "title": title,
        "lessons": pages,
        "total": _in_minutes(minutes) if instructor and minutes else "",
        "words": {
            "contents": _("Contents"),
            "answer": _("Your answer:"),
            "varies": _("one run; yours will differ"),
            "links": _("Links"),
        },
        "css": (_FOLDER / "handout.css").read_text(encoding="utf-8"),
        "code_css": HtmlFormatter(style="friendly").get_style_defs(".highlight"),
    }
    document = template.render(content)
    if not _CHINESE.search(document):
        return document
    # Only with Chinese in it: the font is a megabyte.
    return template.render(content, font=base64.b64encode(FONT.read_bytes()).decode("ascii"))


def _css_string(text: str) -> str:
    """A text as a string of CSS; neither can end the string nor the style that it stands in."""
    return '"' + "".join(c if c.isalnum() or c == " " else f"\\{ord(c):x} " for c in text) + '"'


def _whole_options(text: str) -> str:
    """A text as HTML, each option of a command kept whole: a browser would break a line after the first of its hyphens."""
    return _OPTION.sub(r'<span class="option">\g<0></span>', escape(text, quote=False))


def _in_minutes(minutes: int) -> str:
    return ngettext("1 minute", "{count} minutes", minutes).format(count=minutes)


def _pages(lesson: Lesson, reader: Reader, writer: Writer) -> _Pages:
    found: list[list[Block]] = [[]]
    try:
        for begins_step, block in _blocks(lesson.cells, reader, writer):
            if begins_step:
                found.append([])
            found[-1].append(block)
    except HandoutError as error:
        raise HandoutError(f"{lesson.name}: {error}") from error
    minutes = _in_minutes(lesson.minutes) if reader is Reader.INSTRUCTOR and lesson.minutes else ""
    return _Pages(lesson.number, lesson.title, minutes, [step for step in found if step], writer.notes)


def _blocks(cells: Iterable[Any], reader: Reader, writer: Writer) -> Iterator[tuple[bool, Block]]:
    """What is printed of each cell, and whether a step begins with it."""
    for cell in cells:
        if cell.cell_type == "markdown":
            yield from _text(cell, reader, writer)
        elif cell.cell_type == "code" and _does_something(cell.source):
            yield False, _run(cell, reader)


def _text(cell: Any, reader: Reader, writer: Writer) -> Iterator[tuple[bool, Block]]:
    for part in parted(cell.source):
        if isinstance(part, str):
            for begins, text in steps(part):
                yield begins, Block("text", writer.html(text, cell.get("attachments")))
        elif reader is Reader.INSTRUCTOR:
            html = writer.html(part.body, cell.get("attachments"))
            yield False, Block("solution", html, title=part.summary)
        else:
            yield False, Block("answer", title=part.summary, lines=_lines_for(part))


def _lines_for(answer: Answer) -> int:
    """Room for what is asked, by hand, and not much more."""
    return min(max(answer.body.count("\n") + 2, _FEWEST_LINES), _MOST_LINES)


def _does_something(source: str) -> bool:
    """Whether there is more than comments in a cell; `# Your code here.` is for the screen."""
    try:
        return bool(ast.parse(source).body)
    except SyntaxError:  # a magic, such as %kubectl
        return True


def _run(cell: Any, reader: Reader) -> Block:
    code = highlight(cell.source, get_lexer_by_name("ipython3"), HtmlFormatter())
    shown = [one for one in map(_output, _joined(cell.outputs)) if one != Output()]
    figure = any(mime in output.get("data", {}) for output in cell.outputs for mime in _FIGURES)
    varies = VARIES in cell.metadata.get("tags", []) or figure
    lines = 1 if ASKS in cell.source and reader is Reader.LEARNER else 0
    return Block("run", code, outputs=shown, varies=bool(shown) and varies, lines=lines)


def _joined(outputs: Iterable[Any]) -> Iterator[Any]:
    """The outputs, with what was printed in several pieces as one."""
    pending: dict[str, Any] | None = None
    for output in outputs:
        if output.output_type == "stream":
            pending = {"output_type": "stream", "text": (pending["text"] if pending else "") + output.text}
            continue
        if pending:
            yield pending
            pending = None
        yield output
    if pending:
        yield pending


def _output(output: Any) -> Output:
    """An output as paper shows it; empty for what it cannot show, such as a button."""
    if output["output_type"] == "stream":
        return _printed(output["text"])
    if output["output_type"] == "error":
        return _printed(f"{output.ename}: {output.evalue}")
    data = output.data
    for mime in _FIGURES:
        if mime in data:
            return _picture(mime, data[mime], output.metadata.get(mime, {}))
    if _WIDGET in data:
        return Output()
    if "text/html" in data:
        return Output(html="".join(_unfolded(part) for part in parted(_STYLE_OR_SCRIPT.sub("", data["text/html"]))))
    return _printed(data.get("text/plain", ""))


def _printed(text: str) -> Output:
    return Output(text=strip_ansi(text).strip("\n"))  # type: ignore[no-untyped-call]


def _unfolded(part: str | Answer) -> str:
    """On paper nothing is folded: what a figure says in words stands below it."""
    if isinstance(part, str):
        return part
    return f'<p class="in-words"><b>{part.summary}</b> {part.body}</p>'


def _picture(mime: str, data: str, metadata: Any) -> Output:
    encoded = base64.b64encode(data.encode()).decode("ascii") if mime == "image/svg+xml" else data.replace("\n", "")
    return Output(picture=f"data:{mime};base64,{encoded}", alt=metadata.get("alt", ""), width=metadata.get("width"))
