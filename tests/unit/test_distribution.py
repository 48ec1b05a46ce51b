"""Counts and verdicts: the numbers of the binomial, the three words, and failures that are never answers."""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd
import pytest
from scipy import stats

from tcpshift_helpers import distribution
from tcpshift_helpers.distribution import Counts
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.judgement import FAIL, PASS, TOO_FEW

SPLIT = {"v1": 80, "v2": 20}


def probes(*words: str | None) -> pd.DataFrame:
    """Probes with these answers; None failed."""
    errors = [None if word else "reset" for word in words]
    return pd.DataFrame({"answer": pd.array(words, dtype="string"), "error": pd.array(errors, dtype="string")})


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


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({"v1": 80, "v2": 20}, {"one": 0.8, "two": 0.2}),
        ({"tcp-echo-v2": 1, "tcp-echo-v1": 4}, {"one": 0.8, "two": 0.2}),
        ({"one": 4, "v2": 1}, {"one": 0.8, "two": 0.2}),
        ({"blue-v3": 1, "green": 1}, {"blue-v3": 0.5, "green": 0.5}),
    ],
)
def test_subsets_and_backends_stand_for_their_versions_answer(
    weights: dict[str, int], shares: dict[str, float]
) -> None:
    assert distribution.expected(weights) == shares


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


def test_a_running_share_counts_answers_so_far_and_leaves_failures_out() -> None:
    found = distribution.running(probes("one", "two", None, "one"), {"v1": 80, "v2": 20}).set_index(["answer", "probe"])
    assert found.loc["one", "count"].tolist() == [1, 1, 1, 2]
    assert found.loc["one", "answered"].tolist() == [1, 2, 2, 3]
    assert found.loc["two", "percent"].tolist() == pytest.approx([0, 50, 50, 100 / 3])
    assert set(found["set_percent"]) == {80.0, 20.0}


def test_the_running_band_holds_95_of_100_runs_at_each_number_of_answers() -> None:
    found = distribution.running(probes(*["one"] * 300), {"v1": 80, "v2": 20})
    band = found[found["answer"] == "two"].set_index("probe")
    for number in (1, 2, 10, 50, 300):
        low, high = (round(band.loc[number, name] * number / 100) for name in ("low_percent", "high_percent"))
        inside = sum(stats.binom.pmf(count, number, 0.2) for count in range(low, high + 1))
        assert inside >= 0.95
        # And no wider than it has to be: with either end cut off, more than 2.5 in 100 lie beyond it.
        assert stats.binom.cdf(low, number, 0.2) >= 0.025
        assert stats.binom.sf(high - 1, number, 0.2) >= 0.025
    widths = band["high_percent"] - band["low_percent"]
    assert widths[300] < widths[50] < widths[10]


def test_a_running_share_before_the_first_answer_is_unknown() -> None:
    found = distribution.running(probes(None, "one"), {"v1": 100})
    assert found[["percent", "low_percent", "high_percent"]].isna().all(axis=1).tolist() == [True, False]
    assert len(distribution.running(probes(), {"v1": 100})) == 0


def test_a_weight_of_all_or_nothing_leaves_no_band() -> None:
    found = distribution.running(probes("one", "two"), {"v1": 100}).set_index("answer")
    assert found.loc["one", ["low_percent", "high_percent"]].to_numpy().tolist() == [[100, 100], [100, 100]]
    assert found.loc["two", ["low_percent", "high_percent"]].to_numpy().tolist() == [[0, 0], [0, 0]]


def test_measured_probes_can_be_put_one_below_the_other() -> None:
    with_weights = distribution.measured(probes("one"), "gateway", {"v1": 1, "v2": 4}, {"v1": 80, "v2": 20})
    without = distribution.measured(probes("two", None), "service", {"v2": 3})
    both = pd.concat([with_weights, without], ignore_index=True)
    assert both["way"].tolist() == ["gateway", "service", "service"]
    assert both[["v1_replicas", "v2_replicas"]].to_numpy().tolist() == [[1, 4], [0, 3], [0, 3]]
    assert both["v2_weight"].fillna(-1).tolist() == [20, -1, -1]
    assert both["answer"].fillna("").tolist() == ["one", "two", ""]


def test_chances_are_those_of_a_binomial_and_add_up() -> None:
    chances = distribution.chances(0.2, 10)
    assert chances.round(3).tolist()[:3] == [0.107, 0.268, 0.302]  # 0.8**10, 10 × 0.2 × 0.8**9, …
    assert chances.sum() == pytest.approx(1)
    assert (chances.index[0], chances.index[-1], chances.index.name) == (0, 10, "answers")


@pytest.mark.parametrize(("share", "total"), [(-0.1, 10), (1.1, 10), (0.2, 0), (0.2, 1.5), (0.2, True)])
def test_chances_of_what_is_no_share_or_no_number_are_refused(share: float, total: float) -> None:
    with pytest.raises(UsageError, match="a share between 0 and 1 and a number of probes are needed"):
        distribution.chances(share, total)  # type: ignore[arg-type]
