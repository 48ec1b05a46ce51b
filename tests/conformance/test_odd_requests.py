"""Requests that no client sends on purpose: what is found fault with first, and in which words."""

from __future__ import annotations

import http.client

import pytest

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
JSON, YAML = "application/json", "application/yaml"
NAMELESS = "the name of the object (a based on URL) was undeterminable: name must be provided"
TOO_LARGE = "json: cannot unmarshal number 1e400 into Go value of type float64"
UNKNOWN_FORM = (
    "the body of the request was in an unknown format - accepted media types include: "
    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
)
ITEM = "/configmaps/a"


@pytest.fixture
def stored(api, core):
    """The path of the namespace, which holds a ConfigMap `a`."""
    assert api.post(f"{core}/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}}).code == 201
    return core


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "expected"),
    [
        # What is asked for in the query is read before anything is done, numbers first.
        (
            "GET",
            "/configmaps?limit=x&labelSelector=(",
            None,
            JSON,
            (400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ),
        ("GET", "/configmaps?limit=", None, JSON, (400, 'strconv.ParseInt: parsing "": invalid syntax')),
        (
            "GET",
            "/configmaps?timeoutSeconds=%D9%A1",
            None,
            JSON,
            (400, 'strconv.ParseInt: parsing "١": invalid syntax'),
        ),
        (
            "DELETE",
            "/configmaps?gracePeriodSeconds=",
            None,
            JSON,
            (400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ),
        (
            "GET",
            "/configmaps?sendInitialEvents=1",
            None,
            JSON,
            (
                422,
                'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: '
                "sendInitialEvents is forbidden for list",
            ),
        ),
        (
            "POST",
            "/configmaps?dryRun=",
            {"metadata": {"name": "b"}},
            JSON,
            (422, 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]: supported values: "All"'),
        ),
        # A version that is none.
        (
            "GET",
            "/configmaps?resourceVersion=x",
            None,
            JSON,
            (
                400,
                'invalid resource version: resourceVersion: Invalid value: "x": '
                'strconv.ParseUint: parsing "x": invalid syntax',
            ),
        ),
        (
            "GET",
            "/configmaps/a?resourceVersion=18446744073709551616",
            None,
            JSON,
            (
                500,
                'resourceVersion: Invalid value: "18446744073709551616": '
                'strconv.ParseUint: parsing "18446744073709551616": value out of range',
            ),
        ),
        (
            "PUT",
            ITEM,
            {"metadata": {"name": "a", "resourceVersion": "١"}},
            JSON,
            (500, 'strconv.ParseUint: parsing "١": invalid syntax'),
        ),
        (
            "POST",
            "/configmaps",
            {"metadata": {"name": "b", "resourceVersion": "1"}},
            JSON,
            (500, "resourceVersion should not be set on objects to be created"),
        ),
        ("POST", "/configmaps?dryRun=All", {"metadata": {"name": "b", "resourceVersion": "1"}}, JSON, (201, None)),
        ("POST", "/configmaps", {"metadata": {"name": "b", "resourceVersion": "x"}}, JSON, (201, None)),
        (
            "POST",
            "/configmaps?dryRun=All",
            {"metadata": {"name": "b", "resourceVersion": "1"}, "data": {"a/b": ""}},
            JSON,
            (
                422,
                'ConfigMap "b" is invalid: data[a/b]: Invalid value: "a/b": a valid config key must consist of '
                "alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', "
                "regex used for validation is '[-._a-zA-Z0-9]+')",
            ),
        ),
        # An object has to say which it is.
        ("PUT", ITEM, {}, JSON, (400, NAMELESS)),
        ("PATCH", ITEM, {"metadata": {"name": None}}, MERGE, (400, NAMELESS)),
        (
            "PATCH",
            "/configmaps/b?fieldManager=m",
            {"apiVersion": "v1", "kind": "ConfigMap"},
            APPLY,
            (400, NAMELESS.replace("(a ", "(b ")),
        ),
        # A patch is read when there is something to apply it to.
        ("PATCH", "/configmaps/none", b"nope", MERGE, (404, 'configmaps "none" not found')),
        ("PATCH", "/configmaps/none?dryRun=x", b"{}", "text/plain", (415, "415: Unsupported Media Type")),
        ("POST", "/configmaps?dryRun=x", b"nope", "text/plain", (415, UNKNOWN_FORM)),
        (
            "PATCH",
            ITEM,
            b"nope",
            MERGE,
            (400, "error decoding patch: invalid character 'o' in literal null (expecting 'u')"),
        ),
        # Numbers that are too large.
        ("PATCH", ITEM, b'{"data":{"a":1e400}}', MERGE, (400, f"error decoding patch: {TOO_LARGE}")),
        ("PATCH", ITEM, b'{"data":{"a":1e400}}', STRATEGIC, (400, TOO_LARGE)),
        (
            "PATCH",
            ITEM,
            b'[{"op":"add","path":"/data/a","value":1e400}]',
            JSON_PATCH,
            (400, f"error decoding patch: {TOO_LARGE.replace('Go value', 'Go struct field jsonPatchOp.value')}"),
        ),
        # What is asked of a deletion.
        (
            "DELETE",
            ITEM,
            b"nope",
            JSON,
            (500, "couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u')"),
        ),
        (
            "DELETE",
            ITEM,
            {"kind": "Pod", "apiVersion": "v1"},
            JSON,
            (500, 'no kind "Pod" is registered for version "v1" in scheme "pkg/runtime/scheme.go:110"'),
        ),
        # A name that is none among a Job's own fields.
        (
            "POST",
            "/jobs",
            {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}},
            JSON,
            (422, 'Job.batch "" is invalid: metadata.name: Required value: name or generateName is required'),
        ),
    ],
)
def test_words(api, stored, method, path, body, content_type, expected):  # noqa: PLR0917 - the columns of a table
    where = stored.replace("/api/v1/", "/apis/batch/v1/") if path.startswith("/jobs") else stored
    answer = api.request(method, where + path, body, content_type)
    assert (answer.code, answer.body.get("message")) == expected


