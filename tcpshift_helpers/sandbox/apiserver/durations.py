"""Ages as kubectl prints them: `7s`, `3m20s`, `5h`, `2d3h`.

Pure; it is told what time it is.

Source: kube-apiserver 1.34; the steps were measured with objects of known age.
"""

from __future__ import annotations

import math
from datetime import datetime

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400
# Up to this many seconds: a unit, its name, and the smaller unit of the rest with its name.
_STEPS: tuple[tuple[float, int, str, int, str], ...] = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
    (math.inf, _YEAR, "y", 0, ""),
)


def human_duration(seconds: float) -> str:
    """A duration in the one or two units that matter at its size; clocks may disagree by a second."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(whole, 0)
    _, unit, name, small, small_name = next(step for step in _STEPS if whole < step[0])
    rest = whole % unit // small if small else 0
    return f"{whole // unit}{name}" + (f"{rest}{small_name}" if rest else "")


def age(timestamp: str | None, now: datetime) -> str:
    """How long ago an RFC 3339 time was; `<unknown>` without one."""
    if not timestamp:
        return "<unknown>"
    return human_duration((now - datetime.fromisoformat(timestamp)).total_seconds())
