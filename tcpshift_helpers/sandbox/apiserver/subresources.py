"""Subresources with a shape of their own: scale, binding, finalize, eviction.

It knows no HTTP; `status` is an ordinary update and lives in the registry.

Source: kubernetes pkg/registry/apps/deployment/storage, pkg/registry/core/{pod,namespace}/storage; words measured on kube-apiserver 1.34.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import managers, scale_managers
from tcpshift_helpers.sandbox.apiserver.custom_resources import at_path
from tcpshift_helpers.sandbox.apiserver.deletion import delete
from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.registry import Registry, Target, timestamp
from tcpshift_helpers.sandbox.apiserver.request import DeleteOptions, WriteOptions, delete_options
from tcpshift_helpers.sandbox.apiserver.shapes import check_shape
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, conflict, internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.sandbox.apiserver.field_manager import Write
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
_SCALE_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object, resource: ResourceType) -> Object:
    """The `autoscaling/v1` Scale of a Deployment, a ReplicaSet, or a custom resource that has one.

    Raises:
        StatusError: 500, the custom resource does not say how many replicas it wants.
    """
    paths = resource.definition and resource.definition.scale
    if paths:
        replicas, ready = at_path(obj, paths.spec_replicas), at_path(obj, paths.status_replicas)
        selector = at_path(obj, paths.label_selector) if paths.label_selector else None
        if replicas is None:
            raise internal_error(f'the spec replicas field "{paths.spec_replicas}" does not exist')
    else:
        spec = obj.get("spec") or {}
        replicas, ready = spec.get("replicas"), (obj.get("status") or {}).get("replicas")
        selector = _selector_text(spec.get("selector") or {})
    metadata = obj["metadata"]
    status = {"replicas": ready or 0, **({"selector": selector} if selector is not None else {})}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in _SCALE_METADATA if field in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _with_replicas(obj: Object, resource: ResourceType, replicas: int) -> Object:
    paths = resource.definition and resource.definition.scale
    path = (paths.spec_replicas if paths else ".spec.replicas").strip(".").split(".")
    scaled = below = dict(obj)
    for name in path[:-1]:
        below[name] = dict(below.get(name) or {})
        below = below[name]
    below[path[-1]] = replicas
    return scaled


def update_scale(
    registry: Registry, target: Target, make: Callable[[Object], Object], options: WriteOptions, *, conditional: bool
) -> Object:
    """Change the number of replicas through the Scale.

    Args:
        registry: where the scaled object lives.
        target: the scaled object.
        make: from the present Scale to the wished one.
        options: dry run, and who writes.
        conditional: the wished Scale came from a patch.

    Raises:
        StatusError: 400, 404, 409 or 422.
    """

    def wished(scale: Object) -> Object:
        made = make(scale)
        check_shape("Scale", made)
        spec = made.get("spec") or {}
        spec = spec if spec.get("replicas") else {}  # a zero is left out of a Scale, so nobody comes to manage it
        made = {**made, "metadata": made.get("metadata") or {}, "spec": spec}
        return registry.field_manager.updated(scale, made, _scale_write(registry, target, options))

    return _scaled(registry, target, wished, options, conditional=conditional)


def apply_scale(registry: Registry, target: Target, config: Object, options: WriteOptions) -> Object:
    """Server-side apply of the number of replicas.

    Raises:
        StatusError: 400, 404, 409, 422 or 500.
    """
    write = _scale_write(registry, target, options)

    def wished(scale: Object) -> Object:
        return registry.field_manager.applied(scale, config, write, force=options.force)

    return _scaled(registry, target, wished, options, conditional=True)


def _scale_write(registry: Registry, target: Target, options: WriteOptions) -> Write:
    return replace(registry.write_of(target, options), group="autoscaling", version="v1", kind="Scale")


def _scaled(
    registry: Registry, target: Target, wished: Callable[[Object], Object], options: WriteOptions, *, conditional: bool
) -> Object:
    api_version = target.resource.api_version(target.version)

    def scaled(obj: Object) -> Object:
        entries = obj["metadata"].get("managedFields") or []
        before = scale_of(obj, target.resource)
        before["metadata"] = managers.stated(before["metadata"], scale_managers.of_scale(entries))
        scale = wished(before)
        metadata, spec = scale.get("metadata") or {}, scale.get("spec") or {}
        name = metadata.get("name") or target.name
        if name != target.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
        replicas = spec.get("replicas") or 0
        if replicas < 0:
            raise _invalid_scale(target.name, replicas)
        version = metadata.get("resourceVersion") or obj["metadata"]["resourceVersion"]
        managed = scale_managers.of_scaled(entries, metadata.get("managedFields") or [], api_version)
        metadata = {**managers.stated(obj["metadata"], managed), "resourceVersion": version}
        return _with_replicas({**obj, "metadata": metadata}, target.resource, replicas)

    main = Target(target.resource, target.version, target.namespace, target.name)
    obj, _ = registry.update(main, scaled, options, conditional=conditional, managed=True)
    return scale_of(obj, target.resource)


def _name_in(body: Object, kind: str, target: Target) -> str:
    """The pod that a body names, which has to be the one in the path if that names one."""
    metadata = body.get("metadata") or {}
    if metadata.get("namespace") not in (None, "", target.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    name = str(metadata.get("name") or "")
    if target.name and name != target.name:
        raise bad_request(f"name in URL does not match name in {kind} object")
    return name


def bind(registry: Registry, target: Target, binding: Object, options: WriteOptions) -> Object:
    """Assign a pod to a node.

    Raises:
        StatusError: 400, 404, 409 or 500.
    """
    name = _name_in(binding, "Binding", target)
    assigned = binding.get("target") or {}
    if assigned.get("kind") not in (None, "", "Node"):
        kind = quoted(assigned["kind"])
        raise internal_error(f'target.kind: Unsupported value: {kind}: supported values: "Node", "<empty>"')
    node = assigned.get("name")
    if not node:
        raise internal_error("target.name: Required value")
    pod_target = Target(target.resource, target.version, target.namespace, name)
    old = registry.get(pod_target)
    pod = registry.get(pod_target)
    if "deletionTimestamp" in pod["metadata"]:
        raise _binding_conflict(name, f"pod {name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        raise _binding_conflict(name, f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    pod["spec"]["nodeName"] = node
    annotations = (binding.get("metadata") or {}).get("annotations")
    if annotations:
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
    _set_condition(pod, {"type": "PodScheduled", "status": "True"})
    registry.save(pod_target, pod, old, options)
    return SUCCESS


def finalize(registry: Registry, target: Target, make: Callable[[Object], Object], options: WriteOptions) -> Object:
    """Set a namespace's `spec.finalizers`; the namespace goes with the last one, if it is being deleted.

    Raises:
        StatusError: 404 or 409.
    """
    old = registry.get(target)
    wished = make(registry.get(target))
    asked = (wished.get("metadata") or {}).get("resourceVersion")
    if asked and asked != old["metadata"]["resourceVersion"]:
        raise target.conflict(
            "the object has been modified; please apply your changes to the latest version and try again"
        )
    obj = registry.get(target)
    wished = registry.field_manager.updated(old, wished, registry.write_of(target, options))
    finalizers = (wished.get("spec") or {}).get("finalizers")
    obj["spec"] = {"finalizers": finalizers} if finalizers else {}
    obj["metadata"] = managers.stated(obj["metadata"], wished["metadata"].get("managedFields"))
    return registry.save(target, obj, old, options)


def evict(registry: Registry, target: Target, eviction: Object, options: WriteOptions) -> Object:
    """Delete a pod as `kubectl drain` asks; there are no disruption budgets here.

    Raises:
        StatusError: 400, 404 or 409.
    """
    name = _name_in(eviction, "Eviction", target)
    check_shape("DeleteOptions", eviction.get("deleteOptions") or {})
    asked = delete_options(eviction.get("deleteOptions"), {}, ["All"] if options.dry_run else [])
    pod = Target(target.resource, target.version, target.namespace, name)
    if not options.dry_run:
        _mark_as_evicted(registry, pod)
    delete(registry, pod, asked if eviction.get("deleteOptions") else DeleteOptions(dry_run=options.dry_run))
    return SUCCESS


def _mark_as_evicted(registry: Registry, target: Target) -> None:
    old, pod = registry.get(target), registry.get(target)
    if not registry.strategy(target.resource).grace_seconds(pod, None):
        return
    reason = {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
    _set_condition(pod, {"type": "DisruptionTarget", "status": "True", **reason})
    registry.save(target, pod, old)


def _set_condition(pod: Object, condition: Object) -> None:
    status = pod.setdefault("status", {})
    others = [known for known in status.get("conditions") or [] if known.get("type") != condition["type"]]
    status["conditions"] = [*others, {"lastProbeTime": None, "lastTransitionTime": timestamp(), **condition}]


def _selector_text(selector: Object) -> str:
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or [])
        form = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(form.get(operator, f"!{key}"))
    return ",".join(terms)


def _binding_conflict(name: str, why: str) -> StatusError:
    return conflict("", "pods/binding", name, why)


def _invalid_scale(name: str, replicas: object) -> StatusError:
    message = f"Invalid value: {replicas}: must be greater than or equal to 0"
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": "spec.replicas"}]
    details = {"name": name, "group": "autoscaling", "kind": "Scale", "causes": causes}
    return StatusError(422, "Invalid", f'Scale.autoscaling "{name}" is invalid: spec.replicas: {message}', details)
