"""The directory of programs that every container finds first on its PATH: the stand-ins for `nc` and `curl`.

Everything else a container runs is a program of the host.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.node.images import NC_AND_CURL

if TYPE_CHECKING:
    from collections.abc import Mapping


def install(directory: Path) -> None:
    """Write the programs, for the Python that runs this and the `curl` that the host has now."""
    directory.mkdir(mode=0o700, exist_ok=True)
    for name, first in (("nc", []), ("curl", [shutil.which("curl") or ""])):
        # Neither site-packages nor the environment's Python settings: they need none and start faster without.
        words = shlex.join([sys.executable, "-S", "-E", str(NC_AND_CURL), name, *first])
        temporary = directory / f".{name}.new"
        temporary.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        temporary.chmod(0o700)
        temporary.replace(directory / name)


def first_on_path(directory: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, with the directory in front of their PATH."""
    return {**variables, "PATH": os.pathsep.join([str(directory), variables.get("PATH", os.defpath)])}
