"""Is this 20%? Counts, intervals and an honest verdict. Pure.

Envoy draws afresh for every connection, so counts are binomial: a check that expects exactly 2 of 10 fails seven
times in ten. A verdict therefore has three words: PASS, FAIL, and TOO FEW TO SAY when the numbers fit the set weight
but would fit a very different one as well. It knows nothing of clusters and draws
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
from scipy import stats

from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.judgement import FAIL, PASS, TOO_FEW, printed
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas.api.extensions import ExtensionArray

# What each version of tcp-echo answers with: the prefix its manifest gives it.
ANSWERS = {"v1": "one", "v2": "two"}

BAND = 0.9999  # central probability within which counts pass: 1 honest run in 10,000 fails
CONFIDENCE = 0.95  # of the Wilson intervals
ALTERNATIVE_POINTS = 20  # a split this many percentage points away must be told apart …
CONFUSION = 0.02  # … but for this probability, or there were too few probes


@dataclass(frozen=True)
class Counts:
    """How often each answer came, and why probes failed.

    Attributes:
        answers: answer word to number of probes, in alphabetical order.
        failures: reason in words to number of probes.
    """

    answers: dict[str, int]
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Probes with an answer."""
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        """Probes without one."""
        return sum(self.failures.values())

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(_together(self.answers, other.answers), _together(self.failures, other.failures))

    def __str__(self) -> str:
        parts = [_("{count} {answer}").format(count=count, answer=answer) for answer, count in self.answers.items()]
        parts += [
            _("{count} failed ({reason})").format(count=count, reason=reason) for reason, count in self.failures.items()
        ]
        return listed(parts) or _("no probes")


@dataclass(frozen=True)
class Verdict:
    """Whether counts fit the set weights.

    Attributes:
        word: `PASS`, `FAIL` or `TOO FEW TO SAY`; equal to these in every language, and printed in the reader's.
        reason: the numbers behind it, in a sentence.
        do: what to do next; empty after a PASS.
    """

    word: str
    reason: str
    do: str = ""

    @property
    def passed(self) -> bool:
        """Whether the word is PASS."""
        return self.word == PASS

    def __str__(self) -> str:
        return printed(_("{verdict}: {reason}").format(verdict=self.word, reason=self.reason), do=self.do)


