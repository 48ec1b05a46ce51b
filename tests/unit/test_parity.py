"""PARITY.md says what the tests' markers say, and every marker can be read."""

from __future__ import annotations

from collections import Counter

import pytest

from ..parity import DOCUMENT, OUTCOME, Row, document, read_dates, rows, rows_of

ALL = rows()


def test_the_document_is_in_step_with_the_markers():
    assert DOCUMENT.read_text(encoding="utf-8") == document(ALL), "run: make parity"


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.test)
def test_every_outcome_is_one_of_three(row):
    assert OUTCOME.fullmatch(row.outcome)


def test_a_row_stands_for_one_test_and_a_test_for_one_row():
    for key in ("what", "test"):
        counts = Counter(getattr(row, key) for row in ALL)
        assert [name for name, count in counts.items() if count > 1] == []


def test_dates_belong_to_tests_that_exist():
    assert read_dates().keys() - {row.test for row in ALL} == set()


def test_markers_are_read_without_running_the_test(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.parity.ROOT", tmp_path)
    file = tmp_path / "test_x.py"
    file.write_text('@pytest.mark.parity("watch: bookmarks", "works")\nasync def test_bookmarks(): boom()\n')
    assert list(rows_of(file)) == [Row("test_x.py::test_bookmarks", "watch: bookmarks", "works")]
    file.write_text('@pytest.mark.parity(WHAT, "works")\ndef test_bookmarks(): ...\n')
    with pytest.raises(ValueError, match=r"test_x\.py:1: a parity marker takes two plain texts"):
        list(rows_of(file))


def test_rows_go_to_tables():
    found = [
        Row("tests/a.py::test_top", "kubectl top: nodes | pods", "refused: error: Metrics API not available"),
        Row("tests/a.py::test_all", "kubectl: all of it", "works"),
        Row("tests/a.py::test_marks", "watch: bookmarks", "works", "2026-01-02"),
    ]
    text = document(found)
    assert "3 rows: 2 works; 0 known difference; 1 refused.\n" in text
    refused = "| kubectl top: nodes \\| pods | refused: error: Metrics API not available | – | [top](tests/a.py) |\n"
    assert text.endswith(
        "## kubectl\n\n| what | outcome | real server | test |\n| --- | --- | --- | --- |\n"
        f"{refused}| all of it | works | – | [all](tests/a.py) |\n\n"
        "## watch\n\n| what | outcome | real server | test |\n| --- | --- | --- | --- |\n"
        "| bookmarks | works | 2026-01-02 | [marks](tests/a.py) |\n"
    )
