"""The Gateway API's kinds: how they are found, in which versions they are read, and what their definitions refuse."""

from __future__ import annotations

import pytest

GROUP = "gateway.networking.k8s.io"


def obj(kind, name, spec, version="v1"):
    return {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": {"name": name}, "spec": spec}


def route(version="v1", **backend):
    backends = [{"name": "tcp-echo-v1", "port": 9000, **backend}]
    return obj("TCPRoute", "r", {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": backends}]}, version)


def gateway(**listener):
    listeners = [{"name": "tcp", "port": 31400, "protocol": "TCP", **listener}]
    # Of a class that nobody serves, so that what is read is what was written.
    return obj("Gateway", "g", {"gatewayClassName": "nobodys", "listeners": listeners})


@pytest.fixture
def paths(api, namespace):
    base = {version: f"/apis/{GROUP}/{version}/namespaces/{namespace}" for version in ("v1", "v1alpha2", "v1beta1")}
    yield base
    for plural in ("gateways", "tcproutes", "referencegrants"):
        api.delete(f"{base['v1']}/{plural}")


@pytest.mark.parity("Gateway API: kinds, versions and short names in discovery", "works")
def test_the_kinds_are_discovered(api):
    (group,) = [one for one in api.get("/apis").body["groups"] if one["name"] == GROUP]
    assert group["preferredVersion"]["version"] == "v1"
    found = {one["name"]: one for one in api.get(f"/apis/{GROUP}/v1").body["resources"]}
    for plural, kind, short, namespaced in (
        ("gatewayclasses", "GatewayClass", ["gc"], False),
        ("gateways", "Gateway", ["gtw"], True),
        ("tcproutes", "TCPRoute", None, True),
        ("referencegrants", "ReferenceGrant", ["refgrant"], True),
    ):
        one = found[plural]
        assert (one["kind"], one.get("shortNames"), one["namespaced"]) == (kind, short, namespaced)
        assert one["categories"] == ["gateway-api"]
    assert {"gatewayclasses/status", "gateways/status", "tcproutes/status"} <= found.keys()
    older = {one["name"] for one in api.get(f"/apis/{GROUP}/v1alpha2").body["resources"]}
    assert {"tcproutes", "tcproutes/status"} <= older


@pytest.mark.parity("Gateway API: which versions are served, and in which one objects are kept", "works")
@pytest.mark.parametrize(
    ("plural", "versions", "kept_in"),
    [
        ("gatewayclasses", ["v1", "v1beta1"], "v1"),
        ("gateways", ["v1", "v1beta1"], "v1"),
        ("tcproutes", ["v1", "v1alpha2"], "v1"),
        ("referencegrants", ["v1", "v1beta1"], "v1beta1"),
    ],
)
def test_versions(api, plural, versions, kept_in):
    definition = api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}").body
    assert [one["name"] for one in definition["spec"]["versions"] if one["served"]] == versions
    assert [one["name"] for one in definition["spec"]["versions"] if one["storage"]] == [kept_in]
    assert definition["status"]["storedVersions"] == [kept_in]


@pytest.mark.parity("Gateway API: TCPRoute as v1 and v1alpha2", "works")
def test_a_route_is_one_object_in_both_versions(api, paths):
    created = api.post(f"{paths['v1alpha2']}/tcproutes", route("v1alpha2", weight=80))
    assert created.code == 201
    assert created.body["apiVersion"] == f"{GROUP}/v1alpha2"
    read = api.get(f"{paths['v1']}/tcproutes/r").body
    assert read["apiVersion"] == f"{GROUP}/v1"
    assert read["spec"]["rules"][0]["backendRefs"][0]["weight"] == 80


@pytest.mark.parity("Gateway API: the warning that TCPRoute v1alpha2 is deprecated", "works")
def test_the_older_version_says_that_it_is_deprecated(api, paths):
    sentence = (
        "The v1alpha2 version of TCPRoute has been deprecated and will be removed in a future release of the API. "
        "Please upgrade to v1."
    )
    path = f"{paths['v1alpha2']}/tcproutes"
    for answer in (api.post(path, route("v1alpha2")), api.get(path), api.get(f"{path}/r"), api.delete(f"{path}/r")):
        assert answer.warnings == [f'299 - "{sentence}"']
    assert api.get(f"{paths['v1']}/tcproutes").warnings == []


@pytest.mark.parity("Gateway API: the columns of Gateway", "works")
def test_the_columns_that_kubectl_shows(api, paths):
    path = f"{paths['v1']}/gateways"
    assert api.post(path, gateway()).code == 201
    address = {"type": "IPAddress", "value": "192.0.2.1"}
    condition = {"lastTransitionTime": "2026-01-01T00:00:00Z", "message": "", "reason": "R", "status": "True"}
    status = {"addresses": [address], "conditions": [{**condition, "type": "Programmed"}]}
    assert api.patch(f"{path}/g/status", {"status": status}).code == 200
    table = api.get(path, accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name",
        "Class",
        "Address",
        "Programmed",
        "Age",
    ]
    assert table["rows"][0]["cells"][:4] == ["g", "nobodys", "192.0.2.1", "True"]


@pytest.mark.parity("Gateway API: defaults of Gateway and TCPRoute", "works")
def test_what_is_filled_in(api, paths):
    made = api.post(f"{paths['v1']}/tcproutes", route()).body["spec"]
    assert made["parentRefs"] == [{"group": GROUP, "kind": "Gateway", "name": "g"}]
    backend = {"group": "", "kind": "Service", "name": "tcp-echo-v1", "port": 9000, "weight": 1}
    assert made["rules"] == [{"backendRefs": [backend]}]
    made = api.post(f"{paths['v1']}/gateways", gateway()).body
    assert made["spec"]["listeners"][0]["allowedRoutes"] == {"namespaces": {"from": "Same"}}
    (manager,) = made["metadata"]["managedFields"]
    assert manager["fieldsV1"].keys() == {"f:spec"}
    conditions = [(one["type"], one["status"], one["reason"]) for one in made["status"]["conditions"]]
    assert conditions == [("Accepted", "Unknown", "Pending"), ("Programmed", "Unknown", "Pending")]


@pytest.mark.parity("Gateway API: bounds and required fields", "works")
def test_bounds_and_required_fields(api, paths):
    field = "spec.rules[0].backendRefs[0].weight"
    refused = api.post(f"{paths['v1']}/tcproutes", route(weight=-1))
    sentence = f"{field}: Invalid value: -1: {field} in body should be greater than or equal to 0"
    assert refused.error == (422, "Invalid", f'TCPRoute.{GROUP} "r" is invalid: {sentence}')
    refused = api.post(f"{paths['v1']}/gateways", gateway(port=70000))
    field = "spec.listeners[0].port"
    sentence = f"{field}: Invalid value: 70000: {field} in body should be less than or equal to 65535"
    assert refused.error == (422, "Invalid", f'Gateway.{GROUP} "g" is invalid: {sentence}')
    nothing = api.post(f"{paths['v1']}/tcproutes", obj("TCPRoute", "r", {}))
    assert nothing.error[:2] == (422, "Invalid")
    assert "spec.rules: Required value" in nothing.error[2]


def test_an_unknown_field_is_refused_where_that_is_asked_for(api, paths):
    refused = api.post(f"{paths['v1']}/tcproutes?fieldValidation=Strict", route(wieght=1))
    words = 'strict decoding error: unknown field "spec.rules[0].backendRefs[0].wieght"'
    prefix = f'TCPRoute in version "v1" cannot be handled as a TCPRoute: {words}'
    assert refused.error == (400, "BadRequest", prefix)


@pytest.mark.parity("Gateway API: ReferenceGrant as v1 and v1beta1", "works")
def test_a_grant_has_no_status(api, paths):
    source = {"group": GROUP, "kind": "TCPRoute", "namespace": "default"}
    spec = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    path = f"{paths['v1beta1']}/referencegrants"
    assert api.post(path, {**obj("ReferenceGrant", "r", spec, "v1beta1"), "status": {"a": 1}}).code == 201
    assert "status" not in api.get(f"{paths['v1']}/referencegrants/r").body
    assert api.get(f"{paths['v1']}/referencegrants/r/status").code == 404


@pytest.mark.parity("kubectl get, explain and describe of the Gateway API's kinds, by short name", "works")
def test_kubectl_and_the_kinds(api, paths, kubectl):
    assert api.post(f"{paths['v1']}/gateways", gateway()).code == 201
    assert api.post(f"{paths['v1']}/tcproutes", route(weight=80)).code == 201
    head, row = kubectl("get", "gtw").splitlines()
    assert head.split() == ["NAME", "CLASS", "ADDRESS", "PROGRAMMED", "AGE"]
    assert row.split()[:3] == ["g", "nobodys", "Unknown"]
    assert kubectl("get", "tcproutes", "-o", "jsonpath={.items[*].spec.rules[*].backendRefs[*].weight}") == "80"
    assert ["Weight:", "80"] in [line.split() for line in kubectl("describe", "tcproute", "r").splitlines()]
    lines = kubectl("explain", "tcproute.spec.rules.backendRefs.weight").splitlines()
    assert lines[:5] == [
        f"GROUP:      {GROUP}",
        "KIND:       TCPRoute",
        "VERSION:    v1",
        "",
        "FIELD: weight <integer>",
    ]
