"""Requests that a client might send by mistake or by malice: any path, method, query, header and body.

Pure, given a source of randomness and what the server says of itself: its resources and its OpenAPI documents.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_from_bytes

from .bodies import ODD_STRINGS, Bodies

Object = dict[str, Any]

NAMES = ("a", "b", "c", "fuzz-a", "d")
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_STRANGE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE", "FOO", "get")
_METHODS = ("POST", "PUT", "PATCH", "DELETE", *_STRANGE_METHODS)
_ACTS = {
    "read": 25, "create": 20, "update": 13, "patch": 18, "delete": 8, "delete all": 4, "subresource": 9, "anything": 3
}  # fmt: skip
_ACCEPTS = (
    *(
        "application/json",
        "*/*",
        "application/yaml",
        "text/html",
        "",
        "a",
        ";",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    ),
    *(
        "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ),
    *(
        "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        "application/json;as=Foo;v=v1;g=meta.k8s.io,*/*",
    ),
    *(
        "application/json;stream=watch",
        "application/vnd.kubernetes.protobuf",
        "application/json;q=x",
        "application/json;as",
        "\xff, application/json",
    ),
    *(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;as=Table;v=v1;g=meta.k8s.io;as=x",
        "application/*",
    ),
)
_SELECTORS = (
    *(
        "a=b",
        "a==b",
        "a!=b",
        "a in (b,c)",
        "a notin (b)",
        "!a",
        "a",
        "a>1",
        "a<x",
        "a in ()",
        "a in (",
        "a in b",
        "=",
        "a=",
        ",",
        "a,,b",
        "a=b=c",
    ),
    *(
        "metadata.name=a",
        "metadata.namespace!=a",
        "spec.nodeName=a",
        "status.phase=Running",
        "spec.unknown=a",
        "metadata.name=a\\,b",
        "metadata.name=a\\",
    ),
    *(
        "a in (b,",
        "a not in (b)",
        "(",
        "a)b",
        "a/b/c=d",
        "a" * 300,
        "é=ü",
        "a=\x00",
        "metadata.name",
        "metadata.name>1",
        "involvedObject.name=a",
        "type=Opaque",
    ),
)
_VALUES: dict[str, Sequence[str]] = {
    "labelSelector": _SELECTORS,
    "fieldSelector": _SELECTORS,
    "resourceVersion": ("", "0", "1", "-1", "01", "9" * 30, "x", "1.5", "١", "18446744073709551615", " 1", "+1", "1_0"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "", "exact", "x"),
    "sendInitialEvents": ("true", "false", "", "x", "1"),
    "allowWatchBookmarks": ("true", "x", ""),
    "watch": ("true", "1", "false", "", "x", "T"),
    "timeoutSeconds": ("1", "0", "-1", "x", "", "9" * 30, "1.5", "1_0", "９"),
    "limit": ("1", "0", "-1", "2", "x", "", "9" * 30, "500", "1_0"),
    "continue": ("x", "", "e30", "bnVsbA", "W10", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYSJ9", "é", "=" * 9, "eyJzdGFydCI6MX0", "OTk5"),
    "dryRun": ("All", "", "all", "All,All", "x"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "", "strict", "x"),
    "fieldManager": ("m", "", "a" * 200, "é", "\x00", "\n", "\ufeff", "m/n"),
    "force": ("true", "false", "", "x"),
    "propagationPolicy": ("Orphan", "Background", "Foreground", "", "x"),
    "orphanDependents": ("true", "false", "", "x"),
    "gracePeriodSeconds": ("0", "1", "-1", "x", "", "9" * 30, "1.5"),
    "includeObject": ("None", "Object", "Metadata", "", "x"),
    "pretty": ("true", "x", ""),
    "container": ("c", "", "x", "\n"),
    "follow": ("true", "x"),
    "tailLines": ("1", "-1", "x", "9" * 30),
    "limitBytes": ("1", "-1", "0", "x"),
    "sinceSeconds": ("1", "-1", "x"),
    "sinceTime": ("2026-01-01T00:00:00Z", "x"),
    "command": ("ls", "", "\n"),
    "ports": ("80", "x", "-1", "99999"),
    "stdin": ("true", "x"),
    "stdout": ("true", "x"),
    "verbose": ("", "true"),
    "exclude": ("ping", ""),
}  # fmt: skip
_READING = (
    *(
        "labelSelector",
        "fieldSelector",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "watch",
    ),
    *("timeoutSeconds", "limit", "continue", "includeObject"),
)
_WRITING = ("dryRun", "fieldValidation", "fieldManager", "force", "pretty")
_DELETING = ("dryRun", "propagationPolicy", "orphanDependents", "gracePeriodSeconds")
_HEADERS: tuple[tuple[str, str], ...] = (
    *(("User-Agent", one) for one in ("", "/", "a" * 5000, "\xe9", "kubectl/v1.32 (x)")),
    *(("Authorization", one) for one in ("", "Bearer", "Bearer x", "Bearer \xe9", "Basic YTpi", "\xff", "Bearer  ")),
    *(("If-None-Match", "*"), ("If-Match", "x"), ("Range", "bytes=0-1"), ("X-HTTP-Method-Override", "DELETE"), ("Cookie", "a=\xff; b")),
    *(("Impersonate-User", "a"), ("Upgrade", "websocket"), ("Upgrade", "SPDY/3.1"), ("Origin", "http://a"), ("Host", ""), ("Host", "a b")),
    *(("Sec-WebSocket-Key", "x"), ("Sec-WebSocket-Version", "13"), ("X-Forwarded-For", "a"), ("Accept-Encoding", "gzip"), ("Accept-Encoding", "br;q=x")),
    *(("Forwarded", "for="), ("Content-Language", "x"), ("TE", "trailers"), ("Expect", "100-continue"), ("Connection", "close")),
)  # fmt: skip
_DOCUMENTS = (
    *("/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/livez", "/readyz", "/readyz/ping", "/healthz/x", "/metrics"),
    *("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1", "/openapi/v3/x", "/openapi/v3/apis/a/b/c/d", "/apis/x", "/apis/apps/x"),
    *("/api/v2", "/api/v1/x", "/apis/x/v1/y", "//", "/api//v1", "/api/v1/namespaces/", "/api/v1/namespaces//pods", "/api/v1/namespaces/../pods", "/.well-known/openid-configuration"),
    *("/apis/apps/v1/namespaces", "/api/v1/watch", "/api/v1/watch/x", "/favicon.ico", "/api/v1/nodes/a/proxy/x", "/logs", "/debug/pprof", "/%00", "/%ff", "/%zz", "/api/v1/%"),
    *("/" + "a" * 7000, "/api/v1/namespaces/default/pods/a/log/b", "/api/v1/namespaces/default/bindings", "*", "/api/v1/é"),
)  # fmt: skip
_MALFORMED = (
    b"\x00\x00\r\n\r\n", b"GET\r\n\r\n", b"GET /api\r\n\r\n", b"GET /api HTTP/9.9\r\n\r\n", b"GET /api HTTP/1.1\r\nA\r\n\r\n",
    b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"GET /api HTTP/1.1\r\n: a\r\n\r\n",
    b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET http://a:99999999/ HTTP/1.1\r\nHost: a\r\n\r\n", b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", b"GET //[ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /api HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"G\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /api HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"GET /api HTTP/1.0\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire.

    Attributes:
        method: as sent.
        target: path and query, percent-encoded or not.
        headers: in order; names may be there more than once.
        body: or None.
        chunked: the body is sent in chunks.
        malformed: not HTTP: these bytes are sent in place of all the above.
    """

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunked: bool = False
    malformed: bytes = b""

    def __str__(self) -> str:
        if self.malformed:
            return repr(self.malformed[:300])
        body = (
            ""
            if self.body is None
            else f" {self.body[:1500]!r}{f' … {len(self.body)} bytes' if len(self.body) > 1500 else ''}"
        )
        headers = " ".join(f"{name}:{value[:100]!r}" for name, value in self.headers)
        return f"{self.method} {self.target[:600]} [{headers}]{body}"


