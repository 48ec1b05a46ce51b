"""Labels against selectors, pure."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.sandbox.controllers.selectors import matches, matches_map

LABELS = {"app": "a", "version": "v1"}


@pytest.mark.parametrize(
    ("operator", "key", "values", "expected"),
    [
        ("In", "version", ["v1", "v2"], True),
        ("In", "version", ["v2"], False),
        ("In", "absent", ["x"], False),
        ("NotIn", "version", ["v2"], True),
        ("NotIn", "version", ["v1"], False),
        ("NotIn", "absent", ["x"], True),
        ("Exists", "app", None, True),
        ("Exists", "absent", None, False),
        ("DoesNotExist", "absent", None, True),
        ("DoesNotExist", "app", None, False),
        ("Sideways", "app", None, False),
    ],
)
def test_expressions(operator: str, key: str, values: list[str] | None, expected: bool) -> None:
    expression: dict[str, Any] = {"key": key, "operator": operator}
    if values is not None:
        expression["values"] = values
    assert matches({"matchExpressions": [expression]}, LABELS) is expected


def test_all_parts_have_to_hold() -> None:
    selector = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [{"key": "version", "operator": "In", "values": ["v2"]}],
    }
    assert not matches(selector, LABELS)
    assert matches({"matchLabels": {"app": "a"}}, LABELS)
    assert matches({}, LABELS)
    assert not matches_map({"app": "a", "x": "y"}, LABELS)
