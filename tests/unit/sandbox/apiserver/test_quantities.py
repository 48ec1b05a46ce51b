"""Quantities: value and canonical form; what the real server stores is in test_recorded."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver import quantities

UNITS = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E-1"])
TEXTS = st.builds("{}{}".format, st.decimals(0, 10_000, places=2), UNITS)


@given(TEXTS)
def test_the_canonical_form_is_the_same_amount_and_its_own_canonical_form(text: str) -> None:
    canonical = quantities.canonical(text)
    assert quantities.value(canonical) == quantities.value(text)
    assert quantities.canonical(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1", 1),
        ("500m", Fraction(1, 2)),
        ("1Ki", 1024),
        ("1Mi", 1024**2),
        ("2Gi", 2 * 1024**3),
        ("2e3", 2000),
        (".5", Fraction(1, 2)),
    ],
)
def test_amounts(text: str, amount: Fraction) -> None:
    assert quantities.problem(text) is None
    assert quantities.value(text) == amount


@pytest.mark.parametrize("text", ["", "x", "1x", "1 ", "--1", "1.2.3", "Ki", "1Kii"])
def test_what_is_no_quantity(text: str) -> None:
    assert quantities.problem(text)
    assert quantities.canonical(text) == text
    with pytest.raises(ValueError) as refusal:
        quantities.value(text)
    assert str(refusal.value) == text
