"""Probes: what `sh -c "(date; sleep 1) | nc HOST PORT"` does, many times, into a DataFrame.

Each probe is a TCP connection of its own that sends one `date` line and reads one answer line. A failed probe is a
row with its reason, never an exception: in words for people, and in one stable word for code. Probes run on an event
loop in a thread of their own, so that a notebook, where a loop already runs, can call this like any function. Nothing
here knows Kubernetes.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd

from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.loop_thread import LoopThread
from tcpshift_helpers.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

# The words of the column `failure`, by which code may decide.
Failure = Literal["timeout", "refused", "reset", "closed", "empty", "long", "name", "unreachable"]

_LONGEST_LINE = 65536
_NAMES_OF_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAMES_OF_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Row(NamedTuple):
    """What came of one probe; a column of the frame each."""

    started_at: float
    answer: str | None
    line: str | None
    latency_ms: float
    error: str | None
    failure: Failure | None


@dataclass
class _Run:
    """What one call wants and what it has so far; rows are filled in place, so that an interruption loses none."""

    address: tuple[str, int]
    count: int
    at_once: int
    timeout_seconds: float
    pause_seconds: float
    rows: dict[int, Row] = field(default_factory=dict)
    next_number: int = 0


def probe(
    host: str,
    port: int,
    count: int = 10,
    *,
    at_once: int = 1,
    timeout_seconds: float = 5.0,
    pause_seconds: float = 0.0,
    progress: bool = True,
) -> pd.DataFrame:
    """Probe `count` times.

    Ctrl-C (or the notebook's stop button) ends it early: the rows of the probes that were done are returned, with
    `frame.attrs["interrupted"]` True, and nothing is left running.

    Args:
        host: name or address.
        port: TCP port.
        count: number of probes.
        at_once: how many connections at the same time.
        timeout_seconds: for each probe, from the connection to the answer.
        pause_seconds: between the probes of one lane; with `at_once=1`, between all.
        progress: show a bar while somebody watches.

    Returns:
        One row a probe in the order they were started, index 0…: `started_at` (datetime64[ns, UTC]), `answer`
        (string, first word of the answer, NA if none), `line` (string, the whole answer), `latency_ms` (float64, from
        before the connection to the answer, NaN if none), `error` (string, why there is none in the reader's language, NA if
        there is one), `failure` (string, the same as one of the words of `Failure`, in every language).

    Raises:
        UsageError: an argument that means nothing.
    """
    run = _Run((host, port), count, at_once, timeout_seconds, pause_seconds)
    _check(run)
    interrupted = _run_in_thread(run, progress=progress)
    frame = frame_of([run.rows[number] for number in sorted(run.rows)])
    frame.attrs["interrupted"] = interrupted
    if interrupted:
        print(_("Interrupted after {done} of {count} probes; those are kept.").format(done=len(frame), count=count))
    return frame


def lines(frame: pd.DataFrame) -> None:
    """Print what `nc` would have shown: one answer line a probe, and for failures `nc: ` with the reason."""
    for row in frame.itertuples(index=False):
        print(row.line if isinstance(row.line, str) else f"nc: {row.error}")


def frame_of_lines(answers: Sequence[str], count: int, error: str) -> pd.DataFrame:
    """A frame as `probe` makes it, of answer lines that another `nc` has got.

    Args:
        answers: a line for each probe that was answered.
        count: how many probes there were; those without a line failed.
        error: why they did, in words.

    Returns:
        As `probe`; nobody measured `started_at` (NaT) and `latency_ms` (NaN).
    """
    unknown = float("nan")
    rows = [Row(unknown, line.split()[0], line, unknown, None, None) for line in answers if line.split()]
    return frame_of([*rows, *(_failed(unknown, "closed", error) for _missing in range(count - len(rows)))])


def date_line(moment: datetime) -> str:
    """A moment as `date` prints it in the C locale: `Mon Nov 12 23:24:57 UTC 2018`."""
    moment = moment.astimezone(UTC)
    day, month = _NAMES_OF_DAYS[moment.weekday()], _NAMES_OF_MONTHS[moment.month - 1]
    return f"{day} {month} {moment.day:2d} {moment:%H:%M:%S} UTC {moment.year}"


def check_address(host: object, port: object) -> None:
    """Refuse what is no host or no TCP port.

    Raises:
        UsageError: with where to take them from.
    """
    if not isinstance(host, str) or not host.strip():
        raise UsageError(_("host is empty: take it from istio.ingress(cluster)."))
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise UsageError(
            _("port={port!r} is no TCP port (1 to 65535): take it from istio.ingress(cluster).").format(port=port)
        )


def _check(run: _Run) -> None:
    check_address(*run.address)
    for name, value, least in (("count", run.count, 0), ("at_once", run.at_once, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UsageError(
                _("{name}={value!r}: a whole number, {least} or more, is needed.").format(
                    name=name, value=value, least=least
                )
            )
    if not run.timeout_seconds > 0:
        raise UsageError(
            _("{name}={value!r}: more than 0 is needed.").format(name="timeout_seconds", value=run.timeout_seconds)
        )
    if not run.pause_seconds >= 0:
        raise UsageError(_("pause_seconds={value!r}: 0 or more is needed.").format(value=run.pause_seconds))


def _run_in_thread(run: _Run, *, progress: bool) -> bool:
    """Do the work on a loop in a thread; True if the person interrupted it."""
    loop = LoopThread("tcpshift-netcat")
    job = loop.submit(_all(run))
    try:
        with ProgressLine(wanted=progress) as line:
            _follow(job, run, line)
    except KeyboardInterrupt:
        job.cancel()
        return True
    else:
        return False
    finally:
        loop.stop()


def _follow(job: concurrent.futures.Future[None], run: _Run, line: ProgressLine) -> None:
    while True:
        with contextlib.suppress(concurrent.futures.TimeoutError):
            job.result(timeout=0.1)
            return
        line.bar(len(run.rows), run.count, _("probes"))


async def _all(run: _Run) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(min(run.at_once, run.count)):
            group.create_task(_lane(run))


async def _lane(run: _Run) -> None:
    while run.next_number < run.count:
        number = run.next_number
        run.next_number += 1
        run.rows[number] = await once(run.address, run.timeout_seconds)
        if run.pause_seconds and run.next_number < run.count:
            await asyncio.sleep(run.pause_seconds)


async def once(address: tuple[str, int], timeout_seconds: float) -> Row:
    """One probe; what goes wrong is in the row."""
    started_at, started = time.time(), time.perf_counter()
    try:
        async with asyncio.timeout(timeout_seconds):
            answer = await _exchange(address, started_at)
    except TimeoutError:
        return _failed(started_at, "timeout", no_answer_within(timeout_seconds))
    except (OSError, ValueError) as error:
        return _failed(started_at, *reason_of(error))
    latency_ms = (time.perf_counter() - started) * 1000
    text = answer.decode("utf-8", "replace").rstrip("\r\n")
    if not answer:
        return _failed(started_at, "closed", _("closed without answer"))
    if not text.split():
        return _failed(started_at, "empty", _("empty answer"))
    return Row(started_at, text.split()[0], text, latency_ms, None, None)


async def _exchange(address: tuple[str, int], started_at: float) -> bytes:
    reader, writer = await asyncio.open_connection(*address, limit=_LONGEST_LINE)
    try:
        writer.write(f"{date_line(datetime.fromtimestamp(started_at, UTC))}\n".encode())
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _failed(started_at: float, failure: Failure, error: str) -> Row:
    return Row(started_at, None, None, float("nan"), error, failure)


def no_answer_within(seconds: float) -> str:
    """A time-out in words."""
    return _("timeout: no answer within {seconds:g} s").format(seconds=seconds)


def reason_of(error: OSError | ValueError) -> tuple[Failure, str]:
    """The failure in a word, and in words."""
    if isinstance(error, socket.gaierror | UnicodeError):  # nobody answers for the name, or it can be none
        return "name", _("name not known")
    if isinstance(error, ValueError):
        return "long", _("answer longer than {bytes} bytes").format(bytes=_LONGEST_LINE)
    if isinstance(error, ConnectionRefusedError) or ("Connect call failed" in str(error) and "Errno 111" in str(error)):
        return "refused", _("refused: nothing listens there")
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "reset", _("reset: accepted, then cut")
    # The operating system's words stay as they are.
    return "unreachable", _("unreachable: {reason}").format(reason=str(error.strerror or error).lower())


def frame_of(rows: list[Row]) -> pd.DataFrame:
    """Probes as `probe` returns them."""
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in Row._fields}
    return pd.DataFrame(
        {
            "started_at": pd.to_datetime(pd.Series(columns["started_at"], dtype="float64"), unit="s", utc=True).astype(
                "datetime64[ns, UTC]"
            ),
            "answer": pd.array(columns["answer"], dtype="string"),
            "line": pd.array(columns["line"], dtype="string"),
            "latency_ms": pd.Series(columns["latency_ms"], dtype="float64"),
            "error": pd.array(columns["error"], dtype="string"),
            "failure": pd.array(columns["failure"], dtype="string"),
        }
    )
