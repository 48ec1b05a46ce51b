"""Deletion over a store: grace, finalizers, namespaces."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.deletion import delete
from tcpshift_helpers.sandbox.apiserver.field_manager import FieldManager
from tcpshift_helpers.sandbox.apiserver.merge_types import MergeTypes
from tcpshift_helpers.sandbox.apiserver.registry import Registry, Target
from tcpshift_helpers.sandbox.apiserver.request import DeleteOptions
from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
from tcpshift_helpers.sandbox.apiserver.status import StatusError
from tcpshift_helpers.sandbox.apiserver.store import Store

KINDS = {resource.plural: resource for resource in BUILT_IN}


@pytest.fixture
def registry(tmp_path):
    store = Store(tmp_path / "state.db")
    made = Registry(store, ["127.0.0.200"], FieldManager(MergeTypes(Schemas.load(tmp_path))))
    made.create(Target(KINDS["namespaces"], "v1"), {"metadata": {"name": "n"}})
    yield made
    store.close()


def config_map(registry, **metadata):
    target = Target(KINDS["configmaps"], "v1", "n", "a")
    registry.create(target, {"metadata": {"name": "a", **metadata}})
    return target


def pod(registry, **spec):
    target = Target(KINDS["pods"], "v1", "n", "p")
    registry.create(target, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}})
    return target


def is_there(registry, target):
    return registry.store.get(target.key) is not None


def test_at_once(registry):
    target = config_map(registry)
    _, gone = delete(registry, target, DeleteOptions())
    assert gone
    assert not is_there(registry, target)


def test_dry_run(registry):
    target = config_map(registry)
    before = registry.store.revision
    assert delete(registry, target, DeleteOptions(dry_run=True))[1]
    assert (is_there(registry, target), registry.store.revision) == (True, before)


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (None, ["orphan"]),
        ("Foreground", ["foregroundDeletion"]),
        ("Orphan", ["orphan"]),
        ("Background", None),
    ],
)
def test_policy_replaces_an_earlier_one(registry, policy, left):
    target = config_map(registry)
    delete(registry, target, DeleteOptions(propagation_policy="Orphan"))
    obj, gone = delete(registry, target, DeleteOptions(propagation_policy=policy))
    assert gone == (left is None)
    if left:
        assert obj["metadata"]["finalizers"] == left


def test_own_finalizers_stay(registry):
    target = config_map(registry, finalizers=["example.com/x"])
    obj, gone = delete(registry, target, DeleteOptions(propagation_policy="Foreground"))
    assert (gone, obj["metadata"]["finalizers"]) == (False, ["example.com/x", "foregroundDeletion"])


def test_pod_with_finalizer_stays_after_its_grace(registry):
    target = pod(registry, nodeName="x")
    delete(registry, target, DeleteOptions(propagation_policy="Foreground"))
    obj, gone = delete(registry, target, DeleteOptions(grace_period_seconds=0))
    assert (gone, obj["metadata"]["deletionGracePeriodSeconds"]) == (False, 0)
    assert is_there(registry, target)


def test_precondition_that_holds(registry):
    target = config_map(registry)
    known = registry.get(target)["metadata"]
    options = DeleteOptions(uid=known["uid"], resource_version=known["resourceVersion"])
    assert delete(registry, target, options)[1]


def test_precondition_that_does_not_hold(registry):
    target = config_map(registry)
    with pytest.raises(StatusError, match="does not match the UID in record"):
        delete(registry, target, DeleteOptions(uid="other"))
    assert is_there(registry, target)


def test_namespace_waits_for_its_finalizer(registry):
    target = Target(KINDS["namespaces"], "v1", "", "n")
    obj, gone = delete(registry, target, DeleteOptions())
    assert (gone, obj["status"]["phase"]) == (False, "Terminating")
    with pytest.raises(StatusError, match="because it is being terminated"):
        config_map(registry)


def test_what_is_not_there(registry):
    with pytest.raises(StatusError, match='configmaps "a" not found'):
        delete(registry, Target(KINDS["configmaps"], "v1", "n", "a"), DeleteOptions())
