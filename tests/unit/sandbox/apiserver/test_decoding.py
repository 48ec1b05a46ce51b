"""Decoding beyond the recorded cases: what comes out, content types, texts of any kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.decoding import JSON, MERGE_PATCH, YAML, decode, decode_patch
from tcpshift_helpers.sandbox.apiserver.json_syntax import syntax_error
from tcpshift_helpers.sandbox.apiserver.status import StatusError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda key: key not in {"kind", "apiVersion"}), VALUES))
def test_an_object_comes_out_as_it_was_written(obj: dict[str, Any]) -> None:
    assert decode(json.dumps(obj).encode(), "application/json; charset=utf-8") == (obj, [])
    assert decode(json.dumps(obj).encode(), "") == (obj, [])


@given(st.text(alphabet='{}[]":,0123456789.eE+-truefalsn\\u \n', max_size=20))
def test_every_text_that_is_no_json_has_its_sentence(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        sentence = syntax_error(text.encode())
        assert sentence.startswith(("invalid character ", "unexpected end of JSON input"))


@given(st.binary(max_size=30))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    for content_type in (JSON, YAML):
        try:
            obj, duplicates = decode(body, content_type, "Pod")
        except StatusError as error:
            assert error.code == 400
            assert error.message.startswith("the object provided is unrecognized (must be of type Pod): ")
        else:
            assert isinstance(obj, dict)
            assert isinstance(duplicates, list)


def test_duplicate_fields_are_told_by_their_paths_and_the_last_counts() -> None:
    body = b'{"spec":{"ports":[{"port":1,"port":2}],"type":"a"},"x":1,"x":2}'
    obj, duplicates = decode(body, JSON)
    assert obj == {"spec": {"ports": [{"port": 2}], "type": "a"}, "x": 2}
    assert duplicates == ['duplicate field "spec.ports[0].port"', 'duplicate field "x"']


def test_yaml_is_read_as_the_server_reads_it() -> None:
    text = b"a: yes\nb: n\nc: 010\nd: 1:30\ne: 2026-01-01\nf: 1e3\ng: ~\nh: '1'\n7: x\ntrue: z\ni: 0x1F\n"
    obj, _ = decode(text, YAML)
    expected = {"a": True, "b": False, "c": 8, "d": "1:30", "e": "2026-01-01", "f": 1000.0, "g": None, "h": "1"}
    assert obj == {**expected, "7": "x", "true": "z", "i": 31}


def test_of_many_yaml_documents_the_first_counts() -> None:
    assert decode(b"a: 1\n---\nb: 2\n", YAML)[0] == {"a": 1}
    assert decode(b"", YAML)[0] == {}


@pytest.mark.parametrize("content_type", ["text/plain", "application/vnd.kubernetes.protobuf"])
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(StatusError) as refusal:
        decode(b"{}", content_type)
    assert (refusal.value.code, refusal.value.reason) == (415, "UnsupportedMediaType")


def test_patches_have_content_types_of_their_own() -> None:
    assert decode_patch(b'{"a":1}', MERGE_PATCH) == ({"a": 1}, [])
    with pytest.raises(StatusError, match="415: Unsupported Media Type"):
        decode_patch(b"{}", JSON)


@pytest.mark.parametrize("content_type", [JSON, YAML])
@pytest.mark.parametrize("depth", [limits.DEEPEST_NESTING + 1, 950, 100_000])
def test_deeply_nested_bodies_are_refused_and_not_a_crash(content_type: str, depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        for end in (f"1{closing * depth}", ""):
            with pytest.raises(StatusError, match="exceeded max depth"):
                decode((opening * depth + end).encode(), content_type)


@pytest.mark.parametrize("content_type", [JSON, YAML])
def test_bodies_as_deep_as_may_be_are_read(content_type: str) -> None:
    lists = limits.DEEPEST_NESTING - 1
    body = b'{"a":' + b"[" * lists + b"]" * lists + b',"b":[' + b"[]," * lists + b"{}]}"
    obj, _ = decode(body, content_type)
    assert obj["b"] == [[]] * lists + [{}]


def test_yaml_bombs_are_refused_and_not_a_crash() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    for text, complaint in (("\n".join(lines), "excessive aliasing"), ("a: &a [*a]", "contains itself")):
        with pytest.raises(StatusError, match=complaint):
            decode(text.encode(), YAML)
    assert decode(b"a: &a [1]\nb: *a\n", YAML)[0] == {"a": [1], "b": [1]}
