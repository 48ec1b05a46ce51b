"""Connections that stay open while the weights change: who answers on each, and how each came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, ngettext, paragraph
from tcpshift_helpers.plots import paper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from matplotlib.axes import Axes

    from tcpshift_helpers.palette import Look
    from tcpshift_helpers.plots.paper import Picture

ANSWERED, CLOSED, FAILED = "answered", "closed", "failed"
CLIENT, SERVER = "client", "server"
_THICKNESS = 0.5
_LABEL_POINTS = 13  # from one row of labels to the next
_PLAIN = palette.LOOKS["one"].hatch
# Before its first answer a connection has no version's colour.
_SILENT = palette.Look(palette.PAPER, _PLAIN)
_ENDS = {
    CLIENT: palette.Look(palette.PAPER, _PLAIN, marker="d"),
    SERVER: palette.Look(palette.BLACK, _PLAIN, marker="d"),
    FAILED: palette.FAILURE,
}


class _Piece(NamedTuple):
    """A stretch of a connection's life with one answer; None where none ever came."""

    answer: str | None
    start: float
    end: float


class _Life(NamedTuple):
    """A connection, in seconds since the first event of all."""

    number: int
    pieces: list[_Piece]
    answers: list[tuple[float, str]]
    end: float
    ended: str  # a key of `_ENDS`; empty while it is open
    error: str


class _Moment(NamedTuple):
    """A moment of change, in seconds since the first event of all."""

    label: str
    seconds: float
    dashes: str


@paper.style()
def connection_timeline(
    frame: pd.DataFrame, shifts: Mapping[str, datetime], drained_at: datetime | None = None
) -> Picture:
    """Each connection as a line through time in the look of the version that answers, with moments of change across.

    Args:
        frame: one row an event of a connection, in any order, as `OpenConnections.frame` gives it:

            - `connection` (int64): the connection's number, from 0 in the order they were opened;
            - `at` (datetime64[ns, UTC]): when it happened;
            - `event` (string): `opened` (TCP accepted), `answered` (a line that was sent came back), `closed`, or `failed`
              (it could not be opened, or a line got no answer in time; what was open is over);
            - `answer` (string): first word of the line that came back, NA but for `answered`;
            - `closed_by` (string): `client` or `server`, NA but for `closed`;
            - `error` (string): in plain words as in `netcat.probe`, such as `reset: accepted, then cut`; NA where
              nothing went wrong. A `closed` by `server` in good order has none.

            More columns do no harm. A connection without `closed` or `failed` is open at the end of the frame.
        shifts: label to moment, for each change of the weights.
        drained_at: when the time to drain connections is over; None where there is none.
    """
    marks = [(label, at, "--") for label, at in shifts.items()]
    if drained_at is not None:
        marks.append((_("end of the drain time"), drained_at, ":"))
    times = [pd.Timestamp(at).timestamp() for at in [*frame["at"], *(at for _label, at, _dashes in marks)]]
    seconds = [at - min(times) for at in times]
    moments = [
        _Moment(label, at, dashes) for (label, _at, dashes), at in zip(marks, seconds[len(frame) :], strict=True)
    ]
    lives = _lives(frame.assign(seconds=seconds[: len(frame)]), max(seconds, default=0.0))
    looks = palette.looks(sorted({word for life in lives for _at, word in life.answers}))
    figure = paper.sheet(2.0 + 0.3 * max(1, len(lives)), _alt(lives, moments))
    axes = figure.subplots()
    for place, life in enumerate(lives):
        _draw_life(axes, place, life, looks)
    if not lives:
        axes.text(0.5, 0.5, _("no connections"), ha="center", va="center", transform=axes.transAxes)
    axes.set_xlim(0, max([1.0, *seconds]))
    axes.set_ylim(max(1, len(lives)) - 0.4, -0.6)
    axes.set_yticks(range(len(lives)), labels=[str(life.number) for life in lives])
    _draw_moments(axes, moments)
    axes.set_ylabel(_("connection"))
    axes.set_xlabel(_("seconds"))
    if handles := list(_legend(lives, looks)):
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.03, 1.0), borderaxespad=0)
    axes.set_title(_("Open connections while weights change"), pad=8 + _LABEL_POINTS * len(moments))
    return figure


def _lives(frame: pd.DataFrame, last: float) -> list[_Life]:
    """Connections by number; what is open lasts until the last thing that happened."""
    ordered = frame.sort_values("seconds", kind="stable")
    return [_life(int(str(number)), events, last) for number, events in ordered.groupby("connection")]


def _life(number: int, events: pd.DataFrame, last: float) -> _Life:
    answered = events[events["event"] == ANSWERED]
    answers = [(float(at), str(word)) for at, word in zip(answered["seconds"], answered["answer"], strict=True)]
    end, ended, error = last, "", ""
    for _index, event in events[events["event"].isin([CLOSED, FAILED])].head(1).iterrows():
        end, error = float(event["seconds"]), event["error"] if isinstance(event["error"], str) else ""
        ended = FAILED if error or event["event"] == FAILED else str(event["closed_by"])
    begin = float(events["seconds"].iloc[0])
    return _Life(number, list(_pieces(begin, end, answers)), answers, end, ended, error)


