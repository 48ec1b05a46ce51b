"""Refusals, each with code, reason and message as a client sees them."""

from __future__ import annotations

import json

import pytest

NO_METHOD = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
NO_RESOURCE = (404, "NotFound", "the server could not find the requested resource")
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def config_map(name="a", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}}


def test_missing_object(api, core, apps):
    assert api.get(f"{core}/pods/x").error == (404, "NotFound", 'pods "x" not found')
    answer = api.get(f"{apps}/deployments/x")
    assert answer.error == (404, "NotFound", 'deployments.apps "x" not found')
    assert answer.body["details"] == {"name": "x", "group": "apps", "kind": "deployments"}
    assert answer.body["status"] == "Failure"


@pytest.mark.parametrize("path", ["/api/v1/foos", "/apis/apps/v2/deployments", "/api/v1/namespaces/default/pods/x/foo"])
def test_unknown_resource(api, path):
    assert api.get(path).error == NO_RESOURCE


@pytest.mark.parametrize("path", ["/apis/foo/v1/bars", "/nope", "/apis/foo", "/apis/foo/v1"])
def test_unknown_path_is_plain_text(api, path):
    answer = api.get(path)
    assert (answer.code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "configmaps"),
        ("PUT", "configmaps"),
        ("POST", "configmaps/x"),
        ("POST", "configmaps/x/status"),
    ],
)
def test_verb_a_path_does_not_have(api, core, method, path):
    expected = NO_RESOURCE if path.endswith("status") else NO_METHOD
    assert api.request(method, f"{core}/{path}", {}).error == expected


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_all_namespaces_can_only_be_read(api, method):
    assert api.request(method, "/api/v1/pods", {}).error == NO_METHOD


def test_namespaces_have_no_deletecollection(api):
    assert api.delete("/api/v1/namespaces").error == NO_METHOD


def test_body_of_unknown_type(api, core):
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    assert api.post(f"{core}/configmaps", b"{}", "text/plain").error == (415, "UnsupportedMediaType", message)


def test_kind_and_version_may_be_left_out(api, core):
    answer = api.post(f"{core}/configmaps", {"metadata": {"name": "nokind"}})
    assert (answer.code, answer.body["kind"], answer.body["apiVersion"]) == (201, "ConfigMap", "v1")


