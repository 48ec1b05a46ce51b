"""The programs that containers find first on their PATH: stand-ins for `nc` and `curl` everywhere, `pilot-agent` in proxies.

Everything else a container runs is a program of the host.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.node.images import NC_AND_CURL, PILOT_AGENT, PROXY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def install(directory: Path) -> None:
    """Write the programs, for the Python that runs this and the `curl` that the host has now."""
    _write(directory / "nc", NC_AND_CURL, "nc")
    _write(directory / "curl", NC_AND_CURL, "curl", shutil.which("curl") or "")
    _write(directory / PROXY / "pilot-agent", PILOT_AGENT)


def _write(program: Path, script: Path, *first: str) -> None:
    # Neither site-packages nor the environment's Python settings: they need none and start faster without.
    words = shlex.join([sys.executable, "-S", "-E", str(script), *first])
    program.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = program.with_name(f".{program.name}.new")
    temporary.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    temporary.chmod(0o700)
    temporary.replace(program)


def first_on_path(directory: Path, variables: Mapping[str, str], image: str = "") -> dict[str, str]:
    """The variables, with the directory in front of their PATH, and before it what the image alone has."""
    own = [directory / image] if image and (directory / image).is_dir() else []
    return {**variables, "PATH": os.pathsep.join(map(str, [*own, directory, variables.get("PATH", os.defpath)]))}
