"""Whether an object may be stored: its fields against the schema, its values against the kind's rules.

Pure. The rules live in one module a group of kinds (`pod_rules`, `workload_rules`, `service_rules`, `core_rules`,
`metadata_rules`, `custom_resources`, `definition_rules`); this one knows which apply. What Istio's webhook refuses is the mesh's business.

Source: kube-apiserver 1.34, measured; each module says what it leaves out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tcpshift_helpers.sandbox.apiserver import (
    core_rules,
    custom_resources,
    definition_rules,
    job_rules,
    names,
    service_rules,
    workload_rules,
)
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError, invalid, invalid_value
from tcpshift_helpers.sandbox.apiserver.field_types import FieldWalk, WrongTypeError
from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.metadata_rules import validate_metadata, validate_metadata_update
from tcpshift_helpers.sandbox.apiserver.pod_rules import validate_pod_spec, validate_pod_update
from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
from tcpshift_helpers.sandbox.apiserver.status import bad_request
from tcpshift_helpers.sandbox.apiserver.strategy import is_custom

__all__ = ["FieldError", "invalid", "unknown_fields", "validate_create", "validate_update"]

Object = dict[str, Any]


def unknown_fields(schemas: Schemas, resource_type: ResourceType, version: str, obj: Object) -> list[str]:
    """Drop the fields that the kind does not have; one sentence for each, `unknown field "spec.x"`, in the object's order.

    Of a custom resource only the metadata is asked here; its other unknown fields are told as they are pruned.

    Raises:
        StatusError: 400 at the first value of a type that the kind's field cannot hold.
    """
    schema = schemas.of(resource_type.group, version, resource_type.kind)
    if schema is None:
        return []
    walk = FieldWalk(schemas)
    try:
        custom = is_custom(resource_type)
        paths = walk.metadata(obj.get("metadata")) if custom else walk.built_in(obj, schema, resource_type.kind)
    except WrongTypeError as error:
        head = f"{resource_type.kind} in version {quoted(version)} cannot be handled as a {resource_type.kind}"
        raise bad_request(f"{head}: {error}") from error
    return [f"unknown field {quoted(path)}" for path in paths]


_NAME_RULES: dict[str, Callable[[str], list[str]]] = {
    "Namespace": names.dns_label,
    "Service": names.dns_1035_label,
}


def _create_rules(resource_type: ResourceType) -> Callable[[Object], list[FieldError]]:
    rules: dict[str, Callable[[Object], list[FieldError]]] = {
        "Pod": lambda pod: validate_pod_spec(pod.get("spec") or {}, "spec"),
        "Deployment": workload_rules.validate_deployment,
        "ReplicaSet": workload_rules.validate_replica_set,
        "Service": service_rules.validate_service,
        "EndpointSlice": service_rules.validate_endpoint_slice,
        "Endpoints": service_rules.validate_endpoints,
        "Job": job_rules.validate_job,
        "Lease": core_rules.validate_lease,
        "ConfigMap": core_rules.validate_config_map,
        "Secret": core_rules.validate_secret,
        "Node": core_rules.validate_node,
        "Event": core_rules.validate_event,
        "CustomResourceDefinition": definition_rules.validate,
    }
    return rules.get(resource_type.kind, lambda obj: [])


def validate_create(resource_type: ResourceType, obj: Object) -> list[FieldError]:
    """All objections to a new object, defaults filled in; empty when it may be stored."""
    metadata, definition = obj.get("metadata") or {}, resource_type.definition
    if definition is not None:
        return validate_metadata(metadata, names.dns_subdomain) + custom_resources.validate(definition, obj)
    name_rule = _NAME_RULES.get(resource_type.kind, names.dns_subdomain)
    if resource_type.kind == "CustomResourceDefinition":
        name_rule = functools.partial(definition_rules.name_problems, obj)
    return validate_metadata(metadata, name_rule) + _create_rules(resource_type)(obj)


def validate_update(
    resource_type: ResourceType, obj: Object, old: Object, *, status_only: bool = False
) -> list[FieldError]:
    """All objections to a changed object: those to a new one, and those to what may not change."""
    metadata, definition = obj.get("metadata") or {}, resource_type.definition
    changed = validate_metadata_update(metadata, old.get("metadata") or {})
    if definition is not None:
        judge = custom_resources.validate_status if status_only else custom_resources.validate
        return validate_metadata(metadata, names.dns_subdomain) + changed + judge(definition, obj, old)
    found = validate_create(resource_type, obj) + changed
    changes = _CHANGE_RULES.get(resource_type.kind)
    return found + changes(obj, old) if changes else found


def _pod_changes(pod: Object, old: Object) -> list[FieldError]:
    spec = validate_pod_update(pod.get("spec") or {}, old.get("spec") or {})
    return spec + core_rules.validate_pod_status(pod.get("status") or {})


def _workload_changes(kind: str) -> Callable[[Object, Object], list[FieldError]]:
    def changes(workload: Object, old: Object) -> list[FieldError]:
        status = workload_rules.validate_workload_status(workload.get("status") or {}, kind)
        return workload_rules.validate_workload_update(workload, old) + status

    return changes


def _endpoint_slice_changes(endpoint_slice: Object, old: Object) -> list[FieldError]:
    kind = endpoint_slice.get("addressType", "")
    return [] if kind == old.get("addressType") else [invalid_value("addressType", kind, "field is immutable")]


_CHANGE_RULES: dict[str, Callable[[Object, Object], list[FieldError]]] = {
    "Pod": _pod_changes,
    "Deployment": _workload_changes("Deployment"),
    "ReplicaSet": _workload_changes("ReplicaSet"),
    "Job": lambda job, old: job_rules.validate_job_update(job, old) + job_rules.validate_job_status(job),
    "Service": lambda service, old: (
        service_rules.validate_service_update(service, old) + service_rules.validate_service_status(service)
    ),
    "CustomResourceDefinition": definition_rules.validate_change,
    "ConfigMap": core_rules.validate_immutable_data,
    "Secret": core_rules.validate_immutable_data,
    "EndpointSlice": _endpoint_slice_changes,
}
