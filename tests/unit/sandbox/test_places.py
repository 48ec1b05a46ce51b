"""Places are given back however whoever took one leaves."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.places import Places


def test_places_are_given_back() -> None:
    places = Places(2)
    with places.one():
        assert not places.are_full
        with places.one():
            assert places.are_full
        assert not places.are_full
    assert places.taken == 0


def test_places_are_given_back_by_who_fails() -> None:
    places = Places(1)
    with pytest.raises(KeyError), places.one():
        raise KeyError
    assert places.taken == 0
