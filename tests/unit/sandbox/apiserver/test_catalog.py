"""The table of kinds: found by path and by name, changed while it is in use."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tcpshift_helpers.sandbox.apiserver import gateway_api_schemas
from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.defaults import apply_defaults
from tcpshift_helpers.sandbox.apiserver.definitions import DEFINITIONS, by_priority, resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.strategy import strategy_for
from tcpshift_helpers.sandbox.apiserver.validation import validate_create

ISTIO = "networking.istio.io"


def test_a_kind_is_found_by_path_and_by_name() -> None:
    catalog = Catalog(map(resource_type, definitions()))
    gateway = catalog.by_path(ISTIO, "v1beta1", "gateways")
    assert gateway is not None
    assert (
        gateway
        == catalog.by_kind(ISTIO, "v1beta1", "Gateway")
        == catalog.by_group_resource(f"gateways.{ISTIO}").at("v1beta1")
    )
    assert catalog.has_group(ISTIO)
    assert catalog.by_path(ISTIO, "v2", "gateways") is None
    assert catalog.by_kind("", "v1", "Gateway") is None


def test_custom_kinds_come_and_go_and_built_in_ones_stay() -> None:
    catalog = Catalog()
    before = list(catalog)
    catalog.set_custom(map(resource_type, definitions()))
    assert [kind.plural for kind in list(catalog)[len(before) :]] == ["gateways", "virtualservices", "destinationrules"]
    catalog.set_custom(())
    assert list(catalog) == before
    assert not catalog.has_group(ISTIO)
    with pytest.raises(LookupError):
        catalog.by_group_resource("gateways.networking.istio.io")


def test_a_definition_s_kind_has_its_served_versions_in_order_of_preference() -> None:
    definition = definitions()[1]
    versions = definition["spec"]["versions"]
    versions.append({**versions[0], "name": "v9", "served": False})
    versions.insert(0, versions.pop(2))
    kind = resource_type(definition)
    assert kind.versions == ("v1", "v1beta1", "v1alpha3")
    assert (kind.kind, kind.plural, kind.short_names, kind.namespaced) == (
        "VirtualService",
        "virtualservices",
        ("vs",),
        True,
    )


def test_versions_in_order_of_preference() -> None:
    ordered = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert by_priority(sorted(ordered)) == ordered


@pytest.mark.parametrize(
    "definition",
    [*definitions(), *gateway_api_schemas.definitions()],
    ids=lambda definition: definition["metadata"]["name"],
)
def test_the_definitions_that_are_there_from_the_start_are_valid(definition: dict[str, Any]) -> None:
    # They are stored without being judged again.
    resource = Catalog().by_group_resource(DEFINITIONS)
    made = apply_defaults(resource, copy.deepcopy(definition))
    strategy_for(resource).prepare_for_create(made)
    assert validate_create(resource, made) == []
    schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["x-kubernetes-validations"] = [{"rule": "self ="}]
    (objection,) = validate_create(resource, made)
    assert "compilation failed" in objection.message
