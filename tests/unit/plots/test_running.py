"""The running share: lines, bands and labels are those of `distribution.running`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from tcpshift_helpers import distribution, palette, plots
from tcpshift_helpers.errors import UsageError

from .conftest import SPLIT, drawn, frame, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORDS = ["one", "two", "one", "one", None, "one", "one"]


def lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}


def test_a_line_for_each_answer_goes_through_its_share_after_each_probe() -> None:
    (axes,) = drawn(plots.running_share(frame(*WORDS), SPLIT))
    found = lines(axes)
    assert list(found) == ["one", "two"]
    assert found["one"].get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert found["one"].get_ydata() == pytest.approx([100, 50, 200 / 3, 75, 75, 80, 500 / 6])
    assert found["two"].get_ydata() == pytest.approx([0, 50, 100 / 3, 25, 25, 20, 100 / 6])


def test_lines_look_like_their_version_and_differ_without_colour() -> None:
    (axes,) = drawn(plots.running_share(frame(*WORDS), SPLIT))
    for word, line in lines(axes).items():
        assert to_hex(line.get_color()).upper() == palette.LOOKS[word].colour
        assert line.get_linestyle() == palette.LOOKS[word].dashes


def test_the_band_is_the_one_that_was_computed() -> None:
    probes = frame(*["one", "one", "two", "one", "one"] * 20)
    (axes,) = drawn(plots.running_share(probes, SPLIT))
    settled = distribution.running(probes, SPLIT)
    assert len(axes.collections) == 2
    for word, band in zip(("one", "two"), axes.collections, strict=True):
        rows = settled[settled["answer"] == word]
        corners = band.get_paths()[0].vertices
        last = corners[corners[:, 0] == 100][:, 1]
        ends = [rows["low_percent"].iloc[-1], rows["high_percent"].iloc[-1]]
        assert [last.min(), last.max()] == pytest.approx(ends)
        coloured = [line for line in axes.lines if to_hex(line.get_color()).upper() == palette.LOOKS[word].colour]
        edges = [line.get_ydata()[-1] for line in coloured if line.get_linewidth() == 1.2]  # type: ignore[index]
        assert edges == pytest.approx(ends)


def test_the_final_share_is_labelled_and_marked() -> None:
    (axes,) = drawn(plots.running_share(frame(*WORDS), SPLIT))
    assert texts(axes) == [
        "one: 5 of 6 = 83.3%\nset weight 80%",
        "two: 1 of 6 = 16.7%\nset weight 20%",
    ]
    marked = {
        line.get_marker(): (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() != "None"
    }
    assert marked["o"] == pytest.approx((7, 500 / 6))
    assert marked["s"] == pytest.approx((7, 100 / 6))


def test_failures_are_marked_where_they_happened_and_said_not_to_count() -> None:
    (axes,) = drawn(plots.running_share(frame(*WORDS), SPLIT))
    crosses = [line for line in axes.lines if line.get_marker() == palette.FAILURE.marker]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(5, 0)]
    assert {to_hex(line.get_color()).upper() for line in crosses} == {palette.FAILURE.colour}
    assert axes.get_title(loc="left") == "Share of answers as probes come in; 1 failed, not counted"


def test_labels_of_equal_shares_do_not_hide_each_other() -> None:
    (axes,) = drawn(plots.running_share(frame("one", "two"), {"v1": 50, "v2": 50}))
    one, two = (text.get_window_extent() for text in axes.texts)
    assert not one.overlaps(two)


def test_alt_text_has_the_numbers_of_the_frame() -> None:
    assert plots.running_share(frame(*WORDS), SPLIT).alt == (
        "Share of answers as probes come in, 7 probes in order: 5 one, 1 two, 1 failed (reset). "
        "one: 83.3% in the end, set weight 80%, where 95% of runs give 50.0% to 100.0%; "
        "outside of that band after 0 of 7 probes. "
        "two: 16.7% in the end, set weight 20%, where 95% of runs give 0.0% to 50.0%; "
        "outside of that band after 0 of 7 probes."
    )


def test_alt_text_says_how_often_the_line_left_the_band() -> None:
    assert (
        "outside of that band after 4 of 10 probes" in plots.running_share(frame(*["two"] * 4, *["one"] * 6), SPLIT).alt
    )


@pytest.mark.parametrize("probes", [frame(), frame(None), frame(None, None)], ids=["none", "one failed", "all failed"])
def test_without_answers_there_are_weights_and_no_lines(probes: Any) -> None:
    figure = plots.running_share(probes, SPLIT)
    (axes,) = drawn(figure)
    assert lines(axes) == {}
    assert texts(axes) == ["one: no answers\nset weight 80%", "two: no answers\nset weight 20%"]
    assert figure.alt.endswith("No probe was answered.")


def test_one_probe_and_a_word_that_no_weight_names_can_be_drawn() -> None:
    (axes,) = drawn(plots.running_share(frame("three"), {"v1": 100}))
    assert lines(axes)["three"].get_ydata().tolist() == [100]
    assert np.isfinite(axes.get_xlim()).all()


def test_weights_that_mean_no_split_are_refused() -> None:
    with pytest.raises(UsageError, match="mean no split"):
        plots.running_share(frame("one"), {"v1": 0})