def test_other_kind(api, core):
    answer = api.post(f"{core}/configmaps", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    assert answer.error == (
        400,
        "BadRequest",
        'Secret in version "v1" cannot be handled as a ConfigMap: '
        "converting (v1.Secret) to (core.ConfigMap): unknown conversion",
    )


def test_other_version(api, core):
    answer = api.post(f"{core}/configmaps", {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    assert answer.error == (
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'no kind "ConfigMap" is registered for version "apps/v1" in scheme "pkg/runtime/scheme.go:110"',
    )


def test_custom_resource_of_other_kind_or_version(api, virtual_services):
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v"}}
    expected = "the API version in the data (networking.istio.io/v1beta1) does not match the expected API version "
    assert api.post(virtual_services, {**base, "apiVersion": "networking.istio.io/v1beta1"}).error == (
        400, "BadRequest", expected + "(networking.istio.io/v1)"
    )  # fmt: skip
    assert api.post(virtual_services, {**base, "kind": "Gateway"}).error == (
        422,
        "Invalid",
        'Gateway.networking.istio.io "v" is invalid: kind: Invalid value: "Gateway": must be VirtualService',
    )
    assert api.post(virtual_services, {"metadata": {"name": "x"}}).error == (
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type VirtualService): "
        'Object \'Kind\' is missing in \'{"metadata": {"name": "x"}}\' ({"metadata": {"name": "x"}})',
    )


def test_other_namespace(api, core):
    assert api.post(f"{core}/configmaps", config_map(namespace="other")).error == (
        400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"
    )  # fmt: skip


def test_namespace_that_is_not_there(api):
    answer = api.post("/api/v1/namespaces/nowhere/configmaps", config_map())
    assert answer.error == (404, "NotFound", 'namespaces "nowhere" not found')


def test_no_name(api, core):
    answer = api.post(f"{core}/configmaps", {"metadata": {}})
    assert answer.error == (
        422, "Invalid", 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )  # fmt: skip
    assert answer.body["details"] == {
        "kind": "ConfigMap",
        "causes": [
            {
                "reason": "FieldValueRequired",
                "message": "Required value: name or generateName is required",
                "field": "metadata.name",
            }
        ],
    }


@pytest.mark.parity("API: AlreadyExists", "works")
def test_create_twice(api, core):
    assert api.post(f"{core}/configmaps", config_map()).code == 201
    answer = api.post(f"{core}/configmaps", config_map())
    assert answer.error == (409, "AlreadyExists", 'configmaps "a" already exists')
    assert answer.body["details"] == {"name": "a", "kind": "configmaps"}


def test_create_with_a_version(api, core):
    answer = api.post(f"{core}/configmaps", config_map(resourceVersion="1"))
    assert answer.error == (500, "", "resourceVersion should not be set on objects to be created")


@pytest.mark.parity("API: Conflict", "works")
def test_replace_of_an_older_version(api, core):
    api.post(f"{core}/configmaps", config_map())
    answer = api.put(f"{core}/configmaps/a", config_map(resourceVersion="1"))
    assert answer.error == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}')


def test_replace_with_another_name(api, core):
    api.post(f"{core}/configmaps", config_map())
    assert api.put(f"{core}/configmaps/a", config_map("b")).error == (
        400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"
    )  # fmt: skip


def test_replace_of_another_uid(api, core, namespace):
    uid = api.post(f"{core}/configmaps", config_map()).body["metadata"]["uid"]
    assert api.put(f"{core}/configmaps/a", config_map(uid="z")).error == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, '
        f"Key: /registry/configmaps/{namespace}/a, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: UID in precondition: z, UID in object meta: {uid}",
    )


def test_replace_with_a_version_that_is_no_number(api, core):
    api.post(f"{core}/configmaps", config_map())
    answer = api.put(f"{core}/configmaps/a", config_map(resourceVersion="abc"))
    assert answer.error == (500, "", 'strconv.ParseUint: parsing "abc": invalid syntax')


def test_replace_of_what_is_not_there(api, core):
    assert api.put(f"{core}/configmaps/a", config_map()).error == (404, "NotFound", 'configmaps "a" not found')


def test_replace_of_a_custom_resource_needs_its_version(api, virtual_services):
    obj = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v"}, "spec": {}}
    assert api.post(virtual_services, obj).code == 201
    assert api.put(f"{virtual_services}/v", obj).error == (
        422,
        "Invalid",
        'virtualservices.networking.istio.io "v" is invalid: '
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    )


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("fieldSelector=foo=b", 400, "field label not supported: foo"),
        ("labelSelector=a=b,,", 400, "found ',', expected: identifier after ','"),
        (
            "resourceVersionMatch=Exact",
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "watch=1&sendInitialEvents=true",
            422,
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=1&resourceVersion=abc",
            500,
            'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
        ),
    ],
)
def test_list_options(api, core, query, code, message):
    answer = api.get(f"{core}/pods?{query}")
    assert (answer.code, answer.body["message"]) == (code, message)


