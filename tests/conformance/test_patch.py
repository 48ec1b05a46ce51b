"""The three kinds of patch."""

from __future__ import annotations

import pytest

STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@pytest.fixture
def path(api, core):
    api.post(f"{core}/configmaps", {"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}})
    return f"{core}/configmaps/a"


@pytest.mark.parity("API: merge patch", "works")
def test_merge(api, path):
    answer = api.patch(path, {"data": {"k": None, "l": "w"}})
    assert (answer.code, answer.body["data"]) == (200, {"l": "w"})


@pytest.mark.parity("API: JSON patch", "works")
def test_json_patch(api, path):
    operations = [
        {"op": "test", "path": "/data/k", "value": "v"},
        {"op": "replace", "path": "/data/k", "value": "w"},
        {"op": "add", "path": "/metadata/labels/y", "value": "2"},
        {"op": "remove", "path": "/metadata/labels/x"},
    ]
    answer = api.patch(path, operations, JSON_PATCH)
    assert (answer.body["data"], answer.body["metadata"]["labels"]) == ({"k": "w"}, {"y": "2"})


@pytest.mark.parity("API: JSON patch that does not apply", "works")
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/k", "value": "z"},
        {"op": "test", "path": "/data/absent", "value": "z"},
        {"op": "remove", "path": "/data/absent"},
        {"op": "replace", "path": "/absent/deeper", "value": 1},
        {"op": "add", "path": "/data/k/deeper", "value": 1},
        {"op": "add", "path": "data", "value": 1},
        {"op": "move", "from": "/absent", "path": "/data"},
        {"op": "copy", "from": "/data/absent/deeper", "path": "/data"},
        {"op": "remove", "path": ""},
        {"op": "foo", "path": "/data"},
        {"op": "add"},
    ],
    ids=str,
)
def test_json_patch_that_does_not_apply(api, path, operation):
    """None of its operations is done, the good one before it neither."""
    answer = api.patch(path, [{"op": "add", "path": "/data/new", "value": "n"}, operation], JSON_PATCH)
    assert answer.error == (422, "Invalid", "the server rejected our request due to an error in our request")
    assert answer.body["details"] == {}
    assert api.get(path).body["data"] == {"k": "v"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"op": "add"}, "object into Go value of type []handlers.jsonPatchOp"),
        ("x", "string into Go value of type []handlers.jsonPatchOp"),
        (["x"], "string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 5, "path": "/data"}], "number into Go struct field jsonPatchOp.op of type string"),
    ],
)
def test_json_patch_that_is_none(api, path, body, why):
    message = f"error decoding patch: json: cannot unmarshal {why}"
    assert api.patch(path, body, JSON_PATCH).error == (400, "BadRequest", message)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"data": {"$patch": "nope"}}, (500, "", "unknown patch type: nope in map: map[$patch:nope]")),
        ({"data": {"$retainKeys": 5}}, (400, "BadRequest", "invalid patch format of retainKeys")),
    ],
)
def test_strategic_merge_with_directives_there_are_not(api, path, body, error):
    assert api.patch(path, body, STRATEGIC).error == error


@pytest.mark.parity("API: strategic merge patch", "works")
def test_strategic_merge_joins_lists_by_key(api, core):
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]},
    }
    api.post(f"{core}/pods", pod)
    wished = {"spec": {"containers": [{"name": "b", "image": "3"}]}}
    containers = api.patch(f"{core}/pods/p", wished, STRATEGIC).body["spec"]["containers"]
    assert [(container["name"], container["image"]) for container in containers] == [("a", "1"), ("b", "3")]


