"""What is saved in the lessons: someone who reads them on a web page sees what a run shows, and nothing of the machine it ran on."""

from __future__ import annotations

import ast
import html
import itertools
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*/*.ipynb"))
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: f"{path.parent.name}-{path.stem[:2]}")
MOST_UNCOMPARED = 0.15


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def shows_something(cell: Any) -> bool:
    """Whether the cell ends in, or contains, a call that is there for its output; an exercise's empty cell does not."""
    return any(isinstance(statement, ast.Expr) for statement in ast.parse(cell.source).body)


def shown(cell: Any) -> str:
    """All that a reader sees of a cell's outputs, as text."""
    return "".join(output.get("text", "") + str(output.get("metadata", "")) for output in cell.outputs)


def test_the_course_has_its_lessons() -> None:
    assert [path.stem[:2] for path in LESSONS if path.parent.name == "en"] == [f"{number:02d}" for number in range(12)]


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
    assert [line for line in lines if line.startswith(("NOT YET", "FAIL"))] == []


@each_lesson
def test_figures_have_words_for_those_who_cannot_see_them(path: Path) -> None:
    for cell in code_cells(path):
        for output, following in itertools.pairwise([*cell.outputs, {}]):
            if "image/png" in output.get("data", {}):
                alt = output.metadata["image/png"]["alt"]
                assert re.search(r"\d", alt)
                assert f"</summary>{html.escape(alt)}</details>" in following["data"]["text/html"]


@each_lesson
def test_nothing_of_the_machine_is_told(path: Path) -> None:
    told = [re.findall(r"/(?:home|root|tmp|Users|work|var)/\S*", shown(cell)) for cell in code_cells(path)]
    assert [words for words in told if words] == []


def test_few_cells_are_left_uncompared() -> None:
    cells = [cell for path in LESSONS for cell in code_cells(path)]
    uncompared = [cell for cell in cells if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert len(uncompared) <= MOST_UNCOMPARED * len(cells)


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
