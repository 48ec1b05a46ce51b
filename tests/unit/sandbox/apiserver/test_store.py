"""Storage: versions, history, and what is left after a restart."""

from __future__ import annotations

import sqlite3

import pytest

from tcpshift_helpers.sandbox.apiserver import store as module
from tcpshift_helpers.sandbox.apiserver.store import Key, Store

A = Key("pods", "default", "a")


def obj(name="a", **more):
    return {"kind": "Pod", "metadata": {"name": name}, **more}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def store(path):
    made = Store(path)
    yield made
    made.close()


def test_versions_count_up_over_all_kinds(store):
    first = store.put(A, obj())["metadata"]["resourceVersion"]
    second = store.put(Key("services", "", "s"), obj("s"))["metadata"]["resourceVersion"]
    assert (first, second, store.revision) == ("1", "2", 2)


def test_objects_are_copies(store):
    store.put(A, obj())
    store.get(A)["metadata"]["name"] = "changed"
    assert store.get(A)["metadata"]["name"] == "a"


def test_text_of_any_language_survives(store):
    store.put(A, obj(text="流量 ☂ \x00"))
    assert store.get(A)["text"] == "流量 ☂ \x00"


def test_list_is_in_the_order_of_etcds_keys(store):
    for namespace, name in (("a", "x"), ("a-b", "x"), ("b", "a")):
        store.put(Key("pods", namespace, name), obj(f"{namespace}/{name}"))
    # "-" sorts before "/", so a-b/x comes before a/x.
    assert [item["metadata"]["name"] for item in store.list_objects("pods")] == ["a-b/x", "a/x", "b/a"]
    assert [item["metadata"]["name"] for item in store.list_objects("pods", "a")] == ["a/x"]
    assert store.count("pods", "a") == 1


def test_history(store):
    store.put(A, obj(n=1))
    store.put(A, obj(n=2))
    removed = store.remove(A)
    assert removed["metadata"]["resourceVersion"] == "3"
    assert store.get(A) is None
    assert store.remove(A) is None
    changes = store.changes("pods", 0)
    assert [(change.revision, change.type) for change in changes] == [(1, "ADDED"), (2, "MODIFIED"), (3, "DELETED")]
    assert [change.previous_text is None for change in changes] == [True, False, False]
    assert [change.revision for change in store.changes("pods", 1, limit=1)] == [2]
    assert store.changes("services", 0) == []


def test_large_changes_are_read_a_few_at_a_time_and_none_is_left_out(store):
    for number in range(20):
        store.put(A, obj(filler="x" * (30_000 if number % 5 else 200_000)))
    read = []
    while found := store.changes("pods", read[-1] if read else 0):
        assert len(found) < 5
        read.extend(change.revision for change in found)
    assert read == list(range(1, 21))


def test_restart_goes_on_counting(path):
    store = Store(path)
    store.put(A, obj())
    store.remove(A)
    store.close()
    store = Store(path)
    assert store.revision == 2
    assert store.put(A, obj())["metadata"]["resourceVersion"] == "3"
    store.close()


def test_history_is_trimmed_and_says_how_far_back_it_reaches(path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_CHANGES", 10)
    monkeypatch.setattr(module, "_TRIM_EVERY", 5)
    store = Store(path)
    store.put(Key("services", "", "s"), obj("s"))
    for number in range(29):
        store.put(A, obj(n=number))
    assert store.revision == 30
    assert store.oldest_watchable("pods") == 20
    assert store.oldest_watchable("services") == 1
    assert store.oldest_watchable("nodes") == 0, "nothing of this kind was forgotten"
    assert len(store.changes("pods", 0)) == 10
    store.close()
    store = Store(path)
    assert store.oldest_watchable("nodes") == 20, "after a restart that is not known any more"
    assert store.revision == 30
    store.close()


def test_history_of_big_objects_is_short(path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(module, "_TRIM_AFTER_BYTES", 50_000)
    store = Store(path)
    for number in range(20):
        store.put(A, obj(n=number, filler="x" * 10_000))
    kept = store.changes("pods", store.oldest_watchable("pods"))
    assert 1 <= sum(len(change.text) + len(change.previous_text or "") for change in kept) <= 150_000
    store.put(A, obj(filler="x" * 200_000))
    assert [change.revision for change in store.changes("pods", store.oldest_watchable("pods"))] == [21]
    assert store.revision == 21
    store.close()


def test_failed_write_leaves_no_trace(store, monkeypatch):
    store.put(A, obj())
    monkeypatch.setattr(store, "_trim", lambda _: 1 / 0)
    monkeypatch.setattr(module, "_TRIM_EVERY", 1)
    with pytest.raises(ZeroDivisionError):
        store.put(A, obj(n=2))
    assert (store.revision, "n" in store.get(A), len(store.changes("pods", 0))) == (1, False, 1)


def test_listeners_hear_of_each_write(store):
    heard = []
    store.on_change(heard.append)
    store.put(A, obj())
    store.remove(A)
    assert heard == ["pods", "pods"]


def test_second_process_is_kept_out(store, path):
    store.put(A, obj())
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Store(path, wait_seconds=0.1)


def test_database_of_another_layout_keeps_objects_and_version(path):
    store = Store(path)
    for number in range(3):
        store.put(A, obj(n=number))
    store.close()
    database = sqlite3.connect(path)
    database.executescript("ALTER TABLE changes DROP COLUMN size; PRAGMA user_version=0")
    database.close()
    again = Store(path)
    assert (again.revision, again.get(A)["n"], again.oldest_watchable("pods")) == (3, 2, 2)
    assert again.put(A, obj(n=9))["metadata"]["resourceVersion"] == "4"
    assert [change.revision for change in again.changes("pods", 2)] == [4]
    again.close()
