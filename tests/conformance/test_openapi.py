"""The OpenAPI documents, v2 and v3, as clients read them: which forms there are, and what they say of kinds and parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
DEPLOYMENT = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
VIRTUAL_SERVICE = "/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices/{name}"


@pytest.fixture
def read(api) -> Callable:
    """The v2 document in the form that is asked for."""
    return functools.partial(api.request, "GET", "/openapi/v2")


@pytest.mark.parity("API: OpenAPI v2", "works")
@pytest.mark.parametrize("path", [DEPLOYMENT, VIRTUAL_SERVICE])
def test_paths_of_v2(read, path):
    document = read().body
    patch = document["paths"][path]["patch"]
    kind = patch["x-kubernetes-group-version-kind"]
    name = patch["responses"]["200"]["schema"]["$ref"].removeprefix("#/definitions/")
    assert kind in document["definitions"][name]["x-kubernetes-group-version-kind"]
    named = [document["parameters"][one["$ref"].split("/")[2]] if "$ref" in one else one for one in patch["parameters"]]
    assert {"fieldValidation", "dryRun", "fieldManager"} <= {one["name"] for one in named}


def test_what_v2_says_of_fields(read):
    definitions = read().body["definitions"]
    port = definitions["io.k8s.api.core.v1.ServicePort"]["properties"]
    assert (port["port"]["type"], port["port"]["format"]) == ("integer", "int32")
    target = definitions[port["targetPort"]["$ref"].removeprefix("#/definitions/")]
    assert (target["type"], target["format"]) == ("string", "int-or-string")
    containers = definitions["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    spec = definitions["io.istio.networking.v1.VirtualService"]["properties"]["spec"]
    route = spec["properties"]["tcp"]["items"]["properties"]["route"]["items"]
    assert route["required"] == ["destination"]
    assert route["properties"]["weight"]["type"] == "integer"


def test_v2_has_no_alternatives(read):
    def check(schema):
        assert not {"anyOf", "oneOf", "not", "nullable", "default"} & schema.keys()
        assert schema.get("type") != "array" or "items" in schema
        for field in schema.get("properties", {}).values():
            check(field)
        for part in ("items", "additionalProperties"):
            if isinstance(schema.get(part), dict):
                check(schema[part])

    for schema in read().body["definitions"].values():
        check(schema)


@pytest.mark.parity("API: OpenAPI v2 as protobuf, as kubectl asks for it", "works")
def test_protobuf_says_the_same(read):
    document = read().body
    content = read(accept=PROTOBUF).content
    assert values(content, 1) == [b"2.0"]
    (definitions,) = values(content, 9)
    named = {values(pair, 1)[0].decode(): values(pair, 2)[0] for pair in values(definitions, 1)}
    assert named.keys() == document["definitions"].keys()
    port = named["io.k8s.api.core.v1.ServicePort"]
    assert values(port, 19) == [b"port"]
    (properties,) = values(port, 25)
    names = [values(pair, 1)[0].decode() for pair in values(properties, 1)]
    assert names == list(document["definitions"]["io.k8s.api.core.v1.ServicePort"]["properties"])
    (paths,) = values(content, 8)
    found = {values(pair, 1)[0].decode(): values(pair, 2)[0] for pair in values(paths, 2)}
    (patch,) = values(found[VIRTUAL_SERVICE], 8)
    assert values(patch, 5) == [document["paths"][VIRTUAL_SERVICE]["patch"]["operationId"].encode()]
    assert b"x-kubernetes-group-version-kind" in [values(pair, 1)[0] for pair in values(patch, 13)]


def values(message: bytes, wanted: int) -> list[bytes]:
    """The values of one field of a message, of those that have a length."""
    return [value for number, value in fields(message) if number == wanted]


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        tag = varint()
        if tag & 7 == 0:
            varint()
            continue
        length = varint() if tag & 7 == 2 else 8
        yield tag >> 3, message[position : position + length]
        position += length


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/json", "application/json"),
        (PROTOBUF, PROTOBUF),
        (PROTOBUF.replace("v2.v1.0", "v2@v1.0"), PROTOBUF),
        ("text/html", None),
        ("application/yaml", None),
    ],
)
def test_forms_of_v2(read, accept, content_type):
    answer = read(accept=accept)
    assert (answer.code, answer.headers.get("Content-Type")) == (200 if content_type else 406, content_type)


@pytest.mark.parity("API: OpenAPI v3", "works")
@pytest.mark.parametrize("root", ["api/v1", "apis/apps/v1", "apis/networking.istio.io/v1"])
def test_v3(api, root):
    address = api.get("/openapi/v3").body["paths"][root]["serverRelativeURL"]
    document = api.get(address).body
    assert document["openapi"] == "3.0.0"
    kinds = {one["kind"] for one in api.get(f"/{root}").body["resources"] if "/" not in one["name"]}
    told = {
        kind["kind"]
        for schema in document["components"]["schemas"].values()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
    }
    assert kinds <= told
    assert all(path.startswith(f"/{root}/") for path in document["paths"] if path.strip("/") != root)


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3/apis/apps/v1"])
def test_what_a_client_has_is_not_sent_again(api, path):
    tag = api.get(path).headers["ETag"]
    again = api.request("GET", path, headers={**api.headers, "If-None-Match": tag})
    assert (again.code, again.text) == (304, "")
    assert api.request("GET", path, headers={**api.headers, "If-None-Match": '"other"'}).code == 200


@pytest.mark.parametrize("path", ["/openapi/v3/apis/no.example/v1", "/openapi/v3/api/v9", "/openapi/v4"])
def test_documents_that_are_not_there(api, path):
    assert api.get(path).code == 404
