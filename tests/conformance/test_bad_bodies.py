"""Bodies that cannot be read: malformed, not UTF-8, nested too deep; each in every form in which something can be written."""

from __future__ import annotations

import re

import pytest

JSON, YAML = "application/json", "application/yaml"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "
# What comes before the parser's complaint, and whether the body's beginning comes after it.
FORMS = {
    (JSON, "create"): (f"{UNRECOGNIZED}couldn't get version/kind; json parse error: ", True),
    (JSON, "replace"): (f"{UNRECOGNIZED}couldn't get version/kind; json parse error: ", True),
    (MERGE, "patch"): ("error decoding patch: ", False),
    (JSON_PATCH, "patch"): ("error decoding patch: ", False),
    (STRATEGIC, "patch"): ("", False),
}
DEEPER_THAN_ANY = 10_001


@pytest.fixture
def write(api, core):
    """Sends a body to a ConfigMap that is there, or to where there will be one."""
    api.post(f"{core}/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    path = f"{core}/configmaps"

    def wrote(verb, body, content_type):
        method, rest = {"create": ("POST", ""), "replace": ("PUT", "/a")}.get(verb, ("PATCH", "/a"))
        query = "?fieldManager=m" if content_type == APPLY else ""
        return api.request(method, f"{path}{rest}{query}", body, content_type)

    yield wrote
    assert api.get(f"{path}/a").body["data"] == {"k": "v"}


def shown(body):
    """How the server quotes the beginning of a body."""
    if not body:
        return "<empty>"
    text = body[:30].decode(errors="replace") if body.startswith(b"{") else body[:30].hex()
    return text + (" ..." if len(body) > 30 else "")


@pytest.mark.parity("API: malformed JSON, JSON that is not UTF-8 or nested too deep, for every verb", "works")
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{bad", "invalid character 'b' looking for beginning of object key string"),
        (b'{"metadata":{"name":"a"}', "unexpected end of JSON input"),
        (b'{"metadata":{"name":"a",}}', "invalid character '}' looking for beginning of object key string"),
        (b'{"metadata":{"name":"a"}} x', "invalid character 'x' after top-level value"),
        (b'{"data":{"a":NaN}}', "invalid character 'N' looking for beginning of value"),
        (b'{"data":{"a":"\n"}}', "invalid character '\\n' in string literal"),
        (b"\xff\xfe", "invalid character 'ÿ' looking for beginning of value"),
        ("{é".encode(), "invalid character 'Ã' looking for beginning of object key string"),
        (b'{"a":{\x80}}', "invalid character '\\u0080' looking for beginning of object key string"),
        (b'{"a":' * DEEPER_THAN_ANY + b"1" + b"}" * DEEPER_THAN_ANY, "invalid character '{' exceeded max depth"),
        (b"[" * DEEPER_THAN_ANY + b"]" * DEEPER_THAN_ANY, "invalid character '[' exceeded max depth"),
        (b'{"a":[' * 50_000, "invalid character '{' exceeded max depth"),
    ],
)
def test_json_that_cannot_be_read(write, body, why):
    for (content_type, verb), (before, is_quoted) in FORMS.items():
        after = f" ({shown(body)})" if is_quoted else ""
        assert write(verb, body, content_type).error == (400, "BadRequest", f"{before}{why}{after}")


def test_an_empty_body(write):
    why = f"couldn't get version/kind; json parse error: unexpected end of JSON input ({shown(b'')})"
    assert write("create", b"", JSON).error == (400, "BadRequest", UNRECOGNIZED + why)


@pytest.mark.parametrize(("body", "kind"), [(b"[1]", "array"), (b"5", "number"), (b'"x"', "string")])
def test_json_that_is_no_object(write, body, kind):
    type_meta = (
        'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
    )
    why = f"json: cannot unmarshal {kind} into Go value of type {type_meta}"
    message = f"{UNRECOGNIZED}couldn't get version/kind; json parse error: {why} ({shown(body)})"
    assert write("create", body, JSON).error == (400, "BadRequest", message)


@pytest.mark.parity("API: malformed YAML, also in server-side apply", "works")
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"metadata: {name: a}\n data: {a: x}", "line 1: did not find expected key"),
        (b'metadata: {name: a}\ndata: {a: "x"', "line 2: did not find expected ',' or '}'"),
        (b"\tmetadata: {name: a}", "found character that cannot start any token"),
        (b"metadata: *x", "unknown anchor 'x' referenced"),
        (b"a: [" * DEEPER_THAN_ANY, None),
        (b"a: b\nc: " + b"[" * DEEPER_THAN_ANY, None),
    ],
)
def test_yaml_that_cannot_be_read(write, body, why):
    created = write("create", body, YAML).error
    applied = write("apply", body, APPLY).error
    assert (created[:2], applied[:2]) == ((400, "BadRequest"), (400, "BadRequest"))
    said = created[2].removeprefix(f"{UNRECOGNIZED}yaml: ").removesuffix(f" ({shown(body)})")
    assert applied[2] == f"error decoding YAML: error converting YAML to JSON: yaml: {said}"
    if why is None:  # how deep it may be is not the same
        assert re.fullmatch(r"(line 2: )?exceeded max depth of \d+", said)
    else:
        assert said == why


@pytest.mark.parity(
    "API: bodies nested more than 200 deep", "known difference: read up to 10,000 deep there, refused here"
)
@pytest.mark.parametrize("content_type", [JSON, YAML])
def test_nested_deeper_than_anything_needs(api, write, content_type):
    body = b'{"metadata":{"name":"deep"},"data":' + b'{"a":' * 500 + b"1" + b"}" * 501
    code, reason, message = write("create", body, content_type).error
    assert (code, reason) == (400, "BadRequest")
    assert ("exceeded max depth" in message) is not api.is_peer


def test_values_that_are_not_utf8_are_replaced(api, core):
    body = b'{"metadata":{"name":"utf"},"data":{"a":"\xff\xfe","b":"\xc3"}}'
    answer = api.post(f"{core}/configmaps", body)
    assert answer.code == 201
    assert answer.body["data"] == {"a": "\ufffd\ufffd", "b": "\ufffd"}
    answer = api.patch(f"{core}/configmaps/utf", b'{"data":{"a":"\xff"}}')
    assert (answer.code, answer.body["data"]["a"]) == (200, "\ufffd")


def test_a_name_that_is_not_utf8(api, core):
    code, reason, message = api.post(f"{core}/configmaps", b'{"metadata":{"name":"a\xff"}}').error
    assert (code, reason) == (422, "Invalid")
    assert message.startswith('ConfigMap "a\ufffd" is invalid: metadata.name: Invalid value: "a\ufffd": ')
