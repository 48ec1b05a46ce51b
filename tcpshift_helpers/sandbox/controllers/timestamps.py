"""Times as the API writes them: RFC 3339 in UTC, whole seconds. Pure but for reading the clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The present moment, such as `2026-01-02T03:04:05Z`."""
    return rfc3339(datetime.now(UTC))


def rfc3339(moment: datetime) -> str:
    """A moment in whole seconds of UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_unix(seconds: float) -> str:
    """Seconds since 1970 as the API writes them."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def parse(text: str) -> datetime:
    """Read a time of the API, with or without fractions.

    Raises:
        ValueError: it is no RFC 3339 time.
    """
    return datetime.fromisoformat(text)


def seconds_since(text: str) -> float:
    """Seconds from that moment to now; negative if it lies ahead."""
    return (datetime.now(UTC) - parse(text)).total_seconds()
