"""Every figure in Chinese: drawn without a missing glyph, and the same numbers in its alt text as in English."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tcpshift_helpers import distribution, plots

from .conftest import SPLIT, frame
from .test_pods import pod, service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.plots import Picture

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def connections() -> pd.DataFrame:
    """Two connections: one answered and cut, one never opened."""
    return pd.DataFrame(
        {
            "connection": [0, 0, 0, 1],
            "at": pd.Series([START + timedelta(seconds=number) for number in range(4)], dtype="datetime64[ns, UTC]"),
            "event": pd.array(["opened", "answered", "closed", "failed"], dtype="string"),
            "answer": pd.array([None, "one", None, None], dtype="string"),
            "closed_by": pd.array([None, None, "server", None], dtype="string"),
            "error": pd.array([None, None, None, "timeout"], dtype="string"),
        }
    )


def measurements() -> pd.DataFrame:
    probes = frame("one", "two", None)
    ways = [("gateway", SPLIT), ("gateway", None), ("service", None)]
    parts = [distribution.measured(probes, way, {"v1": 1, "v2": 4}, weights) for way, weights in ways]
    return pd.concat(parts, ignore_index=True)


FIGURES: dict[str, Callable[[], Picture]] = {
    "strip": lambda: plots.strip(frame("one", None)),
    "bars": lambda: plots.bars(frame("one", "two", None), SPLIT),
    "distribution": lambda: plots.distribution(frame("one", "two", None), SPLIT),
    "running_share": lambda: plots.running_share(frame("one", "two", None), SPLIT),
    "replicas_and_weights": lambda: plots.replicas_and_weights(measurements()),
    "connection_timeline": lambda: plots.connection_timeline(
        connections(), {"80 : 20": START + timedelta(seconds=1)}, drained_at=START + timedelta(seconds=2)
    ),
    "rollout": lambda: plots.rollout([(SPLIT, frame("one", None)), ({"v1": 100}, frame("one")), (SPLIT, frame())]),
    "pods": lambda: plots.pods(
        [pod("tcp-echo-v1", "tcp-echo", not_ready="tcp-echo", app="tcp-echo")], [service("tcp-echo", app="tcp-echo")]
    ),
    "traffic": lambda: plots.traffic(distribution.counts(frame("one", "two", None))),
}


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+(?:\.\d+)?", text))


def test_no_figure_is_left_out() -> None:
    assert set(plots.__all__) - {"Picture", "alt_text", "pods_alt_text", "show", "traffic_alt_text"} == FIGURES.keys()


@pytest.mark.parametrize("name", FIGURES)
def test_it_is_drawn_and_says_the_same_in_chinese(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    english = FIGURES[name]()
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "zh-CN")
    chinese = FIGURES[name]()
    # A glyph that is in neither font is a warning, and so an error.
    assert chinese.png() != english.png()
    assert caplog.messages == []
    assert re.search("[\u4e00-\u9fff]", chinese.alt)
    assert numbers(chinese.alt) == numbers(english.alt)