@pytest.mark.parametrize(
    ("field", "told"),
    [("a.b", "a.b"), ("a[0]", "a[0]"), ("x[0].y", "x[0].y"), ("owner]s", "owner]s"), ("", "")],
)
def test_unknown_fields_may_be_called_anything(api, core, field, told):
    body = {"metadata": {"name": "b"}, field: {"x": [None]}}
    strict = api.post(f"{core}/configmaps?fieldValidation=Strict", body)
    why = f'strict decoding error: unknown field "{told}"'
    assert strict.body["message"] == f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {why}'
    stored = api.post(f"{core}/configmaps", body)
    assert (stored.code, stored.warnings) == (201, [f'299 - "unknown field \\"{told}\\""'])
    assert field not in stored.body


@pytest.mark.parametrize(
    ("written", "read"),
    [(r"\ud800", "\ufffd"), (r"\udfff\ud800x", "\ufffd\ufffdx"), (r"\ud83d\ude00", "😀"), (r"\\ud800", r"\ud800")],
)
def test_half_of_a_surrogate_pair_is_no_character(api, core, written, read):
    body = '{"metadata":{"name":"b"},"data":{"a":"%s"}}' % written  # noqa: UP031 - braces
    assert api.post(f"{core}/configmaps", body.encode()).body["data"] == {"a": read}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "invalid leading UTF-8 octet"),
        (b"\xc3\x28", "invalid trailing UTF-8 octet"),
        (b"\x01", "control characters are not allowed"),
        (rb"\ud800", "line 2: found invalid Unicode character escape code"),
    ],
)
def test_yaml_that_is_no_text(api, core, data, why):
    answer = api.post(f"{core}/configmaps", b'metadata: {name: b}\ndata: {a: "%s"}' % data, YAML)
    start = f"the object provided is unrecognized (must be of type ConfigMap): yaml: {why} ("
    assert (answer.code, answer.body["message"][: len(start)]) == (400, start)


def test_yaml_in_another_encoding(api, core):
    assert api.post(f"{core}/configmaps", "metadata: {name: b}".encode("utf-16"), YAML).code == 201


def test_too_large_a_number_of_yaml_is_a_text(api, core):
    body = b"metadata: {name: b}\ndata: {a: 1e400, b: %s}" % (b"9" * 400)
    assert api.post(f"{core}/configmaps", body, YAML).body["data"] == {"a": "1e400", "b": "9" * 400}


def test_number_too_large_for_a_custom_resource(api, virtual_services):
    body = b'{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"b"},"x":1e400}'
    answer = api.post(virtual_services, body)
    head = 'VirtualService in version "v1" cannot be handled as a VirtualService: '
    assert (answer.code, answer.body["message"]) == (400, head + TOO_LARGE)


def test_metadata_that_is_none(api, virtual_services):
    body = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": "x"}
    why = "json: cannot unmarshal string into Go value of type v1.ObjectMeta"
    message = f'VirtualService in version "v1" cannot be handled as a VirtualService: {why}'
    assert api.post(virtual_services, body).error == (400, "BadRequest", message)