@dataclass(frozen=True)
class Place:
    """A resource of the server, in one version, with the schema of its objects."""

    root: str
    plural: str
    namespaced: bool
    subresources: tuple[str, ...]
    kind: str
    api_version: str
    schema: Object


@dataclass(frozen=True)
class Seed:
    """A request of which it is known that the server understands it."""

    method: str
    path: str
    body: Any
    content_type: str


class Requests:
    """An endless stream of requests."""

    def __init__(
        self, seed: int, places: Sequence[Place], definitions: dict[str, Object], seeds: Sequence[Seed], namespace: str
    ) -> None:
        """Draw from these; the same seed and the same server give the same stream."""
        self._random = random.Random(seed)
        self._places = places
        self._seeds = seeds
        self._namespace = namespace
        self._bodies = Bodies(self._random, definitions)

    def next(self) -> Request:
        """The next request."""
        chance = self._random.random()
        if chance < 0.01:
            return Request(malformed=self._random.choice(_MALFORMED))
        if chance < 0.05:
            return self._document()
        if chance < 0.40:
            return self._like_seed()
        return self._on_place(self._random.choice(self._places))

    def _document(self) -> Request:
        method = "GET" if self._random.random() < 0.7 else self._random.choice(_METHODS)
        return Request(
            method,
            self._random.choice(_DOCUMENTS) + self._query(("verbose", "exclude", "timeoutSeconds")),
            self._headers(),
        )

    def _like_seed(self) -> Request:
        seed = self._random.choice(self._seeds)
        path = seed.path.replace("/namespaces/default/", f"/namespaces/{self._namespace}/")
        headers: dict[str, str] = {}
        body, content_type = seed.body, seed.content_type
        if isinstance(body, (dict, list)):
            body = self._bodies.mutated(body) if self._random.random() < 0.8 else body
            body, written_as, headers = self._bodies.written(body)
            content_type = written_as if seed.content_type == "application/json" else content_type
        elif body is not None:
            body = body.encode()
        if self._random.random() < 0.5:
            path = path.replace("dryRun=All&", "").replace("?dryRun=All", "")
        return self._request(seed.method, path, body, content_type, headers)

    def _on_place(self, place: Place) -> Request:
        chance = self._random
        namespace = chance.choice((self._namespace,) * 8 + ("fuzz-none",))
        namespaced = f"/namespaces/{namespace}" if place.namespaced else ""
        collection, name = (
            f"{place.root}{namespaced}/{place.plural}",
            chance.choice(NAMES) if place.namespaced else "fuzz-a",
        )
        item = f"{collection}/{name}"
        match chance.choices(list(_ACTS), weights=list(_ACTS.values()))[0]:
            case "read":
                everywhere = (f"{place.root}/{place.plural}", f"{place.root}/watch/{place.plural}")
                made = self._request(
                    "GET", chance.choice((collection, item, *everywhere)) + self._query(_READING), None
                )
            case "create":
                made = self._write("POST", place, collection, name)
            case "update":
                made = self._write("PUT", place, item, name)
            case "patch":
                made = self._patch(place, item, name)
            case "delete":
                body = self._bodies.written(self._delete_options())[0] if chance.random() < 0.5 else None
                made = self._request("DELETE", item + self._query(_DELETING), body)
            case "delete all":
                query = self._query((*_READING[:3], *_DELETING)) if place.namespaced else "?dryRun=All"
                made = self._request("DELETE", collection + query, None)
            case "subresource" if place.subresources:
                made = self._subresource(place, item, name)
            case _:
                strange = f"{collection}/{quote(chance.choice(ODD_STRINGS)[:300], errors='replace')}"
                made = self._request(chance.choice(_STRANGE_METHODS), chance.choice((collection, strange)), None)
        return made

    def _subresource(self, place: Place, item: str, name: str) -> Request:
        subresource = self._random.choice((*place.subresources, "status", "x"))
        where = f"{item}/{subresource}"
        method = self._random.choice(("GET", "PUT", "PATCH", "POST", "DELETE"))
        if method == "PATCH":
            return self._patch(place, where, name)
        if method == "GET":
            names = (
                "container",
                "follow",
                "tailLines",
                "limitBytes",
                "sinceSeconds",
                "sinceTime",
                "command",
                "ports",
                "stdin",
                "stdout",
            )
            return self._request("GET", where + self._query(names), None)
        if subresource == "scale":
            body = self._bodies.mutated(
                {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": name}, "spec": {"replicas": 1}}
            )
        elif subresource == "binding":
            body = self._bodies.mutated(
                {
                    "kind": "Binding",
                    "apiVersion": "v1",
                    "metadata": {"name": name},
                    "target": {"kind": "Node", "name": "n"},
                }
            )
        elif subresource == "eviction":
            body = self._bodies.mutated(
                {
                    "kind": "Eviction",
                    "apiVersion": "policy/v1",
                    "metadata": {"name": name},
                    "deleteOptions": self._delete_options(),
                }
            )
        else:
            body = self._object(place, name)
        data, content_type, headers = self._bodies.written(body)
        return self._request(method, where + self._query(_WRITING), data, content_type, headers)

    def _write(self, method: str, place: Place, where: str, name: str) -> Request:
        data, content_type, headers = self._bodies.written(self._object(place, name))
        return self._request(method, where + self._query(_WRITING), data, content_type, headers)

    def _object(self, place: Place, name: str) -> Any:
        obj = self._bodies.fitting(place.schema)
        if isinstance(obj, dict):
            metadata: Object = {"name": name}
            for field, values in _METADATA.items():
                if self._random.random() < 0.12:
                    metadata[field] = self._random.choice(values)
            obj = {"apiVersion": place.api_version, "kind": place.kind, **obj, "metadata": metadata}
        return self._bodies.mutated(obj) if self._random.random() < 0.5 else obj

    def _patch(self, place: Place, where: str, name: str) -> Request:
        media_type = self._random.choice(_PATCHES)
        if media_type == _PATCHES[0]:
            patch: Any = [self._operation() for _ in range(self._random.choice((0, 1, 1, 2, 3)))]
            patch = self._bodies.mutated(patch) if self._random.random() < 0.2 else patch
        else:
            patch = self._object(place, name)
            if isinstance(patch, dict) and media_type != _PATCHES[3] and self._random.random() < 0.7:
                kept = self._random.sample(list(patch), min(len(patch), 2))
                patch = {key: patch[key] for key in kept}
        data, _, headers = self._bodies.written(patch)
        query = self._query(_WRITING)
        if media_type == _PATCHES[3] and self._random.random() < 0.8:
            query = "?fieldManager=m" + self._random.choice(("", "&force=true", "&dryRun=All"))
        return self._request("PATCH", where + query, data, media_type, headers)

    def _operation(self) -> Any:
        paths = (
            "/metadata/labels/a",
            "/metadata/labels",
            "/data/a",
            "/data",
            "/spec",
            "/spec/replicas",
            "/metadata/name",
            "",
            "/",
            "/metadata/finalizers/-",
        )
        path = self._random.choice(
            (
                *paths,
                "/a~2b",
                "/a~",
                "/metadata/finalizers/0",
                "/spec/template/spec/containers/0/image",
                "/spec/http/99",
                "/spec/hosts/-1",
                "x",
            )
        )
        operation: Object = {
            "op": self._random.choice(("add", "remove", "replace", "move", "copy", "test", "x")),
            "path": path,
        }
        if self._random.random() < 0.8:
            operation["value"] = self._bodies.odd_value()
        if self._random.random() < 0.4:
            operation["from"] = self._random.choice((*paths, 1))
        return operation

    def _delete_options(self) -> Any:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        for field, values in _DELETE_OPTIONS.items():
            if self._random.random() < 0.2:
                options[field] = self._random.choice(values)
        return self._bodies.mutated(options) if self._random.random() < 0.3 else options

    def _query(self, names: Sequence[str]) -> str:
        chance = self._random
        chosen = chance.sample(names, min(len(names), chance.choice((0, 0, 0, 1, 1, 2, 3))))
        pairs = [f"{name}={self._query_value(name)}" for name in chosen]
        if chance.random() < 0.03:
            pairs.append(
                chance.choice(("a", "=", "&&", "watch", ";", "%", "%zz=1", "dryRun[]=All", "limit=%ff", "a=%00", "é=ü"))
            )
        if chance.random() < 0.03:
            pairs *= 2
        return "?" + "&".join(pairs) if pairs else ""

    def _query_value(self, name: str) -> str:
        if self._random.random() < 0.05:
            value = self._random.choice(ODD_STRINGS)[:300]
            return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="")
        return quote(self._random.choice(_VALUES[name]), safe="")

    def _headers(self) -> tuple[tuple[str, str], ...]:
        chance = self._random
        headers = [("Accept", chance.choice(_ACCEPTS) if chance.random() < 0.2 else "application/json")]
        if chance.random() < 0.1:
            headers.append(chance.choice(_HEADERS))
        if chance.random() < 0.01:
            headers += [("Connection", "Upgrade"), ("Upgrade", chance.choice(("websocket", "SPDY/3.1", "h2c", "x")))]
        return tuple(headers)

    def _request(
        self,
        method: str,
        target: str,
        body: bytes | None,
        content_type: str = "application/json",
        more: Mapping[str, str] | None = None,
    ) -> Request:
        headers = self._headers()
        if body is not None:
            if self._random.random() < 0.03:
                content_type = self._random.choice((*_PATCHES, "", "text/plain", "application/yaml"))
            headers += (("Content-Type", content_type), *(more or {}).items())
        return Request(method, target, headers, body, chunked=body is not None and self._random.random() < 0.03)


