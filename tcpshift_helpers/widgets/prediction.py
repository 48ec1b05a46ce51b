"""Predict, then run: a question whose answer is locked before the outcome is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, paragraph
from tcpshift_helpers.widgets import questions
from tcpshift_helpers.widgets.base import CourseWidget, module_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def predict(question: str, answers: Sequence[str] | range | None = None) -> Prediction:
    """A question to answer before the next cell is run. `reveal` compares afterwards.

    Args:
        question: the question; without `answers`, the name of one of the course's own (`questions.QUESTIONS`).
        answers: what to choose from, or a range of whole numbers to give one of.

    Raises:
        UsageError: fewer than two answers, or no question of that name.
    """
    if answers is None:
        asked = questions.named(question)
        question, answers = str(asked.text), asked.answers
    if len(answers) < 2:
        raise UsageError(_("A question needs two answers or more to choose from."))
    return Prediction(question, answers)


class Prediction(CourseWidget):
    """The question. See `predict`.

    Attributes:
        answer: what was locked; None before.
    """

    ONLY = False
    _esm = module_of("prediction.js")
    # By question, until what happened is known: who answers is in the question's cell, and may well run it once more.
    _locked: ClassVar[dict[str, str | int]] = {}

    question = traitlets.Unicode().tag(sync=True)
    choices: traitlets.List[Any] = traitlets.List().tag(sync=True)
    bounds: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, question: str, answers: Sequence[str] | range) -> None:
        self._possible = answers
        self.answer = self._locked.get(question)
        self._comparison = ""
        is_number = isinstance(answers, range)
        super().__init__(
            _labels(),
            question=question,
            choices=[] if is_number else list(answers),
            bounds=[min(answers), max(answers), answers.step] if isinstance(answers, range) else [],
        )

    def in_words(self) -> str:
        """The question, what it can be answered with, and what is known by now."""
        possible = (
            _("{first} to {last}").format(first=min(self._possible), last=max(self._possible))
            if isinstance(self._possible, range)
            else listed(self._possible)
        )
        said = [_("Predict: {question} ({answers})").format(question=self.question, answers=possible)]
        if self.answer is not None and not self._comparison:
            said.append(_("Locked: {answer}.").format(answer=self.answer))
        return paragraph([*said, *filter(None, [self._comparison])])

    def lock(self, answer: str | int) -> None:
        """Give the answer; the first one counts.

        Raises:
            UsageError: it is none of those to choose from.
        """
        if answer not in self._possible:
            raise UsageError(_("{answer!r} is none of the answers to choose from.").format(answer=answer))
        if self.answer is None and not self._comparison:
            self.answer = self._locked[self.question] = answer
        self._tell()

    def reveal(self, actual: str | int) -> None:
        """Print, and show beside the question, how the locked answer compares with what happened.

        Args:
            actual: what happened.
        """
        self._comparison = self._compared(actual)
        self._locked.pop(self.question, None)
        self._tell()
        print(self._comparison)

    def receive(self, content: Mapping[str, Any]) -> None:
        """`lock` gives an `answer`; whatever the page says, it is told how things stand."""
        if content.get("kind") == "lock" and content.get("answer") in self._possible:
            self.lock(content["answer"])
        else:
            self._tell()

    def _compared(self, actual: str | int) -> str:
        if self.answer is None:
            return _("You had predicted nothing; it was {actual}.").format(actual=actual)
        if self.answer == actual:
            return _("You predicted {answer}, and so it was.").format(answer=self.answer)
        if isinstance(self.answer, int) and isinstance(actual, int):
            pattern = (
                _("You predicted {answer}; it was {actual}, {difference} more.")
                if actual > self.answer
                else _("You predicted {answer}; it was {actual}, {difference} less.")
            )
            return pattern.format(answer=self.answer, actual=actual, difference=abs(actual - self.answer))
        return _("You predicted {answer}; it was {actual}.").format(answer=self.answer, actual=actual)

    def _tell(self) -> None:
        locked = _("Locked: {answer}.").format(answer=self.answer) if self.answer is not None else ""
        is_over = self.answer is not None or bool(self._comparison)
        self.send({"kind": "state", "locked": is_over, "answer": self.answer, "said": self._comparison or locked})


def _labels() -> dict[str, str]:
    return {
        "title": _("Predict"),
        "lock": _("Lock my answer"),
        "number": _("your number"),
    }
