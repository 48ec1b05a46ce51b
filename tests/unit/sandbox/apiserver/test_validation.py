"""Objects of any shape; updates; custom resources. The sentences for new objects are in test_recorded."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver import formats, structural, validation
from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.defaults import admit, apply_defaults
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.schemas import Schema, Schemas
from tcpshift_helpers.sandbox.apiserver.status import StatusError
from tcpshift_helpers.sandbox.apiserver.table import table

KINDS = {one.kind: one for one in Catalog(map(resource_type, definitions()))}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70000)
    | st.floats(-2, 2)
    | st.sampled_from(["", "x", "A_b", "1Gi", "10%"])
)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    return Schemas.load(tmp_path_factory.mktemp("cache"), Catalog(map(resource_type, definitions())))


def values(schemas: Schemas, schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema, and sometimes do not."""
    schema = schemas.resolve(schema)
    wrong = SCALARS | st.lists(SCALARS, max_size=1)
    if depth == 0:
        return wrong
    if "properties" in schema:
        names = sorted(schema["properties"])
        fields = st.lists(st.sampled_from(names), unique=True, max_size=4)
        fitting: st.SearchStrategy[Any] = fields.flatmap(
            lambda chosen: st.fixed_dictionaries(
                {name: values(schemas, schema["properties"][name], depth - 1) for name in chosen}
            )
        )
    elif schema.get("type") == "array":
        fitting = st.lists(values(schemas, schema["items"], depth - 1), max_size=2)
    elif "additionalProperties" in schema:
        fitting = st.dictionaries(
            st.sampled_from(["a", "b c"]), values(schemas, schema["additionalProperties"], depth - 1)
        )
    else:
        fitting = {"integer": st.integers(-1, 70000), "boolean": st.booleans()}.get(
            str(schema.get("type")), st.sampled_from(["", "x", "TCP", "1Gi", "2026-01-01T00:00:00Z"])
        )
    return st.integers(0, 15).flatmap(lambda number: wrong if number == 0 else fitting)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)))
def test_an_object_of_any_shape_is_accepted_or_refused_and_never_a_crash(
    schemas: Schemas, data: st.DataObject, kind: str
) -> None:
    resource = KINDS[kind]
    schema = schemas.of(resource.group, resource.storage_version, kind)
    assert schema is not None
    spec = data.draw(values(schemas, schema, 6))
    obj = {**(spec if isinstance(spec, dict) else {}), "metadata": {"name": "x"}}
    try:
        unknown = validation.unknown_fields(schemas, resource, resource.storage_version, obj)
    except StatusError as error:
        assert (error.code, error.reason) == (400, "BadRequest")
        return
    assert unknown == []
    before = copy.deepcopy(obj)
    full = with_defaults(resource, without_nulls(obj) if not resource.group.endswith("istio.io") else obj)
    assert with_defaults(resource, full) == full
    objections = validation.validate_create(resource, full)
    assert obj == before
    if objections:
        refusal = validation.invalid(resource, "x", objections)
        assert refusal.code == 422
        assert refusal.details is not None
        assert len(refusal.details["causes"]) == len(objections)
        return
    assert validation.validate_update(resource, full, full) == [] or kind in {
        "Pod",
        "Deployment",
        "ReplicaSet",
        "Service",
    }
    assert len(table(resource, [full], datetime.now(UTC))["rows"]) == 1


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def with_defaults(resource: ResourceType, obj: dict[str, Any]) -> dict[str, Any]:
    return admit(resource, apply_defaults(resource, obj))


def stored(kind: str, **parts: Any) -> dict[str, Any]:
    return with_defaults(KINDS[kind], {"metadata": {"name": "x", "uid": "u", "namespace": "default"}, **parts})


def workload() -> dict[str, Any]:
    return {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }


OLD = {
    "Deployment": {"spec": workload()},
    "ReplicaSet": {"spec": workload()},
    "Pod": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
    "Service": {"spec": {"ports": [{"port": 80}], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}},
    "ConfigMap": {"data": {"a": "b"}, "immutable": True},
    "Secret": {"data": {"a": "eA=="}, "immutable": True},
    "EndpointSlice": {"addressType": "IPv4"},
}
SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]}
POD_MAY_CHANGE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
IMMUTABLE = "field is immutable when `immutable` is set"


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    obj = copy.deepcopy(obj)
    *steps, last = path.split(".")
    target: Any = obj
    for step in steps:
        target = target[int(step)] if step.isdigit() else target.setdefault(step, {})
    target[int(last) if last.isdigit() else last] = value
    return obj