_METADATA: dict[str, Sequence[Any]] = {
    "labels": ({"a": "b"}, {"app": "x", "a": "1"}, {}, {"a": None}),
    "annotations": ({"a": "b"}, {"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
    "finalizers": (["example.com/a"], ["orphan"], ["foregroundDeletion", "example.com/a"], []),
    "generateName": ("fuzz-", "x" * 70),
    "resourceVersion": ("", "0", "1", "x", "-1", "9" * 30, "01"),
    "uid": ("x", "", "00000000-0000-0000-0000-000000000000"),
    "generation": (0, 7, -1, 2**63 - 1),
    "deletionTimestamp": ("2026-01-01T00:00:00Z", None, "x"),
    "creationTimestamp": (None, "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    "ownerReferences": ([{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "x"}], [{}], [{"controller": True}] * 2),
    "managedFields": (
        [], [{}], [{"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}],
        [{"manager": "m", "operation": "Update", "apiVersion": "x/y/z", "fieldsType": "FieldsV1", "fieldsV1": {"k:{": {}, "v:x": {}, "i:x": {}, ".": 1}}],
        [{"manager": "m", "operation": "Apply", "apiVersion": "v1", "time": "x"}], [{"operation": "x"}], [{"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV2", "fieldsV1": []}],
    ),
    "selfLink": ("x",),
}  # fmt: skip
_DELETE_OPTIONS: dict[str, Sequence[Any]] = {
    "gracePeriodSeconds": (0, 1, -1, None, 2**63 - 1),
    "preconditions": ({"uid": "x"}, {"resourceVersion": "1"}, {}, None, {"uid": None}),
    "propagationPolicy": ("Orphan", "Foreground", "Background", "", "x"),
    "orphanDependents": (True, False, None),
    "dryRun": (["All"], [], ["x"], None),
    "ignoreStoreReadErrorWithClusterBreakingPotential": (True, False),
}


def places_of(resources: Mapping[str, Sequence[Object]], definitions: dict[str, Object]) -> list[Place]:
    """The resources of a server, from its discovery documents by path (`/api/v1`, `/apis/apps/v1`, …)."""
    found = []
    for root, listed in resources.items():
        group_version = root.removeprefix("/apis/").removeprefix("/api/")
        for one in listed:
            if "/" in one["name"]:
                continue
            below = tuple(
                other["name"].partition("/")[2] for other in listed if other["name"].startswith(f"{one['name']}/")
            )
            schema = _schema_of(definitions, group_version, one["kind"])
            found.append(Place(root, one["name"], one["namespaced"], below, one["kind"], group_version, schema))
    return found


def _schema_of(definitions: dict[str, Object], group_version: str, kind: str) -> Object:
    group, _, version = group_version.rpartition("/")
    wanted = {"group": group, "version": version, "kind": kind}
    return next(
        (one for one in definitions.values() if wanted in one.get("x-kubernetes-group-version-kind", ())),
        {"type": "object"},
    )


def seeds_of(recorded: Sequence[Object]) -> list[Seed]:
    """Seeds from recorded questions."""
    return [
        Seed(case["method"], case["path"], _read(case.get("body")), case.get("contentType", "application/json"))
        for case in recorded
    ]


def _read(body: str | None) -> Any:
    """The object or list that a body is, or its text if it is none."""
    try:
        read = json.loads(body or "")
    except ValueError:
        return body
    return read if isinstance(read, (dict, list)) else body
