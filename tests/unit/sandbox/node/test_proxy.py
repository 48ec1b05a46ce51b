"""The drain time that a pod's annotation sets for its proxy, and what of it is refused."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.node.proxy import ConfigError, drain_time_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 45),
        ("concurrency: 2", 45),
        ("drainDuration: 5s", 5),
        ('{"drainDuration": "90s", "concurrency": 2}', 90),
        ("drainDuration: 2.0s", 2),
    ],
)
def test_the_annotation_wins_over_istio_s_default(text: str, seconds: int) -> None:
    assert drain_time_seconds({"proxy.istio.io/config": text}) == seconds


def test_without_the_annotation_it_is_istio_s_default() -> None:
    assert drain_time_seconds({}) == 45


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drainDuration: [", "failed to unmarshal mesh config from annotation [drainDuration: [): "),
        ("just a text", "failed to unmarshal mesh config from annotation [just a text]: "),
        ("drainDuration: soon", "invalid google.protobuf.Duration value 'soon'"),
        ("drainDuration: 5", "invalid google.protobuf.Duration value 5"),
        ("drainDuration: 0s", "invalid drain duration: duration must be greater than 1ms"),
        ("drainDuration: 1.5s", "drain time only supports durations to seconds precision"),
    ],
)
def test_what_pilot_agent_would_not_start_with_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        drain_time_seconds({"proxy.istio.io/config": text})
    assert words.replace("): ", "]: ") in str(raised.value)