def test_nothing_can_be_applied_to_a_list_whose_items_cannot_be_told_apart(api, core, namespace):
    path = f"{core}/serviceaccounts"
    assert api.post(path, {"metadata": {"name": "b"}, "secrets": [{}]}).code == 201
    config = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "b", "labels": {"a": "b"}}}
    answer = api.patch(f"{path}/b?fieldManager=m", config, APPLY)
    what = f"({namespace}/b; /v1, Kind=ServiceAccount)"
    why = 'associative list with keys has an element that omits all key fields ["name"] '
    assert (answer.code, answer.body["message"]) == (
        500,
        "failed to create manager for existing fields: "
        f"failed to convert new object {what} to smd typed: .secrets: element 0: {why}"
        "(and doesn't have default values for any key fields)",
    )


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"binaryData": {"a": "_"}}, "error decoding from json: illegal base64 data at input byte 0"),
        (
            {"metadata": {"name": "b", "creationTimestamp": "x"}},
            'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
        ),
    ],
)
def test_applied_texts_that_are_no_time_and_no_bytes(api, core, is_there, part, why):
    if is_there:
        api.post(f"{core}/configmaps", {"metadata": {"name": "b"}})
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, **part}
    answer = api.patch(f"{core}/configmaps/b?fieldManager=m", config, APPLY)
    kind = "/v1, Kind=ConfigMap"
    head = (
        f"failed to convert new object (/b; {kind}) to proper version: unable to convert unstructured object to {kind}"
    )
    assert (answer.code, answer.body["message"]) == (500, f"{head}: {why}")


@pytest.mark.parametrize(
    ("time", "why"),
    [
        ("2026-01-01T00:00:00.123456+01:00", None),
        ("2026-01-01T00:00:00Z", ' as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"'),
        ("2026-01-01T00:00:00.1Z", ' as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".1Z" as ".000000"'),
        ("2026-01-01T00:00:00.1234567Z", ' as "2006-01-02T15:04:05.000000Z07:00": cannot parse "7Z" as "Z07:00"'),
        ("2026-13-01T00:00:00.000000Z", ": month out of range"),
        ("2026-02-29T00:00:00.000000Z", ": day out of range"),
        ("2024-02-29T00:00:00.000000Z", None),
        ("2026-01-00T00:00:00.000000Z", ": day out of range"),
        ("2026-01-01T24:00:00.000000Z", ": hour out of range"),
        ("2026-01-01T00:60:00.000000Z", ": minute out of range"),
        ("2026-01-01T00:00:60.000000Z", ": second out of range"),
    ],
)
def test_times(api, core, time, why):
    path = core.replace("/api/v1/", "/apis/coordination.k8s.io/v1/") + "/leases"
    answer = api.post(f"{path}?dryRun=All", {"metadata": {"name": "b"}, "spec": {"renewTime": time}})
    if why is None:
        assert answer.code == 201, answer.text
        return
    head = f'Lease in version "v1" cannot be handled as a Lease: parsing time "{time}"'
    assert answer.error == (400, "BadRequest", head + why)


def test_reviews_cannot_be_watched(api):
    answer = api.get("/apis/authentication.k8s.io/v1/watch/selfsubjectreviews")
    assert answer.error == (404, "NotFound", "the server could not find the requested resource")


def test_a_null_in_a_list_of_names(api):
    body = {"metadata": {"name": "b"}, "spec": {"names": {"categories": [None]}}}
    answer = api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All", body)
    assert answer.code == 422
    assert 'spec.names.categories[0]: Invalid value: "": a DNS-1035 label must consist of' in answer.body["message"]


@pytest.mark.parametrize("version", ["9223372036854775808", "18446744073709551615"])
def test_a_watch_waits_for_a_version_that_never_comes(api, core, version):
    assert api.watch(f"{core}/configmaps", resourceVersion=version) == []


def test_compressed_bodies_are_not_unpacked(api, core):
    headers = {**api.headers, "Content-Encoding": "gzip"}
    answer = api.request("POST", f"{core}/configmaps", b'{"metadata":{"name":"b"}}', headers=headers)
    assert answer.code == 201


@pytest.mark.parametrize("token", ["\xff", "é"])
def test_credentials_may_be_any_bytes(api, token):
    answer = api.request("GET", "/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})
    assert answer.error == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_request(api, request_bytes):
    connection = http.client.HTTPSConnection(api.host, context=api.tls, timeout=30)
    connection.connect()
    connection.sock.sendall(request_bytes)
    with http.client.HTTPResponse(connection.sock) as response:
        response.begin()
        assert (response.status, response.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
        assert response.read() == b"400 Bad Request"
        assert response.headers["Connection"] == "close"
    connection.close()


def test_a_long_selector_is_read(api, core):
    names = ",".join(f"name-{number}" for number in range(3000))
    assert api.get(f"{core}/configmaps?labelSelector=a+in+({names})").body["items"] == []
