"""Why a text is not JSON, in the words of Go's encoding/json, which clients of the API know.

Pure. It is run only after Python's own parser has refused a text, so it is written for clear words and not for speed.

Source: kube-apiserver 1.34, measured.
"""

from __future__ import annotations

import re

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.go_values import quoted

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_END = "unexpected end of JSON input"


class _SyntaxError(Exception):
    """Carries the sentence."""


class _Scanner:
    """Walks the text until it meets what cannot stand there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._depth = 0

    def scan(self) -> None:
        self._value()
        if self._skip_space():
            raise self._unexpected("after top-level value")

    def _skip_space(self) -> str:
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position
        return self._text[self._position : self._position + 1]

    def _unexpected(self, context: str, *, inside_token: bool = False) -> _SyntaxError:
        character = self._text[self._position : self._position + 1]
        if not character and not inside_token:
            return _SyntaxError(_END)
        character = character or " "  # encoding/json ends a text that breaks off inside a token with a space
        shown = {"'": "'\\''", '"': "'\"'"}.get(character, f"'{quoted(character)[1:-1]}'")
        return _SyntaxError(f"invalid character {shown} {context}")

    def _value(self) -> None:
        character = self._skip_space()
        if character == "{":
            self._members()
        elif character == "[":
            self._elements()
        elif character == '"':
            self._string()
        elif character in {"t", "f", "n"}:
            self._literal({"t": "true", "f": "false", "n": "null"}[character])
        elif character and character in "-0123456789":
            self._number()
        else:
            raise self._unexpected("looking for beginning of value")

    def _enter(self) -> None:
        """Go into an object or a list."""
        self._depth += 1
        if self._depth > limits.DEEPEST_NESTING:
            raise self._unexpected("exceeded max depth")
        self._position += 1

    def _leave(self) -> None:
        self._depth -= 1
        self._position += 1

    def _members(self) -> None:
        self._enter()
        if self._skip_space() == "}":
            self._leave()
            return
        while True:
            if self._skip_space() != '"':
                raise self._unexpected("looking for beginning of object key string")
            self._string()
            if self._skip_space() != ":":
                raise self._unexpected("after object key")
            self._position += 1
            self._value()
            if self._closes("}", "after object key:value pair"):
                return

    def _elements(self) -> None:
        self._enter()
        if self._skip_space() == "]":
            self._leave()
            return
        while True:
            self._value()
            if self._closes("]", "after array element"):
                return

    def _closes(self, closing: str, context: str) -> bool:
        character = self._skip_space()
        if character not in {closing, ","} or not character:
            raise self._unexpected(context)
        if character == closing:
            self._leave()
            return True
        self._position += 1
        return False

    def _string(self) -> None:
        match = _STRING.match(self._text, self._position)
        self._position = match.end() if match else self._position
        character = self._text[self._position : self._position + 1]
        if character == '"':
            self._position += 1
            return
        if character != "\\":
            raise self._unexpected("in string literal")
        self._position += 1
        if self._text[self._position : self._position + 1] != "u":
            raise self._unexpected("in string escape code", inside_token=True)
        self._position += 1
        while self._text[self._position : self._position + 1] in set("0123456789abcdefABCDEF"):
            self._position += 1
        raise self._unexpected("in \\u hexadecimal character escape", inside_token=True)

    def _literal(self, word: str) -> None:
        for character in word:
            if self._text[self._position : self._position + 1] != character:
                raise self._unexpected(f"in literal {word} (expecting '{character}')", inside_token=True)
            self._position += 1

    def _number(self) -> None:
        match = _NUMBER.match(self._text, self._position)
        if match is None:  # a minus without digits
            self._position += 1
            raise self._unexpected("in numeric literal", inside_token=True)
        self._position = match.end()
        rest = self._text[self._position : self._position + 1]
        if rest in {".", "e", "E"} and rest:
            self._position += 1
            if rest == ".":
                raise self._unexpected("after decimal point in numeric literal", inside_token=True)
            if self._text[self._position : self._position + 1] in {"+", "-"}:
                self._position += 1
            raise self._unexpected("in exponent of numeric literal", inside_token=True)


def syntax_error(body: bytes) -> str:
    """The sentence for the first fault in `body`, which must not be valid JSON, or be nested too deep."""
    try:
        _Scanner(body.decode("latin-1")).scan()  # Go, too, shows the single bytes of a text as characters
    except _SyntaxError as error:
        return str(error)
    return _END