def test_version_of_the_future(api, core):
    answer = api.get(f"{core}/pods?resourceVersion=999999999")
    code, reason, message = answer.error
    assert (code, reason) == (504, "Timeout")
    assert message.startswith("Timeout: Too large resource version: 999999999, current: ")
    assert answer.body["details"]["retryAfterSeconds"] == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "fieldValidation=Foo",
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Foo": '
            'supported values: "", "Ignore", "Strict", "Warn"',
        ),
        (
            "dryRun=foo",
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["foo"]: supported values: "All"',
        ),
    ],
)
def test_create_options(api, core, query, message):
    assert api.post(f"{core}/configmaps?{query}", config_map()).error == (422, "Invalid", message)


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            "propagationPolicy=Foo",
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": '
            'supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        (
            "dryRun=Foo",
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Foo"]: supported values: "All"',
        ),
        ("gracePeriodSeconds=foo", 400, 'strconv.ParseInt: parsing "foo": invalid syntax'),
    ],
)
def test_delete_options(api, core, query, code, message):
    api.post(f"{core}/configmaps", config_map())
    answer = api.delete(f"{core}/configmaps/a?{query}")
    assert (answer.code, answer.body["message"]) == (code, message)
    assert api.get(f"{core}/configmaps/a").code == 200


def test_accept_of_a_type_that_is_not_served(api, core):
    code, reason, message = api.get(f"{core}/pods", accept="text/html").error
    assert (code, reason) == (406, "NotAcceptable")
    assert message.startswith("406: Not Acceptable\n\nAvailable representations: application/json")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"preconditions": 5}, "number into Go struct field DeleteOptions.preconditions of type v1.Preconditions"),
        ({"gracePeriodSeconds": "x"}, "string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"),
        ({"dryRun": 5}, "number into Go struct field DeleteOptions.dryRun of type []string"),
    ],
)
def test_delete_options_that_are_not_understood_delete_nothing(api, core, body, words):
    api.post(f"{core}/configmaps", config_map())
    assert api.delete(f"{core}/configmaps/a", body).error == (500, "", f"json: cannot unmarshal {words}")
    assert api.get(f"{core}/configmaps/a").code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"metadata": 5}, "number into Go struct field Scale.metadata of type v1.ObjectMeta"),
        ({"spec": 5}, "number into Go struct field Scale.spec of type v1.ScaleSpec"),
        ({"spec": {"replicas": "x"}}, "string into Go struct field ScaleSpec.spec.replicas of type int32"),
    ],
)
def test_scale_of_the_wrong_type(api, apps, body, words):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    deployment = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    api.post(f"{apps}/deployments", deployment)
    message = f'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal {words}'
    assert api.put(f"{apps}/deployments/d/scale", body).error == (400, "BadRequest", message)


def test_binding_of_the_wrong_type(api, core):
    words = "number into Go struct field Binding.metadata of type v1.ObjectMeta"
    message = f'Binding in version "v1" cannot be handled as a Binding: json: cannot unmarshal {words}'
    assert api.post(f"{core}/pods/p/binding", {"metadata": 5}).error == (400, "BadRequest", message)


def test_custom_resource_with_metadata_null(api, virtual_services):
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    assert api.post(virtual_services, {**base, "metadata": None}).error[:2] == (422, "Invalid")


@pytest.mark.parity(
    "API: warnings about old annotations of security, and about other notations of addresses",
    "known difference: none are given",
)
@pytest.mark.parametrize(
    ("annotations", "address", "sentence"),
    [
        (
            {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"},
            "192.0.2.1",
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; "
            'use the "seccompProfile" field instead',
        ),
        (
            {},
            "::ffff:192.0.2.1",
            'spec.hostAliases[0].ip: non-standard IP address "::ffff:192.0.2.1" will be considered invalid in a future '
            'Kubernetes release: use "192.0.2.1"',
        ),
    ],
)
def test_warnings_that_are_not_given(api, core, annotations, address, sentence):
    spec = {"schedulerName": "none", "containers": [{"name": "c", "image": "i"}]}
    spec["hostAliases"] = [{"ip": address, "hostnames": ["h"]}]
    answer = api.post(f"{core}/pods", {"metadata": {"name": "p", "annotations": annotations}, "spec": spec})
    assert answer.code == 201
    assert answer.warnings == ([f"299 - {json.dumps(sentence)}"] if api.is_peer else [])
