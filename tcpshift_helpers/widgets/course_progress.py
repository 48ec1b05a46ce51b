"""Progress through the course: the lessons and which of their checks pass now.

Read from the cluster alone, never from a notebook's variables, so it is true in every notebook and after every restart.
Which checks a lesson has is read from the lesson itself.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcpshift_helpers import course, language
from tcpshift_helpers.judgement import NOT_YET, PASS
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.progress import is_wanted
from tcpshift_helpers.widgets.base import CourseWidget, module_of
from tcpshift_helpers.widgets.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.steps import Outcome

_PACKAGE = Path(__file__).parents[1]
# Beside the package in a clone; inside it when installed from a wheel.
_FOLDERS = (_PACKAGE.parent / "notebooks", _PACKAGE / "_course" / "notebooks")


@dataclass(frozen=True)
class Lesson:
    """A lesson as it is written.

    Attributes:
        number: `00` and on.
        title: its first heading.
        checks: the names that it gives to `course.check`, each once, in order.
    """

    number: str
    title: str
    checks: tuple[str, ...]


def progress(cluster: Cluster) -> CourseProgress:
    """The lessons with the checks that pass on the cluster as it is now.

    Args:
        cluster: where.
    """
    return CourseProgress(cluster)


def lessons() -> list[Lesson]:
    """The lessons that have checks, in order, in the reader's language where they exist in it."""
    tags = (language.current(), language.LANGUAGES[0])
    folders = [folder / tag for tag in tags for folder in _FOLDERS]
    for folder in folders:
        paths = sorted(folder.glob("[0-9][0-9]-*.ipynb"))
        if paths:
            found = [_lesson(path) for path in paths]
            return [lesson for lesson in found if lesson.checks]
    return []


class CourseProgress(CourseWidget):
    """The list. See `progress`."""

    _esm = module_of("course_progress.js")

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lessons = lessons()
        self._outcomes: dict[str, Outcome] = {}
        self._worker: Worker | None = None
        super().__init__(_labels())

    def in_words(self) -> str:
        """A line a lesson. Where nobody can click, the checks are made for it."""
        if not is_wanted():
            self._look()
        return "\n".join([self.labels["note"], *(self._line(lesson) for lesson in self._lessons)])

    def receive(self, content: Mapping[str, Any]) -> None:
        """`hello` and `again` make the checks."""
        if content.get("kind") not in {"hello", "again"}:
            return
        if self._worker is None or not self._worker.wake():
            self._worker = Worker("tcpshift-progress", self._step)

    def rest(self) -> None:
        """End the thread."""
        if self._worker is not None:
            self._worker.stop()

    def _step(self) -> None:
        self._outcomes = {}
        self._tell(busy=True)
        self._look(tell=True)
        self._tell(busy=False)

    def _look(self, *, tell: bool = False) -> None:
        """Make each check once, however many lessons ask for it."""
        found: dict[str, Outcome] = {}
        for lesson in self._lessons:
            for name in lesson.checks:
                if name not in found:
                    found[name] = course.outcome_of(self._cluster, name)
                    self._outcomes = dict(found)
                    if tell:
                        self._tell(busy=True)

    def _tell(self, *, busy: bool) -> None:
        listed_lessons = [
            {
                "line": self._line(lesson),
                "passed": self._passed(lesson),
                "of": len(lesson.checks),
                "checks": [*self._checks(lesson)],
            }
            for lesson in self._lessons
        ]
        self.send({"kind": "state", "busy": busy, "lessons": listed_lessons})

    def _passed(self, lesson: Lesson) -> int:
        return sum(bool(self._outcomes.get(name)) for name in lesson.checks)

    def _line(self, lesson: Lesson) -> str:
        return _("{number} {title}: {passed} of {count} checks pass").format(
            number=lesson.number, title=lesson.title, passed=self._passed(lesson), count=len(lesson.checks)
        )

    def _checks(self, lesson: Lesson) -> Iterator[dict[str, str]]:
        for name in lesson.checks:
            outcome = self._outcomes.get(name)
            if outcome is not None:
                yield {"word": f"{PASS if outcome else NOT_YET}", "text": f"{outcome}", "passed": str(bool(outcome))}


def _lesson(path: Path) -> Lesson:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    heading = next(
        line.removeprefix("# ").strip()
        for cell in cells
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("# ")
    )
    names = [name for cell in cells if cell["cell_type"] == "code" for name in _checks_in("".join(cell["source"]))]
    return Lesson(path.name[:2], heading, tuple(dict.fromkeys(names)))


def _checks_in(source: str) -> Iterator[str]:
    """The names that a cell gives to `course.check`; none where it is no plain Python."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "course.check" and len(node.args) == 2:
            name = node.args[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


def _labels() -> dict[str, str]:
    return {
        "title": _("Progress"),
        "note": _("What the cluster shows now; a later lesson may undo what an earlier one did."),
        "again": _("Look again"),
        "busy": _("Checking …"),
        "done": _("Checked."),
    }
