"""Deleting: preconditions, grace, finalizers, namespaces.

What has to happen elsewhere before an object may go (garbage collection, stopping a pod's processes) is done by controllers and the
node; here objects are marked, and removed once nothing holds them back.

Source: kubernetes/apiserver pkg/registry/rest/delete.go, pkg/registry/generic/registry/store.go; pkg/registry/core/namespace/storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.definitions import CLEANUP_FINALIZER, DEFINITIONS, with_condition
from tcpshift_helpers.sandbox.apiserver.registry import NAMESPACES, Registry, Target, timestamp
from tcpshift_helpers.sandbox.apiserver.status import StatusError, conflict, forbidden

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.request import DeleteOptions

Object = dict[str, Any]

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def delete(registry: Registry, target: Target, options: DeleteOptions) -> tuple[Object, bool]:
    """Delete an object, or mark it if something must happen first.

    Returns:
        The object in its last state, and whether it is gone.

    Raises:
        StatusError: 403 for a namespace that may not go, 404, 409 for a failed precondition.
    """
    resource = target.resource
    if resource.group_resource == NAMESPACES and target.name in _IMMORTAL:
        raise forbidden(resource.group, resource.plural, target.name, "this namespace may not be deleted")
    obj = registry.get(target)
    _check_preconditions(target, obj, options)
    if resource.group_resource == NAMESPACES:
        return _delete_namespace(registry, target, obj, options)
    if resource.group_resource == DEFINITIONS and "deletionTimestamp" not in obj["metadata"]:
        return _delete_definition(registry, target, obj, options)
    grace = registry.strategy(resource).grace_seconds(obj, options.grace_period_seconds)
    if grace is None:
        return _delete_at_once(registry, target, obj, options)
    return _delete_gracefully(registry, target, obj, options, grace)


def success(target: Target, obj: Object) -> Object:
    """The Status that answers a finished deletion."""
    details = {
        "name": target.name,
        "group": target.resource.group,
        "kind": target.resource.plural,
        "uid": obj["metadata"]["uid"],
    }
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def _check_preconditions(target: Target, obj: Object, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        raise _precondition(
            target,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        raise _precondition(
            target,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata['resourceVersion']}). The object might have been modified",
        )


def _precondition(target: Target, why: str) -> StatusError:
    # The real server names the kind here, not the resource.
    return conflict(target.resource.group, target.resource.kind, target.name, why)


def _delete_at_once(registry: Registry, target: Target, obj: Object, options: DeleteOptions) -> tuple[Object, bool]:
    metadata = obj["metadata"]
    before = list(metadata.get("finalizers") or [])
    finalizers = _with_policy(before, _policy(registry, target, before, options))
    if not finalizers:
        return _remove(registry, target, obj, options), True
    if "deletionTimestamp" in metadata and finalizers == before:
        return obj, False
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = timestamp()
        metadata["deletionGracePeriodSeconds"] = 0
        if "generation" in metadata:
            metadata["generation"] += 1
    metadata["finalizers"] = finalizers
    return _write(registry, target, obj, options), False


def _delete_gracefully(
    registry: Registry, target: Target, obj: Object, options: DeleteOptions, grace: int
) -> tuple[Object, bool]:
    metadata = obj["metadata"]
    if "deletionTimestamp" in metadata:
        current = metadata.get("deletionGracePeriodSeconds") or 0
        asked = options.grace_period_seconds
        if asked is None and grace > 0:
            grace = current
        grace = min(grace, current)
        changed = grace != current
    else:
        changed = True
        if "generation" in metadata:
            metadata["generation"] += 1
    before = list(metadata.get("finalizers") or [])
    finalizers = _with_policy(before, options.propagation_policy)
    if changed or finalizers != before:
        metadata["deletionTimestamp"] = timestamp(grace)
        metadata["deletionGracePeriodSeconds"] = grace
        _set_finalizers(metadata, finalizers)
        obj = _write(registry, target, obj, options)
    if grace == 0 and not finalizers:
        return _remove(registry, target, obj, options), True
    return obj, False


def _delete_namespace(registry: Registry, target: Target, obj: Object, options: DeleteOptions) -> tuple[Object, bool]:
    metadata = obj["metadata"]
    if registry.strategy(target.resource).is_complete(obj):
        return _remove(registry, target, obj, options), True
    if "deletionTimestamp" in metadata:
        return obj, False
    metadata["deletionTimestamp"] = timestamp()
    obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return _write(registry, target, obj, options), False


def _delete_definition(registry: Registry, target: Target, obj: Object, options: DeleteOptions) -> tuple[Object, bool]:
    """Mark a custom resource definition: its instances go first."""
    metadata = obj["metadata"]
    metadata["deletionTimestamp"] = timestamp()
    metadata["finalizers"] = list(dict.fromkeys([*(metadata.get("finalizers") or []), CLEANUP_FINALIZER]))
    why = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    marked = with_condition(obj, timestamp(), "Terminating", "True", "InstanceDeletionPending", why)
    return _write(registry, target, marked, options), False


def _policy(registry: Registry, target: Target, finalizers: list[str], options: DeleteOptions) -> str | None:
    """The policy asked for, else what finalizers or the kind say."""
    asked = options.propagation_policy
    if asked is None and registry.strategy(target.resource).orphans_by_default and FOREGROUND not in finalizers:
        return "Orphan"
    return asked


def _with_policy(finalizers: list[str], policy: str | None) -> list[str]:
    if policy is None:
        return finalizers
    rest = [name for name in finalizers if name not in (ORPHAN, FOREGROUND)]
    added = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    return rest + added


def _set_finalizers(metadata: Object, finalizers: list[str]) -> None:
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)


def _write(registry: Registry, target: Target, obj: Object, options: DeleteOptions) -> Object:
    return obj if options.dry_run else registry.store.put(target.key, obj)


def _remove(registry: Registry, target: Target, obj: Object, options: DeleteOptions) -> Object:
    if options.dry_run:
        return obj
    return registry.store.remove(target.key) or obj