def _pieces(begin: float, end: float, answers: Sequence[tuple[float, str]]) -> Iterator[_Piece]:
    """A connection's life by who answers; before its first answer it is the first one's already, as Envoy drew it then."""
    if not answers:
        yield _Piece(None, begin, end)
        return
    start, current = begin, answers[0][1]
    for at, word in answers:
        if word != current:
            yield _Piece(current, start, at)
            start, current = at, word
    yield _Piece(current, start, end)


def _draw_life(axes: Axes, place: int, life: _Life, looks: Mapping[str, Look]) -> None:
    for piece in life.pieces:
        look = looks[piece.answer] if piece.answer else _SILENT
        axes.barh(place, piece.end - piece.start, left=piece.start, height=_THICKNESS, **paper.surface(look))
    if life.answers:  # an empty line would take room at the figure's corner
        times = [at for at, _word in life.answers]
        axes.plot(times, [place] * len(times), "o", color=palette.BLACK, markersize=3.5, zorder=5, clip_on=False)
    if life.ended:
        paper.dot(axes, life.end, place, _ENDS[life.ended], size=9)
    else:
        axes.plot(life.end, place, ">", color=palette.INK, markersize=8, zorder=6, clip_on=False)


def _draw_moments(axes: Axes, moments: Sequence[_Moment]) -> None:
    """Lines across all connections; their labels stand above, each in a row of its own, so that none hides another."""
    for rank, moment in enumerate(moments):
        axes.axvline(moment.seconds, color=palette.INK, linewidth=1.5, linestyle=moment.dashes, zorder=3)
        axes.annotate(
            _("{label} ({seconds:.1f} s)").format(label=moment.label, seconds=moment.seconds),
            (moment.seconds, 1.0),
            (0, 4 + _LABEL_POINTS * (len(moments) - 1 - rank)),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if moment.seconds < sum(axes.get_xlim()) / 2 else "right",
            annotation_clip=False,
        )


def _legend(lives: Sequence[_Life], looks: Mapping[str, Look]) -> Iterator[Any]:
    for word, look in looks.items():
        yield Patch(label=_("{answer} answers").format(answer=word), **paper.surface(look))
    if any(not life.answers for life in lives):
        yield Patch(label=_("no answer"), **paper.surface(_SILENT))
    bare: dict[str, Any] = {"linestyle": "none", "markeredgecolor": palette.INK}
    if looks:
        yield Line2D([], [], marker="o", color=palette.BLACK, markersize=3.5, label=_("a line answered"), **bare)
    for ended, look in _ENDS.items():
        if any(life.ended == ended for life in lives):
            yield Line2D([], [], marker=look.marker, color=look.colour, markersize=9, label=_end(ended), **bare)
    if any(not life.ended for life in lives):
        yield Line2D([], [], marker=">", color=palette.INK, markersize=8, label=_end(""), **bare)


def _end(ended: str) -> str:
    return {
        CLIENT: _("closed by the client"),
        SERVER: _("closed by the server"),
        FAILED: _("failed"),
        "": _("still open"),
    }[ended]


def _alt(lives: Sequence[_Life], moments: Sequence[_Moment]) -> str:
    """Connections that fared alike share a sentence."""
    said = [ngettext("1 connection.", "{count} connections.", len(lives)).format(count=len(lives))]
    said += [_("{label} at {seconds:.1f} s.").format(label=moment.label, seconds=moment.seconds) for moment in moments]
    alike: dict[tuple[tuple[str, ...], str, str], list[_Life]] = {}
    for life in lives:
        words = tuple(piece.answer for piece in life.pieces if piece.answer)
        alike.setdefault((words, life.ended, life.error), []).append(life)
    for (words, ended, error), group in alike.items():
        count = sum(len(life.answers) for life in group)
        lines = ngettext("{words}, 1 line", "{words}, {count} lines", count)
        said.append(
            _("{numbers}: {answers}; {end}.").format(
                numbers=listed(str(life.number) for life in group),
                answers=lines.format(words=_(", then ").join(words), count=count) if words else _("no answer"),
                end=_end_in_words(ended, error, sorted(life.end for life in group)),
            )
        )
    return paragraph(said)


def _end_in_words(ended: str, error: str, seconds: Sequence[float]) -> str:
    if not ended:
        return _end(ended)
    how = _("{end} ({reason})").format(end=_end(ended), reason=error) if error else _end(ended)
    if round(seconds[0], 1) == round(seconds[-1], 1):
        return _("{end} at {seconds:.1f} s").format(end=how, seconds=seconds[0])
    return _("{end} at {first:.1f} to {last:.1f} s").format(end=how, first=seconds[0], last=seconds[-1])
