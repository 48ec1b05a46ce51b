"""What a change is to a watcher, and what is made but once for many of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tcpshift_helpers.sandbox.apiserver import watch_events as module
from tcpshift_helpers.sandbox.apiserver.representation import Representation
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.store import Change, encode
from tcpshift_helpers.sandbox.apiserver.watch_events import Events

PODS = next(resource for resource in BUILT_IN if resource.plural == "pods")


def pod(label: str, version: int) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "a", "resourceVersion": str(version), "labels": {"l": label}},
    }


def change(old: str | None, new: str, kind: str = "MODIFIED", revision: int = 7) -> Change:
    previous = encode(pod(old, revision - 1)) if old is not None else None
    return Change(revision, kind, "n", encode(pod(new, revision)), previous)  # type: ignore[arg-type]


def is_yes(obj: dict[str, Any]) -> bool:
    return bool(obj["metadata"]["labels"]["l"] == "yes")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (change(None, "yes", "ADDED"), ("ADDED", "yes")),
        (change(None, "no", "ADDED"), None),
        (change("no", "yes"), ("ADDED", "yes")),
        (change("yes", "yes"), ("MODIFIED", "yes")),
        (change("yes", "no"), ("DELETED", "yes")),
        (change("no", "no"), None),
        (change("yes", "yes", "DELETED"), ("DELETED", "yes")),
        (change("no", "no", "DELETED"), None),
    ],
)
def test_selectors_turn_changes_into_arrivals_and_departures(told: Change, expected: tuple[str, str] | None) -> None:
    events = Events()
    for _ in range(2):  # what is kept of the first time does not change the second
        line = events.line(told, is_yes, Representation(PODS, "v1"))
        event = json.loads(line) if line else None
        assert expected == (event and (event["type"], event["object"]["metadata"]["labels"]["l"]))
        assert event is None or event["object"]["metadata"]["resourceVersion"] == "7"


def test_one_line_for_all_that_are_shown_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 1000.5)
    events, told = Events(), change("yes", "yes")
    partial = [events.line(told, None, Representation(PODS, "v1", "PartialObjectMetadata")) for _ in range(2)]
    assert partial[0] is partial[1]
    assert events.line(told, is_yes, Representation(PODS, "v1")) is events.line(
        told, is_yes, Representation(PODS, "v1")
    )
    assert partial[0] != events.line(told, is_yes, Representation(PODS, "v1"))
    after = events.line(change("yes", "no", revision=8), None, Representation(PODS, "v1", "PartialObjectMetadata"))
    assert after and json.loads(after)["object"]["metadata"]["labels"] == {"l": "no"}


def test_each_watch_gets_the_columns_of_its_first_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 1000.5)
    events, told = Events(), change("yes", "yes")
    tables = [Representation(PODS, "v1", "Table") for _ in range(2)]
    first = [events.line(told, None, table) for table in tables]
    assert all(line and json.loads(line)["object"]["columnDefinitions"] for line in first)
    second = [events.line(told, None, table) for table in tables]
    assert second[0] is second[1]
    assert second[0] and json.loads(second[0])["object"]["columnDefinitions"] is None
    whole_objects = Representation(PODS, "v1", "Table", "Object")
    _, whole = [events.line(told, None, whole_objects) for _ in range(2)]
    assert whole and json.loads(whole)["object"]["rows"][0]["object"]["kind"] == "Pod"


def test_ages_are_of_the_moment_in_which_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    events, told, table = Events(), change("yes", "yes"), Representation(PODS, "v1", "Table")
    monkeypatch.setattr(module.time, "time", lambda: 1000.5)
    events.line(told, None, table)
    then = events.line(told, None, table)
    monkeypatch.setattr(module.time, "time", lambda: 1001.5)
    assert events.line(told, None, table) is not then