def counts(frame: pd.DataFrame) -> Counts:
    """Count a frame of probes by answer; failures are counted apart, by reason.

    Args:
        frame: one row a probe, with `answer` and `error` (see `netcat.probe`).
    """
    answers = frame["answer"].dropna().value_counts()
    failures = frame.loc[frame["answer"].isna(), "error"].fillna(_("no reason given")).value_counts()
    return Counts(
        {str(word): int(count) for word, count in sorted(answers.items(), key=lambda item: str(item[0]))},
        {str(reason): int(count) for reason, count in failures.items()},
    )


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a share, as two numbers in 0..1; (0, 1) when there is nothing to judge by."""
    if total == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def shares(counted: Counts, weights: Mapping[str, int] | None = None) -> pd.DataFrame:
    """Observed share of each answer with its interval.

    Args:
        counted: from `counts`.
        weights: set weights by subset, backend or answer; adds `set_percent` and answers that never came.

    Returns:
        One row an answer (index `answer`): `count` (int64), `percent`, `low_percent`, `high_percent` (float64, Wilson
        95%), and with weights `set_percent` (float64).
    """
    wanted = expected(weights) if weights else {}
    words = sorted({*counted.answers, *wanted})
    rows = []
    for word in words:
        count = counted.answers.get(word, 0)
        low, high = wilson(count, counted.answered)
        percent = 100 * count / counted.answered if counted.answered else 0.0
        row: dict[str, object] = {
            "answer": word,
            "count": count,
            "percent": percent,
            "low_percent": 100 * low,
            "high_percent": 100 * high,
        }
        if weights:
            row["set_percent"] = 100 * wanted.get(word, 0.0)
        rows.append(row)
    columns = ["answer", "count", "percent", "low_percent", "high_percent", *(["set_percent"] if weights else [])]
    return pd.DataFrame(rows, columns=columns).set_index("answer")


def running(frame: pd.DataFrame, weights: Mapping[str, int]) -> pd.DataFrame:
    """Share of each answer as the probes come in, with the band in which it is to be expected by then.

    The band holds the central 95% of what the set weight gives for so many answers (binomial quantiles, exact). It is
    meant for each number of answers by itself: a run of hundreds that leaves it for a moment is nothing unusual.

    Args:
        frame: one row a probe, with `answer`, in the order they were made.
        weights: set weights by subset or answer.

    Returns:
        For each answer and each set weight, one row a probe: `answer` (string), `probe` (int64, from 1), `count` and
        `answered` (int64, up to and with this probe; failures are not counted), `percent`, `low_percent`,
        `high_percent` (float64, NaN before the first answer) and `set_percent` (float64).
    """
    wanted = expected(weights)
    answered = frame["answer"].notna().cumsum().to_numpy(dtype="int64")
    parts = []
    for word in sorted({*counts(frame).answers, *wanted}):
        share = wanted.get(word, 0.0)
        count = (frame["answer"] == word).fillna(False).cumsum().to_numpy(dtype="int64")
        # Shares of 0 and 1 leave no room for chance; the quantiles of a share of 0 would start below it.
        low, high = (
            (share * answered,) * 2 if share in {0.0, 1.0} else stats.binom.interval(CONFIDENCE, answered, share)
        )
        part = pd.DataFrame(
            {"answer": pd.array([word] * len(frame), dtype="string"), "probe": range(1, len(frame) + 1)}
        )
        part["count"], part["answered"] = count, answered
        for name, number in (("percent", count), ("low_percent", low), ("high_percent", high)):
            part[name] = (100 * pd.Series(number, dtype="float64") / answered).where(answered > 0)
        part["set_percent"] = 100 * share
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def measured(
    frame: pd.DataFrame, way: str, replicas: Mapping[str, int], weights: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Probes with what they were made under, to be put one below the other and drawn by `plots.replicas_and_weights`.

    Args:
        frame: probes, from `netcat.probe`.
        way: how they went: `gateway` or `service`.
        replicas: number of ready pods by version.
        weights: set weights by version; None where no rule sets any, so that pods decide.

    Returns:
        The frame with five columns more, the same in each row: `way` (string),
        `v1_replicas`, `v2_replicas` (Int64), `v1_weight`, `v2_weight` (Int64, NA without weights).
    """
    added: dict[str, ExtensionArray] = {"way": pd.array([way] * len(frame), dtype="string")}
    for version in ANSWERS:
        added[f"{version}_replicas"] = pd.array([replicas.get(version, 0)] * len(frame), dtype="Int64")
    for version in ANSWERS:
        weight = pd.NA if weights is None else weights.get(version, 0)
        added[f"{version}_weight"] = pd.array([weight] * len(frame), dtype="Int64")
    return frame.assign(**added)


def expected(weights: Mapping[str, int]) -> dict[str, float]:
    """Set weights as shares in 0..1 by answer word.

    A subset (`v1`) and a Service of one version alone (`tcp-echo-v1`) become that version's word.

    Raises:
        UsageError: a weight is negative, or none is above zero.
    """
    total = sum(weights.values())
    if not weights or total <= 0 or min(weights.values()) < 0:
        raise UsageError(
            _("weights {weights} mean no split: give at least one above zero and none below.").format(
                weights=dict(weights)
            )
        )
    result: dict[str, float] = {}
    for name, weight in weights.items():
        word = ANSWERS.get(name.rpartition("-")[2], name)
        result[word] = result.get(word, 0.0) + weight / total
    return result


def accepted(share: float, total: int) -> tuple[int, int]:
    """Smallest and largest count out of `total` that pass for a share in 0..1; exact for 0 and 1."""
    if share in {0.0, 1.0}:
        return round(share) * total, round(share) * total
    low, high = stats.binom.interval(BAND, total, share)
    return int(low), int(high)


