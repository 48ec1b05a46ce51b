"""The pure modules against recorded answers of a real kube-apiserver 1.34.0.

Each file in `recorded/` is a list of requests with the real answers; `recorded/record.py` asks them again. What the
registry adds (names on the URL, addresses, versions) is not asked here. Cases marked `differs` must really differ.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tcpshift_helpers.sandbox.apiserver import patch, structural, validation
from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.decoding import JSON_PATCH, MERGE_PATCH, decode, decode_patch
from tcpshift_helpers.sandbox.apiserver.defaults import admit, apply_defaults
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
from tcpshift_helpers.sandbox.apiserver.selectors import parse_field_selector, parse_label_selector
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom

RECORDED = Path(__file__).parent / "recorded"
KINDS = {(one.group, one.plural): one for one in Catalog(map(resource_type, definitions()))}
NODE_ROUNDS_UP = "quantities of nodes are rounded up to 1m"


def cases(name: str) -> list[Any]:
    found = json.loads((RECORDED / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=f"{number}") for number, case in enumerate(found)]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    return Schemas.load(tmp_path_factory.mktemp("cache"), Catalog(map(resource_type, definitions())))


def kind_of(path: str, *, named: bool = False) -> tuple[ResourceType, str]:
    parts = urlsplit(path).path.strip("/").split("/")
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    return KINDS[group, parts[-2] if named else parts[-1]], version


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def judge(schemas: Schemas, case: dict[str, Any]) -> dict[str, Any]:
    """The way of a create through the pure modules, as far as they go."""
    kind, version = kind_of(case["path"])
    content_type = case.get("contentType", "application/json")
    obj, duplicates = decode(case["body"].encode(), content_type, kind.kind)
    obj = obj if is_custom(kind) else without_nulls(obj)
    found = duplicates + validation.unknown_fields(schemas, kind, version, obj)
    if found and "fieldValidation=Strict" in case["path"]:
        head = f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}'
        raise bad_request(f"{head}: strict decoding error: {', '.join(found)}")
    if kind.definition is not None:
        structural.drop_nulls(obj, kind.definition.schema)
    obj = admit(kind, apply_defaults(kind, obj))
    metadata = obj.setdefault("metadata", {})
    if kind.namespaced:
        metadata["namespace"] = "default"
    objections = validation.validate_create(kind, obj)
    if objections:
        raise validation.invalid(kind, metadata.get("name", ""), objections)
    return obj


def outcome(schemas: Schemas, case: dict[str, Any]) -> dict[str, Any]:
    try:
        judge(schemas, case)
    except StatusError as error:
        return {key: value for key, value in error.body().items() if key in {"code", "reason", "message", "details"}}
    return {"code": 200}


@pytest.mark.parametrize("case", cases("refusals.json"))
def test_an_object_is_refused_in_the_real_words_or_accepted(case: dict[str, Any], schemas: Schemas) -> None:
    ours, real = outcome(schemas, case), case["answer"]
    if "differs" in case:
        assert ours != real, "this difference is gone: remove its mark"
    elif case.get("anyOrder"):
        assert (ours["code"], ours["reason"]) == (real["code"], real["reason"])
        assert sorted(map(str, ours["details"]["causes"])) == sorted(map(str, real["details"]["causes"]))
    else:
        assert ours == real


@pytest.mark.parametrize("case", cases("decoding.json"))
def test_a_body_is_read_or_refused_in_the_real_words(case: dict[str, Any], schemas: Schemas) -> None:
    ours = outcome(schemas, case)
    if "differs" in case:
        assert ours != case["answer"], "this difference is gone: remove its mark"
    else:
        assert ours == case["answer"]


@pytest.mark.parametrize("case", cases("defaults.json"))
def test_defaults_are_those_of_the_real_server(case: dict[str, Any]) -> None:
    kind, _ = kind_of(case["path"])
    ours = admit(kind, apply_defaults(kind, json.loads(case["body"])))
    assert admit(kind, apply_defaults(kind, ours)) == ours
    for part in case["keep"]:
        real = case["answer"][part]
        if part == "spec" and isinstance(real, dict):
            # What the registry and the node life cycle add.
            added = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "finalizers", "taints")
            real = {key: value for key, value in real.items() if key not in added}
            for port in real.get("ports", []):
                port.pop("nodePort", None)
            mine = {key: value for key, value in ours.get("spec", {}).items() if key not in added}
        else:
            mine = ours.get(part)
        if kind.kind == "Pod" and part == "status":
            continue
        assert mine == real, part


@pytest.mark.parametrize("case", cases("selectors.json"))
def test_a_selector_is_read_or_refused_in_the_real_words(case: dict[str, Any]) -> None:
    kind, _ = kind_of(case["path"])
    query = parse_qs(urlsplit(case["path"]).query, keep_blank_values=True)
    try:
        if "labelSelector" in query:
            parse_label_selector(query["labelSelector"][0])
        else:
            parse_field_selector(query["fieldSelector"][0], kind)
    except StatusError as error:
        ours = {"code": error.code, "reason": error.reason, "message": error.message}
    else:
        ours = {"code": 200}
    assert ours == case["answer"]


PATCHES = json.loads((RECORDED / "patches.json").read_text(encoding="utf-8"))
BASES = {case["path"]: case["answer"] for case in PATCHES if case["method"] == "GET"}
# The registry compares names; the codec words what a patch made of an object that then cannot be decoded.
ELSEWHERE = (' "" is invalid: patch', "the name of the object")


@pytest.mark.parametrize("case", [case for case in PATCHES if case["method"] == "PATCH"])
def test_a_patch_makes_of_an_object_what_the_real_server_makes(case: dict[str, Any], schemas: Schemas) -> None:
    answer = case["answer"]
    if answer.get("message", "").startswith(ELSEWHERE):
        pytest.skip("decided outside the pure modules")
    kind, version = kind_of(case["path"], named=True)
    base = {key: value for key, value in BASES[urlsplit(case["path"]).path].items() if key != "code"}
    before = json.dumps(base)
    try:
        obj = patched(base, case, schemas.of(kind.group, version, kind.kind), schemas)
        obj = without_nulls(obj)
        validation.unknown_fields(schemas, kind, version, obj)
        obj = admit(kind, apply_defaults(kind, obj))
        objections = validation.validate_update(kind, obj, base)
        if objections:
            raise validation.invalid(kind, base["metadata"]["name"], objections)
    except StatusError as error:
        assert (error.code, error.message) == (answer["code"], answer.get("message"))
        assert error.reason == answer.get("reason", "")
        return
    assert json.dumps(base) == before, "the stored object must not be touched"
    assert answer["code"] == 200, answer
    if kind.kind == "ConfigMap":
        mine = {key: value or "" for key, value in (obj.get("data") or {}).items()}
        assert (mine or None) == answer["data"]
        assert obj["metadata"].get("finalizers") == answer["metadata"].get("finalizers")
    else:
        assert obj["spec"] == answer["spec"]


def patched(base: dict[str, Any], case: dict[str, Any], schema: Any, schemas: Schemas) -> dict[str, Any]:
    change, _ = decode_patch(case["body"].encode(), case["contentType"])
    if case["contentType"] == JSON_PATCH:
        return as_decoded(patch.json_patch(base, change))
    if case["contentType"] == MERGE_PATCH:
        return patch.merge_patch(base, change)
    return patch.strategic_merge_patch(base, change, schema, schemas)


def as_decoded(obj: dict[str, Any]) -> dict[str, Any]:
    """A null in a map of texts is decoded as an empty text."""
    data = obj.get("data")
    return {**obj, "data": {key: value or "" for key, value in data.items()}} if isinstance(data, dict) else obj
