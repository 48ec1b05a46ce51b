"""A question: the first answer counts, and the comparison is in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import language, widgets
from tcpshift_helpers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Page

QUESTION = "Of ten connections, how many go to v2?"


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        (2, "You predicted 2, and so it was."),
        (3, "You predicted 2; it was 3, 1 more."),
        (0, "You predicted 2; it was 0, 2 less."),
    ],
)
def test_numbers_are_compared(
    page: Callable[..., Page], capsys: pytest.CaptureFixture[str], actual: int, words: str
) -> None:
    question = widgets.predict(QUESTION, range(11))
    shown = page(question)
    shown.say("lock", answer=2)
    assert shown.told[-1] == {"kind": "state", "locked": True, "answer": 2, "said": "Locked: 2."}
    question.reveal(actual)
    assert capsys.readouterr().out == f"{words}\n"
    assert shown.told[-1]["said"] == words


def test_the_first_answer_counts(page: Callable[..., Page], capsys: pytest.CaptureFixture[str]) -> None:
    question = widgets.predict("Who answers?", ["one", "two"])
    shown = page(question)
    shown.say("lock", answer="two")
    shown.say("lock", answer="one")
    assert question.answer == "two"
    question.reveal("one")
    shown.say("lock", answer="one")
    assert question.answer == "two"
    assert capsys.readouterr().out == "You predicted two; it was one.\n"


def test_a_cell_that_is_run_once_more_keeps_the_answer_until_it_is_compared(
    page: Callable[..., Page], capsys: pytest.CaptureFixture[str]
) -> None:
    page(widgets.predict(QUESTION, range(11))).say("lock", answer=2)
    again = widgets.predict(QUESTION, range(11))
    shown = page(again)
    shown.say("hello")
    assert shown.told[-1] == {"kind": "state", "locked": True, "answer": 2, "said": "Locked: 2."}
    again.reveal(3)
    assert capsys.readouterr().out == "You predicted 2; it was 3, 1 more.\n"
    assert widgets.predict(QUESTION, range(11)).answer is None


def test_no_answer_after_the_outcome(page: Callable[..., Page]) -> None:
    question = widgets.predict(QUESTION, range(11))
    shown = page(question)
    question.reveal(1)
    shown.say("lock", answer=1)
    assert question.answer is None
    assert shown.told[-1] == {
        "kind": "state",
        "locked": True,
        "answer": None,
        "said": "You had predicted nothing; it was 1.",
    }


def test_what_the_page_must_not_say_changes_nothing(page: Callable[..., Page]) -> None:
    question = widgets.predict(QUESTION, range(11))
    page(question).say("lock", answer=11)
    assert question.answer is None
    with pytest.raises(UsageError, match=r"11 is none of the answers"):
        question.lock(11)
    with pytest.raises(UsageError, match="two answers or more"):
        widgets.predict(QUESTION, ["one"])


def test_two_questions_are_open_side_by_side(page: Callable[..., Page]) -> None:
    first, second = (page(widgets.predict(QUESTION, range(11))) for _ in range(2))
    second.say("lock", answer=1)
    first.say("lock", answer=2)
    assert (first.widget.answer, second.widget.answer) == (2, 1)  # type: ignore[attr-defined]


def test_where_nothing_can_be_clicked_it_is_a_text(page: Callable[..., Page]) -> None:
    question = widgets.predict(QUESTION, range(11))
    page(question)
    assert question._repr_mimebundle_() == ({"text/plain": f"Predict: {QUESTION} (0 to 10)"}, {})
    with language.only("zh-CN"):
        assert question._repr_mimebundle_()[0] == {"text/plain": f"预测：{QUESTION}（0 到 10）"}


def test_a_question_of_the_course_is_asked_by_its_name(page: Callable[..., Page]) -> None:
    with language.only("zh-CN"):
        question = widgets.predict("object-that-changes")
    page(question)
    assert question.choices == ["Gateway", "TCPRoute", "Service"]
    assert question.question == "同样的 20%，换成 Gateway API：更改的是哪个对象？"
    assert widgets.predict("two-of-ten").bounds == [0, 10, 1]
    with pytest.raises(UsageError, match=r"There is no question 'v2\?'\. Questions: two-of-ten, "):
        widgets.predict("v2?")


def test_a_cell_shows_the_words_where_nobody_can_click(displayed: Callable[..., list[dict[str, Any]]]) -> None:
    shown = displayed(widgets.predict(QUESTION, range(11)))
    assert shown == [{"text/plain": f"Predict: {QUESTION} (0 to 10)"}]
