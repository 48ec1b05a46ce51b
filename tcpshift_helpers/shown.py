"""What a notebook shows of a helper that stands for a command: the command line, and its result not twice.

What the command itself would print is printed by who carries it out.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tcpshift_helpers.api import Object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_JSONPATH_OPTION = re.compile(r"(?P<option>--for=jsonpath=)(?P<path>\{[^}]*\})=(?P<value>.*)")
_is_typed = ContextVar("_is_typed", default=False)


class Objects(list[Object]):
    """Raw objects, in order. A notebook shows nothing for it, because the result lines were printed already."""

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


class Output(str):
    """What a command wrote. A notebook shows nothing for it, because it was printed already."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


@contextlib.contextmanager
def typed_by_hand() -> Iterator[None]:
    """Within it no command line is printed: the learner has just typed it."""
    token = _is_typed.set(True)
    try:
        yield
    finally:
        _is_typed.reset(token)


def say(words: Sequence[str], namespace: str | None = None) -> None:
    """Print a command line. It names no context, which is chosen once, by KUBECONFIG: so every line stays short."""
    if _is_typed.get():
        return
    prefix = ["kubectl", *(["-n", namespace] if namespace else [])]
    print("$ " + " ".join(_typed(word) for word in [*prefix, *words]))


def _typed(word: str) -> str:
    """A word quoted as a person would: `--for=jsonpath='{.status.phase}'=Running`, in quotes only what needs them."""
    found = _JSONPATH_OPTION.fullmatch(word)
    if found is None:
        return shlex.quote(word)
    return f"{found['option']}{shlex.quote(found['path'])}={shlex.quote(found['value'])}"
