"""Bodies that a client might send by mistake or by malice: objects that fit a schema, changed, and written in many ways.

Pure, given a source of randomness; it knows JSON, YAML and protobuf as forms, and no kind of object by name.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Object = dict[str, Any]
Steps = tuple[str | int, ...]

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
_DEPTH = 7


@dataclass(frozen=True)
class Raw:
    """Text that stands in JSON as it is, whether JSON allows it or not."""

    text: str


@dataclass(frozen=True)
class Twice:
    """A value whose key is written twice, with two values."""

    first: Any
    second: Any


ODD_STRINGS = (
    *("", " ", "a", "-", ".", "..", "../..", "a/b", "a" * 64, "a" * 254, "a" * 70_000, "A_b", "%s%d", "{}", "null"),
    *(
        "\x00",
        "\n",
        "\ufeff",
        "\ud800",
        "\udfff\ud800",
        "é",
        "名",
        "🙂",
        "١",
        "１２",
        "1e400",
        "NaN",
        "0x10",
        "1_000",
        "+1",
    ),
    *(
        "-1",
        "0",
        "1",
        "80",
        "65536",
        "10%",
        "101%",
        "1Gi",
        "1.5m",
        "1e3",
        "9" * 30,
        "1" * 5000,
        "true",
        "0.0.0.0",
        "::1",
    ),
    *("None", "255.255.255.255", "10.0.0.0/8", "2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z"),
    *(
        "9999-12-31T23:59:60.999999999+14:00",
        "1h",
        "-1h",
        "1h1",
        "9" * 20 + "h",
        "TCP",
        "SCTP",
        "Always",
        "example.com/a",
    ),
    *(
        "*",
        "*.example.com",
        "a.b.c",
        "kubernetes",
        "orphan",
        "foregroundDeletion",
        "(a+)+$",
        "[",
        "(?P<a>.)",
        "self.a >",
        "a=b,c in (",
    ),
    *("AAAA", "=", "____", "{.spec.replicas}", "http://[::1", "'", '"', "\\", "</script>", "\u2028"),
)
ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**32,
        2**53 + 1,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        2**64,
    ),
    *(0.5, -0.0, 1.0, 1e20, 1e308),
    *(
        Raw("1e400"),
        Raw("-1e400"),
        Raw("1E5"),
        Raw("1.0e-400"),
        Raw("NaN"),
        Raw("Infinity"),
        Raw("1" * 5000),
        Raw("-0"),
        Raw("01"),
    ),
    *(
        Raw('"\\ud800"'),
        Raw('"\\u0000"'),
        Raw('"\\x"'),
        Raw("[" * 300 + "]" * 300),
        Raw("[" * 12_000),
        Raw('{"a":' * 300 + "1" + "}" * 300),
    ),
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        {"a": None},
        {"a": {"a": {"a": {}}}},
        [{}],
        [{"a": []}, None, 1],
        ["a", "a"],
        [0, "0"],
        {"\ud800": 1},
    ),
    *(
        {"name": "a"},
        {"name": None},
        [{"name": "a"}, {"name": "a"}],
        {"$patch": "delete"},
        {"$patch": "replace"},
        {"$patch": 1},
    ),
    *(
        [{"$patch": "delete", "name": "c"}],
        {"$retainKeys": ["a"]},
        {"$setElementOrder/containers": [{"name": "c"}]},
        {"$deleteFromPrimitiveList/finalizers": 1},
    ),
    *({"matchLabels": {"a": "b"}}, {"f:a": {}}, {'k:{"name":"a"}': {}}),
)


class Bodies:
    """Makes bodies from one source of randomness."""

    def __init__(self, choice: random.Random, definitions: dict[str, Object]) -> None:
        """Fill the schemas of `definitions`, by name, at random."""
        self._random = choice
        self._definitions = definitions

    def odd_value(self) -> Any:
        """A value that rarely fits."""
        return copy.deepcopy(self._random.choice(ODD_STRINGS if self._random.random() < 0.4 else ODD_VALUES))

    def fitting(self, schema: Object, depth: int = _DEPTH) -> Any:
        """A value of the schema's type, with some of its fields, most of them of their own types."""
        schema = self._resolved(schema)
        chance = self._random
        if depth == 0 or chance.random() < 0.02:
            return self.odd_value()
        if "enum" in schema:
            return chance.choice(schema["enum"])
        if "properties" in schema:
            return self._structure(schema, depth)
        if schema.get("type") == "array":
            return [self.fitting(schema.get("items", {}), depth - 1) for _ in range(chance.choice((0, 1, 1, 2)))]
        if schema.get("type") == "object":
            of = schema.get("additionalProperties")
            values = of if isinstance(of, dict) else {"type": "string"}
            keys = chance.sample(("a", "b.c/d", "app", "cpu"), chance.randrange(3))
            return {key: self.fitting(values, depth - 1) for key in keys}
        return chance.choice(_SCALARS.get(schema.get("format", schema.get("type")), _SCALARS["string"]))

    def _structure(self, schema: Object, depth: int) -> Object:
        required = set(schema.get("required", ()))
        share = {_DEPTH: 0.9, _DEPTH - 1: 0.6}.get(depth, 0.25)
        return {
            name: self.fitting(field, depth - 1)
            for name, field in schema["properties"].items()
            if name not in ("apiVersion", "kind") and (name in required or self._random.random() < share)
        }

    def _resolved(self, schema: Object) -> Object:
        while True:
            name = schema.get("$ref") or next((one["$ref"] for one in schema.get("allOf", ()) if "$ref" in one), None)
            if name is None:
                return schema
            schema = self._definitions.get(name.rpartition("/")[2], {})

    def mutated(self, value: Any) -> Any:
        """The value with something somewhere in it changed; the argument stays as it is."""
        changed = copy.deepcopy(value)
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            changed = self._mutated_once(changed)
        return changed

    def _mutated_once(self, value: Any) -> Any:
        places = list(_places(value))
        if not places or self._random.random() < 0.03:
            return self.odd_value()
        holder, key = self._random.choice(places)
        act = self._random.random()
        if act < 0.6:
            holder[key] = self.odd_value()
        elif act < 0.75:
            del holder[key]
        elif act < 0.85 and isinstance(holder, dict):
            holder[key] = Twice(holder[key], self.odd_value())
        elif act < 0.95 and isinstance(holder, dict):
            holder[self._random.choice(("unknownField", "", "$patch", "a.b[0]", "name", "items"))] = self.odd_value()
        else:
            holder[key] = [holder[key]] if self._random.random() < 0.5 else {"a": holder[key]}
        return value

    def written(self, value: Any) -> tuple[bytes, str, dict[str, str]]:
        """The value as bytes, with the content type it is in and further headers."""
        form = self._random.choices(list(_FORMS), weights=list(_FORMS.values()))[0]
        text = to_json(value).encode("utf-8", "surrogatepass")
        choose = self._random.choice
        match form:
            case "yaml":
                written = self._as_yaml(value), YAML
            case "protobuf":
                written = self.protobuf(value), PROTOBUF
            case "damaged":
                written = self._damaged(text), JSON
            case "hardly anything":
                written = choose((b"", b" ", b"null", b"[]", b'""', b"0", b"{", b"\xff\xfe{\x00}\x00")), JSON
            case "another encoding":
                written = choose((text.decode(errors="replace").encode("utf-16"), b"\xef\xbb\xbf" + text)), JSON
            case "more after it":
                written = text + choose((b"{}", b" x", b"\x00", text)), JSON
            case "compressed":
                packed = gzip.compress(text)
                return choose((packed, packed[:-5], text)), JSON, {"Content-Encoding": choose(_ENCODINGS)}
            case "called something else":
                written = text, choose(_CONTENT_TYPES)
            case _:
                written = text, JSON
        return (*written, {})

    def _as_yaml(self, value: Any) -> bytes:
        text = yaml.safe_dump(_plain(value), allow_unicode=True).encode("utf-8", "replace")
        act = self._random.random()
        if act < 0.6:
            return text
        return self._damaged(text) if act < 0.8 else self._random.choice(_YAML)

    def _damaged(self, data: bytes) -> bytes:
        """Some bytes changed, put in, or the end cut off."""
        damaged = bytearray(data)
        for _ in range(self._random.choice((1, 2, 5))):
            at = self._random.randrange(len(damaged) + 1)
            act = self._random.randrange(3)
            if act == 0:
                del damaged[at:]
            elif act == 1:
                damaged[at:at] = self._random.choice(
                    (b"\x00", b"\xff", b"{", b"}", b"]", b'"', b"\\", b"\xed\xa0\x80", b"\xc3\x28", b",")
                )
            elif at < len(damaged):
                damaged[at] = self._random.randrange(256)
        return bytes(damaged)

    def protobuf(self, value: Any) -> bytes:
        """An envelope with a message of random fields, maybe damaged."""
        kind, version = ("a", "v1")
        if isinstance(value, dict):
            kind, version = (str(_plain(value.get(key, "a")))[:40] for key in ("kind", "apiVersion"))
        meta = _field(1, version.encode("utf-8", "replace")) + _field(2, kind.encode("utf-8", "replace"))
        whole = b"k8s\x00" + _field(1, meta) + _field(2, self._message(4))
        return whole if self._random.random() < 0.6 else self._damaged(whole)

    def _message(self, depth: int) -> bytes:
        pieces = []
        for _ in range(self._random.randrange(5)):
            number = self._random.randrange(1, 12)
            act = self._random.random()
            if depth and act < 0.5:
                pieces.append(_field(number, self._message(depth - 1)))
            elif act < 0.8:
                pieces.append(_field(number, self._random.choice(ODD_STRINGS)[:300].encode("utf-8", "surrogatepass")))
            elif act < 0.95:
                pieces.append(_varint(number << 3) + _varint(self._random.choice((0, 1, 2**31, 2**63, 2**64 - 1))))
            else:
                pieces.append(_varint(number << 3 | self._random.choice((1, 3, 4, 5, 6))) + self._random.randbytes(8))
        return b"".join(pieces)


