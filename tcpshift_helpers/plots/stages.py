"""A rollout: the set weight of v2 stage by stage, and at the gate of each what was observed and what it was judged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import judgement, palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, paragraph
from tcpshift_helpers.plots import paper, shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from tcpshift_helpers.plots.paper import Picture

_WATCHED = judged.ANSWERS["v2"]
_HALF = 0.38  # of a stage's width, on either side of its gate
_ABOVE = 116  # where the verdicts stand, in percent


class _Gate(NamedTuple):
    row: pd.Series
    counted: judged.Counts
    word: str


@paper.style()
def rollout(stages: Sequence[tuple[Mapping[str, int], pd.DataFrame]]) -> Picture:
    """The set weight of v2 as steps, with the observed share, its 95% interval and the verdict at each gate.

    A step down is a rollback and drawn as one. The word is that of `distribution.verdict`.

    Args:
        stages: in their order, the weights in force (from `istio.weights`) and the probes made under them (from
            `netcat.probe`).
    """
    gates = [_gate(weights, frame) for weights, frame in stages]
    figure = paper.sheet(4.2, _alt(gates))
    axes = figure.subplots()
    for place, gate in enumerate(gates):
        _draw_stage(axes, place, gate)
        if place:
            _draw_change(axes, place, gates[place - 1].row["set_percent"], gate.row["set_percent"])
    if not gates:
        axes.text(0, 50, _("no stages"), ha="center", va="center")
    paper.percent_axis(axes, "y")
    axes.set_xlim(-0.5, max(1, len(gates)) - 0.5)
    axes.set_xticks(range(len(gates)), labels=[_foot(place, gate) for place, gate in enumerate(gates)])
    axes.set_xlabel(_("stage; thick line: set weight of v2; marker and whisker: observed share and 95% interval"))
    axes.set_title(_("Rollout of v2, gate by gate"), pad=48)
    return figure


def _gate(weights: Mapping[str, int], frame: pd.DataFrame) -> _Gate:
    counted = judged.counts(frame)
    # v2 has a share, of zero, where the weights do not name it.
    row = shares.of(_WATCHED, counted, {"v2": 0, **weights})
    return _Gate(row, counted, judged.verdict(counted, weights).word)


def _draw_stage(axes: Axes, place: int, gate: _Gate) -> None:
    look, row = palette.LOOKS[_WATCHED], gate.row
    if row["set_percent"]:
        style = {**paper.surface(look), "facecolor": (look.colour, 0.3), "hatchcolor": (palette.INK, 0.25)}
        axes.bar(place, row["set_percent"], width=2 * _HALF, **{**style, "linewidth": 0})
    step = ([place - _HALF, place + _HALF], [row["set_percent"]] * 2)
    axes.plot(*step, color=palette.INK, linewidth=3, solid_capstyle="butt", clip_on=False, zorder=4)
    if gate.counted.answered:
        spread = [[row["percent"] - row["low_percent"]], [row["high_percent"] - row["percent"]]]
        axes.errorbar(place, row["percent"], yerr=spread, color=palette.BLACK, capsize=5, linewidth=1.5, zorder=5)
        paper.dot(axes, place, row["percent"], look)
    failed = gate.word == judgement.FAIL
    axes.text(
        place,
        _ABOVE,
        _in_two_lines(str(gate.word)),
        ha="center",
        va="center",
        fontsize=palette.SIZES["text"],
        color=palette.BLACK,
        bbox={
            "facecolor": palette.PAPER,
            "edgecolor": palette.FAILURE.colour if failed else palette.INK,
            "linewidth": 2.5 if failed else 0.8,
            "linestyle": "--" if gate.word == judgement.TOO_FEW else "-",
            "boxstyle": "square,pad=0.4" if failed else "round,pad=0.4",
        },
    )


def _in_two_lines(words: str) -> str:
    """A verdict of more than one word, broken where that halves it best; stages stand close."""
    ends = [match.end() for match in re.finditer("[ ，]", words)]
    if not ends:
        return words
    middle = min(ends, key=lambda end: abs(2 * end - len(words)))
    return f"{words[:middle].rstrip()}\n{words[middle:]}"


def _draw_change(axes: Axes, place: int, before: float, after: float) -> None:
    """From one stage to the next: up is a shift, down a rollback."""
    start, end = (place - 1 + _HALF, before), (place - _HALF, after)
    back = after < before
    colour, width = (palette.FAILURE.colour, 2.5) if back else (palette.INK, 1.2)
    axes.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
        zorder=4,
    )
    if back:
        paper.label(axes, place - 0.5, before + 7, _("rolled back"))


def _foot(place: int, gate: _Gate) -> str:
    """What stands below a stage: its number, its weight, and what it was judged by."""
    weight = _("{number}: v2 {weight:.4g}%").format(number=place + 1, weight=gate.row["set_percent"])
    return "\n".join([weight, *_numbers(gate)])


def _numbers(gate: _Gate) -> list[str]:
    numbers = [_("no answers")]
    if gate.counted.answered:
        share = _("{percent:.1f}% of {total}")
        numbers = [share.format(percent=gate.row["percent"], total=gate.counted.answered)]
    if gate.counted.failed:
        numbers.append(_("{count} failed").format(count=gate.counted.failed))
    return numbers


def _alt(gates: Sequence[_Gate]) -> str:
    said = [_("Rollout of v2, gate by gate.")]
    for place, gate in enumerate(gates):
        if place and gate.row["set_percent"] < gates[place - 1].row["set_percent"]:
            said.append(_("Rolled back."))
        said.append(
            _("Stage {number}: set weight {weight:.4g}%, {numbers}: {verdict}.").format(
                number=place + 1,
                weight=gate.row["set_percent"],
                numbers=listed(_numbers(gate)),
                verdict=gate.word,
            )
        )
    return paragraph(said if gates else [*said, _("There are no stages.")])
