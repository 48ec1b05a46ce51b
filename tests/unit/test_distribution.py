"""Counts and verdicts: the numbers of the binomial, the three words, and failures that are never answers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd
import pytest

from tcpshift_helpers import distribution
from tcpshift_helpers.distribution import FAIL, PASS, TOO_FEW, Counts
from tcpshift_helpers.errors import UsageError

SPLIT = {"v1": 80, "v2": 20}


@pytest.mark.parametrize(("total", "band"), [(100, (6, 37)), (200, (20, 63))])
def test_accepts_the_central_9999_in_10000(total: int, band: tuple[int, int]) -> None:
    assert distribution.accepted(0.2, total) == band


@pytest.mark.parametrize(
    ("answers", "weights", "word"),
    [
        ({"one": 160, "two": 40}, SPLIT, PASS),
        ({"one": 137, "two": 63}, SPLIT, PASS),
        ({"one": 136, "two": 64}, SPLIT, FAIL),
        ({"one": 181, "two": 19}, SPLIT, FAIL),
        ({"one": 8, "two": 2}, SPLIT, TOO_FEW),
        ({"one": 10}, SPLIT, TOO_FEW),
        ({"two": 20}, SPLIT, FAIL),
        ({"one": 20}, {"v1": 100}, PASS),
        ({"one": 17}, {"v1": 100}, TOO_FEW),
        ({"one": 99, "two": 1}, {"v1": 100}, FAIL),
        ({"one": 20}, {"v1": 100, "v2": 0}, PASS),
        ({"three": 200}, SPLIT, FAIL),
        ({}, SPLIT, TOO_FEW),
    ],
)
def test_says_one_of_three_words(answers: dict[str, int], weights: dict[str, int], word: str) -> None:
    verdict = distribution.verdict(Counts(answers), weights)
    assert verdict.word == word
    assert str(verdict).startswith(f"{word}: ")
    assert bool(verdict.do) == (word != PASS)


def test_a_failed_probe_is_never_an_answer() -> None:
    verdict = distribution.verdict(Counts({"one": 160, "two": 40}, {"refused": 3}), SPLIT)
    assert verdict.word == FAIL
    assert "3 of 203 probes got no answer (3 × refused)" in verdict.reason


def test_counts_answers_and_reasons_apart() -> None:
    answer = pd.array(["one", "two", None, "one", None], dtype="string")
    frame = pd.DataFrame({"answer": answer, "error": pd.array([None, None, "reset", None, "timeout"], dtype="string")})
    counted = distribution.counts(frame)
    assert counted == Counts({"one": 2, "two": 1}, {"reset": 1, "timeout": 1})
    assert str(counted) == "2 one, 1 two, 1 failed (reset), 1 failed (timeout)"


def test_wilson_interval_of_4_in_20_is_8_to_42_percent() -> None:
    low, high = distribution.wilson(4, 20)
    assert (round(low, 2), round(high, 2)) == (0.08, 0.42)
    assert distribution.wilson(0, 0) == (0.0, 1.0)


def test_shares_list_answers_that_never_came() -> None:
    table = distribution.shares(Counts({"one": 10}), SPLIT)
    assert list(table.index) == ["one", "two"]
    assert list(table["count"]) == [10, 0]
    assert list(table["set_percent"]) == [80.0, 20.0]


def test_weights_are_proportions() -> None:
    assert distribution.expected({"v1": 30, "v2": 50}) == {"one": 0.375, "two": 0.625}
    for wrong in ({}, {"v1": 0}, {"v1": -1, "v2": 2}):
        with pytest.raises(UsageError):
            distribution.expected(wrong)


def test_needed_probes_tell_a_split_20_points_away_apart() -> None:
    needed = distribution.probes_needed(20, 100)
    assert 100 < needed <= 200
    assert distribution.probes_needed(0.8) == needed
    assert distribution.probes_needed(1.0) == 18  # 0.8 to the 18th is the first power below 2%
    assert distribution.verdict(Counts({"two": needed // 5, "one": needed - needed // 5}), SPLIT).word == PASS
    assert distribution.verdict(Counts({"two": 30, "one": needed - 31}), SPLIT).word == TOO_FEW
    with pytest.raises(UsageError):
        distribution.probes_needed(101, 100)


def test_words_are_translated_where_they_are_printed_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "zh-CN")
    verdict = distribution.verdict(Counts({"one": 160, "two": 40}, {"refused": 3}), SPLIT)
    assert verdict.word == FAIL == "FAIL"
    assert (str(verdict.word), f"{verdict.word}") == ("未通过", "未通过")
    assert str(verdict).startswith("未通过：")
    assert json.dumps(asdict(verdict)).startswith('{"word": "FAIL"')
    assert distribution.verdict(Counts({"one": 160, "two": 40}), SPLIT).passed
    assert str(Counts({"one": 2, "two": 1}, {"reset": 1})) == "one 2 次、two 1 次、失败 1 次（reset）"
