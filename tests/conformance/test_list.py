"""Lists, their pages and selectors, Tables, and what discovery says."""

from __future__ import annotations

import pytest

TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def names(answer):
    return [item["metadata"]["name"] for item in answer.body["items"]]


@pytest.fixture
def secrets(api, core):
    for name, label in (("b", "x"), ("a", "x"), ("c", "y")):
        api.post(f"{core}/secrets", {"metadata": {"name": name, "labels": {"l": label}}})
    return f"{core}/secrets"


def test_list(api, secrets):
    answer = api.get(secrets)
    assert (answer.body["kind"], answer.body["apiVersion"], names(answer)) == ("SecretList", "v1", ["a", "b", "c"])
    assert set(answer.body["items"][0]) == {"metadata", "type"}
    assert int(answer.body["metadata"]["resourceVersion"]) >= int(
        answer.body["items"][0]["metadata"]["resourceVersion"]
    )


def test_list_of_custom_resources_names_their_kind(api, virtual_services):
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v"}, "spec": {}}
    api.post(virtual_services, base)
    body = api.get(virtual_services).body
    assert (body["kind"], body["items"][0]["kind"]) == ("VirtualServiceList", "VirtualService")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("l=x", ["a", "b"]),
        ("l==y", ["c"]),
        ("l!=x", ["c"]),
        ("l in (x,y)", ["a", "b", "c"]),
        ("l notin (x)", ["c"]),
        ("l", ["a", "b", "c"]),
        ("!l", []),
        ("l=x,l=y", []),
    ],
)
@pytest.mark.parity("API: label selectors", "works")
def test_label_selector(api, secrets, selector, expected):
    quoted = selector.replace("=", "%3D").replace(" ", "%20")
    assert names(api.get(f"{secrets}?labelSelector={quoted}")) == expected


@pytest.mark.parity("API: field selectors", "works")
def test_field_selector(api, secrets, namespace):
    assert names(api.get(f"{secrets}?fieldSelector=metadata.name%3Da")) == ["a"]
    assert names(api.get(f"{secrets}?fieldSelector=metadata.name!%3Da")) == ["b", "c"]
    assert names(api.get(f"/api/v1/secrets?fieldSelector=metadata.namespace%3D{namespace}")) == ["a", "b", "c"]


@pytest.mark.parity("API: lists in pages, limit and continue", "works")
def test_pages(api, secrets):
    first = api.get(f"{secrets}?limit=2")
    assert (names(first), first.body["metadata"]["remainingItemCount"]) == (["a", "b"], 1)
    second = api.get(f"{secrets}?limit=2&continue={first.body['metadata']['continue']}")
    assert names(second) == ["c"]
    assert "continue" not in second.body["metadata"]


def test_continue_token_that_is_none(api, secrets):
    code, reason, message = api.get(f"{secrets}?limit=1&continue=zz").error
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("invalid continue token: continue key is not valid: ")


@pytest.mark.parametrize("query", ["resourceVersion=0", "resourceVersion=1&resourceVersionMatch=NotOlderThan"])
def test_versions_a_list_may_name(api, secrets, query):
    assert names(api.get(f"{secrets}?{query}")) == ["a", "b", "c"]


def test_exact_version(api, secrets):
    version = api.get(secrets).body["metadata"]["resourceVersion"]
    answer = api.get(f"{secrets}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert (names(answer), answer.body["metadata"]["resourceVersion"]) == (["a", "b", "c"], version)


@pytest.mark.parity("API: lists as tables", "works")
def test_table(api, secrets):
    body = api.get(secrets, accept=TABLE).body
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in body["columnDefinitions"]] == ["Name", "Type", "Data", "Age"]
    assert [row["cells"][0] for row in body["rows"]] == ["a", "b", "c"]
    shown = body["rows"][0]["object"]
    assert (shown["kind"], shown["apiVersion"], shown["metadata"]["name"]) == (
        "PartialObjectMetadata",
        "meta.k8s.io/v1",
        "a",
    )
    assert set(shown) == {"kind", "apiVersion", "metadata"}


def test_table_with_whole_objects_or_none(api, secrets):
    whole = api.get(f"{secrets}?includeObject=Object", accept=TABLE).body["rows"][0]["object"]
    assert (whole["kind"], whole["type"]) == ("Secret", "Opaque")
    assert api.get(f"{secrets}?includeObject=None", accept=TABLE).body["rows"][0].get("object") is None
    message = "Unable to convert to Table as requested: includeObject: Invalid value: \"Foo\": must be 'Metadata', 'Object', 'None', or empty"
    assert api.get(f"{secrets}?includeObject=Foo", accept=TABLE).error == (400, "BadRequest", message)


