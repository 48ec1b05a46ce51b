"""How the course looks, as plain data: colours, hatches and sizes, the same in figures and in a browser.

Colours are Okabe and Ito's, which people tell apart without colour vision, too. No colour stands alone: each comes with
a hatch and, wherever it is drawn, with a word beside it. `one` and `two` look the same everywhere, and vermillion means
failure and nothing else. It draws nothing and imports nothing that does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PAPER = "#FFFFFF"
INK = "#333333"
BLACK = "#000000"
AXIS = "#999999"
# A surface on which nothing has been measured yet.
BLANK = "#EEEEEE"

# The second is there for what the first has no glyph for; it comes with the package (`fonts/`).
FONTS = ("DejaVu Sans", "Noto Sans CJK SC")
# In points of a figure; a figure is shown at so many pixels to the inch.
SIZES = {"title": 11.0, "text": 9.0, "small": 8.0}
PIXELS_PER_INCH = 110
POINTS_PER_INCH = 72


@dataclass(frozen=True)
class Hatch:
    """One hatch, as matplotlib names it and as a layer of a CSS `background`."""

    matplotlib: str
    css: str


@dataclass(frozen=True)
class Look:
    """What tells one thing from another: a colour, a hatch for surfaces, and dashes and a marker for lines."""

    colour: str
    hatch: Hatch
    dashes: str | tuple[int, tuple[int, ...]] = "-"
    marker: str = "o"


_PLAIN = Hatch("", "none")
_RISING = Hatch("///", f"repeating-linear-gradient(135deg, transparent 0 6px, {INK} 6px 7px)")
_FALLING = Hatch("\\\\\\", f"repeating-linear-gradient(45deg, transparent 0 6px, {INK} 6px 7px)")
_CROSSED = Hatch("xxx", f"{_RISING.css}, {_FALLING.css}")
_DOTTED = Hatch("...", f"radial-gradient(circle, {INK} 1px, transparent 1.3px) 0 0 / 6px 6px")
_LINED = Hatch("---", f"repeating-linear-gradient(0deg, transparent 0 6px, {INK} 6px 7px)")

LOOKS = {
    "one": Look("#56B4E9", _PLAIN, "-", "o"),
    "two": Look("#E69F00", _RISING, "--", "s"),
}
FAILURE = Look("#D55E00", _CROSSED, ":", "X")
OTHERS = (
    Look("#009E73", _DOTTED, "-.", "^"),
    Look("#CC79A7", _FALLING, (0, (5, 1, 1, 1, 1, 1)), "D"),
    Look("#F0E442", _LINED, (0, (1, 1)), "v"),
)


def looks(words: Iterable[str]) -> dict[str, Look]:
    """What each word looks like, given all the words that are shown together.

    Words that the course does not know take what is left over, in their order.
    """
    every = list(dict.fromkeys(words))
    strangers = [word for word in every if word not in LOOKS]
    return {word: LOOKS.get(word) or OTHERS[strangers.index(word) % len(OTHERS)] for word in every}


def custom_properties() -> dict[str, str]:
    """All of it as CSS custom properties, for widgets.

    A surface takes both layers of its look: `background: var(--tcpshift-two-hatch), var(--tcpshift-two)`.
    """
    found = {"paper": PAPER, "ink": INK, "black": BLACK, "axis": AXIS, "blank": BLANK}
    for word, look in (LOOKS | {"failure": FAILURE}).items():
        found |= {word: look.colour, f"{word}-hatch": look.hatch.css}
    for number, look in enumerate(OTHERS, 1):
        found |= {f"other-{number}": look.colour, f"other-{number}-hatch": look.hatch.css}
    found["fonts"] = ", ".join([*(f'"{name}"' for name in FONTS), "sans-serif"])
    for name, points in SIZES.items():
        found[f"{name}-size"] = f"{points * PIXELS_PER_INCH / POINTS_PER_INCH:.4g}px"
    return {f"--tcpshift-{name}": value for name, value in found.items()}
