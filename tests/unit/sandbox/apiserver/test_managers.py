"""The list `metadata.managedFields`: its order, and what is wrong with one. What writes do to it is in tests/conformance/test_writes.py."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver import managers
from tcpshift_helpers.sandbox.apiserver.managers import APPLY, UPDATE, Manager, Owned

FIELDS = {"f:data": {"f:k": {}}}


def test_order_is_by_operation_then_time_then_name():
    known = {
        Manager("b", UPDATE, "v1"): Owned("v1", FIELDS, "2026-01-01T00:00:01Z"),
        Manager("a", UPDATE, "v1", "status"): Owned("v1", FIELDS, "2026-01-01T00:00:02Z"),
        Manager("a", UPDATE, "v1"): Owned("v1", FIELDS, "2026-01-01T00:00:01Z"),
        Manager("z", APPLY): Owned("v1", FIELDS, "2026-01-01T00:00:03Z"),
    }
    entries = managers.encode(known)
    assert [entry["manager"] for entry in entries] == ["z", "a", "b", "a"]
    assert entries[3]["subresource"] == "status"
    assert managers.decode(entries, trusted=False) == known


@pytest.mark.parametrize(
    "wrong", [{"operation": "Steal"}, {"apiVersion": ""}, {"fieldsType": "FieldsV2"}, {"fieldsV1": {"x": {}}}]
)
def test_what_is_no_entry(wrong):
    entry = {"operation": APPLY, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": FIELDS, **wrong}
    with pytest.raises(ValueError, match="not an e"):
        managers.decode([entry], trusted=False)
