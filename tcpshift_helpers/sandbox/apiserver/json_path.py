"""The paths by which a custom resource definition picks what a column shows, such as `.status.conditions[?(@.type=="Ready")].status`.

Pure. Names, indices, `*` and comparisons; ranges, unions and recursive descent, which columns do not use, are not read.

Source: client-go util/jsonpath, as printer columns use it (missing keys are no error).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

_STEP = re.compile(
    r"""\.(?P<name>(?:\\.|[^.\[\]\\])+)
      | \[\s*(?P<index>-?\d+)\s*\]
      | \[\s*(?P<quoted>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*\]
      | (?P<every>\[\*\]|\.\*)
      | \[\?\(\s*@(?P<left>(?:\.[^\s=!<>\[\])]+|\[[^\]]*\])*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>"[^"]*"|'[^']*'|[^\s)]+)\s*)?\)\]
    """,
    re.VERBOSE,
)
_ORDER = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class _Step(NamedTuple):
    """One step of a path: a name, an index, everything, or those that compare as said."""

    name: str = ""
    position: int | None = None
    every: bool = False
    left: str | None = None
    operator: str = ""
    right: Any = None


def find(obj: Any, path: str) -> list[Any]:
    """All values at a path, in order; none if it leads nowhere.

    Raises:
        ValueError: the path cannot be read.
    """
    values = [obj]
    for step in _steps(path):
        values = [found for value in values for found in _follow(value, step)]
    return values


@lru_cache(maxsize=256)
def _steps(path: str) -> tuple[_Step, ...]:
    steps, rest = [], path.strip().removeprefix("$")
    rest = "" if rest == "." else rest
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise ValueError(f"cannot read {rest!r} in the path {path!r}")
        steps.append(_step(match))
        rest = rest[match.end() :]
    return tuple(steps)


def _step(match: re.Match[str]) -> _Step:
    if match["index"] is not None:
        return _Step(position=int(match["index"]))
    if match["every"]:
        return _Step(every=True)
    if match["left"] is not None:
        return _Step(left=match["left"], operator=match["operator"] or "", right=_literal(match["right"]))
    return _Step(name=re.sub(r"\\(.)", r"\1", match["quoted"][1:-1] if match["quoted"] else match["name"]))


def _literal(text: str | None) -> Any:
    if text is None or text[0] in "'\"":
        return text and text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _follow(value: Any, step: _Step) -> list[Any]:
    if step.name:
        return [value[step.name]] if isinstance(value, dict) and step.name in value else []
    if step.position is not None:
        fits = isinstance(value, list) and -len(value) <= step.position < len(value)
        return [value[step.position]] if fits else []
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return items if step.every else [item for item in items if _compares(item, step)]


def _compares(item: Any, step: _Step) -> bool:
    found = find(item, step.left or "")
    if not step.operator or not found:
        return bool(found)
    if step.operator in {"==", "!="}:
        return (found[0] == step.right) is (step.operator == "==")
    try:
        return bool(_ORDER[step.operator](found[0], step.right))
    except TypeError:
        return False