@pytest.mark.parametrize(
    ("kind", "path", "value", "objections"),
    [
        ("Deployment", "spec.replicas", 5, []),
        (
            "Deployment",
            "spec.selector",
            SELECTOR,
            [
                'spec.selector: Invalid value: {"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a","operator":"Exists"}]}: '
                "field is immutable"
            ],
        ),
        (
            "ReplicaSet",
            "status",
            {"replicas": -1, "readyReplicas": 5, "availableReplicas": 7, "observedGeneration": -3},
            [
                "status.replicas: Invalid value: -1: must be greater than or equal to 0",
                "status.observedGeneration: Invalid value: -3: must be greater than or equal to 0",
                "status.fullyLabeledReplicas: Invalid value: 0: cannot be greater than status.replicas",
                "status.readyReplicas: Invalid value: 5: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 7: cannot be greater than status.replicas",
                "status.availableReplicas: Invalid value: 7: cannot be greater than readyReplicas",
            ],
        ),
        ("Pod", "spec.containers.0.image", "j", []),
        ("Pod", "spec.activeDeadlineSeconds", 5, []),
        ("Pod", "spec.containers.0.args", ["x"], [POD_MAY_CHANGE]),
        ("Pod", "spec.nodeName", "x", [POD_MAY_CHANGE]),
        ("Pod", "spec.tolerations", [], [POD_MAY_CHANGE]),
        (
            "Pod",
            "spec.initContainers",
            [{"name": "d", "image": "i"}],
            ["spec.initContainers: Forbidden: pod updates may not add or remove containers"],
        ),
        (
            "Pod",
            "status.podIPs",
            [{"ip": "x"}],
            ['status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
        ),
        ("Pod", "metadata.uid", "v", ['metadata.uid: Invalid value: "v": field is immutable']),
        (
            "Service",
            "spec.clusterIP",
            "10.0.0.2",
            ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
        ),
        ("Service", "spec.type", "NodePort", []),
        (
            "Service",
            "status.loadBalancer",
            {"ingress": [{"ip": "127.0.0.2"}]},
            ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
        ),
        ("ConfigMap", "data.a", "c", [f"data: Forbidden: {IMMUTABLE}"]),
        ("ConfigMap", "immutable", False, [f"immutable: Forbidden: {IMMUTABLE}"]),
        ("Secret", "type", "X", ['type: Invalid value: "X": field is immutable']),
        ("EndpointSlice", "addressType", "IPv6", ['addressType: Invalid value: "IPv6": field is immutable']),
    ],
)
def test_what_may_change_and_what_may_not(kind: str, path: str, value: Any, objections: list[str]) -> None:
    old = stored(kind, **copy.deepcopy(OLD[kind]))
    assert validation.validate_update(KINDS[kind], old, old) == []
    new = with_defaults(KINDS[kind], changed(old, path, value))
    if kind == "Pod" and path == "spec.tolerations":
        new["spec"]["tolerations"] = value
    assert [str(objection) for objection in validation.validate_update(KINDS[kind], new, old)] == objections


def test_a_refusal_lists_each_objection_once_with_its_cause() -> None:
    pod = stored("Pod", spec={"containers": [{}]})
    refusal = validation.invalid(KINDS["Pod"], "x", validation.validate_create(KINDS["Pod"], pod))
    assert refusal.body() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Pod "x" is invalid: [spec.containers[0].name: Required value, spec.containers[0].image: Required value]',
        "reason": "Invalid",
        "details": {
            "name": "x",
            "kind": "Pod",
            "causes": [
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].name"},
                {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].image"},
            ],
        },
        "code": 422,
    }


@pytest.mark.parametrize("version", KINDS["VirtualService"].versions)
def test_a_misspelt_weight_is_told_in_every_version(schemas: Schemas, version: str) -> None:
    route = {"destination": {"host": "h"}, "wieght": 80}
    obj = {"metadata": {"name": "x"}, "spec": {"tcp": [{"route": [route]}]}, "extra": 1}
    definition = KINDS["VirtualService"].at(version).definition
    assert validation.unknown_fields(schemas, KINDS["VirtualService"], version, obj) == []
    assert definition is not None
    assert structural.prune(obj, definition.schema) == ["extra", "spec.tcp[0].route[0].wieght"]
    assert obj == {"metadata": {"name": "x"}, "spec": {"tcp": [{"route": [{"destination": {"host": "h"}}]}]}}


def test_a_status_keeps_what_the_schema_does_not_know(schemas: Schemas) -> None:
    obj = {
        "metadata": {},
        "status": {"conditions": [{"type": "Reconciled", "observedGeneration": "3"}], "more": {"a": 1}},
    }
    assert validation.unknown_fields(schemas, KINDS["VirtualService"], "v1", obj) == []
    assert validation.validate_create(KINDS["VirtualService"], {**obj, "metadata": {"name": "x"}}) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("0", 0),
        ("-2s", -2),
        ("10ms", 0.01),
        ("", None),
        ("5", None),
        ("x5s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert formats.duration_seconds(text) == (seconds if seconds is None else pytest.approx(seconds))
