"""A state directory for each test, the command line as a process, and the proof that nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers.sandbox import network, supervisor
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "home")
    yield home
    if home.root.is_dir():
        supervisor.stop(home)
        assert _what_is_left(home) == []


@pytest.fixture
def what_is_left() -> Callable[[Home], list[str]]:
    return _what_is_left


@pytest.fixture
def until() -> Callable[..., None]:
    return _until


@pytest.fixture
def tcpshift(home: Home) -> CommandLine:
    return CommandLine(home)


def _what_is_left(home: Home) -> list[str]:
    """Processes that belong to this state directory, and sockets that listen on its subnet."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                continue
            words, directory = process.cmdline(), process.cwd()
            named = process.environ().get("TCPSHIFT_HOME")
        except psutil.Error:
            continue
        ours = named == str(home.root) or str(home.root) in " ".join([directory, *words])
        if ours:
            left.append(f"{process.pid}: {' '.join(words)}")
    try:
        prefix = network.load_subnet(home).prefix
    except FileNotFoundError:
        return left
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr)
    return left + [f"{c.laddr.ip}:{c.laddr.port}" for c in listening if c.laddr.ip.startswith(f"{prefix}.")]


def _until(probe: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `probe` gives something true."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.02)
