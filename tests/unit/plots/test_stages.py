"""The rollout: steps at the set weight, observed shares at the gates, verdicts above, and rollbacks that are seen."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from matplotlib.colors import to_hex

from tcpshift_helpers import distribution, palette, plots

from .conftest import drawn, frame, texts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Stage = tuple[dict[str, int], "pd.DataFrame"]


def stage(v2: int, two: int, one: int, failed: int = 0) -> Stage:
    weights = {"v1": 100 - v2, "v2": v2} if v2 else {"v1": 100}
    return weights, frame(*["two"] * two, *["one"] * one, *[None] * failed)


STAGES = [stage(0, 0, 50), stage(20, 40, 160), stage(50, 25, 25, failed=2), stage(20, 2, 6)]


def steps(axes: Axes) -> list[list[float]]:
    return [list(line.get_ydata()) for line in axes.lines if line.get_linewidth() == 3]  # type: ignore[arg-type]


def dots(axes: Axes) -> list[tuple[float, float]]:
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "s"]  # type: ignore[index]


def arrows(axes: Axes) -> list[tuple[float, float, str]]:
    """From, to and colour of every change."""
    found = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    return [
        (text.xyann[1], text.xy[1], to_hex(text.arrow_patch.get_edgecolor()).upper())  # type: ignore[attr-defined]
        for text in found
    ]


def test_steps_stand_at_the_set_weight_and_dots_at_the_observed_share() -> None:
    (axes,) = drawn(plots.rollout(STAGES))
    assert steps(axes) == [[0, 0], [20, 20], [50, 50], [20, 20]]
    assert dots(axes) == [(0, 0), (1, 20), (2, 50), (3, 25)]
    ends = [whisker.get_segments()[0][:, 1] for whisker in axes.collections]  # type: ignore[attr-defined]
    for (low, high), (two, total) in zip(ends, [(0, 50), (40, 200), (25, 50), (2, 8)], strict=True):
        assert [low, high] == pytest.approx([100 * share for share in distribution.wilson(two, total)])


def test_the_word_above_a_gate_is_the_verdict() -> None:
    (axes,) = drawn(plots.rollout(STAGES))
    words = [text for text in axes.texts if text.get_bbox_patch() and text.get_position()[1] > 100]
    assert [text.get_text() for text in words] == ["PASS", "PASS", "FAIL", "TOO FEW\nTO SAY"]
    assert [text.get_position()[0] for text in words] == [0, 1, 2, 3]
    edges = [to_hex(text.get_bbox_patch().get_edgecolor()).upper() for text in words]  # type: ignore[union-attr]
    assert edges == [palette.INK, palette.INK, palette.FAILURE.colour, palette.INK]


def test_a_rollback_is_drawn_and_named() -> None:
    (axes,) = drawn(plots.rollout(STAGES))
    assert arrows(axes) == [
        (0, 20, palette.INK),
        (20, 50, palette.INK),
        (50, 20, palette.FAILURE.colour),
    ]
    assert texts(axes).count("rolled back") == 1
    (axes,) = drawn(plots.rollout(STAGES[:3]))
    assert "rolled back" not in texts(axes)


def test_the_foot_says_weight_share_and_failures() -> None:
    (axes,) = drawn(plots.rollout(STAGES))
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "1: v2 0%\n0.0% of 50",
        "2: v2 20%\n20.0% of 200",
        "3: v2 50%\n50.0% of 50\n2 failed",
        "4: v2 20%\n25.0% of 8",
    ]


def test_words_of_neighbours_do_not_hide_each_other() -> None:
    (axes,) = drawn(plots.rollout([*STAGES, *STAGES[1:3]]))
    for row in (axes.get_xticklabels(), [text for text in axes.texts if text.get_position()[1] > 100]):
        boxes = [label.get_window_extent() for label in row]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_alt_text_tells_the_story() -> None:
    assert plots.rollout(STAGES).alt == (
        "Rollout of v2, gate by gate. Stage 1: set weight 0%, 0.0% of 50: PASS. "
        "Stage 2: set weight 20%, 20.0% of 200: PASS. Stage 3: set weight 50%, 50.0% of 50, 2 failed: FAIL. "
        "Rolled back. Stage 4: set weight 20%, 25.0% of 8: TOO FEW TO SAY."
    )


def test_no_stage_no_probes_and_all_failed_can_be_drawn() -> None:
    figure = plots.rollout([])
    (axes,) = drawn(figure)
    assert texts(axes) == ["no stages"]
    assert figure.alt.endswith("There are no stages.")
    figure = plots.rollout([stage(20, 0, 0), stage(50, 0, 0, failed=3)])
    (axes,) = drawn(figure)
    assert (dots(axes), steps(axes)) == ([], [[20, 20], [50, 50]])
    assert "Stage 2: set weight 50%, no answers, 3 failed: FAIL." in figure.alt


def test_an_answer_that_no_weight_names_fails_the_gate() -> None:
    (axes,) = drawn(plots.rollout([({"v1": 100}, frame("three", *["one"] * 99))]))
    assert "FAIL" in texts(axes)
