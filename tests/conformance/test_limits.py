"""What is too much for one request, and that the server answers and lives."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl

import pytest

LIMIT = 3 * 1024 * 1024
TOO_LARGE = (413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")
BIG = b'{"metadata":{"name":"a"},"data":{"a":"' + b"x" * 5_000_000 + b'"}}'
JSON = "application/json"
WRITES = [
    ("POST", "", JSON),
    ("POST", "", "application/yaml"),
    ("POST", "", "application/vnd.kubernetes.protobuf"),
    ("PUT", "/a", JSON),
    ("PATCH", "/a", "application/merge-patch+json"),
    ("PATCH", "/a", "application/json-patch+json"),
    ("PATCH", "/a", "application/strategic-merge-patch+json"),
    ("PATCH", "/a?fieldManager=m", "application/apply-patch+yaml"),
    ("DELETE", "/a", JSON),
    ("DELETE", "", JSON),
]


@pytest.fixture
def path(api, core):
    api.post(f"{core}/configmaps", {"metadata": {"name": "a"}})
    return f"{core}/configmaps"


@pytest.fixture
def send(api):
    """Sends a request whose body is not waited for to the end, on a connection of its own; gives code, headers and text."""

    def sent(method, path, body, content_type=JSON, *, in_chunks=False, **headers):
        connection = http.client.HTTPSConnection(api.host, context=api.tls, timeout=30)
        pieces = (body[start : start + 65536] for start in range(0, len(body), 65536)) if in_chunks else body
        sent_headers = {"Content-Type": content_type, **api.headers, **headers}
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # it may have answered, and read no more
            connection.request(method, path, pieces, sent_headers, encode_chunked=in_chunks)
        response = connection.getresponse()
        answer = response.status, response.headers, response.read().decode()
        connection.close()
        return answer

    return sent


@pytest.mark.parity("API: a body that is too large, for every verb, also in chunks without a length", "works")
@pytest.mark.parametrize("in_chunks", [False, True], ids=["with length", "in chunks"])
@pytest.mark.parametrize("write", WRITES, ids=" ".join)
def test_a_body_too_large(api, path, send, write, in_chunks):
    method, rest, content_type = write
    code, headers, text = send(method, path + rest, BIG, content_type, in_chunks=in_chunks)
    status = json.loads(text)
    assert (code, status["reason"], status["message"]) == TOO_LARGE
    assert "details" not in status
    assert headers["Connection"] == "close"
    assert api.get(f"{path}/a").code == 200


@pytest.mark.parametrize("in_chunks", [False, True], ids=["with length", "in chunks"])
def test_a_body_just_below_the_limit_is_read(path, send, in_chunks):
    body = BIG[: LIMIT - 3] + b'"}}'
    code, _, text = send("POST", path, body, in_chunks=in_chunks)
    assert (code, json.loads(text)["reason"]) == (422, "Invalid")  # of a ConfigMap's own limit, 1 MiB


@pytest.mark.parity("API: a header or a URL that is too large", "works")
@pytest.mark.parametrize("place", ["header", "url"])
def test_a_head_too_large(api, send, place):
    for size in (60_000, 1_000_000):
        path, header = (f"/readyz?x={'a' * size}", "a") if place == "url" else ("/readyz", "a" * size)
        assert send("GET", path, b"", a=header)[0] == 200
    for size in (1_100_000, 5_000_000):
        path, header = (f"/readyz?x={'a' * size}", "a") if place == "url" else ("/readyz", "a" * size)
        code, headers, text = send("GET", path, b"", a=header)
        assert (code, text) == (431, "431 Request Header Fields Too Large")
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert headers["Connection"] == "close"
    assert api.get("/readyz").code == 200


def test_a_body_too_large_of_nobody(api, send):
    code, _, text = send("POST", "/api/v1/namespaces/default/configmaps", BIG, Authorization="Bearer wrong")
    assert (code, json.loads(text)["reason"]) == (401, "Unauthorized")
    assert api.get("/readyz").code == 200
