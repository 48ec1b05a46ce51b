"""Pages and versions of lists."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.listing import page, predicate
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.status import StatusError

PODS = next(resource for resource in BUILT_IN if resource.plural == "pods")
OBJECTS = [{"metadata": {"namespace": "n", "name": name}} for name in "abcde"]


def names(objs):
    return "".join(obj["metadata"]["name"] for obj in objs)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_pages_are_a_partition(limit):
    seen, token = "", ""
    for _ in range(10):
        objs, metadata = page(OBJECTS, {"limit": str(limit), "continue": token}, 7, counted=True)
        seen += names(objs)
        assert metadata.get("remainingItemCount", 0) == len(OBJECTS) - len(seen)
        token = metadata.get("continue", "")
        if not token:
            break
    assert seen == "abcde"


def test_page_goes_on_where_an_object_was_deleted():
    _, metadata = page(OBJECTS, {"limit": "2"}, 7, counted=False)
    rest = [obj for obj in OBJECTS if obj["metadata"]["name"] != "c"]
    assert names(page(rest, {"continue": metadata["continue"]}, 8, counted=False)[0]) == "de"


@pytest.mark.parametrize("token", ["zz", "e30", "W10", "&&"])
def test_token_that_is_none(token):
    with pytest.raises(StatusError, match="continue key is not valid"):
        page(OBJECTS, {"continue": token}, 7, counted=True)


def test_no_selectors_are_no_predicate():
    assert predicate(PODS, {}) is None


def test_both_selectors_must_match():
    matches = predicate(PODS, {"labelSelector": "a=b", "fieldSelector": "metadata.name=x"})
    assert matches({"metadata": {"name": "x", "labels": {"a": "b"}}})
    assert not matches({"metadata": {"name": "x"}})
    assert not matches({"metadata": {"name": "y", "labels": {"a": "b"}}})
