"""A frame of probes as a figure, with words for those who cannot see it.

Figures are made without pyplot, so nothing is drawn twice in a notebook and no state is left. Colours are Okabe and
Ito's, doubled by hatching and direct labels, on a white ground of their own: they read the same in dark notebooks, in
print, and without colour vision. It decides nothing: verdicts come from distribution.py.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from tcpshift_helpers import distribution as judged
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import mark, ngettext, paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

INK = "#333333"
FAILED = mark("failed")
# Okabe-Ito: sky blue, orange, bluish green, reddish purple; vermillion is kept for failures.
_STYLES: dict[str, tuple[str, str]] = {"one": ("#56B4E9", ""), "two": ("#E69F00", "///"), FAILED: ("#D55E00", "xxx")}
_OTHERS = (("#009E73", "..."), ("#CC79A7", "\\\\\\"), ("#F0E442", "---"))
_WIDTH_INCHES = 7.5
_PER_ROW = 50
_LABELLED = 20
_MOST_CELLS = 400


def bars(frame: pd.DataFrame, weights: Mapping[str, int]) -> Figure:
    """Observed share of each answer with its 95% interval, against the set weight.

    Args:
        frame: probes, from `netcat.probe`.
        weights: set weights by subset, from `istio.weights`.
    """
    rows = len(judged.shares(judged.counts(frame), weights))
    figure = _figure(1.3 + 0.6 * rows)
    _draw_bars(figure.subplots(), frame, weights)
    return figure


def strip(frame: pd.DataFrame) -> Figure:
    """The probes one after the other, as cells in rows of 50, at most the first 400."""
    figure = _figure(1.0 + 0.34 * _strip_rows(frame))
    _draw_strip(figure.subplots(), frame)
    return figure


def distribution(frame: pd.DataFrame, weights: Mapping[str, int]) -> Figure:
    """Both in one figure: the probes in order above, their shares against the set weights below."""
    above = 1.0 + 0.34 * _strip_rows(frame)
    below = 1.3 + 0.6 * len(judged.shares(judged.counts(frame), weights))
    figure = _figure(above + below)
    upper, lower = figure.subplots(2, 1, height_ratios=[above, below])
    _draw_strip(upper, frame, weights)
    _draw_bars(lower, frame, weights)
    return figure


def alt_text(frame: pd.DataFrame, weights: Mapping[str, int] | None = None) -> str:
    """What the figure shows, in sentences for a screen reader."""
    counted = judged.counts(frame)
    sentences = [_("{probes}: {counts}.").format(probes=_probes(len(frame)), counts=counted)]
    if weights and counted.answered:
        for word, row in judged.shares(counted, weights).iterrows():
            sentences.append(
                _(
                    "{answer}: {percent:.1f}% observed, 95% interval {low:.1f}% to {high:.1f}%, set weight {weight:.4g}%."
                ).format(
                    answer=word,
                    percent=row["percent"],
                    low=row["low_percent"],
                    high=row["high_percent"],
                    weight=row["set_percent"],
                )
            )
    if not counted.answered:
        sentences.append(_("No probe was answered."))
    return paragraph(sentences)


def show(figure: Figure, alt: str = "") -> None:
    """Display a figure in a notebook as PNG with alt text (default: the one it was made with).

    The PNG is made here, because IPython draws figures only where pyplot's inline backend was set up.
    """
    from IPython.display import display  # noqa: PLC0415 - only notebooks have it loaded

    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": "<Figure>"}
    metadata = {"image/png": {"alt": alt or str(getattr(figure, "alt", ""))}}
    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]


def _figure(height_inches: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.12)
    return Figure(figsize=(_WIDTH_INCHES, height_inches), layout=layout, facecolor="white", dpi=110)


def _set_alt(axes: Axes, text: str) -> None:
    figure: Any = axes.figure
    figure.alt = text


def _style(word: str, words: list[str]) -> tuple[str, str]:
    if word in _STYLES:
        return _STYLES[word]
    strangers = [other for other in words if other not in _STYLES]
    return _OTHERS[strangers.index(word) % len(_OTHERS)]


def _patch_style(word: str, words: list[str]) -> dict[str, Any]:
    colour, hatch = _style(word, words)
    return {"facecolor": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.8}


def _draw_bars(axes: Axes, frame: pd.DataFrame, weights: Mapping[str, int]) -> None:
    counted = judged.counts(frame)
    table = judged.shares(counted, weights)
    words = [str(word) for word in table.index]
    for place, (word, (_index, row)) in enumerate(zip(words, table.iterrows(), strict=True)):
        if row["percent"]:
            axes.barh(place, row["percent"], height=0.56, **_patch_style(word, words))
        axes.plot(
            [row["set_percent"]] * 2,
            [place - 0.4, place + 0.4],
            color=INK,
            linewidth=3,
            solid_capstyle="butt",
            clip_on=False,
            zorder=4,
        )
        if counted.answered:
            spread = [[row["percent"] - row["low_percent"]], [row["high_percent"] - row["percent"]]]
            axes.errorbar(row["percent"], place, xerr=spread, color="black", capsize=5, linewidth=1.5, zorder=5)
            text = _("{count} of {total} = {percent:.1f}%\nset weight {weight:.4g}%").format(
                count=int(row["count"]),
                total=counted.answered,
                percent=row["percent"],
                weight=row["set_percent"],
            )
        else:
            text = _("no answers\nset weight {weight:.4g}%").format(weight=row["set_percent"])
        axes.text(104, place, text, va="center", ha="left", fontsize=9, color=INK, clip_on=False)
    axes.set_yticks(range(len(words)), labels=words, fontsize=11)
    axes.set_ylim(len(words) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20), labels=[f"{percent}%" for percent in range(0, 101, 20)])
    axes.set_xlabel(_("share of answers; thick mark: set weight; whisker: 95% interval"), fontsize=9, color=INK)
    title = (
        _("Observed share against set weight; {count} failed, not counted").format(count=counted.failed)
        if counted.failed
        else _("Observed share against set weight")
    )
    _finish(axes, title)
    _set_alt(axes, alt_text(frame, weights))


def _draw_strip(axes: Axes, frame: pd.DataFrame, weights: Mapping[str, int] | None = None) -> None:
    every = [str(word) if isinstance(word, str) else FAILED for word in frame["answer"]]
    cells = every[:_MOST_CELLS]
    per_row = _per_row(len(cells))
    words = sorted(set(every) - {FAILED}) + ([FAILED] if FAILED in every else [])
    # The same words in the same order as in the bars below, so that each looks the same in both.
    styled = [str(word) for word in judged.shares(judged.counts(frame), weights).index]
    for word in words:
        places = [(index % per_row, index // per_row) for index, cell in enumerate(cells) if cell == word]
        style = _patch_style(word, styled)
        if not places:
            continue
        axes.bar([x for x, _y in places], 0.84, width=0.86, bottom=[y - 0.42 for _x, y in places], **style)
        if len(cells) <= _LABELLED:
            for x, y in places:
                box = {"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9}
                axes.text(
                    x, y, word if word != FAILED else "×", ha="center", va="center", fontsize=8, color="black", bbox=box
                )
    rows = _strip_rows(frame)
    axes.set_xlim(-0.6, per_row - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_yticks(range(rows), labels=[str(row * per_row + 1) for row in range(rows)], fontsize=9)
    axes.set_xticks([])
    if not cells:
        axes.text(per_row / 2 - 0.5, 0, _("no probes"), ha="center", va="center", color=INK)
        axes.set_yticks([])
    handles = [Patch(label=f"{word} ({every.count(word)})", **_patch_style(word, styled)) for word in words]
    if handles:
        axes.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0
        )
    title = (
        _("The first {shown} of {count} probes in order").format(shown=len(cells), count=len(every))
        if len(cells) < len(every)
        else _probes(len(every))
    )
    _finish(axes, title)
    axes.spines["bottom"].set_visible(False)
    _set_alt(axes, alt_text(frame))


def _probes(count: int) -> str:
    return ngettext("1 probe", "{count} probes in order", count).format(count=count)


def _per_row(cells: int) -> int:
    return max(10, cells) if cells <= _LABELLED else _PER_ROW


def _strip_rows(frame: pd.DataFrame) -> int:
    return max(1, -(-min(len(frame), _MOST_CELLS) // _per_row(len(frame))))


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_facecolor("white")
    axes.tick_params(length=0, colors=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")
