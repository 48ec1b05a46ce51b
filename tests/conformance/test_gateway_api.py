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


@pytest.mark.parity("Gateway API: TCPRoute as v1 and v1alpha2", "works")
def test_a_route_is_one_object_in_both_versions(api, paths):
    created = api.post(f"{paths['v1alpha2']}/tcproutes", route("v1alpha2", weight=80))
    assert created.code == 201
    assert created.body["apiVersion"] == f"{GROUP}/v1alpha2"
    read = api.get(f"{paths['v1']}/tcproutes/r").body
    assert read["apiVersion"] == f"{GROUP}/v1"
    assert read["spec"]["rules"][0]["backendRefs"][0]["weight"] == 80


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


def test_a_grant_has_no_status(api, paths):
    source = {"group": GROUP, "kind": "TCPRoute", "namespace": "default"}
    spec = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    path = f"{paths['v1beta1']}/referencegrants"
    assert api.post(path, {**obj("ReferenceGrant", "r", spec, "v1beta1"), "status": {"a": 1}}).code == 201
    assert "status" not in api.get(f"{paths['v1']}/referencegrants/r").body
    assert api.get(f"{paths['v1']}/referencegrants/r/status").code == 404
