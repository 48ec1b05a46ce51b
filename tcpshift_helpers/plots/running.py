"""How a share settles: the observed share of each answer, probe by probe, in the narrowing band around its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import ngettext, paragraph
from tcpshift_helpers.plots import paper, shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tcpshift_helpers.plots.paper import Picture

_HEIGHT_INCHES = 3.9
# Two labels of two lines each at the right need so many percent of the axis between them.
_LABEL_PERCENT = 14.0


@paper.style()
def running_share(frame: pd.DataFrame, weights: Mapping[str, int]) -> Picture:
    """The share of each answer as probes come in, and the band that holds 95% of runs with the set weight.

    The band is that of `distribution.running`: binomial quantiles at each number of answers by itself. Failed probes
    are marked at the foot and not counted.

    Args:
        frame: probes, from `netcat.probe`.
        weights: set weights by subset or backend, from `istio.weights`.
    """
    counted = judged.counts(frame)
    final = judged.shares(counted, weights)
    settled = judged.running(frame, weights)
    looks = palette.looks(map(str, final.index))
    figure = paper.sheet(_HEIGHT_INCHES, _alt(frame, weights))
    axes = figure.subplots()
    for word, look in looks.items():
        rows = settled[settled["answer"] == word]
        low, high = rows["low_percent"].to_numpy(), rows["high_percent"].to_numpy()
        axes.fill_between(rows["probe"], low, high, facecolor=palette.BLANK, linewidth=0)
        for edge in (low, high):
            axes.plot(rows["probe"], edge, color=look.colour, linestyle=look.dashes, linewidth=1.2)
        axes.axhline(rows["set_percent"].max(), color=palette.INK, linewidth=0.8, linestyle=(0, (6, 4)))
        if counted.answered:
            axes.plot(rows["probe"], rows["percent"], label=word, zorder=4, clip_on=False, **paper.line(look))
            end = (len(frame), rows["percent"].iloc[-1])
            paper.dot(axes, *end, look)
    for number, answer in enumerate(frame["answer"], 1):
        if not isinstance(answer, str):
            paper.dot(axes, number, 0, palette.FAILURE)
    places = paper.spread(list(final["percent"] if counted.answered else final["set_percent"]), _LABEL_PERCENT, 100)
    for place, (answer, row) in zip(places, final.iterrows(), strict=True):
        text = _("{answer}: {numbers}").format(answer=answer, numbers=shares.numbers(row, counted.answered))
        axes.annotate(text, (1.03, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
    axes.set_xlim(1, max(2, len(frame)))
    axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
    paper.percent_axis(axes, "y")
    axes.tick_params(pad=7)
    axes.set_xlabel(_("probes so far; band: where 95% of runs with the set weight are by then; dashes: set weight"))
    axes.set_title(
        _("Share of answers as probes come in; {count} failed, not counted").format(count=counted.failed)
        if counted.failed
        else _("Share of answers as probes come in"),
        pad=12,
    )
    return figure


def _alt(frame: pd.DataFrame, weights: Mapping[str, int]) -> str:
    counted = judged.counts(frame)
    probes = ngettext("1 probe", "{count} probes in order", len(frame)).format(count=len(frame))
    said = [_("Share of answers as probes come in, {probes}: {counts}.").format(probes=probes, counts=counted)]
    if not counted.answered:
        return paragraph([*said, _("No probe was answered.")])
    settled = judged.running(frame, weights).set_index("answer")
    for word in judged.shares(counted, weights).index:
        rows = settled.loc[[word]]
        answers = rows[rows["answered"] > 0]
        outside = (answers["percent"] < answers["low_percent"]) | (answers["percent"] > answers["high_percent"])
        last = rows.iloc[-1]
        said.append(
            _(
                "{answer}: {percent:.1f}% in the end, set weight {weight:.4g}%, where 95% of runs give {low:.1f}% to "
                "{high:.1f}%; outside of that band after {outside} of {probes} probes."
            ).format(
                answer=word,
                percent=last["percent"],
                weight=last["set_percent"],
                low=last["low_percent"],
                high=last["high_percent"],
                outside=int(outside.sum()),
                probes=len(rows),
            )
        )
    return paragraph(said)
