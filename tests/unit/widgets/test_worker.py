"""A thread of steps: it ends when there is no other, and never loses who woke it."""

from __future__ import annotations

import threading

from tcpshift_helpers.widgets.worker import Worker

WAIT_SECONDS = 30


def ended(name: str) -> bool:
    """Waits for the thread of that name to end."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(WAIT_SECONDS)
            return not thread.is_alive()
    return True


def test_it_ends_with_its_last_step_and_says_so() -> None:
    steps: list[int] = []

    def step() -> float | None:
        steps.append(len(steps))
        return 0.0 if len(steps) < 3 else None

    worker = Worker("a worker", step)
    assert ended("a worker")
    assert steps == [0, 1, 2]
    assert not worker.wake()


def test_who_wakes_it_during_the_last_step_gets_another() -> None:
    begun, may_end = threading.Event(), threading.Event()
    steps: list[int] = []

    def step() -> None:
        steps.append(len(steps))
        begun.set()
        assert may_end.wait(WAIT_SECONDS)

    worker = Worker("a woken worker", step)
    assert begun.wait(WAIT_SECONDS)
    assert worker.wake()
    may_end.set()
    assert ended("a woken worker")
    assert steps == [0, 1]


def test_it_is_stopped_while_it_waits() -> None:
    begun = threading.Event()

    def step() -> float:
        begun.set()
        return 1000.0

    worker = Worker("a stopped worker", step)
    assert begun.wait(WAIT_SECONDS)
    worker.stop()
    assert ended("a stopped worker")
    assert not worker.wake()