def test_table_of_one(api, secrets):
    body = api.get(f"{secrets}/a", accept=TABLE.replace("List", "")).body
    assert [row["cells"][0] for row in body["rows"]] == ["a"]


def test_metadata_alone(api, secrets):
    body = api.get(secrets, accept=PARTIAL).body
    assert body["kind"] == "PartialObjectMetadataList"
    assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_unknown_form_falls_back_to_the_next(api, secrets):
    assert (
        api.get(secrets, accept="application/json;as=Foo;v=v1;g=meta.k8s.io,application/json").body["kind"]
        == "SecretList"
    )


def test_version_and_health(api):
    version = api.get("/version").body
    assert (version["major"], version["minor"]) == ("1", "34")
    for path in ("/healthz", "/livez", "/readyz", "/livez/ping"):
        assert (api.get(path).code, api.get(path).text) == (200, "ok")


def test_verbose_health(api):
    lines = api.get("/readyz?verbose").text.splitlines()
    assert (lines[0], lines[-1]) == ("[+]ping ok", "readyz check passed")


def resource(body, name):
    (found,) = [entry for entry in body["resources"] if entry["name"] == name]
    return {key: value for key, value in found.items() if key != "storageVersionHash"}


def test_discovery_of_the_core_group(api):
    assert api.get("/api").body["versions"] == ["v1"]
    body = api.get("/api/v1").body
    assert body["groupVersion"] == "v1"
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    assert resource(body, "pods") == {
        "name": "pods",
        "singularName": "pod",
        "namespaced": True,
        "kind": "Pod",
        "verbs": verbs,
        "shortNames": ["po"],
        "categories": ["all"],
    }
    assert resource(body, "namespaces") == {
        "name": "namespaces",
        "singularName": "namespace",
        "namespaced": False,
        "kind": "Namespace",
        "verbs": [verb for verb in verbs if verb != "deletecollection"],
        "shortNames": ["ns"],
    }
    assert resource(body, "pods/log")["verbs"] == ["get"]
    assert resource(body, "pods/binding") == {
        "name": "pods/binding", "singularName": "", "namespaced": True, "kind": "Binding", "verbs": ["create"]
    }  # fmt: skip
    assert resource(body, "pods/eviction").items() >= {"group": "policy", "version": "v1", "kind": "Eviction"}.items()
    assert resource(body, "namespaces/finalize")["verbs"] == ["update"]


@pytest.mark.parametrize("name", ["services", "nodes", "configmaps", "secrets", "serviceaccounts", "events"])
def test_discovery_of_core_kinds_has_short_names(api, name):
    expected = {"services": ["svc"], "nodes": ["no"], "configmaps": ["cm"], "serviceaccounts": ["sa"], "events": ["ev"]}
    assert resource(api.get("/api/v1").body, name).get("shortNames") == expected.get(name)


@pytest.mark.parity("API: discovery", "works")
def test_discovery_of_groups(api):
    groups = {group["name"]: group for group in api.get("/apis").body["groups"]}
    assert {"apps", "discovery.k8s.io", "networking.istio.io"} <= set(groups)
    istio = groups["networking.istio.io"]
    assert istio["preferredVersion"]["groupVersion"] == "networking.istio.io/v1"
    assert [version["version"] for version in istio["versions"]] == ["v1", "v1beta1", "v1alpha3"]
    assert api.get("/apis/apps").body["kind"] == "APIGroup"
    scale = resource(api.get("/apis/apps/v1").body, "deployments/scale")
    assert scale.items() >= {"group": "autoscaling", "version": "v1", "kind": "Scale"}.items()
    virtual_services = resource(api.get("/apis/networking.istio.io/v1").body, "virtualservices")
    assert virtual_services["shortNames"] == ["vs"]
    assert set(virtual_services["categories"]) == {"istio-io", "networking-istio-io"}


@pytest.mark.parity("API: discovery, aggregated", "works")
def test_aggregated_discovery(api):
    answer = api.get("/apis", accept=AGGREGATED + ",application/json")
    assert answer.headers["Content-Type"] == AGGREGATED
    groups = {item["metadata"]["name"]: item for item in answer.body["items"]}
    apps = {entry["resource"]: entry for entry in groups["apps"]["versions"][0]["resources"]}
    assert apps["deployments"]["shortNames"] == ["deploy"]
    assert {entry["subresource"] for entry in apps["deployments"]["subresources"]} == {"status", "scale"}
    (core,) = api.get("/api", accept=AGGREGATED).body["items"]
    assert "pods" in [entry["resource"] for entry in core["versions"][0]["resources"]]
