"""Pages and versions of lists."""

from __future__ import annotations

import base64
import json

import pytest

from tcpshift_helpers.sandbox.apiserver.listing import ListOptions, page, read_version
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.status import StatusError

PODS = next(resource for resource in BUILT_IN if resource.plural == "pods")
OBJECTS = [{"metadata": {"namespace": "n", "name": name}} for name in "abcde"]


def names(objs):
    return "".join(obj["metadata"]["name"] for obj in objs)


def options(**query):
    return ListOptions.of(query, PODS)


def refusal(act):
    with pytest.raises(StatusError) as refused:
        act()
    return refused.value.code, refused.value.message


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
def test_pages_are_a_partition(limit):
    seen, token = "", ""
    for _ in range(10):
        objs, metadata = page(OBJECTS, options(limit=str(limit), **{"continue": token}), 7)
        seen += names(objs)
        assert metadata.get("remainingItemCount", 0) == len(OBJECTS) - len(seen)
        token = metadata.get("continue", "")
        if not token:
            break
    assert seen == "abcde"


def test_page_goes_on_where_an_object_was_deleted():
    _, metadata = page(OBJECTS, options(limit="2", labelSelector="!x"), 7)
    assert "remainingItemCount" not in metadata
    rest = [obj for obj in OBJECTS if obj["metadata"]["name"] != "c"]
    assert names(page(rest, options(**{"continue": metadata["continue"]}), 8)[0]) == "de"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("zz", "invalid character 'Ï' looking for beginning of value"),
        ("e30", "server does not recognize this encoded version "),
        ("W10", "json: cannot unmarshal array into Go value of type storage.continueToken"),
        ("é", "illegal base64 data at input byte 0"),
        ("x", "illegal base64 data at input byte 0"),
        ("AAAAA", "illegal base64 data at input byte 4"),
        ({"v": 1}, "json: cannot unmarshal number into Go struct field continueToken.v of type string"),
        ({"v": "meta.k8s.io/v1", "start": "a"}, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        ({"v": "meta.k8s.io/v1", "rv": 1}, "encoded start key empty (version meta.k8s.io/v1)"),
    ],
)
def test_token_that_is_none(token, why):
    if isinstance(token, dict):
        token = base64.urlsafe_b64encode(json.dumps(token).encode()).decode().rstrip("=")
    told = refusal(lambda: page(OBJECTS, options(**{"continue": token}), 7))
    assert told == (400, f"invalid continue token: continue key is not valid: {why}")


def test_no_selectors_are_no_predicate():
    assert options().matches is None


def test_both_selectors_must_match():
    matches = options(labelSelector="a=b", fieldSelector="metadata.name=x").matches
    assert matches({"metadata": {"name": "x", "labels": {"a": "b"}}})
    assert not matches({"metadata": {"name": "x"}})
    assert not matches({"metadata": {"name": "y", "labels": {"a": "b"}}})


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("x", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("١", "invalid syntax"),
        ("18446744073709551616", "value out of range"),
    ],
)
def test_versions_that_are_none(asked, why):
    problem = f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": {why}'
    assert refusal(lambda: options(resourceVersion=asked).version_to_reach()) == (
        400,
        f"invalid resource version: {problem}",
    )
    assert refusal(lambda: read_version(asked)) == (500, problem)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, None),
        ({"resourceVersion": "5"}, None),
        ({"resourceVersion": "5", "resourceVersionMatch": "NotOlderThan", "limit": "1"}, None),
        ({"resourceVersion": "5", "resourceVersionMatch": "Exact"}, 5),
        ({"resourceVersion": "5", "limit": "1"}, 5),
        ({"resourceVersion": "0", "limit": "1"}, None),
    ],
)
def test_when_a_list_is_of_one_version_exactly(query, expected):
    asked = ListOptions.of(query, PODS)
    version = asked.version_to_reach()
    assert (version if asked.is_exact(version) else None) == expected


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"limit": "x", "labelSelector": "("}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"limit": ""}, 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ({"limit": "9" * 30}, 400, f'strconv.ParseInt: parsing "{"9" * 30}": value out of range'),
        (
            {"labelSelector": "(", "resourceVersionMatch": "x"},
            400,
            "found '(', expected: !, identifier, or 'end of string'",
        ),
        (
            {"resourceVersionMatch": "x", "continue": "zz"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: '
            "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, "
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided, "
            'resourceVersionMatch: Unsupported value: "x": supported values: "Exact", "NotOlderThan", ""]',
        ),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"sendInitialEvents": "false"},
            422,
            'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
        ),
    ],
)
def test_options_that_may_not_be(query, code, message):
    assert refusal(lambda: ListOptions.of(query, PODS)) == (code, message)


def test_a_page_names_no_version():
    token = page(OBJECTS, options(limit="1"), 7)[1]["continue"]
    asked = options(**{"continue": token, "resourceVersion": "7"})
    told = (400, "specifying resource version is not allowed when using continue")
    assert refusal(asked.version_to_reach) == told
