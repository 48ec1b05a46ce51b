"""The time line: each connection from its opening to its end, in the look of who answered, with moments across."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tcpshift_helpers import palette, plots

from .conftest import drawn, legend, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ONE, TWO = (palette.LOOKS[word].colour for word in ("one", "two"))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def events(*rows: tuple[int, float, str] | tuple[int, float, str, dict[str, str]]) -> pd.DataFrame:
    """Connection, seconds and event of each row; with more columns where there are."""
    columns: dict[str, list[Any]] = {name: [] for name in ("connection", "at", "event", "answer", "closed_by", "error")}
    for connection, seconds, event, *more in rows:
        row = {"connection": connection, "at": at(seconds), "event": event, **(more[0] if more else {})}
        for name, column in columns.items():
            column.append(row.get(name))
    frame = pd.DataFrame({"connection": pd.Series(columns["connection"], dtype="int64")})
    frame["at"] = pd.Series(columns["at"], dtype="datetime64[ns, UTC]")
    for name in ("event", "answer", "closed_by", "error"):
        frame[name] = pd.array(columns[name], dtype="string")
    return frame


def answered(connection: int, seconds: float, word: str) -> tuple[int, float, str, dict[str, str]]:
    return connection, seconds, "answered", {"answer": word}


FRAME = events(
    (0, 0, "opened"),
    (1, 1, "opened"),
    answered(0, 2, "one"),
    answered(1, 3, "two"),
    answered(0, 4, "one"),
    (0, 6, "closed", {"closed_by": "server"}),
    (1, 8, "closed", {"closed_by": "client"}),
    (2, 7, "opened"),
    answered(2, 7.5, "two"),
    (3, 7, "failed", {"error": "refused: nothing listens there"}),
    (4, 1, "opened"),
    answered(4, 2, "one"),
    (4, 5, "closed", {"closed_by": "server", "error": "reset: accepted, then cut"}),
)
SHIFTS = {"20% to v2": at(2.5)}


def lines(axes: Axes) -> dict[float, list[tuple[float, float, str]]]:
    """Start, end and colour of each piece of a connection, by its row."""
    found: dict[float, list[tuple[float, float, str]]] = {}
    for patch in axes.patches:
        middle = round(patch.get_y() + patch.get_height() / 2, 6)  # type: ignore[attr-defined]
        start, width = patch.get_x(), patch.get_width()  # type: ignore[attr-defined]
        found.setdefault(middle, []).append((start, start + width, to_hex(patch.get_facecolor()).upper()))
    return found


def markers(axes: Axes, *kinds: str) -> list[tuple[float, float, str]]:
    """Place and colour of each marker of these kinds."""
    return [
        (float(x), float(y), to_hex(line.get_color()).upper())
        for line in axes.lines
        if line.get_marker() in kinds
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)  # type: ignore[arg-type]
    ]


def test_a_connection_lasts_from_its_opening_to_its_end_in_the_look_of_who_answers() -> None:
    (axes,) = drawn(plots.connection_timeline(FRAME, SHIFTS))
    assert lines(axes) == {
        0: [(0, 6, ONE)],
        1: [(1, 8, TWO)],
        2: [(7, 8, TWO)],
        3: [(7, 7, palette.PAPER)],
        4: [(1, 5, ONE)],
    }
    hatches = {to_hex(patch.get_facecolor()).upper(): patch.get_hatch() for patch in axes.patches}
    assert hatches[TWO] == palette.LOOKS["two"].hatch.matplotlib
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2", "3", "4"]


def test_every_answered_line_is_a_dot() -> None:
    (axes,) = drawn(plots.connection_timeline(FRAME, SHIFTS))
    assert sorted(x_y[:2] for x_y in markers(axes, "o")) == [(2, 0), (2, 4), (3, 1), (4, 0), (7.5, 2)]


def test_the_end_says_who_closed_what_failed_and_what_is_open() -> None:
    (axes,) = drawn(plots.connection_timeline(FRAME, SHIFTS))
    assert sorted(markers(axes, "d")) == [(6, 0, palette.BLACK), (8, 1, palette.PAPER)]
    # A server that resets has not closed in good order.
    assert sorted(markers(axes, "X")) == [(5, 4, palette.FAILURE.colour), (7, 3, palette.FAILURE.colour)]
    assert markers(axes, ">") == [(8, 2, palette.INK)]
    assert legend(axes) == [
        "one answers",
        "two answers",
        "no answer",
        "a line answered",
        "closed by the client",
        "closed by the server",
        "failed",
        "still open",
    ]


def test_moments_stand_where_they_were_with_their_labels() -> None:
    (axes,) = drawn(plots.connection_timeline(FRAME, {**SHIFTS, "all to v2": at(5)}, drained_at=at(7)))
    across = [(float(line.get_xdata()[0]), line.get_linestyle()) for line in axes.lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type, index]
    assert [(x, style) for x, style in across if style != "None"] == [(2.5, "--"), (5, "--"), (7, ":")]
    assert texts(axes) == ["20% to v2 (2.5 s)", "all to v2 (5.0 s)", "end of the drain time (7.0 s)"]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_the_label_of_a_late_moment_stays_beside_the_legend() -> None:
    (axes,) = drawn(plots.connection_timeline(FRAME, {"the weights of both versions are changed for good": at(7.9)}))
    (label,) = axes.texts
    found = axes.get_legend()
    assert found is not None
    assert label.get_window_extent().x1 < found.get_window_extent().x0


def test_ends_that_are_the_same_when_they_are_written_are_said_once() -> None:
    rows = [(number, 0, "opened") for number in range(2)]
    ends = [(number, 3 + number / 1000, "closed", {"closed_by": "client"}) for number in range(2)]
    assert plots.connection_timeline(events(*rows, *ends), {}).alt.endswith("closed by the client at 3.0 s.")


def test_a_connection_whose_answers_change_changes_its_look() -> None:
    (axes,) = drawn(
        plots.connection_timeline(events((0, 0, "opened"), answered(0, 1, "one"), answered(0, 3, "two")), {})
    )
    assert lines(axes) == {0: [(0, 3, ONE), (3, 3, TWO)]}


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = FRAME.sample(frac=1, random_state=1)
    assert plots.connection_timeline(shuffled, SHIFTS).png() == plots.connection_timeline(FRAME, SHIFTS).png()


def test_a_moment_before_the_first_event_is_where_time_begins() -> None:
    (axes,) = drawn(plots.connection_timeline(events((0, 2, "opened")), {"shift": START}))
    assert lines(axes)[0][0][:2] == (2, 2)


def test_alt_text_says_how_connections_fared_and_puts_together_those_that_fared_alike() -> None:
    more = pd.concat(
        [FRAME, events((5, 0, "opened"), answered(5, 1, "one"), (5, 7, "closed", {"closed_by": "server"}))]
    )
    assert plots.connection_timeline(more, SHIFTS, drained_at=at(7)).alt == (
        "6 connections. 20% to v2 at 2.5 s. end of the drain time at 7.0 s. "
        "0, 5: one, 3 lines; closed by the server at 6.0 to 7.0 s. "
        "1: two, 1 line; closed by the client at 8.0 s. "
        "2: two, 1 line; still open. "
        "3: no answer; failed (refused: nothing listens there) at 7.0 s. "
        "4: one, 1 line; failed (reset: accepted, then cut) at 5.0 s."
    )


@pytest.mark.parametrize("shifts", [{}, SHIFTS], ids=["no shifts", "a shift"])
def test_no_connections_can_be_drawn(shifts: dict[str, datetime]) -> None:
    figure = plots.connection_timeline(events(), shifts)
    (axes,) = drawn(figure)
    assert texts(axes)[0] == "no connections"
    assert figure.alt.startswith("0 connections.")


def test_all_failed_and_answers_that_the_course_does_not_know_can_be_drawn() -> None:
    (axes,) = drawn(plots.connection_timeline(events((0, 0, "failed", {"error": "name not known"})), {}))
    assert legend(axes) == ["no answer", "failed"]
    (axes,) = drawn(plots.connection_timeline(events((0, 0, "opened"), answered(0, 1, "three")), {}))
    assert lines(axes) == {0: [(0, 1, palette.OTHERS[0].colour)]}