_SCALARS: dict[Any, tuple[Any, ...]] = {
    **dict.fromkeys(("integer", "number", "int32", "int64", "double"), (0, 1, 2, 80, 8080, 30, 31400)),
    "boolean": (True, False),
    "date-time": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
    "byte": ("AAAA",),
    "string": ("a", "b", "c", "1", "TCP", "Always", "a.b", "1Gi"),
}
_FORMS = {
    "json": 72,
    "yaml": 8,
    "protobuf": 4,
    "damaged": 4,
    "compressed": 4,
    "called something else": 4,
    "hardly anything": 2,
    "another encoding": 1,
    "more after it": 1,
}
_ENCODINGS = ("gzip", "gzip", "deflate", "br", "identity", "zstd", "x")
_CONTENT_TYPES = (
    *(
        "",
        "text/plain",
        "application/json; charset=utf-16",
        "application/json;",
        "APPLICATION/JSON",
        "application/yaml",
        "application/cbor",
    ),
    *(
        "application/x-yaml",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded",
        "a",
        "/",
        ";",
        "application/json, a/b",
    ),
    *(
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/apply-patch+yaml",
        "application/apply-patch+cbor",
    ),
    "application/json;charset=\x80",
)
_YAML = (
    b"a: &a [*a]", b"a: &a {b: 1}\nc: *a", b"a: *b", b"!!python/object:os.system {}", b"!!binary AAAA", b"--- a\n--- b", b"\t- a",
    b"a: 2026-01-01\nb: 0o7\nc: 1:30\nd: .nan\ne: .inf\nf: ~", b"? [a]\n: b", b"? {a: b}\n: c", b"1: 2\ntrue: 3\nnull: 4", b"<<: {a: b}",
    b"<<: 1", b"a: !!int x", b"a: !!timestamp x", b"%YAML 9.9\n---\na: b", b"a: |\n b\n c", b"- - - - a", b"a: 'b", b"{a: b, a: c}", b"",
    b"a: &x [l,l,l,l,l,l,l,l,l]\nb: &y [*x,*x,*x,*x,*x,*x,*x,*x,*x]\nc: &z [*y,*y,*y,*y,*y,*y,*y,*y,*y]\nd: &w [*z,*z,*z,*z,*z,*z,*z,*z,*z]\n"
    b"e: &v [*w,*w,*w,*w,*w,*w,*w,*w,*w]\nf: &u [*v,*v,*v,*v,*v,*v,*v,*v,*v]\ng: &t [*u,*u,*u,*u,*u,*u,*u,*u,*u]\nh: [*t,*t,*t,*t,*t,*t,*t,*t,*t]",
    b"[" * 12_000, b"a: " + b"9" * 5000, b"a: !!float x", b"a: 0x" + b"f" * 40, b"a: 9999-99-99", b"a: 2026-01-01T00:00:00.9999999999Z",
)  # fmt: skip


def to_json(value: Any) -> str:
    """JSON, with what `Raw` and `Twice` ask for."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        members = ((json.dumps(key), one) for key, item in value.items() for one in _values(item))
        return "{" + ",".join(f"{key}:{to_json(item)}" for key, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return to_json(value.second) if isinstance(value, Twice) else json.dumps(value, ensure_ascii=False)


def _values(item: Any) -> tuple[Any, ...]:
    return (item.first, item.second) if isinstance(item, Twice) else (item,)


def _plain(value: Any) -> Any:
    """As far as YAML's writer can follow."""
    if isinstance(value, Raw):
        return value.text[:100]
    if isinstance(value, Twice):
        return _plain(value.second)
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, (dict, list)):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(item)


def _varint(number: int) -> bytes:
    pieces = []
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*pieces, number])


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data