LIMITS = {"spec": {"containers": [{"name": "c", "resources": {"limits": 5}}]}}
WRONG = [
    ("deployments", {"spec": {"replicas": "three"}}, "unrecognized type: int32"),
    ("deployments", {"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
    ("deployments", {"spec": {"replicas": {}}}, "unrecognized type: int32"),
    ("deployments", {"spec": {"paused": "yes"}}, "unrecognized type: bool"),
    ("deployments", {"spec": 5}, "cannot restore struct from: int64"),
    ("deployments", {"spec": {"template": []}}, "cannot restore struct from: slice"),
    ("deployments", {"spec": {"template": {"spec": {"containers": {"name": "c"}}}}}, "cannot restore slice from map"),
    ("deployments", {"spec": {"template": LIMITS}}, "cannot restore map from int64"),
    (
        "deployments",
        {"spec": {"strategy": {"rollingUpdate": {"maxSurge": True}}}},
        "json: cannot unmarshal bool into Go value of type int32",
    ),
    ("deployments", {"metadata": {"labels": {"a": 5}}}, "cannot convert int64 to string"),
    ("deployments", {"metadata": {"labels": {"a": True}}}, "unrecognized type: string"),
    (
        "deployments",
        {"metadata": {"creationTimestamp": 5}},
        "json: cannot unmarshal number into Go value of type string",
    ),
    ("services", {"spec": {"type": 5}}, "cannot convert int64 to v1.ServiceType"),
    ("services", {"spec": {"ports": [{"port": "x"}]}}, "unrecognized type: int32"),
    ("configmaps", {"data": 5}, "cannot restore map from int64"),
    ("configmaps", {"data": {"a": 1.5}}, "unrecognized type: string"),
    ("configmaps", {"binaryData": {"a": "*"}}, "error decoding from json: illegal base64 data at input byte 0"),
]


@pytest.mark.parity("API: strategic merge patch with a value of the wrong type", "works")
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_strategic_merge_with_a_value_of_the_wrong_type(api, core, apps, wrong):
    resource, patch, why = wrong
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    there = {
        "deployments": {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}},
        "services": {"spec": {"ports": [{"port": 80}]}},
        "configmaps": {"data": {"a": "b"}},
    }
    path = f"{apps if resource == 'deployments' else core}/{resource}"
    created = api.post(path, {"metadata": {"name": "x"}, **there[resource]})
    assert created.code == 201
    code, reason, message = api.patch(f"{path}/x", patch, STRATEGIC).error
    assert (code, reason) == (422, "Invalid")
    assert message.startswith(' "" is invalid: patch: Invalid value: "map[')
    assert message.endswith(f']": {why}')
    assert api.get(f"{path}/x").body == created.body


@pytest.mark.parity("kubectl patch with a value of the wrong type", "works")
def test_kubectl_says_what_is_wrong(kubectl, applied):
    assert kubectl("patch", "deployment", "tcp-echo-v1", "-p", '{"spec":{"replicas":"three"}}', code=1) == (
        'The request is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32\n'
    )


def test_strategic_merge_is_not_for_custom_resources(api, virtual_services):
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v"}, "spec": {}}
    api.post(virtual_services, base)
    answer = api.patch(f"{virtual_services}/v", {"spec": {}}, STRATEGIC)
    accepted = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    assert answer.error == (415, "UnsupportedMediaType", message)


def test_unknown_kind_of_patch(api, path):
    answer = api.patch(path, {}, "application/json")
    assert answer.error == (415, "UnsupportedMediaType", "415: Unsupported Media Type")


def test_patch_of_what_is_not_there(api, core):
    assert api.patch(f"{core}/configmaps/zz", {}).error == (404, "NotFound", 'configmaps "zz" not found')


def test_patch_with_an_older_version(api, path):
    answer = api.patch(path, {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}})
    assert answer.error[:2] == (409, "Conflict")


def test_patch_of_the_name(api, path):
    message = "the name of the object (z) does not match the name on the URL (a)"
    assert api.patch(path, {"metadata": {"name": "z"}}).error == (400, "BadRequest", message)


def test_patch_of_the_uid(api, path):
    message = 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "z": field is immutable'
    assert api.patch(path, {"metadata": {"uid": "z"}}).error == (422, "Invalid", message)


def test_empty_patch_writes_nothing(api, path):
    before = api.get(path).body
    answer = api.patch(path, {})
    assert (answer.code, answer.body) == (200, before)


def test_unknown_field_in_a_patch_warns(api, path):
    answer = api.patch(path, {"dada": {}})
    assert (answer.code, answer.warnings) == (200, ['299 - "unknown field \\"dada\\""'])


def too_large(why):
    return (413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def test_too_many_operations(api, path):
    operation = {"op": "test", "path": "/data/k", "value": "v"}
    answer = api.patch(path, [operation] * 10_001, JSON_PATCH)
    assert answer.error == too_large("The allowed maximum operations in a JSON patch is 10000, got 10001")
    assert "details" not in answer.body


@pytest.mark.parametrize("copies", [14, 30])
def test_operations_that_double_the_object(api, path, copies):
    """Each copies all that is there into it: thirty of them would make a terabyte of a kilobyte."""
    api.patch(path, {"metadata": {"annotations": {"a": "x" * 1000}}})
    operations = [
        {"op": "copy", "from": "/metadata", "path": f"/metadata/annotations/n{number}"} for number in range(copies)
    ]
    rejected = (422, "Invalid", "the server rejected our request due to an error in our request")
    assert api.patch(path, operations, JSON_PATCH).error == rejected
    assert api.get(path).code == 200
