"""Kubernetes' protobuf, as kubectl sends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver.protobuf import decode
from tcpshift_helpers.sandbox.apiserver.status import StatusError


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    pieces = []
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*pieces, number])


def field(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def entry(key: str, value: bytes | str) -> bytes:
    return field(1, key) + field(2, value)


def test_config_map():
    time = field(8, field(1, 1_700_000_000))
    metadata = field(1, "a") + field(2, "") + field(7, 0) + time + field(11, entry("l", "x"))
    raw = field(1, metadata) + field(2, entry("k", "v")) + field(3, entry("b", b"\xff"))
    assert decode(body("v1", "ConfigMap", raw)) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a", "creationTimestamp": "2023-11-14T22:13:20Z", "labels": {"l": "x"}},
        "data": {"k": "v"},
        "binaryData": {"b": "/w=="},
    }


def test_zero_is_kept_where_it_means_something():
    """`replicas` is a pointer in Go: zero is asked for. `minReadySeconds` is none: zero is nothing."""
    obj = decode(body("apps/v1", "Deployment", field(2, field(1, 0) + field(5, 0) + field(7, 0))))
    assert obj["spec"] == {"replicas": 0}


def test_inline_and_special_types():
    handler = field(1, field(2, field(2, field(1, 1) + field(3, "http"))))  # probe.handler.httpGet.port
    container = field(1, "c") + field(10, handler)
    obj = decode(body("v1", "Pod", field(2, field(2, container))))
    assert obj["spec"]["containers"] == [{"name": "c", "livenessProbe": {"httpGet": {"port": "http"}}}]


def test_negative_number():
    obj = decode(body("v1", "DeleteOptions", field(1, -1) + field(5, "All")))
    assert obj == {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": -1, "dryRun": ["All"]}


def test_unknown_field_is_passed_over():
    assert decode(body("v1", "Secret", field(99, 7) + field(98, "x"))) == {"kind": "Secret", "apiVersion": "v1"}


def test_unknown_kind():
    with pytest.raises(StatusError, match='no kind "Foo" is registered for version "v1"'):
        decode(body("v1", "Foo", b""))


def test_no_protobuf_at_all():
    with pytest.raises(StatusError, match="does not appear to be a protobuf message"):
        decode(b"{}")


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_refusal(noise):
    for data in (b"k8s\x00" + noise, body("v1", "Pod", noise)):
        try:
            assert decode(data)["kind"] is not None
        except StatusError as error:
            assert error.code == 400
