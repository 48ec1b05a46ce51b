"""The pauses between restarts, pure."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.node.container import BackOff, go_duration


def test_at_once_then_ten_seconds_doubling_to_five_minutes() -> None:
    back_off = BackOff()
    assert [back_off.next(1) for _ in range(9)] == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_ten_good_minutes_are_a_fresh_start() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.next(1)
    assert back_off.next(601) == 0
    assert back_off.next(1) == 10


@pytest.mark.parametrize(("seconds", "words"), [(10, "10s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s")])
def test_durations_as_go_writes_them(seconds: float, words: str) -> None:
    assert go_duration(seconds) == words
