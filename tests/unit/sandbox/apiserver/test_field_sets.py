"""Sets of fields, judged by sets of paths."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver import field_sets

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"t"', "v:1", "i:0"])
PATHS = st.lists(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8).map(set)


def made(paths):
    found = {}
    for path in sorted(paths):
        field_sets.insert(found, path)
    return found


@given(PATHS)
def test_a_set_has_what_was_put_in(paths):
    fields = made(paths)
    assert set(field_sets.paths(fields)) == paths
    assert all(field_sets.has(fields, path) for path in paths)
    assert field_sets.read(json.loads(json.dumps(fields))) == fields
    assert field_sets.in_order(fields) == fields


@given(PATHS, PATHS)
def test_operations(left, right):
    here, there = made(left), made(right)
    assert set(field_sets.paths(field_sets.union(here, there))) == left | right
    assert set(field_sets.paths(field_sets.intersection(here, there))) == left & right
    assert set(field_sets.paths(field_sets.difference(here, there))) == left - right
    below = {path for path in left if not any(path[: len(other)] == other for other in right)}
    assert set(field_sets.paths(field_sets.without_subtrees(here, there))) == below
    assert (here, there) == (made(left), made(right))


def test_order_and_words():
    fields = made({("f:b", 'k:{"name":"x","port":80}'), ("f:a",), ("f:b", "f:z"), ("f:b", 'v:"t"')})
    texts = [field_sets.path_text(path) for path in field_sets.paths(fields)]
    assert texts == [".a", ".b.z", '.b[name="x",port=80]', '.b[="t"]']


@pytest.mark.parametrize("wrong", [{"": {}}, {"fname": {}}, {"k:1": {}}, {"k:{": {}}])
def test_what_is_no_set(wrong):
    with pytest.raises(ValueError, match=r"^(not an? |Expecting )"):
        field_sets.read(wrong)
