"""What the tests of figures have in common: frames to draw, and what a drawn figure says, read back from its artists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLIT = {"v1": 80, "v2": 20}


def frame(*words: str | None) -> pd.DataFrame:
    """Probes with these answers; None failed."""
    errors = [None if word else "reset" for word in words]
    return pd.DataFrame({"answer": pd.array(words, dtype="string"), "error": pd.array(errors, dtype="string")})


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in found.get_texts()] if (found := axes.get_legend()) else []


def looks(axes: Axes) -> set[tuple[str, str]]:
    """Colour and hatch of every patch."""
    return {(to_hex(patch.get_facecolor()).upper(), str(patch.get_hatch() or "")) for patch in axes.patches}


def drawn(figure: Figure) -> list[Axes]:
    """The figure's parts, after it was really drawn: that alone finds what matplotlib cannot do."""
    FigureCanvasAgg(figure).draw()
    return figure.axes
