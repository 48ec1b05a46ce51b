"""The strip and the bars, drawn for real and read back from the artists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tcpshift_helpers import plots
from tcpshift_helpers.errors import UsageError

from .conftest import SPLIT, drawn, frame, legend, looks, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def looks_by_word(axes: Axes) -> dict[str, tuple[str, str]]:
    found = axes.get_legend()
    assert found is not None
    return {
        text.get_text().partition(" (")[0]: (to_hex(patch.get_facecolor()), patch.get_hatch() or "")  # type: ignore[attr-defined]
        for text, patch in zip(found.get_texts(), found.legend_handles, strict=True)
    }


def test_bars_show_share_interval_and_set_weight() -> None:
    (axes,) = drawn(plots.bars(frame(*["one"] * 15, *["two"] * 5), SPLIT))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert [patch.get_width() for patch in axes.patches] == [75.0, 25.0]  # type: ignore[attr-defined]
    assert texts(axes) == ["15 of 20 = 75.0%\nset weight 80%", "5 of 20 = 25.0%\nset weight 20%"]
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 3]  # type: ignore[index]
    assert marks == [80.0, 20.0]
    (first, second) = (whisker.get_segments()[0] for whisker in axes.collections)  # type: ignore[attr-defined]
    assert [round(x, 1) for x in first[:, 0]] == [53.1, 88.8]
    assert [round(x, 1) for x in second[:, 0]] == [11.2, 46.9]


def test_failures_are_shown_and_not_counted() -> None:
    upper, lower = drawn(plots.distribution(frame("one", None, "one", None), {"v1": 100}))
    assert legend(upper) == ["one (2)", "failed (2)"]
    assert texts(upper) == ["one", "one", "×", "×"]
    assert lower.get_title(loc="left") == "Observed share against set weight; 2 failed, not counted"
    assert texts(lower) == ["2 of 2 = 100.0%\nset weight 100%"]


def test_failures_look_the_same_in_every_language(monkeypatch: pytest.MonkeyPatch) -> None:
    (english,) = drawn(plots.strip(frame("one", None)))
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "zh-CN")
    chinese = plots.strip(frame("one", None)).axes[0]
    assert legend(chinese) == ["one (1)", "失败 (1)"]
    assert looks(chinese) == looks(english)
    assert plots.alt_text(frame("one", None)) == "2 次探测（按先后顺序）：one 1 次、失败 1 次（reset）。"


@pytest.mark.parametrize(
    ("probes", "title", "rows"),
    [
        (frame(), "0 probes in order", []),
        (frame("one"), "1 probe", ["1"]),
        (frame(*["one"] * 20), "20 probes in order", ["1"]),
        (frame(*["one"] * 51), "51 probes in order", ["1", "51"]),
        (frame(*["one"] * 400), "400 probes in order", [str(row * 50 + 1) for row in range(8)]),
        (frame(*["one"] * 401), "The first 400 of 401 probes in order", [str(row * 50 + 1) for row in range(8)]),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, pd.DataFrame) else "",
)
def test_the_strip_has_a_cell_for_each_probe_in_rows_of_fifty(
    probes: pd.DataFrame, title: str, rows: list[str]
) -> None:
    (axes,) = drawn(plots.strip(probes))
    assert axes.get_title(loc="left") == title
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    assert len(axes.patches) == min(len(probes), 400)
    assert legend(axes) == ([f"one ({len(probes)})"] if len(probes) else [])


def test_cells_stand_in_the_order_of_the_probes() -> None:
    words = ["one", "two", "two", "one"] + ["one"] * 50
    (axes,) = drawn(plots.strip(frame(*words)))
    centres = [
        (round(patch.get_x() + 0.43), round(patch.get_y() + 0.42))  # type: ignore[attr-defined]
        for patch in axes.patches
        if patch.get_hatch()
    ]
    assert centres == [(1, 0), (2, 0)]
    last = axes.patches[51]
    assert round(last.get_x() + 0.43), round(last.get_y() + 0.42) == (3, 1)  # type: ignore[attr-defined]


def test_no_probes_and_no_answers_can_be_drawn() -> None:
    upper, lower = drawn(plots.distribution(frame(), SPLIT))
    assert texts(upper) == ["no probes"]
    assert texts(lower) == ["no answers\nset weight 80%", "no answers\nset weight 20%"]
    (axes,) = drawn(plots.bars(frame(None), {"v1": 100}))
    assert texts(axes) == ["no answers\nset weight 100%"]


def test_colours_are_doubled_by_hatching() -> None:
    answers = ["one", "two", "alpha", "beta", "gamma", None]
    (axes,) = drawn(plots.strip(frame(*answers)))
    by_word = looks_by_word(axes)
    assert by_word.keys() == {"one", "two", "alpha", "beta", "gamma", "failed"}
    assert len({colour for colour, _ in by_word.values()}) == len({hatch for _, hatch in by_word.values()}) == 6


def test_a_word_looks_the_same_in_both_parts() -> None:
    upper, lower = drawn(plots.distribution(frame(*["beta"] * 20), {"alpha": 50, "beta": 50}))
    assert looks(upper) == looks(lower)


def test_alt_text_tells_what_the_figure_shows() -> None:
    figure = plots.distribution(frame(*["one"] * 15, *["two"] * 5, None), SPLIT)
    assert figure.alt == (
        "21 probes in order: 15 one, 5 two, 1 failed (reset). "
        "one: 75.0% observed, 95% interval 53.1% to 88.8%, set weight 80%. "
        "two: 25.0% observed, 95% interval 11.2% to 46.9%, set weight 20%."
    )
    assert plots.alt_text(frame("one")) == "1 probe: 1 one."
    assert plots.alt_text(frame(None), SPLIT) == "1 probe: 1 failed (reset). No probe was answered."


def test_weights_that_mean_no_split_are_refused() -> None:
    with pytest.raises(UsageError, match="mean no split"):
        plots.bars(frame("one"), {"v1": 0})
