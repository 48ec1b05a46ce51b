"""What is saved in the lessons: someone who reads them on a web page sees what a run shows, and nothing of the machine it ran on."""

from __future__ import annotations

import ast
import html
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tcpshift_helpers import language

if TYPE_CHECKING:
    from collections.abc import Iterator

COURSE = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(COURSE.glob("*/*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: f"{path.parent.name}-{path.stem[:2]}")
TRANSLATED = [path for path in LESSONS if path.parent.name != "en"]
each_translated = pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: f"{path.parent.name}-{path.stem[:2]}")
each_language = pytest.mark.parametrize("tag", language.LANGUAGES)
MOST_UNCOMPARED = 0.15
HEADING = re.compile(r"## (?:(\d+)\. )?(.+)")
CHECKS = re.compile(r"\b(?:course\.check|course\.preflight|widgets\.progress)\(cluster")
OPENING = {
    "en": ["What you'll do.", "What you'll learn.", "What you need.", "Time."],
    "zh-CN": ["你将做什么", "你将学到什么", "需要什么", "时间"],
}
README = {"en": "README.md", "zh-CN": "README.zh-CN.md"}
YOUR_TURN = {"en": "Your turn", "zh-CN": "动手试试"}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# A block to run is the same in every language; a drawing (```text) has words of its own.
CODE = re.compile(r"^```(?:python|sh)\n.*?^```$", re.DOTALL | re.MULTILINE)
NO_PROSE = re.compile(r"^```.*?^```$|`[^`]*`|\]\([^)]*\)|</?[a-z]+>", re.DOTALL | re.MULTILINE)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def shows_something(cell: Any) -> bool:
    """Whether the cell ends in, or contains, a call that is there for its output; an exercise's empty cell does not."""
    return any(isinstance(statement, ast.Expr) for statement in ast.parse(cell.source).body)


def shown(cell: Any) -> str:
    """All that a reader sees of a cell's outputs, as text."""
    return "".join(output.get("text", "") + str(output.get("metadata", "")) for output in cell.outputs)


def said(path: Path, message: str) -> str:
    """A helper's word in the language of a lesson."""
    with language.only(path.parent.name):
        return language.gettext(message)


def times_told(path: Path, message: str) -> int:
    """How many lines of a saved run begin with a helper's word, perhaps after a number."""
    begins = re.compile(rf"^(?:\d+ )?{re.escape(said(path, message))}", re.MULTILINE)
    return sum(len(begins.findall(shown(cell))) for cell in code_cells(path))


def pictures(path: Path) -> Iterator[Any]:
    return (output for cell in code_cells(path) for output in cell.outputs if "image/png" in output.get("data", {}))


def in_english(path: Path) -> Path:
    return COURSE / "en" / path.name


def prose(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def without_prose(path: Path) -> list[tuple[str, str, list[str], str]]:
    """What no language changes in a lesson: its cells in order, their tags, and the code."""
    return [
        (cell.id, cell.cell_type, cell.metadata.get("tags", []), cell.source if cell.cell_type == "code" else "")
        for cell in nbformat.read(path, as_version=4).cells
    ]


@each_language
def test_the_course_has_its_lessons(tag: str) -> None:
    names = [path.name for path in LESSONS if path.parent.name == tag]
    assert [name[:2] for name in names] == [f"{number:02d}" for number in range(12)]
    assert names == [path.name for path in LESSONS if path.parent.name == "en"]


@each_translated
def test_a_translation_has_the_cells_and_the_code_of_the_english_lesson(path: Path) -> None:
    assert without_prose(path) == without_prose(in_english(path))


@each_translated
def test_a_translation_has_the_structure_of_the_english_prose(path: Path) -> None:
    for ours, english in zip(prose(path), prose(in_english(path)), strict=True):
        assert CODE.findall(ours) == CODE.findall(english)
        for mark in (r"\]\([^)]*\)", r"^#+ (?:\d+\.)?", r"^\|", r"</?details>", r"</?summary>"):
            assert re.findall(mark, ours, re.MULTILINE) == re.findall(mark, english, re.MULTILINE), ours


@each_translated
def test_no_paragraph_of_a_translation_was_left_in_english(path: Path) -> None:
    lines = [line for cell in prose(path) for line in NO_PROSE.sub("", cell).splitlines()]
    with_words = [line for line in lines if re.search(r"[a-z]{2}", line) and not line.startswith("|")]
    assert [line for line in with_words if not CHINESE.search(line)] == []
    assert [cell for cell in prose(path) if not CHINESE.search(cell)] == []


@each_translated
def test_the_helpers_speak_the_language_of_the_lesson(path: Path) -> None:
    for message in ("PASS", "TOO FEW TO SAY"):
        assert times_told(path, message) == times_told(in_english(path), message)
    alts = [output.metadata["image/png"]["alt"] for output in pictures(path)]
    assert len(alts) == len(list(pictures(in_english(path))))
    assert [alt for alt in alts if not CHINESE.search(alt)] == []


@each_lesson
def test_every_cell_that_shows_something_has_its_output(path: Path) -> None:
    without = [cell.source for cell in code_cells(path) if shows_something(cell) and not cell.outputs]
    assert without == []


@each_lesson
def test_it_was_run_from_top_to_bottom_in_one_go(path: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_lesson
def test_the_saved_run_went_well(path: Path) -> None:
    cells = code_cells(path)
    assert [output for cell in cells for output in cell.outputs if output.output_type == "error"] == []
    lines = [line for cell in cells for line in shown(cell).splitlines()]
    assert [line for line in lines if line.startswith((said(path, "NOT YET"), said(path, "FAIL")))] == []


@each_lesson
def test_a_widget_is_saved_as_what_can_be_seen_without_a_kernel(path: Path) -> None:
    # A model's id means nothing in the next session: JupyterLab would show an error in the widget's place.
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    kinds = {kind for cell in code_cells(path) for output in cell.outputs for kind in output.get("data", {})}
    assert kinds <= {"text/plain", "text/html", "image/png"}


@each_lesson
def test_figures_have_words_for_those_who_cannot_see_them(path: Path) -> None:
    for cell in code_cells(path):
        for output, following in itertools.pairwise([*cell.outputs, {}]):
            if "image/png" in output.get("data", {}):
                alt = output.metadata["image/png"]["alt"]
                assert re.search(r"\d", alt)
                assert f"<summary>{said(path, 'In words')}</summary>{html.escape(alt)}</details>" in following["data"]["text/html"]


@each_lesson
def test_nothing_of_the_machine_is_told(path: Path) -> None:
    told = [re.findall(r"/(?:home|root|tmp|Users|work|var)/\S*", shown(cell)) for cell in code_cells(path)]
    assert [words for words in told if words] == []


def test_few_cells_are_left_uncompared() -> None:
    cells = [cell for path in LESSONS for cell in code_cells(path)]
    uncompared = [cell for cell in cells if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert len(uncompared) <= MOST_UNCOMPARED * len(cells)


@dataclass
class Section:
    """What stands below a heading of the second level: its number (None without one), words, text, and code of cells."""

    number: int | None
    title: str
    text: str
    code: list[str]


def sections(path: Path) -> list[Section]:
    """A lesson, cut at its headings of the second level; the first is what stands before any."""
    found = [Section(None, "", "", [])]
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            found[-1].code.append(cell.source)
            continue
        for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
            heading = HEADING.match(part)
            if heading:
                found.append(Section(int(heading[1]) if heading[1] else None, heading[2], "", []))
            found[-1].text += part
    return found


@each_lesson
def test_it_opens_with_what_you_do_learn_and_need_and_how_long_it_takes(path: Path) -> None:
    opening = nbformat.read(path, as_version=4).cells[0].source
    assert re.findall(r"^\*\*(.+?)\*\*", opening, re.MULTILINE) == OPENING[path.parent.name]
    assert re.match(r"# \S", opening)


@each_lesson
def test_its_steps_are_numbered_from_one_and_end_with_the_learner_s_own(path: Path) -> None:
    numbered = [section for section in sections(path) if section.number is not None]
    assert [section.number for section in numbered] == list(range(1, len(numbered) + 1))
    assert numbered[-1].title == YOUR_TURN[path.parent.name]
    assert numbered[-1].code[0] == "# Your code here."
    assert "<details><summary>" in numbered[-1].text


@each_lesson
def test_every_step_has_a_check_and_the_lesson_closes_with_one(path: Path) -> None:
    steps_of_it = [section for section in sections(path) if section.number is not None]
    unchecked = [section.title for section in steps_of_it if not CHECKS.search("\n".join(section.code))]
    assert unchecked == []
    assert re.fullmatch(r'(course\.check\(cluster, "[\w-]+"\)\n?)+', code_cells(path)[-1].source)


@each_lesson
def test_a_check_that_passes_takes_a_line(path: Path) -> None:
    for cell in code_cells(path):
        if re.fullmatch(r'(course\.check\(cluster, "[\w-]+"\)\n?)+', cell.source):
            assert len(shown(cell).splitlines()) == cell.source.count("course.check")


def minutes_said(path: Path) -> int:
    """How long a lesson says that it takes."""
    found = re.search(r"^\*\*(?:Time\.|时间)\*\*\D{1,2}(\d+)", prose(path)[0], re.MULTILINE)
    assert found
    return int(found[1])


def minutes_to_read(path: Path) -> float:
    """At 180 words or 300 Chinese characters a minute, code and what it prints read like prose."""
    texts = [*prose(path), *(cell.source + shown(cell) for cell in code_cells(path))]
    characters = sum(len(CHINESE.findall(text)) for text in texts)
    words = sum(len(re.findall(r"[A-Za-z0-9][\w.'’-]*", text)) for text in texts)
    return words / 180 + characters / 300


@each_lesson
def test_the_time_that_it_says_is_enough_to_read_it_and_not_much_more(path: Path) -> None:
    # Running takes a minute at most; what is left is for the exercise, and for playing where there is something to play with.
    assert 0 <= minutes_said(path) - minutes_to_read(path) <= 4


@each_language
def test_the_first_four_lessons_take_25_minutes_at_most_and_the_first_says_how_many(tag: str) -> None:
    first_four = [minutes_said(path) for path in LESSONS if path.parent.name == tag][:4]
    assert sum(first_four) <= 25
    opening = prose(next(path for path in LESSONS if path.parent.name == tag))[0]
    assert re.search(rf"\b{sum(first_four)} (?:minutes of reading and running|分钟，不需要了解)", opening)


@each_language
def test_the_readme_says_the_minutes_that_the_lessons_say(tag: str) -> None:
    readme = (COURSE.parent / README[tag]).read_text(encoding="utf-8")
    told = {number: int(minutes) for number, minutes in re.findall(r"^\| (\d\d) .*\| (\d+) \|$", readme, re.MULTILINE)}
    assert told == {path.name[:2]: minutes_said(path) for path in LESSONS if path.parent.name == tag}


@each_lesson
def test_it_begins_by_itself_and_leads_on(path: Path) -> None:
    lesson, source = path.stem[:2], path.read_text(encoding="utf-8")
    first, *_ = code_cells(path)
    assert "cluster = connect()" in first.source
    assert lesson == "00" or f'course.begin(cluster, "{lesson}")' in first.source
    links = re.findall(r"\]\((\d\d-[^)]*)\)", source)
    assert [link for link in links if not (path.parent / link).is_file()] == []
    later = [other.name for other in sorted(path.parent.glob("*.ipynb")) if other.name > path.name]
    assert not later or later[0] in links
