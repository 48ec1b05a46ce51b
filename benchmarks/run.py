"""Measure every bar and print a table; exit code 1 if one is missed.

make bench                                  all of them
.venv/bin/python benchmarks/run.py probes   only that program
"""

from __future__ import annotations

import importlib
import math
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from bar import Result

PROGRAMS = ["startup", "memory", "first_answer", "weight_change", "probes", "kill", "watchers", "slider", "live_view"]


def main(chosen: list[str]) -> int:
    if unknown := set(chosen) - set(PROGRAMS):
        print(f"No such benchmark: {', '.join(sorted(unknown))}. There are: {', '.join(PROGRAMS)}.", file=sys.stderr)
        return 2
    results: list[Result] = []
    for program in chosen or PROGRAMS:
        print(f"{program} …", file=sys.stderr, flush=True)
        results += importlib.import_module(program).measure()
    table = Table("bar", "median", "runs", "min – max", "target", "ok")
    for result in results:
        spread = f"{_number(min(result.samples))} – {_number(max(result.samples))}"
        table.add_row(
            result.bar, f"{_number(result.median)} {result.unit}", str(len(result.samples)), spread, _target(result),
            "" if math.isinf(result.target) else "yes" if result.ok else "NO",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 0 if all(result.ok for result in results) else 1


def _target(result: Result) -> str:
    if math.isinf(result.target):
        return "none"
    return f"{'≥' if result.at_least else '≤'} {_number(result.target)} {result.unit}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
