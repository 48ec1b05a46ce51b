"""Columns as kubectl prints them."""

from __future__ import annotations

from typing import Any

from tcpshift_helpers.tables import align, table_lines

COLUMNS = [
    {"name": "Name"},
    {"name": "Ready", "priority": 0},
    {"name": "IP", "priority": 1},
    {"name": "Age"},
]


def table(*rows: list[Any]) -> dict[str, Any]:
    return {
        "columnDefinitions": COLUMNS,
        "rows": [{"cells": cells, "object": {"metadata": {"name": cells[0]}}} for cells in rows],
    }


def test_columns_are_three_wider_than_their_longest_cell_and_the_last_is_not_padded() -> None:
    assert table_lines(table(["tcp-echo-v1-abc", "2/2", "10.0.0.1", "5s"], ["curl", "1/2", "10.0.0.2", "10m"])) == [
        "NAME              READY   AGE",
        "tcp-echo-v1-abc   2/2     5s",
        "curl              1/2     10m",
    ]


def test_no_column_is_narrower_than_six() -> None:
    assert align([["A", "B", "C"], ["x", "y", "z"]]) == ["A     B     C", "x     y     z"]


def test_wide_shows_every_column() -> None:
    assert table_lines(table(["a", "2/2", "10.0.0.1", "5s"]), wide=True) == [
        "NAME   READY   IP         AGE",
        "a      2/2     10.0.0.1   5s",
    ]


def test_namespaces_stand_first_and_labels_last_in_order() -> None:
    both = table(["a", 1, "", "5s"], ["b", 2, "", "5s"])
    metadata = [{"namespace": "x", "labels": {"version": "v1", "app": "x"}}, {"namespace": "y"}]
    for row, own in zip(both["rows"], metadata, strict=True):
        row["object"]["metadata"] |= own
    found = [line.split() for line in table_lines(both, with_namespace=True, with_labels=True)]
    assert [line[0] for line in found] == ["NAMESPACE", "x", "y"]
    assert [line[-1] for line in found] == ["LABELS", "app=x,version=v1", "<none>"]


def test_cells_that_are_no_text() -> None:
    assert table_lines(table([None, True, "", 0], ["", False, "", 7])) == [
        "NAME     READY   AGE",
        "<none>   true    0",
        "         false   7",
    ]
