"""What every figure is drawn on: a white sheet in the course's type that carries its alt text and shows itself.

Figures are made without pyplot, so nothing is drawn twice in a notebook and no state is left. The learner's own
matplotlib settings are neither heeded nor changed. The ground is white everywhere, so that a figure reads the same in
a dark notebook and in print.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.style
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patheffects import Stroke
from PIL import Image

from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import RendererBase

    from tcpshift_helpers.palette import Look

_FONT = Path(__file__).parents[1] / "fonts" / "NotoSansSC-subset.otf"
_WIDTH_INCHES = 7.5
_PIXELS_PER_DOT = 2  # crisp on fine screens and in print; shown at the size that the figure has
_COLOURS = 128  # few figures have more; with a table of them two pixels to the dot take no more room than one did
_STYLE = {
    "font.family": list(palette.FONTS),
    "font.size": palette.SIZES["text"],
    "text.color": palette.INK,
    "axes.labelcolor": palette.INK,
    "axes.titlesize": palette.SIZES["title"],
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": palette.AXIS,
    "axes.axisbelow": True,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.color": palette.INK,
    "ytick.color": palette.INK,
    "legend.frameon": False,
    "figure.dpi": palette.PIXELS_PER_INCH,
    "savefig.dpi": "figure",
}


@functools.cache
def _register_font() -> None:
    font_manager.fontManager.addfont(_FONT)


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The course's settings in place of the learner's, for as long as something is drawn; also a decorator."""
    _register_font()
    with matplotlib.style.context(["default", _STYLE]):
        yield


class Picture(Figure):
    """A figure with its alt text. As the last line of a cell, or by `show`, it displays itself.

    Attributes:
        alt: what the figure shows, in sentences for a screen reader.
    """

    alt: str = ""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it in the course's style, whoever asks: labels of axes are made no earlier than this."""
        with style():
            super().draw(renderer)

    def png(self) -> bytes:
        """The figure as PNG, two pixels to the dot."""
        drawn, packed = io.BytesIO(), io.BytesIO()
        with style():
            self.savefig(drawn, format="png", dpi=_PIXELS_PER_DOT * self.dpi)
        with Image.open(drawn) as image:
            few = image.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(packed, format="PNG", optimize=True)
        return packed.getvalue()

    def as_output(self, alt: str = "") -> tuple[str, dict[str, object]]:
        """The figure as `image/png` of a notebook's output, and what goes with it: alt text and the size to show it at."""
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        return base64.b64encode(self.png()).decode(), {"alt": alt or self.alt, "width": width, "height": height}

    def _ipython_display_(self) -> None:
        """What IPython calls for the last line of a cell."""
        show(self)


def show(figure: Picture, alt: str = "") -> None:
    """Display a figure in a notebook as PNG with alt text (default: the one it was made with).

    The alt text goes with the picture, where exporters find it, and below it, folded: JupyterLab gives a picture's size
    to the browser, but not its alt text, and words are of use to others, too.
    """
    from IPython.display import display  # noqa: PLC0415 - only notebooks have it loaded

    alt = alt or figure.alt
    png, size_and_words = figure.as_output(alt)
    data = {"image/png": png, "text/plain": "<Figure>"}
    display(data, metadata={"image/png": size_and_words}, raw=True)  # type: ignore[no-untyped-call]
    folded = _("In words")
    words = f"<details><summary>{folded}</summary>{html.escape(alt)}</details>"
    display({"text/html": words}, raw=True)  # type: ignore[no-untyped-call]


def sheet(height_inches: float, alt: str) -> Picture:
    """An empty figure of the course's width; call it, and draw on it, under `style()`."""
    figure = Picture(
        figsize=(_WIDTH_INCHES, height_inches),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.12),
        facecolor=palette.PAPER,
    )
    figure.alt = alt
    return figure


def surface(look: Look) -> dict[str, Any]:
    """How a look fills a patch."""
    return {
        "facecolor": look.colour,
        "hatch": look.hatch.matplotlib,
        "edgecolor": palette.INK,
        "hatchcolor": palette.INK,
        "linewidth": 0.8,
    }


def line(look: Look) -> dict[str, Any]:
    """How a look draws a line: in its dashes, with an edge of ink, since light colours alone are faint on white."""
    edge = [Stroke(linewidth=3.4, foreground=palette.INK), Stroke()]
    return {"color": look.colour, "linestyle": look.dashes, "linewidth": 2.0, "path_effects": edge}


def percent_axis(axes: Axes, which: str, step: int = 20) -> None:
    """0% to 100% along `x` or `y`."""
    marks = range(0, 101, step)
    (axes.set_xlim if which == "x" else axes.set_ylim)(0, 100)
    (axes.set_xticks if which == "x" else axes.set_yticks)(marks, labels=[f"{percent}%" for percent in marks])


def label(axes: Axes, x: float, y: float, text: str) -> None:
    """A small word on top of a hatched surface."""
    box = {"facecolor": palette.PAPER, "edgecolor": "none", "pad": 1.2, "alpha": 0.9}
    axes.text(x, y, text, ha="center", va="center", fontsize=palette.SIZES["small"], color=palette.BLACK, bbox=box)


def dot(axes: Axes, x: float, y: float, look: Look, size: float = 7) -> None:
    """A marker of a look, also on the edge of the axes."""
    edge: dict[str, Any] = {"markeredgecolor": palette.INK, "markeredgewidth": 0.8}
    axes.plot(x, y, look.marker, color=look.colour, markersize=size, zorder=6, clip_on=False, **edge)


def spread(places: Sequence[float], apart: float, most: float) -> list[float]:
    """Places for labels, as near to these as they can be while they stand so far apart and none lies above `most`."""
    order = sorted(range(len(places)), key=lambda index: (places[index], -index), reverse=True)
    found, above = list(places), most + apart
    for rank, index in enumerate(order):
        # Leave room below for those that are still to come.
        found[index] = above = min(above - apart, max(places[index], apart * (len(order) - 1 - rank)))
    return found
