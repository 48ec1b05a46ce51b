"""The command line as processes on the test's state directory, and waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.sandbox.node import processes

from .parts import API_SERVER, Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.home import Home


@dataclass
class CommandLine:
    """`tcpshift` in processes of its own, on one state directory."""

    home: Home
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "tcpshift_helpers.cli", *arguments],
            env={**os.environ, "TCPSHIFT_HOME": str(self.home.root), **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; gives exit code, stdout and stderr."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=90)
        return process.returncode, out, err


@pytest.fixture
def tcpshift(home: Home) -> CommandLine:
    return CommandLine(home)


@pytest.fixture
def parts(home: Home, until: Callable[..., None]) -> Iterator[Parts]:
    """An API server that runs; the test starts what else it needs."""
    made = Parts(home)
    made.start(API_SERVER)
    until(made.is_up, "the API server")
    yield made
    for process in reversed(made.running):
        process.terminate()
        process.wait(20)
    processes.stop_all(home)
