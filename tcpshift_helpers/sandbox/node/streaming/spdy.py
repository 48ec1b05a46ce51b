"""SPDY/3.1 framing: bytes to frames and back, for one direction of a connection each.

Pure, without sockets: `Decoder.feed` takes bytes as they come, in pieces of any size, and gives the frames they complete. Data is
handed on as it arrives, so that a large frame is never held as a whole. Only what Kubernetes uses of SPDY is here: SETTINGS,
WINDOW_UPDATE and HEADERS are read over, streams have no priorities, and nobody counts windows (nor does kubectl).

Source: SPDY Protocol, draft 3.1, section 2; moby/spdystream (what Kubernetes speaks it with).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.node.streaming.spdy_dictionary import DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 3
LONGEST_CONTROL_FRAME = 64 * 1024
LONGEST_HEADERS = 64 * 1024
REFUSED_STREAM, CANCEL = 3, 5

_HEAD_BYTES = 8
_CONTROL = 0x8000
_FIN = 0x01
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
# Bytes in front of a control frame's name/value block, or its whole length where it has none.
_FIXED = {_SYN_STREAM: 10, _SYN_REPLY: 4, _RST_STREAM: 8, _PING: 4, _GOAWAY: 8, _HEADERS: 4}
_ID_BITS = 0x7FFFFFFF


class ProtocolError(Exception):
    """What came is not SPDY/3.1, or is larger than anybody needs; the connection is of no use any more."""


@dataclass(frozen=True)
class SynStream:
    """A new stream, from whoever opens it."""

    stream_id: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True)
class SynReply:
    """A new stream was accepted."""

    stream_id: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True)
class RstStream:
    """A stream ends at once, both ways."""

    stream_id: int
    status: int


@dataclass(frozen=True)
class Ping:
    """To be sent back as it is."""

    ping_id: int


@dataclass(frozen=True)
class GoAway:
    """No more streams will be accepted."""

    last_stream_id: int
    status: int = 0


@dataclass(frozen=True)
class Data:
    """Bytes of a stream; with `fin` the last of this direction."""

    stream_id: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Ping | GoAway | Data


class Encoder:
    """Frames to bytes, in the order in which they are sent: header compression goes by it."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """The bytes of one frame."""
        if isinstance(frame, Data):
            return struct.pack(">II", frame.stream_id, _FIN * frame.fin << 24 | len(frame.data)) + frame.data
        if isinstance(frame, SynStream):
            return self._control(_SYN_STREAM, struct.pack(">IIH", frame.stream_id, 0, 0), frame.headers, fin=frame.fin)
        if isinstance(frame, SynReply):
            return self._control(_SYN_REPLY, struct.pack(">I", frame.stream_id), frame.headers, fin=frame.fin)
        if isinstance(frame, RstStream):
            return self._control(_RST_STREAM, struct.pack(">II", frame.stream_id, frame.status))
        if isinstance(frame, Ping):
            return self._control(_PING, struct.pack(">I", frame.ping_id))
        return self._control(_GOAWAY, struct.pack(">II", frame.last_stream_id, frame.status))

    def _control(
        self, kind: int, fixed: bytes, headers: Mapping[str, str] | None = None, *, fin: bool = False
    ) -> bytes:
        body = fixed + (b"" if headers is None else self._block(headers))
        return struct.pack(">HHI", _CONTROL | VERSION, kind, _FIN * fin << 24 | len(body)) + body

    def _block(self, headers: Mapping[str, str]) -> bytes:
        words = [word.encode() for pair in headers.items() for word in pair]
        plain = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        return self._zlib.compress(plain) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decoder:
    """Bytes to frames."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        # The data frame that is coming in: its stream, whether it is the last, how much is missing.
        self._data: tuple[int, bool, int] | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Take in bytes.

        Returns:
            The frames they complete, and the part of a data frame that is there.

        Raises:
            ProtocolError: see there; do not feed again.
        """
        self._buffer += data
        frames: list[Frame] = []
        while True:
            frame = self._take_data() if self._data is not None else self._take_frame()
            if frame is None:
                return frames
            frames.extend(frame)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _take_data(self) -> list[Frame] | None:
        stream_id, fin, missing = self._data or (0, False, 0)
        if missing and not self._buffer:
            return None
        part = self._take(missing)
        missing -= len(part)
        self._data = (stream_id, fin, missing) if missing else None
        return [Data(stream_id, part, fin and not missing)]

    def _take_frame(self) -> list[Frame] | None:
        """One frame; an empty list for one that is read over; None if it is not all there."""
        if len(self._buffer) < _HEAD_BYTES:
            return None
        first, second = struct.unpack_from(">II", self._buffer)
        fin, length = bool(second >> 24 & _FIN), second & 0xFFFFFF
        if not first >> 31:
            self._take(_HEAD_BYTES)
            self._data = (first, fin, length)
            return []
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != VERSION:
            raise ProtocolError(f"SPDY version {version} is not {VERSION}")
        if length > LONGEST_CONTROL_FRAME:
            raise ProtocolError(f"a control frame of {length} bytes is too long")
        if len(self._buffer) < _HEAD_BYTES + length:
            return None
        body = self._take(_HEAD_BYTES + length)[_HEAD_BYTES:]
        return self._control(kind, body, fin=fin)

    def _control(self, kind: int, body: bytes, *, fin: bool) -> list[Frame]:
        if kind in (_SETTINGS, _WINDOW_UPDATE):
            return []
        if kind not in _FIXED or len(body) < _FIXED[kind]:
            raise ProtocolError(f"a control frame of type {kind} with {len(body)} bytes makes no sense")
        number = struct.unpack_from(">I", body)[0]
        if kind == _PING:
            return [Ping(number)]
        stream_id = number & _ID_BITS
        if kind in (_RST_STREAM, _GOAWAY):
            status = struct.unpack_from(">I", body, 4)[0]
            return [RstStream(stream_id, status) if kind == _RST_STREAM else GoAway(stream_id, status)]
        # HEADERS, too, moves the state of the decompression.
        headers = self._headers(body[_FIXED[kind] :])
        if kind == _HEADERS:
            return []
        return [SynStream(stream_id, headers, fin) if kind == _SYN_STREAM else SynReply(stream_id, headers, fin)]

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._zlib.decompress(block, LONGEST_HEADERS)
            if self._zlib.unconsumed_tail:
                raise ProtocolError(f"headers of more than {LONGEST_HEADERS} bytes")
            words = list(_words(plain))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ProtocolError(f"headers cannot be read: {error}") from error
        return dict(zip(words[::2], words[1::2], strict=True))


def _words(plain: bytes) -> list[str]:
    """Names and values in turn."""
    (pairs,) = struct.unpack_from(">I", plain)
    words, position = [], 4
    for _ in range(2 * min(pairs, len(plain))):
        (length,) = struct.unpack_from(">I", plain, position)
        position += 4
        if position + length > len(plain):
            raise ProtocolError("a header is longer than its frame")
        words.append(plain[position : position + length].decode())
        position += length
    return words
