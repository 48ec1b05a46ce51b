"""Resource versions in requests: of the future, and texts that are none."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

FUTURE = 2**62
BAD = [
    ("abc", "invalid syntax"),
    ("-1", "invalid syntax"),
    ("1.5", "invalid syntax"),
    ("0x1", "invalid syntax"),
    ("1_0", "invalid syntax"),
    ("%C2%B2", "invalid syntax"),
    ("%22", "invalid syntax"),
    ("18446744073709551616", "value out of range"),
]


@pytest.fixture
def path(api, core):
    """The path of two ConfigMaps."""
    for name in ("a", "b"):
        api.post(f"{core}/configmaps", {"metadata": {"name": name}})
    return f"{core}/configmaps"


def assert_too_large(status):
    message = status.pop("message")
    start = f"Timeout: Too large resource version: {FUTURE}, current: "
    assert message.startswith(start)
    assert int(message.removeprefix(start)) > 0
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "Timeout",
        "details": {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        "code": 504,
    }


@pytest.mark.parity("API: get and list at a version that is not reached", "works")
@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "?"),
        ("GET", "?limit=1&resourceVersionMatch=NotOlderThan&"),
        ("GET", "?resourceVersionMatch=Exact&"),
        ("GET", "/absent?"),
        ("DELETE", "?"),
    ],
)
def test_a_version_of_the_future(api, path, method, query):
    answer = api.request(method, f"{path}{query}resourceVersion={FUTURE}")
    assert (answer.code, answer.headers["Retry-After"]) == (504, "1")
    assert_too_large(answer.body)
    assert api.get(f"{path}/b").code == 200


def test_a_version_that_is_reached_while_it_is_waited_for(api, path, client_of):
    version = int(api.get(path).body["metadata"]["resourceVersion"])
    other = client_of(api.kubeconfig)
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(other.get, f"{path}?resourceVersion={version + 50}")
        for number in range(51):
            assert api.patch(f"{path}/a", {"data": {"n": str(number)}}).code == 200
        answer = listing.result()
    other.close()
    assert answer.code == 200
    assert int(answer.body["metadata"]["resourceVersion"]) >= version + 50


def test_a_watch_from_the_future_tells_nothing(api, path):
    assert api.watch(path, resourceVersion=FUTURE, timeoutSeconds=3, allowWatchBookmarks="true") == []


def test_initial_events_of_the_future(api, path):
    parameters = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    (event,) = api.watch(path, resourceVersion=FUTURE, timeoutSeconds=6, **parameters)
    assert event["type"] == "ERROR"
    assert_too_large(event["object"])


def _sentence(text, why):
    shown = {"%C2%B2": "²", "%22": '\\"'}.get(text, text)
    return f'resourceVersion: Invalid value: "{shown}": strconv.ParseUint: parsing "{shown}": {why}'


@pytest.mark.parity("API: resource versions that are none", "works")
@pytest.mark.parametrize(("text", "why"), BAD)
def test_a_text_that_is_no_version(api, path, text, why):
    sentence = _sentence(text, why)
    listed = (400, "BadRequest", f"invalid resource version: {sentence}")
    assert api.get(f"{path}?resourceVersion={text}").error == listed
    assert api.get(f"{path}?resourceVersion={text}&resourceVersionMatch=Exact").error == listed
    assert api.delete(f"{path}?resourceVersion={text}").error == listed
    other = (500, "", sentence)
    assert api.get(f"{path}/a?resourceVersion={text}").error == other
    assert api.get(f"{path}?watch=1&resourceVersion={text}").error == other
    initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    assert api.get(f"{path}?watch=1&{initial}&resourceVersion={text}").error == other
    assert api.get(f"{path}/b").code == 200


@pytest.mark.parametrize(("text", "why"), BAD[:-3] + BAD[-1:])
def test_an_object_whose_version_is_none(api, path, text, why):
    body = {"metadata": {"name": "a", "resourceVersion": text}}
    expected = (500, "", f'strconv.ParseUint: parsing "{text}": {why}')
    assert api.put(f"{path}/a", body).error == expected
    assert api.patch(f"{path}/a", body).error == expected


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            "resourceVersionMatch",
            'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersion=5&resourceVersionMatch=Foo",
            "resourceVersionMatch",
            'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
        ),
        (
            "resourceVersion=5&resourceVersionMatch=Exact&continue=a",
            "resourceVersionMatch",
            "Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        ("sendInitialEvents=true", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"),
    ],
)
def test_options_a_list_does_not_have(api, path, query, field, message):
    expected = f'ListOptions.meta.k8s.io "" is invalid: {field}: {message}'
    assert api.get(f"{path}?{query}").error == (422, "Invalid", expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", "invalid syntax"),
        ("1_0", "invalid syntax"),
        ("%205", "invalid syntax"),
        ("%C2%B2", "invalid syntax"),
        ("99999999999999999999", "value out of range"),
    ],
)
def test_a_limit_that_is_no_number(api, path, text, why):
    shown = {"%205": " 5", "%C2%B2": "²"}.get(text, text)
    expected = (400, "BadRequest", f'strconv.ParseInt: parsing "{shown}": {why}')
    assert api.get(f"{path}?limit={text}").error == expected
    assert api.get(f"{path}?timeoutSeconds={text}").error == expected
    assert api.get(f"{path}?watch=1&timeoutSeconds={text}").error == expected


@pytest.mark.parametrize(("text", "watches"), [("foo", True), ("", True), ("0", False), ("FALSE", False)])
def test_what_is_true_in_a_query(api, path, text, watches):
    answer = api.get(f"{path}?watch={text}&timeoutSeconds=1")
    first = json.loads(answer.text.splitlines()[0])
    assert first.get("type", first.get("kind")) == ("ADDED" if watches else "ConfigMapList")
