"""One share as a bar: what was observed, its 95% interval, and what was to be expected. Shared by several figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.plots import paper

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from tcpshift_helpers.palette import Look


def of(word: str, counted: judged.Counts, weights: Mapping[str, int]) -> pd.Series:
    """One answer's row of `distribution.shares`; the word has to be among the answers or the weights."""
    return next(row for name, row in judged.shares(counted, weights).iterrows() if name == word)


def draw(axes: Axes, place: float, row: pd.Series, look: Look, *, answered: bool) -> None:
    """A horizontal bar at a place, with a thick mark at the set weight and a whisker for the interval.

    Args:
        axes: percent along x.
        place: where on y.
        row: of `distribution.shares` with weights.
        look: of the bar.
        answered: whether any probe was; without answers there is nothing but the mark.
    """
    if row["percent"]:
        axes.barh(place, row["percent"], height=0.56, **paper.surface(look))
    mark = ([row["set_percent"]] * 2, [place - 0.4, place + 0.4])
    axes.plot(*mark, color=palette.INK, linewidth=3, solid_capstyle="butt", clip_on=False, zorder=4)
    if answered:
        spread = [[row["percent"] - row["low_percent"]], [row["high_percent"] - row["percent"]]]
        axes.errorbar(row["percent"], place, xerr=spread, color=palette.BLACK, capsize=5, linewidth=1.5, zorder=5)


def numbers(row: pd.Series, answered: int) -> str:
    """What stands beside a share, in two lines."""
    if not answered:
        return _("no answers\nset weight {weight:.4g}%").format(weight=row["set_percent"])
    return _("{count} of {total} = {percent:.1f}%\nset weight {weight:.4g}%").format(
        count=int(row["count"]), total=answered, percent=row["percent"], weight=row["set_percent"]
    )


def sentence(word: str, row: pd.Series) -> str:
    """A share for a screen reader."""
    return _(
        "{answer}: {percent:.1f}% observed, 95% interval {low:.1f}% to {high:.1f}%, set weight {weight:.4g}%."
    ).format(
        answer=word,
        percent=row["percent"],
        low=row["low_percent"],
        high=row["high_percent"],
        weight=row["set_percent"],
    )
