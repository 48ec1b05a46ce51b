"""The OpenAPI documents: what kubectl needs in them, and nothing that is not OpenAPI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.openapi import openapi_v3, openapi_v3_index
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas

CATALOG = Catalog(map(resource_type, definitions()))
KINDS = tuple(CATALOG)
GROUP_VERSIONS = sorted({(one.group, version) for one in KINDS for version in one.versions})


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    return Schemas.load(tmp_path_factory.mktemp("cache"), CATALOG)


def test_the_index_leads_to_every_group_and_version() -> None:
    paths = openapi_v3_index(KINDS)["paths"]
    assert set(paths) == {f"apis/{group}/{version}" if group else f"api/{version}" for group, version in GROUP_VERSIONS}
    fewer = openapi_v3_index(tuple(one for one in KINDS if one.kind != "Gateway"))["paths"]
    changed = [path for path in paths if paths[path] != fewer[path]]
    assert changed == [path for path in paths if "istio" in path], "another table of kinds, another hash"


@pytest.mark.parametrize(("group", "version"), GROUP_VERSIONS)
def test_kubectl_finds_field_validation_and_every_reference_leads_somewhere(
    schemas: Schemas, group: str, version: str
) -> None:
    document = openapi_v3(group, version, KINDS, schemas)
    components = document["components"]["schemas"]
    text = json.dumps(document)
    assert "x-tcpshift" not in text
    for reference in text.split('"#/components/schemas/')[1:]:
        assert reference.split('"')[0] in components
    kinds = [one for one in KINDS if one.group == group and version in one.versions]
    for kind in kinds:
        wanted = {"group": group, "version": version, "kind": kind.kind}
        patches = [
            path["patch"]
            for path in document["paths"].values()
            if "patch" in path and path["patch"]["x-kubernetes-group-version-kind"] == wanted
        ]
        assert patches
        for operation in patches:
            assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in operation["parameters"]}
        assert any(wanted in component.get("x-kubernetes-group-version-kind", ()) for component in components.values())


def test_a_reference_stands_alone_or_in_all_of(schemas: Schemas) -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert "$ref" not in value or len(value) == 1, value
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(openapi_v3("apps", "v1", KINDS, schemas)["components"])


def test_merge_keys_are_published(schemas: Schemas) -> None:
    components = openapi_v3("", "v1", KINDS, schemas)["components"]["schemas"]
    containers = components["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
