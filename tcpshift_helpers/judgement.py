"""The words of a judgement, and how one is printed: a line, then why it is so and what to do about it.

Code compares the words as they are; what is printed is in the reader's language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import mark

if TYPE_CHECKING:
    from collections.abc import Sequence

PASS = mark("PASS")
FAIL = mark("FAIL")
NOT_YET = mark("NOT YET")
TOO_FEW = mark("TOO FEW TO SAY")


@dataclass(frozen=True)
class Problem:
    """Why a step is not done: the reason, what to type, and the word for it (NOT YET, or TOO FEW TO SAY)."""

    because: str
    do: str
    word: str = NOT_YET


def headline(word: str, title: str) -> str:
    """`PASS the gateway answers`."""
    return _("{word} {title}").format(word=word, title=title)


def printed(line: str, *, because: str = "", do: str = "", threads: Sequence[str] = ()) -> str:
    """The line, and below it what is not empty.

    Args:
        line: the word and what it is about.
        because: the reason.
        do: what to do next.
        threads: addresses of public threads about it.
    """
    lines = [line]
    if because:
        lines.append("  " + _("because {reason}").format(reason=because.replace("\n", "\n    ")))
    if do:
        lines.append("  " + _("do: {advice}").format(advice=do))
    if threads:
        lines.append("  " + _("others met this: {threads}").format(threads=" ".join(threads)))
    return "\n".join(lines)
