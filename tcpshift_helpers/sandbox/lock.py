"""A lock on a file, held by one process and let go by the system when that process ends, however it ends.

Why not the `filelock` package: the supervisor lives as long as the sandbox and importing it costs 12 MB there.
It does not wait fairly and does not work on network file systems that ignore locks.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_POLL_SECONDS = 0.02


class FileLock:
    """An exclusive lock on one file, which is made if need be and never removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, timeout_seconds: float = 0.0) -> bool:
        """Take the lock; False if another process still held it after `timeout_seconds`.

        Raises:
            OSError: the file cannot be opened for writing.
        """
        deadline = time.monotonic() + timeout_seconds
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return False
            time.sleep(_POLL_SECONDS)
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let the lock go; nothing happens if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether some process holds the lock on `path` now."""
    lock = FileLock(path)
    try:
        if not path.exists() or lock.acquire():
            lock.release()
            return False
    except OSError:
        return False
    return True


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
