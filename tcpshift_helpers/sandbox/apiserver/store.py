"""Where objects live: one SQLite database with the present state and its recent history.

Why SQLite: an acknowledged write survives `kill -9` (write-ahead log), a restart costs milliseconds, and nothing needs installing.
Why the history is kept too: a client resumes its watch where it was, even after the server was restarted.
One process holds the database (exclusive lock). Calls are synchronous and take about 0.1 ms: between reading an object and writing it
nothing else runs, so a read-modify-write needs no lock. It does not know kinds' rules, only keys, versions and JSON text.

Source: resourceVersion as etcd's revision, one counter for all kinds (kubernetes/apiserver pkg/storage/etcd3).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEPT_CHANGES = 4096
KEPT_BYTES = 32 * 1024 * 1024
LAST_REVISION = 2**63 - 1  # SQLite's numbers end here
_TRIM_EVERY = 256
_TRIM_AFTER_BYTES = 8 * 1024 * 1024
_READ_CHARACTERS = 64 * 1024
_LAYOUT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, object TEXT NOT NULL,
  PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
  object TEXT NOT NULL, previous TEXT, size INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS changes_by_resource ON changes (resource, revision);
"""

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Key(NamedTuple):
    """Where one object lives; `namespace` is empty for kinds without namespaces."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Change:
    """One write, as watchers see it.

    Attributes:
        revision: the resourceVersion it made.
        type: what happened.
        namespace: of the object.
        text: JSON of the object after the write; for `DELETED`, its last state with the deletion's resourceVersion.
        previous_text: JSON before the write, or None.
    """

    revision: int
    type: ChangeType
    namespace: str
    text: str
    previous_text: str | None


def encode(obj: dict[str, Any]) -> str:
    """The stored form of an object."""
    return json.dumps(obj, ensure_ascii=False, separators=(",", ":"))


class Store:
    """The objects of one sandbox.

    Attributes:
        revision: version of the last write, counting up over restarts.
    """

    def __init__(self, path: Path, wait_seconds: float = 5.0) -> None:
        """Open the database, make it if it is not there; wait so long for a process that still holds it.

        Raises:
            sqlite3.OperationalError: another process holds it, or it cannot be written.
        """
        self._database = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
        self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("PRAGMA cache_size=-1024")
        self._prepare()
        (newest,) = self._database.execute("SELECT max(revision) FROM changes").fetchone()
        self.revision: int = newest or 0
        (oldest,) = self._database.execute("SELECT min(revision) FROM changes").fetchone()
        self._forgotten_before_start = (oldest or 1) - 1
        self._forgotten: dict[str, int] = {}
        self._bytes_since_trim = 0
        self._listeners: list[Callable[[str], None]] = []

    def _prepare(self) -> None:
        """Make the tables; of another layout's database keep the objects and the version, not the history."""
        (layout,) = self._database.execute("PRAGMA user_version").fetchone()
        if layout == _LAYOUT:
            return
        newest = None
        if self._database.execute("SELECT 1 FROM sqlite_master WHERE name='changes'").fetchone():
            (newest,) = self._database.execute("SELECT max(revision) FROM changes").fetchone()
            self._database.execute("DROP TABLE changes")
        self._database.executescript(_SCHEMA)
        if newest:
            self._database.execute("INSERT INTO changes VALUES (?,'MODIFIED','','','',NULL,0)", (newest,))
        self._database.execute(f"PRAGMA user_version={_LAYOUT}")

    def close(self) -> None:
        """Checkpoint and release the database."""
        self._database.close()

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the resource's name after each write."""
        self._listeners.append(listener)

    def get(self, key: Key) -> dict[str, Any] | None:
        """A fresh copy of the object, or None."""
        row = self._database.execute(
            "SELECT object FROM objects WHERE resource=? AND namespace=? AND name=?", key
        ).fetchone()
        return json.loads(row[0]) if row else None

    def list_objects(self, resource: str, namespace: str = "") -> Iterator[dict[str, Any]]:
        """Fresh copies of all objects, in etcd's order of keys; `namespace` empty means all namespaces."""
        if namespace:
            query = "SELECT object FROM objects WHERE resource=? AND namespace=? ORDER BY name"
            rows = self._database.execute(query, (resource, namespace)).fetchall()
        else:
            query = "SELECT object FROM objects WHERE resource=? ORDER BY namespace || '/' || name"
            rows = self._database.execute(query, (resource,)).fetchall()
        return (json.loads(text) for (text,) in rows)

    def count(self, resource: str, namespace: str) -> int:
        """How many objects of a resource a namespace holds."""
        query = "SELECT count(*) FROM objects WHERE resource=? AND namespace=?"
        (number,) = self._database.execute(query, (resource, namespace)).fetchone()
        return int(number)

    def put(self, key: Key, obj: dict[str, Any]) -> dict[str, Any]:
        """Write an object, give it its resourceVersion, and return once it is committed.

        Args:
            key: where it lives.
            obj: gets `metadata.resourceVersion` set; not kept by the store.
        """
        previous = self._text(key)
        revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        text = encode(obj)
        change = Change(revision, "MODIFIED" if previous else "ADDED", key.namespace, text, previous)
        self._commit(key, change, "INSERT OR REPLACE INTO objects VALUES (?,?,?,?)", (*key, text))
        return obj

    def remove(self, key: Key) -> dict[str, Any] | None:
        """Delete an object; its last state with the deletion's resourceVersion, or None if it was not there."""
        previous = self._text(key)
        if previous is None:
            return None
        obj: dict[str, Any] = json.loads(previous)
        revision = self.revision + 1
        obj["metadata"]["resourceVersion"] = str(revision)
        change = Change(revision, "DELETED", key.namespace, encode(obj), previous)
        self._commit(key, change, "DELETE FROM objects WHERE resource=? AND namespace=? AND name=?", tuple(key))
        return obj

    def oldest_watchable(self, resource: str) -> int:
        """The lowest version a watch of this resource may start from: every later change of it is still known."""
        return self._forgotten.get(resource, self._forgotten_before_start)

    def changes(self, resource: str, after: int, limit: int = 256) -> list[Change]:
        """The next changes of one resource with a revision above `after`, oldest first; empty only if there are none.

        At most `limit`, and no more once they are large: fifty watchers that have fallen behind read at the same time.
        """
        query = (
            "SELECT revision, type, namespace, object, previous, size FROM changes "
            "WHERE resource=? AND revision>? ORDER BY revision LIMIT ?"
        )
        found, left = [], _READ_CHARACTERS
        with closing(self._database.execute(query, (resource, after, limit))) as rows:
            for *change, size in rows:
                found.append(Change(*change))
                left -= size
                if left <= 0:
                    break
        return found

    def _text(self, key: Key) -> str | None:
        row = self._database.execute(
            "SELECT object FROM objects WHERE resource=? AND namespace=? AND name=?", key
        ).fetchone()
        return row[0] if row else None

    def _commit(self, key: Key, change: Change, statement: str, values: tuple[str, ...]) -> None:
        database = self._database
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(statement, values)
            size = len(change.text) + len(change.previous_text or "")
            row = (change.revision, change.type, key.resource, key.namespace, change.text, change.previous_text, size)
            database.execute("INSERT INTO changes VALUES (?,?,?,?,?,?,?)", row)
            forgotten = self._trim_if_due(change.revision, size)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # SQLite has rolled back by itself when the disk is full
                database.execute("ROLLBACK")
            raise
        self.revision = change.revision
        self._forgotten.update(forgotten)
        for listener in self._listeners:
            listener(key.resource)

    def _trim_if_due(self, revision: int, size: int) -> dict[str, int]:
        self._bytes_since_trim += size
        if revision % _TRIM_EVERY and self._bytes_since_trim < _TRIM_AFTER_BYTES:
            return {}
        self._bytes_since_trim = 0
        return self._trim(revision)

    def _trim(self, newest: int) -> dict[str, int]:
        """Forget what is more than enough; the newest change always stays, for it carries the version."""
        running = "SELECT revision, sum(size) OVER (ORDER BY revision DESC) AS total FROM changes"
        query = f"SELECT max(revision) FROM ({running}) WHERE total > ?"  # noqa: S608 (no input in it)
        (too_big,) = self._database.execute(query, (KEPT_BYTES,)).fetchone()
        up_to = min(max(newest - KEPT_CHANGES, too_big or 0), newest - 1)
        query = "SELECT resource, max(revision) FROM changes WHERE revision<=? GROUP BY resource"
        forgotten = dict(self._database.execute(query, (up_to,)).fetchall())
        self._database.execute("DELETE FROM changes WHERE revision<=?", (up_to,))
        return forgotten
