"""JupyterLab on the course, in the foreground, with the sandbox as its cluster.

Whoever starts something ends it: a sandbox that was not up before goes down with the lab.
It does not choose a cluster; it names one in the environment of the kernels, where `connect` looks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tcpshift_helpers import language
from tcpshift_helpers.errors import TcpShiftError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

COPY_NAME = "tcpshift-course"

_PACKAGE = Path(__file__).parent
_SERVER_STOP_SECONDS = 20.0
# A lesson does not need the internet, nor a question about JupyterLab's news: defaults that a learner's own settings win over.
_SETTINGS = Path(__file__).parent / "jupyter"


def notebooks() -> Path:
    """The notebooks as they came: the repository's own, or those inside the installed package, which nobody writes to.

    Raises:
        TcpShiftError: the package came without the course.
    """
    in_repository, packaged = _PACKAGE.parent / "notebooks", _PACKAGE / "_course" / "notebooks"
    if in_repository.is_dir() and (_PACKAGE.parent / "pyproject.toml").exists():
        return in_repository
    if not packaged.is_dir():
        raise TcpShiftError(
            f"The course is missing from {_PACKAGE}. Install the package again: python -m pip install --force-reinstall tcpshift"
        )
    return packaged


def course_folder(current: Path) -> Path:
    """The notebooks to work in: the repository's own, or a copy in `current` when installed from a wheel.

    A copy that is there already is kept as it is: it may hold the learner's work.

    Raises:
        TcpShiftError: the copy cannot be made, or the package came without the course.
    """
    original, copy = notebooks(), current / COPY_NAME
    if original.parent == _PACKAGE.parent:
        return original
    try:
        if not copy.exists():
            shutil.copytree(original.parent, copy)
    except OSError as error:
        raise TcpShiftError(
            f"The course cannot be copied to {copy}: {error.strerror or error}. Change to a folder of yours and try again."
        ) from error
    return copy / "notebooks"


def command(folder: Path, extra: Sequence[str], asked: str | None = None) -> list[str]:
    """The command line of JupyterLab, which opens the first lesson in the language asked for, or else in the user's.

    `extra` comes last, so that it wins.

    Raises:
        UsageError: the language asked for, or that `TCPSHIFT_LANGUAGE` names, is none of the course's.
    """
    tongue = language.preferred() if asked is None else language.known(asked)
    words = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.extension_manager=readonly",
        # The address to open is printed all the same, and not lost among sixty lines.
        "--Application.log_level=WARN",
    ]
    first = next(iter(sorted(folder.glob(f"{tongue}/*.ipynb"))), None)
    if first is not None:
        words.append(f"--LabApp.default_url=/lab/tree/{first.relative_to(folder).as_posix()}")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in extra:
        # Jupyter refuses root; in a container root is often the only user, and the server listens on loopback.
        words.append("--allow-root")
    return [*words, *extra]


def environment(kubeconfig: Path | None, context: str | None) -> dict[str, str]:
    """The environment of the server and its kernels: which cluster `connect()` finds, and which kernels are offered."""
    named = dict(os.environ)
    # In JupyterLab's terminal `tcpshift` and `python` mean this environment's own.
    named["PATH"] = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), named.get("PATH"))))
    # A kernel called python3 in the home directory would hide this environment's own.
    named["JUPYTER_PREFER_ENV_PATH"] = "1"
    named["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (str(_SETTINGS), named.get("JUPYTER_CONFIG_PATH"))))
    if kubeconfig is not None:
        named["KUBECONFIG"] = str(kubeconfig)
        named.pop("TCPSHIFT_CONTEXT", None)
    if context is not None:
        named["TCPSHIFT_CONTEXT"] = context
    return named


def run(words: Sequence[str], environ: dict[str, str]) -> int:
    """Run JupyterLab until it ends, or until Ctrl-C, SIGTERM or a closed window; returns its exit code, 0 if we ended it.

    The server gets a session of its own, so that Ctrl-C does not make it ask whether to stop.
    """
    told_to_stop: list[int] = []
    server: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _: FrameType | None) -> None:
        told_to_stop.append(number)
        for process in server:
            process.terminate()

    # Before the start: a signal in between must not pass unnoticed.
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    for number in numbers:
        signal.signal(number, stop)
    server.append(subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, start_new_session=os.name == "posix"))
    if told_to_stop:
        server[0].terminate()
    try:
        return_code = _wait(server[0], told_to_stop)
    finally:
        # The sandbox still has to be stopped: a second Ctrl-C must not get in the way of that.
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
    return 0 if told_to_stop else return_code


def _wait(process: subprocess.Popen[bytes], told_to_stop: list[int]) -> int:
    """Wait for the server; one that was told to stop and does not is killed."""
    while True:
        try:
            return process.wait(_SERVER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            if told_to_stop:
                process.kill()
