"""What differs between kinds."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom, same, strategy_for

KINDS = {resource.group_resource: resource for resource in Catalog(map(resource_type, definitions()))}


def strategy(name):
    return strategy_for(KINDS[name])


def test_same_ignores_the_version_alone():
    left = {"metadata": {"name": "a", "resourceVersion": "1"}, "data": {}}
    assert same(left, {"metadata": {"name": "a", "resourceVersion": "2"}, "data": {}})
    assert not same(left, {"metadata": {"name": "a", "labels": {}}, "data": {}})


def test_custom_resources_are_those_of_definitions():
    assert {name for name, resource in KINDS.items() if is_custom(resource)} == {
        "gateways.networking.istio.io",
        "virtualservices.networking.istio.io",
        "destinationrules.networking.istio.io",
    }


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
    ],
)
def test_quality_of_service(resources, expected):
    containers = [{"name": str(number), "resources": each} for number, each in enumerate(resources)]
    pod = {"metadata": {}, "spec": {"containers": containers}}
    strategy("pods").prepare_for_create(pod)
    assert pod["status"] == {"phase": "Pending", "qosClass": expected}


@pytest.mark.parametrize(
    ("spec", "status", "asked", "expected"),
    [
        ({}, {}, None, 0),
        ({}, {}, 30, 0),
        ({"nodeName": "n"}, {}, None, 30),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 0}, {}, None, 0),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 7}, {}, None, 7),
        ({"nodeName": "n", "terminationGracePeriodSeconds": 7}, {}, 3, 3),
        ({"nodeName": "n"}, {}, -5, 1),
        ({"nodeName": "n"}, {"phase": "Succeeded"}, None, 0),
        ({"nodeName": "n"}, {"phase": "Failed"}, 9, 0),
    ],
)
def test_grace_of_pods(spec, status, asked, expected):
    assert strategy("pods").grace_seconds({"spec": spec, "status": status}, asked) == expected


def test_other_kinds_have_no_grace():
    assert strategy("configmaps").grace_seconds({}, 5) is None


def test_endpoint_slice_counts_changes_of_labels():
    old = {"metadata": {"generation": 3, "labels": {"a": "b"}}, "endpoints": []}
    new = {"metadata": {"labels": {"a": "c"}}, "endpoints": []}
    strategy("endpointslices.discovery.k8s.io").prepare_for_update(new, old)
    assert new["metadata"]["generation"] == 4
    same_labels = {"metadata": {"labels": {"a": "b"}, "annotations": {"x": "y"}}, "endpoints": []}
    strategy("endpointslices.discovery.k8s.io").prepare_for_update(same_labels, old)
    assert same_labels["metadata"]["generation"] == 3


def test_namespace_is_complete_without_any_finalizer():
    namespaces = strategy("namespaces")
    assert not namespaces.is_complete({"metadata": {}, "spec": {"finalizers": ["kubernetes"]}})
    assert not namespaces.is_complete({"metadata": {"finalizers": ["x"]}, "spec": {}})
    assert namespaces.is_complete({"metadata": {}, "spec": {}})


def test_pod_that_has_grace_left_is_not_complete():
    assert not strategy("pods").is_complete({"metadata": {"deletionGracePeriodSeconds": 30}})
