"""The palette: what a browser gets is what a figure gets, and nothing is told apart by colour alone."""

from __future__ import annotations

import re

from tcpshift_helpers import palette


def luminance(colour: str) -> float:
    """Relative luminance. Source: WCAG 2.2, definition of relative luminance."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21. Source: WCAG 2.2, definition of contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


EVERY = [*palette.LOOKS.values(), palette.FAILURE, *palette.OTHERS]


def test_no_two_looks_share_a_colour_a_hatch_dashes_or_a_marker() -> None:
    for differ in (
        [look.colour for look in EVERY],
        [look.hatch.matplotlib for look in EVERY],
        [look.hatch.css for look in EVERY],
        [look.dashes for look in EVERY],
        [look.marker for look in EVERY],
    ):
        assert len(set(differ)) == len(EVERY)


def test_ink_can_be_read_on_paper_and_black_on_every_colour() -> None:
    assert contrast(palette.INK, palette.PAPER) >= 7
    assert min(contrast(palette.BLACK, look.colour) for look in EVERY) >= 4.5
    # Edges and dashes are of ink, since light colours alone are faint on white.
    assert min(contrast(palette.INK, look.colour) for look in EVERY) >= 3


def test_one_and_two_look_the_same_whatever_stands_beside_them() -> None:
    alone = palette.looks(["two"])["two"]
    assert palette.looks(["alpha", "one", "two", "beta"])["two"] == alone == palette.LOOKS["two"]


def test_words_that_the_course_does_not_know_take_what_is_left_in_their_order() -> None:
    found = palette.looks(["alpha", "one", "beta", "alpha"])
    assert list(found) == ["alpha", "one", "beta"]
    assert (found["alpha"], found["beta"]) == palette.OTHERS[:2]
    many = palette.looks([f"word {number}" for number in range(5)])
    assert many["word 3"] == palette.OTHERS[0]


def test_an_answer_never_looks_like_a_failure() -> None:
    assert palette.looks(["failed"])["failed"] != palette.FAILURE


def test_a_browser_gets_every_look_and_size() -> None:
    found = palette.custom_properties()
    assert all(re.fullmatch(r"--tcpshift-[a-z0-9-]+", name) for name in found)
    for word, look in (palette.LOOKS | {"failure": palette.FAILURE}).items():
        assert found[f"--tcpshift-{word}"] == look.colour
        assert found[f"--tcpshift-{word}-hatch"] == look.hatch.css
    for number, look in enumerate(palette.OTHERS, 1):
        assert found[f"--tcpshift-other-{number}"] == look.colour
    assert found["--tcpshift-fonts"] == '"DejaVu Sans", "Noto Sans CJK SC", sans-serif'
    # 9 points at 110 pixels to the inch.
    assert found["--tcpshift-text-size"] == "13.75px"
