"""The questions that the lessons ask before a step is run, by name: so a code cell needs to know no language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Question:
    """A question and what it can be answered with: words, which no language changes, or a range of whole numbers."""

    text: str
    answers: Sequence[str] | range


_WORDS = ("one", "two")
QUESTIONS = {
    "two-of-ten": Question(
        mark("The weights are 80 and 20. Of your next ten connections, how many will v2 answer?"), range(11)
    ),
    "most-of-ten": Question(
        mark("Ten times you make ten connections and count the answers of v2. What is the largest of the ten counts?"),
        range(11),
    ),
    "share-at-gateway": Question(
        mark(
            "The rule says 80 and 20; v1 runs in one pod, v2 in four. What percentage does v2 answer through the gateway?"
        ),
        range(101),
    ),
    "share-at-service": Question(
        mark("And what percentage does v2 answer when the client pod calls the Service?"), range(101)
    ),
    "old-connection": Question(
        mark(
            "A connection was opened to v1, then all traffic moves to v2. What does the next answer on it begin with?"
        ),
        _WORDS,
    ),
    "failed-at-20": Question(
        mark("v2 does not answer, and gets 20% of 210 connections. How many of the 210 will fail?"),
        range(211),
    ),
    "object-that-changes": Question(
        mark("The same 20% with the Gateway API: which object changes?"), ("Gateway", "TCPRoute", "Service")
    ),
}


def named(name: str) -> Question:
    """A question of the course.

    Raises:
        UsageError: there is none of that name; the message lists those there are.
    """
    if name not in QUESTIONS:
        raise UsageError(
            _(
                "There is no question {name!r}. Questions: {questions}. One of your own needs answers to choose from."
            ).format(name=name, questions=listed(QUESTIONS))
        )
    return QUESTIONS[name]
