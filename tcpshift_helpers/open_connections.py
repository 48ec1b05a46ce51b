"""Connections that stay open while the rule changes: who answers on each, line by line, and when it is closed.

A probe (netcat.py) is a connection a line; here a connection sends a line again and again. Nothing here knows
Kubernetes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from tcpshift_helpers.errors import UsageError, WaitTimeoutError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.loop_thread import LoopThread
from tcpshift_helpers.netcat import check_address, date_line, no_answer_within, reason_of

if TYPE_CHECKING:
    from types import TracebackType

Event = Literal["opened", "answered", "closed", "failed"]
_LONGEST_LINE = 65536


class _Row(NamedTuple):
    connection: int
    at: datetime
    event: Event
    answer: str | None = None
    closed_by: Literal["client", "server"] | None = None
    error: str | None = None


@dataclass
class _Log:
    """What was seen so far; written by the loop's thread, read by the learner's."""

    rows: list[_Row] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, row: _Row) -> None:
        with self.changed:
            self.rows.append(row)
            if row.event == "answered":
                self.answered.add(row.connection)
            if row.event in {"closed", "failed"}:
                self.ended.add(row.connection)
            self.changed.notify_all()


class OpenConnections:
    """Some connections, each sending a `date` line now and then, until they are closed by either side.

    A context manager; also let go when the notebook makes new ones in its place.
    """

    def __init__(
        self, host: str, port: int, count: int = 3, *, pause_seconds: float = 0.5, timeout_seconds: float = 5.0
    ) -> None:
        """Open them, and wait until each had its first answer or failed.

        Args:
            host: name or address.
            port: TCP port.
            count: how many connections.
            pause_seconds: between an answer and the next line.
            timeout_seconds: for each answer.

        Raises:
            UsageError: an argument that means nothing.
        """
        check_address(host, port)
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(
                _("{name}={value!r}: a whole number, {least} or more, is needed.").format(
                    name="count", value=count, least=1
                )
            )
        for name, value in (("pause_seconds", pause_seconds), ("timeout_seconds", timeout_seconds)):
            if not value > 0:
                raise UsageError(_("{name}={value!r}: more than 0 is needed.").format(name=name, value=value))
        self.count = count
        self._log = _Log()
        self._loop = LoopThread("tcpshift-open-connections")
        self._let_go = weakref.finalize(self, self._loop.stop)
        for number in range(count):
            self._loop.submit(_keep_asking((host, port), number, self._log, pause_seconds, timeout_seconds))
        with self._log.changed:
            self._log.changed.wait_for(
                lambda: len(self._log.answered | self._log.ended) == count, 2 * timeout_seconds + 1
            )

    def __enter__(self) -> OpenConnections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def still_open(self) -> int:
        """How many are open."""
        return self.count - len(self._log.ended)

    def wait_until_closed(self, *, timeout_seconds: float) -> None:
        """Block until the other side has closed every connection.

        Raises:
            WaitTimeoutError: some are still open after that time; they stay open.
        """
        with self._log.changed:
            if not self._log.changed.wait_for(lambda: not self.still_open, timeout_seconds):
                raise WaitTimeoutError(
                    _(
                        "{open} of {count} connections are still open after {seconds:g} s.\nThey are closed when the drain time "
                        "ends after a change of their rule: drain.drain_time_seconds(cluster) says how long that is."
                    ).format(open=self.still_open, count=self.count, seconds=timeout_seconds)
                )

    def close(self) -> None:
        """Close what is still open."""
        self._let_go()

    def frame(self) -> pd.DataFrame:
        """What was seen so far.

        Returns:
            One row an event, in order of time, index 0…: `connection` (int64, from 0), `at` (datetime64[ns, UTC]),
            `event` (string: `opened`, `answered`, `closed`, or `failed`), `answer` (string, first word of the answer,
            NA but for `answered`), `closed_by` (string: `client` or `server`, NA but for `closed`), `error` (string, in
            words, NA where nothing went wrong). It is what `plots.connection_timeline` draws.
        """
        rows = list(self._log.rows)
        columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in _Row._fields}
        texts = {name: pd.array(columns[name], dtype="string") for name in ("event", "answer", "closed_by", "error")}
        at = pd.to_datetime(pd.Series(columns["at"], dtype="object"), utc=True).astype("datetime64[ns, UTC]")
        return pd.DataFrame({"connection": pd.Series(columns["connection"], dtype="int64"), "at": at, **texts})


async def _keep_asking(
    address: tuple[str, int], number: int, log: _Log, pause_seconds: float, timeout_seconds: float
) -> None:
    def add(event: Event, **details: Any) -> None:
        log.add(_Row(number, datetime.now(UTC), event, **details))

    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(*address, limit=_LONGEST_LINE)
    except TimeoutError:
        add("failed", error=no_answer_within(timeout_seconds))
        return
    except OSError as error:
        add("failed", error=reason_of(error)[1])
        return
    add("opened")
    try:
        while True:
            writer.write(f"{date_line(datetime.now(UTC))}\n".encode())
            async with asyncio.timeout(timeout_seconds):
                await writer.drain()
                text = (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
            if not text:
                break
            add("answered", answer=text.split()[0])
            # An end of the connection shows at once, not with the next line.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    if not await reader.read(1):
                        break
        add("closed", closed_by="server")
    except asyncio.CancelledError:
        add("closed", closed_by="client")
        raise
    except TimeoutError:
        add("failed", error=no_answer_within(timeout_seconds))
    except (OSError, ValueError) as error:
        add("failed", error=reason_of(error)[1])
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
