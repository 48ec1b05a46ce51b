"""The sandbox's API server as a process of a test's own, over one state directory.

It can be started, killed and stopped, and asked how many asyncio tasks it has: on SIGUSR1 it writes that to its log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

_PATIENCE_SECONDS = 30.0
_COUNTED = "asyncio tasks: "


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.02)


class ServerProcess:
    """One state directory, and the process that serves it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "test.log"
        self.kubeconfig = home / "kubeconfig"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process; there is one once `start` was called."""
        assert self._process is not None
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start it, and return when it serves."""
        served = self.log.read_text().count("serving https://") if self.log.exists() else 0
        environment = {**os.environ, "TCPSHIFT_HOME": str(self.home)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, __file__], env=environment, stdout=log, stderr=log)

        def serves() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.log.read_text().count("serving https://") > served

        eventually(serves, "the API server serves")

    def tasks(self) -> int:
        """How many asyncio tasks it has."""
        known = self.log.stat().st_size
        self.process.send_signal(signal.SIGUSR1)
        eventually(lambda: _COUNTED in self.logged_after(known), "the API server answers its signal")
        return int(self.logged_after(known).partition(_COUNTED)[2].split()[0])

    def logged_after(self, position: int) -> str:
        """What its log says from this byte on."""
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log.read_text(errors="replace")


def _serve() -> None:
    import asyncio
    import logging

    from tcpshift_helpers.sandbox.apiserver import server
    from tcpshift_helpers.sandbox.home import Home

    async def run() -> None:
        def tell() -> None:
            print(f"{_COUNTED}{len(asyncio.all_tasks())}", flush=True)

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
        await server.run(Home.from_environment())

    logging.basicConfig(level=logging.INFO)
    asyncio.run(run())


if __name__ == "__main__":
    _serve()
