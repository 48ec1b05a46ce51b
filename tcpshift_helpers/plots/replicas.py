"""Weights are not replicas: the share of v2 by numbers of pods and by the way that connections take."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pandas as pd

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, paragraph
from tcpshift_helpers.plots import paper, shares

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from tcpshift_helpers.plots.paper import Picture

_WATCHED = "v2"
_Pods: TypeAlias = tuple[int, ...]


class _Way(NamedTuple):
    way: str
    weights: tuple[int, ...] | None

    def words(self) -> list[str]:
        """The way itself, and what decides on it."""
        ways = {"gateway": _("through the gateway"), "service": _("through the Service")}
        decides = _("weights {weights}").format(weights=_ratio(self.weights)) if self.weights else _("no weights")
        return [ways.get(self.way, self.way), decides]


_Cells: TypeAlias = dict[tuple[_Pods, _Way], tuple[pd.Series, judged.Counts]]


@paper.style()
def replicas_and_weights(measurements: pd.DataFrame) -> Picture:
    """The share that v2 answered: a row for each numbers of pods, a column for each way, in order of appearance.

    Each cell has the observed share with its 95% interval and a thick mark at what is to be expected: the weight of v2
    where weights are set, and its part of the pods where none are.

    Args:
        measurements: one row a probe, made by `distribution.measured` and put one below the other with `pandas.concat`:
            `answer` and `error` as `netcat.probe` gives them, `way` (string: `gateway`, `service`), `v1_replicas` and
            `v2_replicas` (Int64), `v1_weight` and `v2_weight` (Int64, NA where no weights are set).
    """
    cells = _cells(measurements)
    pods = list(dict.fromkeys(replicas for replicas, _way in cells))
    ways = list(dict.fromkeys(way for _replicas, way in cells))
    figure = paper.sheet(1.5 + 0.85 * max(1, len(pods)), _alt(cells))
    if not cells:
        axes = figure.subplots()
        axes.text(0.5, 0.5, _("no probes"), ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return figure
    grid = figure.subplots(len(pods), len(ways), sharex=True, squeeze=False)
    for row, replicas in enumerate(pods):
        for column, way in enumerate(ways):
            _draw_cell(grid[row][column], cells.get((replicas, way)))
            grid[row][column].set_yticks([])
        grid[row][0].set_yticks([0], labels=[_("pods {ratio}").format(ratio=_ratio(replicas))])
    for column, way in enumerate(ways):
        grid[0][column].set_title("\n".join(way.words()), fontsize=palette.SIZES["text"], pad=12)
    word = judged.ANSWERS[_WATCHED]
    figure.suptitle(
        _("Share of answers that are {answer} ({version}), by pods of {versions}").format(
            answer=word, version=_WATCHED, versions=_ratio(judged.ANSWERS)
        ),
        x=0.01,
        ha="left",
        fontsize=palette.SIZES["title"],
    )
    figure.supxlabel(
        _("share of answers; thick mark: what weights or pods let expect; whisker: 95% interval"),
        fontsize=palette.SIZES["text"],
    )
    return figure


def _cells(measurements: pd.DataFrame) -> _Cells:
    """What each cell shows, by numbers of pods and way: the watched version's share, and all counts.

    What is expected of the share stands as its set weight, also where pods decide.
    """
    replicas = [f"{version}_replicas" for version in judged.ANSWERS]
    weights = [f"{version}_weight" for version in judged.ANSWERS]
    found: _Cells = {}
    for _key, rows in measurements.groupby(["way", *replicas, *weights], sort=False, dropna=False):
        first = rows.iloc[0]
        # A number of pods, and a weight, for each version.
        pods = tuple(int(first[name]) for name in replicas)
        set_weights = None if pd.isna(first[weights[0]]) else tuple(int(first[name]) for name in weights)
        counted = judged.counts(rows)
        decides = dict(zip(judged.ANSWERS, set_weights or pods, strict=True))
        row = shares.of(judged.ANSWERS[_WATCHED], counted, decides)
        found[pods, _Way(str(first["way"]), set_weights)] = (row, counted)
    return found


def _draw_cell(axes: Axes, cell: tuple[pd.Series, judged.Counts] | None) -> None:
    if cell is None:
        axes.text(50, 0, _("not measured"), ha="center", va="center", color=palette.INK)
    else:
        row, counted = cell
        shares.draw(axes, 0, row, palette.LOOKS[judged.ANSWERS[_WATCHED]], answered=bool(counted.answered))
        axes.text(0, -0.5, "\n".join(_numbers(row, counted)), va="bottom", ha="left", clip_on=False)
    axes.set_ylim(0.5, -1.3)
    paper.percent_axis(axes, "x", step=50)


def _numbers(row: pd.Series, counted: judged.Counts) -> list[str]:
    """What was observed, and what was to be expected."""
    observed = [_("no answers")]
    if counted.answered:
        share = _("{count} of {total} = {percent:.1f}%")
        observed = [share.format(count=int(row["count"]), total=counted.answered, percent=row["percent"])]
    if counted.failed:
        observed.append(_("{count} failed").format(count=counted.failed))
    return [listed(observed), _("expected {percent:.4g}%").format(percent=row["set_percent"])]


def _ratio(parts: Iterable[object]) -> str:
    return " : ".join(map(str, parts))


def _alt(cells: _Cells) -> str:
    said = [
        _("Share of answers that are {answer} ({version}), by pods of {versions} and by way.").format(
            answer=judged.ANSWERS[_WATCHED], version=_WATCHED, versions=_ratio(judged.ANSWERS)
        )
    ]
    for (pods, way), (row, counted) in cells.items():
        numbers = _numbers(row, counted)
        if counted.answered:
            interval = _("95% interval {low:.1f}% to {high:.1f}%")
            numbers.append(interval.format(low=row["low_percent"], high=row["high_percent"]))
        said.append(
            _("Pods {pods}, {way}: {numbers}.").format(
                pods=_ratio(pods), way=listed(way.words()), numbers=listed(numbers)
            )
        )
    return paragraph(said if cells else [*said, _("No probe was made.")])
