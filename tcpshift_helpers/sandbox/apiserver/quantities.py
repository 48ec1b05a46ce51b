"""Resource quantities such as `500m` and `1Gi`: their value and the one way in which the API server writes them.

Pure. Arithmetic is exact; rounding beyond nano units is left out, as nothing here is that small.

Source: kube-apiserver 1.34, measured (`1000m` is stored as `1`, `1024Mi` as `1Gi`, `1000Ki` as it is).
"""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_EXPONENT = re.compile("[eE]([-+]?[0-9]+)")


def _factor(suffix: str) -> Fraction | None:
    if suffix in _DECIMAL:
        return Fraction(10) ** _DECIMAL[suffix]
    if suffix in _BINARY:
        return Fraction(1024) ** _BINARY[suffix]
    exponent = _EXPONENT.fullmatch(suffix)
    return Fraction(10) ** int(exponent[1]) if exponent else None


def problem(text: str) -> str | None:
    """Why the text is no quantity, or None."""
    match = _QUANTITY.fullmatch(text)
    if match is None or not _NUMBER.fullmatch(match[1]):
        return r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    return None if _factor(match[2]) is not None else "unable to parse quantity's suffix"


def value(text: str) -> Fraction:
    """The amount.

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    factor = _factor(match[2]) if match else None
    if match is None or factor is None or not _NUMBER.fullmatch(match[1]):
        raise ValueError(text)
    return Fraction(match[1].rstrip(".")) * factor


def canonical(text: str) -> str:
    """The same amount with the largest unit that needs no fraction; text that is no quantity comes back as it is."""
    match = _QUANTITY.fullmatch(text)
    if match is None or problem(text) is not None:
        return text
    amount, suffix = value(text), match[2]
    if suffix in _BINARY and amount.denominator == 1:
        return _with_largest(amount, [(unit, Fraction(1024) ** power) for unit, power in _BINARY.items()])
    if _EXPONENT.fullmatch(suffix):
        units = [("" if power == 0 else f"e{power}", Fraction(10) ** power) for power in range(-9, 19, 3)]
        return _with_largest(amount, units)
    return _with_largest(amount, [(unit, Fraction(10) ** power) for unit, power in _DECIMAL.items()])


def _with_largest(amount: Fraction, units: list[tuple[str, Fraction]]) -> str:
    if not amount:
        return "0"
    for unit, factor in reversed(units):
        if (amount / factor).denominator == 1:
            return f"{amount / factor}{unit}"
    return str(amount) if amount.denominator == 1 else f"{-(-amount // units[0][1])}{units[0][0]}"
