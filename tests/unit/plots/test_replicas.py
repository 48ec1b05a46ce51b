"""The grid of pods and ways: each cell shows its own probes and what is to be expected of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tcpshift_helpers import distribution, palette, plots

from .conftest import SPLIT, drawn, frame, looks, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def measurements() -> pd.DataFrame:
    """Two numbers of pods, three ways, ten probes in each cell but one."""
    parts = []
    for v1, v2, counts in ((1, 1, (2, 5, 4)), (1, 4, (3, 8, 7))):
        ways = [("gateway", SPLIT), ("gateway", None), ("service", None)]
        for (way, weights), two in zip(ways, counts, strict=True):
            if (v2, way) == (4, "service"):
                continue
            probes = frame(*["two"] * two, *["one"] * (10 - two))
            parts.append(distribution.measured(probes, way, {"v1": v1, "v2": v2}, weights))
    return pd.concat(parts, ignore_index=True)


def expected(axes: Axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_linewidth() == 3]  # type: ignore[index]


def bars(axes: Axes) -> list[float]:
    return [patch.get_width() for patch in axes.patches]  # type: ignore[attr-defined]


def test_each_cell_shows_its_share_and_what_is_to_be_expected() -> None:
    cells = drawn(plots.replicas_and_weights(measurements()))
    assert [bars(axes) for axes in cells] == [[20], [50], [40], [30], [80], []]
    # Weights decide where they are set, and pods where they are not.
    assert [expected(axes) for axes in cells] == [[20], [50], [50], [20], [80], []]
    assert [texts(axes) for axes in cells] == [
        ["2 of 10 = 20.0%\nexpected 20%"],
        ["5 of 10 = 50.0%\nexpected 50%"],
        ["4 of 10 = 40.0%\nexpected 50%"],
        ["3 of 10 = 30.0%\nexpected 20%"],
        ["8 of 10 = 80.0%\nexpected 80%"],
        ["not measured"],
    ]
    two = palette.LOOKS["two"]
    assert looks(cells[0]) == {(two.colour, two.hatch.matplotlib)}


def test_whiskers_are_wilson_intervals() -> None:
    cells = drawn(plots.replicas_and_weights(measurements()))
    ends = cells[4].collections[0].get_segments()[0][:, 0]  # type: ignore[attr-defined]
    assert ends == pytest.approx([100 * share for share in distribution.wilson(8, 10)])


def test_columns_are_ways_and_rows_are_pods() -> None:
    cells = drawn(plots.replicas_and_weights(measurements()))
    assert [axes.get_title(loc="left") for axes in cells[:3]] == [
        "through the gateway\nweights 80 : 20",
        "through the gateway\nno weights",
        "through the Service\nno weights",
    ]
    assert [[label.get_text() for label in axes.get_yticklabels()] for axes in (cells[0], cells[3])] == [
        ["pods 1 : 1"],
        ["pods 1 : 4"],
    ]


def test_failures_are_said_and_not_counted() -> None:
    probes = distribution.measured(frame("two", "one", None), "service", {"v1": 1, "v2": 1})
    (axes,) = drawn(plots.replicas_and_weights(probes))
    assert texts(axes) == ["1 of 2 = 50.0%, 1 failed\nexpected 50%"]


def test_all_failed_is_no_share_of_zero() -> None:
    figure = plots.replicas_and_weights(distribution.measured(frame(None), "gateway", {"v1": 1, "v2": 3}))
    (axes,) = drawn(figure)
    assert texts(axes) == ["no answers, 1 failed\nexpected 75%"]
    assert (bars(axes), len(axes.collections)) == ([], 0)
    assert "no answers, 1 failed, expected 75%." in figure.alt


def test_nothing_measured_can_be_drawn() -> None:
    figure = plots.replicas_and_weights(distribution.measured(frame(), "gateway", {"v1": 1, "v2": 1}))
    (axes,) = drawn(figure)
    assert texts(axes) == ["no probes"]
    assert figure.alt.endswith("No probe was made.")


def test_a_way_and_an_answer_that_the_course_does_not_know_are_shown_as_they_are() -> None:
    probes = distribution.measured(frame("three", "two"), "through a tunnel", {"v1": 1, "v2": 1})
    (axes,) = drawn(plots.replicas_and_weights(probes))
    assert axes.get_title(loc="left") == "through a tunnel\nno weights"
    assert texts(axes) == ["1 of 2 = 50.0%\nexpected 50%"]


def test_alt_text_has_every_cell() -> None:
    alt = plots.replicas_and_weights(measurements()).alt
    assert alt.startswith("Share of answers that are two (v2), by pods of v1 : v2 and by way. ")
    assert (
        "Pods 1 : 1, through the gateway, weights 80 : 20: 2 of 10 = 20.0%, expected 20%, 95% interval 5.7% to 51.0%."
        in alt
    )
    assert "Pods 1 : 4, through the gateway, no weights: 8 of 10 = 80.0%, expected 80%, 95% interval" in alt
    assert alt.count("Pods ") == 5
