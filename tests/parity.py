"""PARITY.md: what works as on a real cluster, what differs, what is refused; made of the tests that show it.

A test that stands for a row carries one marker, whose words are the row:

    @pytest.mark.parity("kubectl label, annotate", "works")
    @pytest.mark.parity("kubectl top", "refused: error: Metrics API not available")
    @pytest.mark.parity("kubectl autoscale", "known difference: there is no autoscaler")

A row goes to the table `kubectl` if it begins so, else to the one named before the colon: `watch: …`, `Gateway API: …`. When a marked test passes against a
real API server (`--server peer`), the day is written to parity.json. `make parity` writes PARITY.md anew; a unit test fails when it is out of step.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
DOCUMENT = ROOT / "PARITY.md"
DATES = TESTS / "parity.json"
OUTCOME = re.compile(r"works|(?:known difference|refused): .+")
_HEAD = """\
# Parity

What the sandbox does as a real cluster does, where it differs, and what it refuses. Each row is a test with the sentence's name; this file is
written by `make parity` from the tests' markers. The date says when the very same test last passed against a real API server (kube-apiserver 1.34
over etcd, with Istio's control plane); “–” means that the test needs what such a server alone does not have, such as a node.
"""


@dataclass(frozen=True)
class Row:
    """What one test stands for.

    Attributes:
        test: path and function, such as `tests/conformance/test_watch.py::test_bookmarks`.
        what: the verb, field or behaviour.
        outcome: `works`, `known difference: why` or `refused: words`.
        passed_on: day on which it last passed against a real API server, or empty.
    """

    test: str
    what: str
    outcome: str
    passed_on: str = ""

    @property
    def section(self) -> str:
        """Which table it goes to."""
        head, colon, _ = self.what.partition(": ")
        return head if colon and not head.startswith("kubectl") else self.what.partition(" ")[0].rstrip(",:")


def rows(tests: Path = TESTS) -> list[Row]:
    """All rows, by section and name, with their dates."""
    dates = read_dates()
    found = [row for path in sorted(tests.rglob("test_*.py")) for row in rows_of(path)]
    dated = [replace(row, passed_on=dates.get(row.test, "")) for row in found]
    return sorted(dated, key=lambda row: (row.section, row.what.lower(), row.test))


def rows_of(path: Path) -> Iterator[Row]:
    """The rows of one file, read without running it.

    Raises:
        ValueError: a marker is not made of two plain texts.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for decorator in node.decorator_list:
            if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.parity"):
                continue
            try:
                what, outcome = (ast.literal_eval(argument) for argument in decorator.args)
            except ValueError:
                raise ValueError(f"{path}:{decorator.lineno}: a parity marker takes two plain texts") from None
            yield Row(f"{path.relative_to(ROOT).as_posix()}::{node.name}", what, outcome)


def document(found: Iterable[Row]) -> str:
    """PARITY.md."""
    found = list(found)
    kinds = Counter(row.outcome.partition(":")[0] for row in found)
    counts = "; ".join(f"{kinds[kind]} {kind}" for kind in ("works", "known difference", "refused"))
    parts = [_HEAD, f"{len(found)} rows: {counts}.\n"]
    for section in sorted({row.section for row in found}, key=lambda name: (name != "kubectl", name.lower())):
        parts.append(f"## {section}\n\n| what | outcome | real server | test |\n| --- | --- | --- | --- |\n")
        parts[-1] += "".join(_line(row) for row in found if row.section == section)
    return "\n".join(parts)


def _line(row: Row) -> str:
    what = row.what.removeprefix(f"{row.section}:").strip()
    path, _, function = row.test.partition("::")
    cells = (what, row.outcome, row.passed_on or "–", f"[{function.removeprefix('test_')}]({path})")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def read_dates() -> dict[str, str]:
    """The day on which each test last passed against a real API server."""
    dates: dict[str, str] = json.loads(DATES.read_text(encoding="utf-8"))
    return dates


class Recorder:
    """A pytest plugin: notes which marked tests passed, with all their parameters, and writes down the day."""

    def __init__(self) -> None:
        self._wanted: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Learn which tests stand for a row."""
        self._wanted = Counter(_test_of(item.nodeid) for item in items if item.get_closest_marker("parity"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count those that passed."""
        if report.when == "call" and report.passed:
            self._passed[_test_of(report.nodeid)] += 1

    def pytest_sessionfinish(self) -> None:
        """Date them; forget tests that are gone."""
        today = datetime.now(UTC).date().isoformat()
        fresh = {test: today for test, count in self._wanted.items() if count == self._passed[test]}
        known = {row.test for row in rows()}
        dates = {test: day for test, day in {**read_dates(), **fresh}.items() if test in known}
        DATES.write_text(json.dumps(dict(sorted(dates.items())), indent=2) + "\n", encoding="utf-8")


def _test_of(node_id: str) -> str:
    return node_id.partition("[")[0]


if __name__ == "__main__":
    DOCUMENT.write_text(document(rows()), encoding="utf-8")
