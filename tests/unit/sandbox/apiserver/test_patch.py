"""Laws that patches obey whatever they are applied to; what each does in the real server's words is in test_recorded."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.patch import json_patch, merge_patch, strategic_merge_patch
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
from tcpshift_helpers.sandbox.apiserver.status import StatusError

KEYS = st.sampled_from(["a", "b", "c", "d~/e"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "y"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def difference(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """The merge patch from one object to another."""
    found: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            found[key] = value
        elif isinstance(value, dict) and isinstance(old[key], dict):
            found[key] = difference(old[key], value)
        elif json.dumps(value) != json.dumps(old[key]):
            found[key] = value
    return found


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_applied_twice_changes_nothing_more(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(obj, patch)
    assert merge_patch(once, patch) == once


@given(OBJECTS, OBJECTS)
def test_the_merge_patch_between_two_objects_leads_from_one_to_the_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    old, new = without_nulls(old), without_nulls(new)
    assert merge_patch(old, difference(old, new)) == new


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_leaves_its_arguments_alone_and_no_nulls_of_its_own(
    obj: dict[str, Any], patch: dict[str, Any]
) -> None:
    before = copy.deepcopy((obj, patch))
    merged = merge_patch(obj, patch)
    assert (obj, patch) == before
    assert all(key not in merged for key, value in patch.items() if value is None)


@given(OBJECTS, KEYS, VALUES)
def test_a_json_patch_adds_tests_copies_moves_and_removes(obj: dict[str, Any], key: str, value: Any) -> None:
    before = copy.deepcopy(obj)
    pointer = "/" + key.replace("~", "~0").replace("/", "~1")
    added = json_patch(
        obj, [{"op": "add", "path": pointer, "value": value}, {"op": "test", "path": pointer, "value": value}]
    )
    assert added == {**obj, key: value}
    assert json_patch(added, [{"op": "remove", "path": pointer}]) == {k: v for k, v in obj.items() if k != key}
    copied = json_patch(added, [{"op": "copy", "from": pointer, "path": "/z"}, {"op": "remove", "path": pointer}])
    assert json_patch(added, [{"op": "move", "from": pointer, "path": "/z"}]) == copied
    assert obj == before


def test_a_json_patch_tells_true_from_one() -> None:
    with pytest.raises(StatusError):
        json_patch({"a": [True]}, [{"op": "test", "path": "/a", "value": [1]}])


def test_a_json_patch_reaches_into_lists() -> None:
    obj = {"l": [1, 2, 3]}
    assert json_patch(obj, [{"op": "add", "path": "/l/1", "value": 9}])["l"] == [1, 9, 2, 3]
    assert json_patch(obj, [{"op": "replace", "path": "/l/0", "value": 9}])["l"] == [9, 2, 3]
    assert json_patch(obj, [{"op": "add", "path": "/l/-", "value": 9}])["l"] == [1, 2, 3, 9]


def test_a_json_patch_has_a_limit() -> None:
    operation = {"op": "test", "path": "/a"}
    assert json_patch({}, [operation] * limits.MOST_PATCH_OPERATIONS) == {}
    with pytest.raises(StatusError) as refusal:
        json_patch({}, [operation] * (limits.MOST_PATCH_OPERATIONS + 1))
    assert refusal.value.code == 413


@given(st.lists(OBJECTS, max_size=3) | OBJECTS, OBJECTS)
def test_json_patches_of_any_shape_are_applied_or_refused(operations: Any, obj: dict[str, Any]) -> None:
    try:
        assert isinstance(json_patch(obj, operations), dict)
    except StatusError as error:
        assert error.code in {400, 422}


# Strategic merge patch.

SCHEMAS = Schemas({})
SCHEMA: dict[str, Any] = {
    "properties": {
        "items": {
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "name",
            "items": {"properties": {"name": {}, "value": {}, "tags": {}}},
        },
        "set": {"x-kubernetes-patch-strategy": "merge"},
        "atomic": {},
        "map": {"properties": {"x": {}, "y": {}}},
    }
}
NAMES = st.sampled_from("abcdef")
ITEMS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "value": st.integers(0, 3)}), unique_by=lambda item: item["name"]
)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"items": ITEMS, "set": st.lists(NAMES, unique=True), "atomic": st.lists(NAMES), "map": OBJECTS}
)


def no_nulls_at_all(value: Any) -> Any:
    if isinstance(value, list):
        return [no_nulls_at_all(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {key: no_nulls_at_all(item) for key, item in value.items() if item is not None}
    return value


def strategic(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    return strategic_merge_patch(obj, patch, SCHEMA, SCHEMAS)


@given(DOCUMENTS, DOCUMENTS)
def test_a_strategic_patch_applied_twice_changes_nothing_more(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    patch = no_nulls_at_all(patch)  # in lists that are replaced, the real server keeps nulls only the second time
    before = copy.deepcopy((obj, patch))
    once = strategic(obj, patch)
    assert strategic(once, patch) == once
    assert (obj, patch) == before


@given(DOCUMENTS, ITEMS)
def test_merged_lists_keep_the_servers_elements_and_take_the_patchs_order(
    obj: dict[str, Any], items: list[dict[str, Any]]
) -> None:
    names = [item["name"] for item in strategic(obj, {"items": items}).get("items", [])]
    own = [item["name"] for item in obj.get("items", [])]
    wanted = [item["name"] for item in items]
    assert set(names) == set(own) | set(wanted)
    assert len(names) == len(set(names))
    assert [name for name in names if name in wanted] == wanted
    assert [name for name in names if name not in wanted] == [name for name in own if name not in wanted]


@given(DOCUMENTS, st.permutations("abcdef"))
def test_set_element_order_orders_and_changes_nothing_else(obj: dict[str, Any], order: list[str]) -> None:
    patch = {"$setElementOrder/items": [{"name": name} for name in order]}
    if obj.get("items") == []:
        with pytest.raises(StatusError, match="no elements in any of the given slices"):
            strategic(obj, patch)
        return
    items = strategic(obj, patch).get("items", [])
    assert sorted(items, key=str) == sorted(obj.get("items", []), key=str)
    assert [item["name"] for item in items] == [name for name in order if name in {item["name"] for item in items}]


@given(DOCUMENTS, st.lists(NAMES, unique=True))
def test_delete_from_primitive_list_deletes(obj: dict[str, Any], gone: list[str]) -> None:
    left = strategic(obj, {"$deleteFromPrimitiveList/set": gone}).get("set", [])
    assert left == [name for name in obj.get("set", []) if name not in gone]


@given(DOCUMENTS, NAMES)
def test_an_element_marked_for_deletion_goes(obj: dict[str, Any], name: str) -> None:
    items = strategic(obj, {"items": [{"name": name, "$patch": "delete"}]}).get("items", [])
    assert items == [item for item in obj.get("items", []) if item["name"] != name]


def test_retain_keys_drops_what_it_does_not_name() -> None:
    assert strategic({"map": {"x": 1, "y": 2}}, {"map": {"$retainKeys": ["y"], "y": 3}}) == {"map": {"y": 3}}


@given(DOCUMENTS, OBJECTS)
def test_strategic_patches_of_any_shape_are_applied_or_refused(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    try:
        assert isinstance(strategic(obj, {"items": patch, "set": patch.get("a"), "map": patch}), dict)
    except StatusError as error:
        assert error.code in {400, 500}
