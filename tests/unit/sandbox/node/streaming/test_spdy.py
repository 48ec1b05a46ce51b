"""SPDY/3.1 framing: against what kubectl 1.32 and this server said to each other, and against anything at all."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.node.streaming import spdy
from tcpshift_helpers.sandbox.node.streaming.spdy import (
    Data,
    Decoder,
    Encoder,
    GoAway,
    Ping,
    ProtocolError,
    RstStream,
    SynReply,
    SynStream,
)
from tcpshift_helpers.sandbox.node.streaming.spdy_dictionary import DICTIONARY

RECORDED = [
    (side, bytes.fromhex(text))
    for side, text in json.loads((Path(__file__).parent / "recorded" / "kubectl_port_forward.json").read_text())
]

IDS = st.integers(1, 2**31 - 1)
HEADERS = st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=8)
FRAMES = st.one_of(
    st.builds(SynStream, IDS, HEADERS, st.booleans()),
    st.builds(SynReply, IDS, HEADERS, st.booleans()),
    st.builds(RstStream, IDS, st.integers(0, 2**32 - 1)),
    st.builds(Ping, st.integers(0, 2**32 - 1)),
    st.builds(GoAway, IDS, st.integers(0, 2**32 - 1)),
    st.builds(Data, IDS, st.binary(max_size=300), st.booleans()),
)


def joined(frames):
    """Neighbouring pieces of a data frame as one."""
    result = []
    for frame in frames:
        last = result[-1] if result else None
        if isinstance(frame, Data) and isinstance(last, Data) and last.stream_id == frame.stream_id and not last.fin:
            result[-1] = Data(frame.stream_id, last.data + frame.data, frame.fin)
        else:
            result.append(frame)
    return result


def control(kind, body, version=3):
    return struct.pack(">HHI", 0x8000 | version, kind, len(body)) + body


def test_the_dictionary_is_the_protocols():
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_what_kubectl_sends():
    decoder = Decoder()
    frames = [frame for side, data in RECORDED if side == "client" for frame in decoder.feed(data)]
    assert frames == [
        SynStream(1, {"streamtype": "error", "port": "9000", "requestid": "0"}),
        Data(1, b"", fin=True),
        SynStream(3, {"streamtype": "data", "port": "9000", "requestid": "0"}),
        Data(3, b"hello 0\n"),
        Data(3, b"", fin=True),
        SynStream(5, {"streamtype": "error", "port": "9000", "requestid": "1"}),
        Data(5, b"", fin=True),
        SynStream(7, {"streamtype": "data", "port": "9000", "requestid": "1"}),
        Data(7, b"hello 1\n"),
        Data(7, b"", fin=True),
    ]


def test_what_kubectl_understood():
    encoder = Encoder()
    answers = [SynReply(1), SynReply(3), Data(3, b"one hello 0\n"), Data(3, b"", fin=True), Data(1, b"", fin=True)]
    recorded = [data for side, data in RECORDED if side == "server"]
    # How zlib compresses is its own business; how it is framed is not.
    assert [encoder.encode(frame) for frame in answers][2:] == recorded[2:5]
    assert encoder.encode(SynReply(5))[:8] == recorded[5][:8]


@given(st.lists(FRAMES, max_size=12), st.data())
def test_there_and_back_in_pieces_of_any_size(frames, data):
    encoder, decoder = Encoder(), Decoder()
    stream = b"".join(map(encoder.encode, frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert joined(frame for piece in pieces for frame in decoder.feed(piece)) == joined(frames)


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_garbage_is_refused_or_read_over_and_never_kept(pieces):
    decoder = Decoder()
    try:
        for piece in pieces:
            decoder.feed(piece)
    except ProtocolError:
        return
    assert len(decoder._buffer) < 8 + spdy.LONGEST_CONTROL_FRAME


@given(st.lists(FRAMES, min_size=1, max_size=6), st.data())
def test_a_broken_byte_is_no_accident(frames, data):
    encoder = Encoder()
    stream = bytearray(b"".join(map(encoder.encode, frames)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(ProtocolError):
        Decoder().feed(bytes(stream))


def test_a_large_data_frame_is_handed_on_as_it_comes():
    decoder = Decoder()
    head = struct.pack(">II", 3, 1 << 24 | 1000)
    assert decoder.feed(head + b"x" * 10) == [Data(3, b"x" * 10)]
    assert decoder.feed(b"x" * 989) == [Data(3, b"x" * 989)]
    assert decoder.feed(b"x") == [Data(3, b"x", fin=True)]
    assert decoder.feed(b"") == []


def test_what_is_read_over():
    settings = control(4, struct.pack(">III", 1, 7, 65536))
    window_update = control(9, struct.pack(">II", 1, 65536))
    assert Decoder().feed(settings + window_update + Encoder().encode(Ping(1))) == [Ping(1)]


def test_headers_of_a_frame_that_is_read_over_still_count_for_the_compression():
    encoder, decoder = Encoder(), Decoder()
    first = encoder.encode(SynReply(1, {"a": "b" * 50}))
    assert decoder.feed(control(8, first[8:])) == []
    assert decoder.feed(encoder.encode(SynReply(3, {"a": "b" * 50}))) == [SynReply(3, {"a": "b" * 50})]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (control(6, b"\0\0\0\1", version=2), "version 2"),
        (control(5, b""), "type 5"),
        (control(6, b"\0"), "type 6 with 1 bytes"),
        (struct.pack(">HHI", 0x8003, 1, spdy.LONGEST_CONTROL_FRAME + 1), "too long"),
        (control(2, b"\0\0\0\1not zlib"), "headers cannot be read"),
        (control(2, b"\0\0\0\1"), "headers cannot be read"),
    ],
)
def test_what_is_refused(data, words):
    with pytest.raises(ProtocolError, match=words):
        Decoder().feed(data)


@pytest.mark.parametrize(
    "plain",
    [
        struct.pack(">I", 1) + struct.pack(">I", 100) + b"short",
        struct.pack(">I", 2**31) + b"\0" * 100,
        struct.pack(">II", 1, 2) + b"\xff\xfe" + struct.pack(">I", 0),
        b"\0" * (spdy.LONGEST_HEADERS + 1),
    ],
)
def test_headers_that_make_no_sense(plain):
    compressor = zlib.compressobj(zdict=DICTIONARY)
    block = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(ProtocolError):
        Decoder().feed(control(2, b"\0\0\0\1" + block))
