"""What selectors select; how they are read and refused is in test_recorded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.selectors import (
    label_selector_from_object,
    parse_field_selector,
    parse_label_selector,
)
from tcpshift_helpers.sandbox.apiserver.status import StatusError

PODS = next(one for one in BUILT_IN if one.kind == "Pod")
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "2", "x"]))


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ("", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": "1"}, False),
        ("a=1", {"a": "1"}, True),
        ("a==1", {"a": "2"}, False),
        ("a!=1", {}, True),
        ("a!=1", {"a": "1"}, False),
        ("a in (1,2)", {"a": "2"}, True),
        ("a in (1,2)", {}, False),
        ("a notin (1,2)", {}, True),
        ("a notin (1,2)", {"a": "2"}, False),
        ("a>1", {"a": "2"}, True),
        ("a>1", {"a": "1"}, False),
        ("a<2", {"a": "1"}, True),
        ("a<2", {"a": "x"}, False),
        ("a=1,b", {"a": "1"}, False),
        ("a in (1, ),b", {"a": "", "b": "z"}, True),
    ],
)
def test_labels_are_selected(selector: str, labels: dict[str, str], selected: bool) -> None:
    assert parse_label_selector(selector).matches(labels) is selected


@given(LABELS, st.sampled_from("abc"), st.sets(st.sampled_from(["1", "2"]), min_size=1))
def test_in_and_notin_are_opposites(labels: dict[str, str], key: str, values: set[str]) -> None:
    listed = ",".join(values)
    inside = parse_label_selector(f"{key} in ({listed})").matches(labels)
    outside = parse_label_selector(f"{key} notin ({listed})").matches(labels)
    assert inside is not outside


@given(LABELS)
def test_a_selector_object_selects_as_its_text(labels: dict[str, str]) -> None:
    selector = label_selector_from_object(
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "NotIn", "values": ["x"]},
                {"key": "c", "operator": "Exists"},
            ],
        }
    )
    assert str(selector) == "a=1,b notin (x),c"
    assert selector.matches(labels) is parse_label_selector(str(selector)).matches(labels)


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not label_selector_from_object(None).matches({"a": "b"})
    assert label_selector_from_object({}).matches({"a": "b"})


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_label_selector, lambda one: parse_field_selector(one, PODS)):
        try:
            read(text)
        except StatusError as error:
            assert (error.code, error.reason) == (400, "BadRequest")


POD = {
    "metadata": {"name": "p", "namespace": "n"},
    "spec": {"nodeName": "sandbox"},
    "status": {"phase": "Running", "podIP": "127.0.0.1"},
}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("metadata.name=p", True),
        ("metadata.name!=p", False),
        ("spec.nodeName=", False),
        ("spec.nodeName=sandbox,status.phase!=Failed", True),
        ("spec.host==sandbox", True),
        ("status.podIP=127.0.0.1", True),
        ("spec.hostNetwork=false", True),
        ("metadata.name=a\\,b", False),
        (",", True),
    ],
)
def test_fields_are_selected(selector: str, selected: bool) -> None:
    assert parse_field_selector(selector, PODS).matches(POD) is selected


def test_a_pinned_field_can_be_looked_up() -> None:
    selector = parse_field_selector("metadata.name=p,spec.nodeName!=x", PODS)
    assert selector.exact("metadata.name") == "p"
    assert selector.exact("spec.nodeName") is None
