"""Does a set of labels match a selector? Pure.

Only the two forms that objects carry: a Service's plain map and a `metav1.LabelSelector`. Selectors written as text in
query strings are the API server's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def matches_map(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every pair of the map is among the labels."""
    return all(labels.get(key) == value for key, value in selector.items())


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether the labels meet `matchLabels` and every one of `matchExpressions`."""
    return matches_map(selector.get("matchLabels") or {}, labels) and all(
        _meets(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an object; empty if it has none."""
    return obj["metadata"].get("labels") or {}
