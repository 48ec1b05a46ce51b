"""The same Deployment's life as under the real kube-controller-manager 1.34.0: every state at rest, and the Events.

`recorded/rollout_story.json` is what the real one made of it, on 2026-11-24 (two runs: the states were the same, and so were
all Events but one); `rollout_story` says how to record anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .rollout_story import Story

if TYPE_CHECKING:
    from .conftest import Controllers

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("rollout_story.json").read_text(encoding="utf-8"))


async def test_every_step_comes_to_rest_as_with_the_real_controllers(controllers: Controllers, until: Any) -> None:
    story = Story(controllers.client)
    seen = []
    async for step in story.tell():
        assert step in RECORDED["steps"], f"the real one never came to: {step}"
        seen.append(step)
        last: dict[str, Any] = {}

        async def as_recorded(step: str = step, last: dict[str, Any] = last) -> bool:
            last.update(await story.state())
            return last == RECORDED["steps"][step]

        try:
            await until(as_recorded, step, 5)
        except AssertionError:
            assert _text(last) == _text(RECORDED["steps"][step]), step
    assert set(seen) == set(RECORDED["steps"])
    await controllers.recorder.drained()
    events = set(await story.events())
    assert set(RECORDED["events"]) <= events
    # Which of several old ReplicaSets shrinks by how much at a time is a race, in the real one, too.
    assert all(
        re.search(r" Scaled (up|down) replica set \S+ from \d to \d$", event)
        for event in events - set(RECORDED["events"])
    )


def _text(state: dict[str, Any]) -> list[str]:
    """Lines, of which pytest shows the differing ones."""
    return json.dumps(state, indent=1, sort_keys=True).splitlines()
