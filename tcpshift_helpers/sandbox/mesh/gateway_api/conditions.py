"""Conditions as istiod keeps them: what changed gets a new time, what did not is left as it is. Pure.

Source: istio.io/istio, 1.31 line: pilot/pkg/model/kstatus/helper.go (`UpdateConditionIfChanged`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """What a condition should say.

    Attributes:
        status: `True` or `False`.
        reason: one CamelCase word.
        message: a sentence.
    """

    status: str
    reason: str
    message: str


def update(existing: Sequence[Obj], wanted: Mapping[str, Condition], generation: int, now: str) -> list[dict[str, Any]]:
    """The conditions with those wanted in their places, new ones at the end by type; others stay.

    Args:
        existing: the conditions there are.
        wanted: conditions by type.
        generation: of the object they are about.
        now: RFC 3339 time for those whose status changes.
    """
    conditions = [dict(one) for one in existing]
    places = {one["type"]: place for place, one in enumerate(conditions)}
    for kind in sorted(wanted):
        one = wanted[kind]
        if kind not in places:
            conditions.append(_condition(kind, one, generation, now))
            continue
        known = conditions[places[kind]]
        same_status = known.get("status") == one.status
        if same_status and known.get("message") == one.message and known.get("observedGeneration") == generation:
            continue
        since = known.get("lastTransitionTime", now) if same_status else now
        conditions[places[kind]] = _condition(kind, one, generation, since)
    return conditions


def _condition(kind: str, wanted: Condition, generation: int, since: str) -> dict[str, Any]:
    return {
        "lastTransitionTime": since,
        "message": wanted.message,
        "observedGeneration": generation,
        "reason": wanted.reason,
        "status": wanted.status,
        "type": kind,
    }
