"""Probes: one after the other, and their shares against the set weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Patch

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import ngettext, paragraph
from tcpshift_helpers.plots import paper, shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from tcpshift_helpers.palette import Look
    from tcpshift_helpers.plots.paper import Picture

_PER_ROW = 50
_LABELLED = 20
_MOST_CELLS = 400
# Of a cell's place, so that the gap to its neighbour stays wider than an edge.
_CELL_WIDTH, _CELL_HEIGHT = 0.78, 0.84


@paper.style()
def bars(frame: pd.DataFrame, weights: Mapping[str, int]) -> Picture:
    """Observed share of each answer with its 95% interval, against the set weight.

    Args:
        frame: probes, from `netcat.probe`.
        weights: set weights by subset or backend, from `istio.weights`.
    """
    figure = paper.sheet(_bars_height(frame, weights), alt_text(frame, weights))
    _draw_bars(figure.subplots(), frame, weights)
    return figure


@paper.style()
def strip(frame: pd.DataFrame) -> Picture:
    """The probes one after the other, as cells in rows of 50, at most the first 400."""
    figure = paper.sheet(_strip_height(frame), alt_text(frame))
    _draw_strip(figure.subplots(), frame)
    return figure


@paper.style()
def distribution(frame: pd.DataFrame, weights: Mapping[str, int]) -> Picture:
    """Both in one figure: the probes in order above, their shares against the set weights below."""
    heights = [_strip_height(frame), _bars_height(frame, weights)]
    figure = paper.sheet(sum(heights), alt_text(frame, weights))
    upper, lower = figure.subplots(2, 1, height_ratios=heights)
    _draw_strip(upper, frame, weights)
    _draw_bars(lower, frame, weights)
    return figure


def alt_text(frame: pd.DataFrame, weights: Mapping[str, int] | None = None) -> str:
    """What the figure shows, in sentences for a screen reader."""
    counted = judged.counts(frame)
    said = [_("{probes}: {counts}.").format(probes=_probes(len(frame)), counts=counted)]
    if weights and counted.answered:
        said += [shares.sentence(str(word), row) for word, row in judged.shares(counted, weights).iterrows()]
    if not counted.answered:
        said.append(_("No probe was answered."))
    return paragraph(said)


def _draw_bars(axes: Axes, frame: pd.DataFrame, weights: Mapping[str, int]) -> None:
    counted = judged.counts(frame)
    table = judged.shares(counted, weights)
    looks = palette.looks(map(str, table.index))
    for place, (word, row) in enumerate(table.iterrows()):
        shares.draw(axes, place, row, looks[str(word)], answered=bool(counted.answered))
        axes.text(104, place, shares.numbers(row, counted.answered), va="center", ha="left", clip_on=False)
    axes.set_yticks(range(len(looks)), labels=list(looks), fontsize=palette.SIZES["title"])
    axes.set_ylim(len(looks) - 0.4, -0.6)
    paper.percent_axis(axes, "x")
    axes.set_xlabel(_("share of answers; thick mark: set weight; whisker: 95% interval"))
    axes.set_title(
        _("Observed share against set weight; {count} failed, not counted").format(count=counted.failed)
        if counted.failed
        else _("Observed share against set weight")
    )


def _draw_strip(axes: Axes, frame: pd.DataFrame, weights: Mapping[str, int] | None = None) -> None:
    # None failed.
    every = [str(word) if isinstance(word, str) else None for word in frame["answer"]]
    cells = every[:_MOST_CELLS]
    per_row, rows = _per_row(len(cells)), _strip_rows(frame)
    # The same words in the same order as in the bars below, so that each looks the same in both.
    looks: dict[str | None, Look] = {}
    looks.update(palette.looks(map(str, judged.shares(judged.counts(frame), weights).index)))
    looks[None] = palette.FAILURE
    for word, look in looks.items():
        places = [(index % per_row, index // per_row) for index, cell in enumerate(cells) if cell == word]
        if places:
            axes.bar(
                [x for x, _y in places],
                _CELL_HEIGHT,
                width=_CELL_WIDTH,
                bottom=[y - _CELL_HEIGHT / 2 for _x, y in places],
                # Snapped to pixels, gaps between cells come out unequal, and some close.
                snap=False,
                **paper.surface(look),
            )
        for x, y in places if len(cells) <= _LABELLED else ():
            paper.label(axes, x, y, "×" if word is None else word)
    axes.set_xlim(-0.6, per_row - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_yticks(range(rows), labels=[str(row * per_row + 1) for row in range(rows)])
    axes.set_xticks([])
    if not cells:
        axes.text(per_row / 2 - 0.5, 0, _("no probes"), ha="center", va="center")
        axes.set_yticks([])
    names = {word: _("failed") if word is None else word for word in looks}
    handles = [
        Patch(label=f"{names[word]} ({every.count(word)})", **paper.surface(look))
        for word, look in looks.items()
        if word in every
    ]
    if handles:
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    axes.set_title(
        _("The first {shown} of {count} probes in order").format(shown=len(cells), count=len(every))
        if len(cells) < len(every)
        else _probes(len(every))
    )
    axes.spines["bottom"].set_visible(False)


def _probes(count: int) -> str:
    return ngettext("1 probe", "{count} probes in order", count).format(count=count)


def _per_row(cells: int) -> int:
    return max(10, cells) if cells <= _LABELLED else _PER_ROW


def _strip_rows(frame: pd.DataFrame) -> int:
    return max(1, -(-min(len(frame), _MOST_CELLS) // _per_row(len(frame))))


def _strip_height(frame: pd.DataFrame) -> float:
    return 1.0 + 0.34 * _strip_rows(frame)


def _bars_height(frame: pd.DataFrame, weights: Mapping[str, int]) -> float:
    return 1.3 + 0.6 * len(judged.shares(judged.counts(frame), weights))
