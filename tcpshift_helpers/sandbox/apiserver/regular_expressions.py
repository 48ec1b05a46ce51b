"""Regular expressions as schemas have them: Go's, told to Python.

Pure. Both know the same language but for a few corners: where `$` stands, named classes, flags in the middle. What Go does
not know (looking ahead or behind, back references) is refused.

Source: Go's regexp/syntax; the words of refusals measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NOT_IN_GO = re.compile(r"\(\?(?:=|!|<=|<!|>)|\\[1-9]")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\$|.", re.DOTALL)
_CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:space:]": r"\t\n\v\f\r ",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:word:]": "0-9A-Za-z_",
    "[:punct:]": r"!-/:-@\[-`{-~",
}
_LEADING_FLAGS = re.compile(r"^(\^?)\(\?([imsU]+)\)")


def problem(pattern: str) -> str | None:
    """What Go says of a pattern that it cannot read; None if it can."""
    foreign = _NOT_IN_GO.search(pattern)
    if foreign:
        kind = "invalid escape sequence" if foreign[0].startswith("\\") else "invalid or unsupported Perl syntax"
        return f"error parsing regexp: {kind}: `{foreign[0]}`"
    try:
        _compiled(pattern)
    except re.error as error:
        return f"error parsing regexp: {_in_go_s_words(pattern, error)}"
    return None


def search(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text; one that cannot be read does not."""
    try:
        return _compiled(pattern).search(text) is not None
    except re.error:
        return False


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    flags = _LEADING_FLAGS.match(pattern)
    if flags:  # Python wants them first of all
        pattern = f"(?{flags[2].replace('U', '')}){flags[1]}{pattern[flags.end() :]}"
    return re.compile("".join(map(_translated, _TOKEN.findall(pattern))), re.ASCII)


def _translated(token: str) -> str:
    if token in {"$", r"\z"}:
        return r"\Z"
    if token.startswith("["):
        for name, characters in _CLASSES.items():
            token = token.replace(name, characters)
    return token


def _in_go_s_words(pattern: str, error: re.error) -> str:
    if error.msg.startswith("missing ), unterminated"):
        return f"missing closing ): `{pattern}`"
    if error.msg.startswith("unterminated character set"):
        return f"missing closing ]: `{pattern[error.pos or 0 :]}`"
    if error.msg.startswith("unbalanced parenthesis"):
        return f"unexpected ): `{pattern}`"
    if error.msg.startswith("nothing to repeat"):
        return f"missing argument to repetition operator: `{pattern[error.pos or 0]}`"
    return f"{error.msg}: `{pattern}`"
