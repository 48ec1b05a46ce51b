"""The three-way merge: what is set, what is removed, what is left alone, and when nothing is sent."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.apply_patch import LAST_APPLIED, last_applied, three_way_merge_patch, with_last_applied


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386, written anew so that the test does not lean on what it tests."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def test_remembers_the_manifest_as_kubectl_spells_it() -> None:
    text = with_last_applied(service(note="a<b"))["metadata"]["annotations"][LAST_APPLIED]
    expected = (
        '{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"name":"s"},"spec":{"note":"a\\u003cb"}}\n'
    )
    assert text == expected


def test_sends_nothing_when_the_live_object_only_has_more() -> None:
    manifest = service(ports=[{"name": "tcp", "port": 9000}])
    live = with_last_applied(manifest)
    live["spec"]["ports"][0] |= {"protocol": "TCP", "targetPort": 9000}
    live["spec"]["clusterIP"] = "10.0.0.1"
    live["status"] = {"loadBalancer": {}}
    assert three_way_merge_patch(manifest, live) == {}


def test_changes_one_port_and_keeps_what_the_server_added_to_it() -> None:
    live = with_last_applied(service(ports=[{"name": "tcp", "port": 9000}]))
    live["spec"]["ports"][0]["nodePort"] = 30000
    patch = three_way_merge_patch(service(ports=[{"name": "tcp", "port": 9001}]), live)
    assert patch["spec"] == {"ports": [{"name": "tcp", "port": 9001, "nodePort": 30000}]}


def test_removes_only_fields_that_it_set_before() -> None:
    live = with_last_applied(service(a=1, b=2))
    live["spec"]["c"] = 3
    assert three_way_merge_patch(service(a=1), live)["spec"] == {"b": None}


def test_removes_a_field_inside_a_list_item() -> None:
    live = with_last_applied(service(route=[{"name": "x", "weight": 80}]))
    live["spec"]["route"][0]["added"] = True
    patch = three_way_merge_patch(service(route=[{"name": "x"}]), live)
    assert patch["spec"] == {"route": [{"name": "x", "added": True}]}


def test_leaves_foreign_labels_alone() -> None:
    manifest = service() | {"metadata": {"name": "s", "labels": {"app": "x"}}}
    live = with_last_applied(manifest)
    live["metadata"]["labels"]["mine"] = "yes"
    assert three_way_merge_patch(manifest, live) == {}


def test_replaces_lists_of_another_length() -> None:
    live = with_last_applied(service(route=[{"destination": {"subset": "v1"}}]))
    wanted = [{"destination": {"subset": "v1"}, "weight": 80}, {"destination": {"subset": "v2"}, "weight": 20}]
    assert three_way_merge_patch(service(route=wanted), live)["spec"] == {"route": wanted}


def test_adopts_an_object_that_was_created_without_the_annotation() -> None:
    patch = three_way_merge_patch(service(a=1), service(a=1))
    assert list(patch) == ["metadata"]
    assert list(patch["metadata"]["annotations"]) == [LAST_APPLIED]


def test_reads_a_broken_annotation_as_nothing() -> None:
    live = service()
    live["metadata"]["annotations"] = {LAST_APPLIED: "{"}
    assert last_applied(live) == {}


keys = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    st.integers(0, 2) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
specs = st.dictionaries(keys, values, max_size=3)


@given(before=specs, wanted=specs)
def test_one_apply_is_enough(before: dict[str, Any], wanted: dict[str, Any]) -> None:
    live = with_last_applied(service(**before))
    kept = copy.deepcopy(live)
    after = merge_patch(live, three_way_merge_patch(service(**wanted), live))
    assert live == kept
    assert three_way_merge_patch(service(**wanted), after) == {}
    assert json.loads(after["metadata"]["annotations"][LAST_APPLIED])["spec"] == wanted