def verdict(counted: Counts, weights: Mapping[str, int]) -> Verdict:
    """Judge counts against set weights.

    FAIL if a probe failed, an answer came that no weight allows, or a count lies outside the central 99.99% of what
    the weight gives. TOO FEW TO SAY if the counts fit but a split 20 points away would pass as well with more than
    2% probability. PASS otherwise.
    """
    wanted = expected(weights)
    total = counted.answered
    if counted.failed:
        reasons = listed(f"{count} × {reason}" for reason, count in counted.failures.items())
        return Verdict(
            FAIL,
            _("{failed} of {count} probes got no answer ({reasons})").format(
                failed=counted.failed, count=total + counted.failed, reasons=reasons
            ),
            _("find out why before counting: course.preflight(cluster)"),
        )
    if not total:
        return Verdict(TOO_FEW, _("there are no probes to judge"), _("probe first: netcat.probe(host, port, count=…)"))
    strangers = [word for word, count in counted.answers.items() if count and not wanted.get(word)]
    if strangers:
        return Verdict(
            FAIL,
            _("{observed}, whose weight is 0").format(observed=_of(counted, strangers[0])),
            _("look at the rule in force: istio.wait_in_force(cluster, …)"),
        )
    for word, share in wanted.items():
        low, high = accepted(share, total)
        if not low <= counted.answers.get(word, 0) <= high:
            return Verdict(
                FAIL,
                _("{observed}; a weight of {percent} gives {low} to {high}").format(
                    observed=_of(counted, word), percent=_percent(share), low=low, high=high
                ),
                _("is the rule in force, and is it the one you mean? istio.weights(cluster, …)"),
            )
    needed = max(probes_needed(share) for share in wanted.values())
    if total < needed:
        rarest = min(wanted, key=lambda word: (wanted[word] == 0, wanted[word]))
        return Verdict(
            TOO_FEW,
            _("{observed} fits a weight of {percent}, but would fit others too").format(
                observed=_of(counted, rarest), percent=_percent(wanted[rarest])
            ),
            _("probe at least {needed} times").format(needed=needed),
        )
    parts = []
    for word in sorted(wanted):
        low, high = accepted(wanted[word], total)
        parts.append(
            _("{observed} ({percent} gives {low} to {high})").format(
                observed=_of(counted, word), percent=_percent(wanted[word]), low=low, high=high
            )
            if low != high
            else _of(counted, word)
        )
    return Verdict(PASS, _("; ").join(parts))


def chances(share: float, total: int) -> pd.Series[float]:
    """How likely each number of a version's answers is, when its share is exactly this. Binomial.

    Args:
        share: in 0..1.
        total: number of probes.

    Returns:
        One value a number of answers (index `answers`, 0 to `total`): its probability (float64), named `chance`.

    Raises:
        UsageError: it is no share, or there are no probes.
    """
    if not 0 <= share <= 1 or isinstance(total, bool) or not isinstance(total, int) or total < 1:
        raise UsageError(
            _("share={share!r}, total={total!r}: a share between 0 and 1 and a number of probes are needed.").format(
                share=share, total=total
            )
        )
    numbers = pd.RangeIndex(total + 1, name="answers")
    return pd.Series(stats.binom.pmf(numbers, total, share), index=numbers, name="chance")


def probes_needed(weight: float, total_weight: float = 1.0) -> int:
    """Fewest probes after which a split 20 points away passes for this one with at most 2% probability.

    Args:
        weight: a share in 0..1, or a weight out of `total_weight`.
        total_weight: the sum of all weights; 100 for percent.
    """
    share = weight / total_weight
    if not 0 <= share <= 1:
        raise UsageError(
            _("weight {weight} of {total} is no share between 0 and all.").format(weight=weight, total=total_weight)
        )
    others = [share + sign * ALTERNATIVE_POINTS / 100 for sign in (-1, 1)]
    possible = [other for other in others if 0 < other < 1]
    count = 1
    while max(_passes(other, share, count) for other in possible) > CONFUSION:
        count += 1
    return count


def _passes(true_share: float, judged_as: float, total: int) -> float:
    low, high = accepted(judged_as, total)
    return float(stats.binom.cdf(high, total, true_share) - stats.binom.cdf(low - 1, total, true_share))


def _together(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {word: one.get(word, 0) + other.get(word, 0) for word in sorted({*one, *other})}


def _of(counted: Counts, word: str) -> str:
    return _("{count} of {total} answered {answer}").format(
        count=counted.answers.get(word, 0), total=counted.answered, answer=word
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
