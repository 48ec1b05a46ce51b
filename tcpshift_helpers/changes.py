"""Changes to objects without a printed word: what is behind kubectl's apply, create and delete.

The course uses them too, where a printed command would hide what the learner typed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions
from tcpshift_helpers.apply_patch import three_way_merge_patch, with_last_applied
from tcpshift_helpers.errors import NotFoundError, UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster

STRICT = {"fieldValidation": "Strict"}


def namespace_of(cluster: Cluster, obj: Object, resource: Resource, namespace: str | None) -> str | None:
    """Where an object goes: its own namespace, else the one asked for, else the cluster's; None for cluster-wide kinds."""
    if not resource.namespaced:
        return None
    own = obj["metadata"].get("namespace")
    if own and namespace and own != namespace:
        raise UsageError(
            f'the namespace from the provided object "{own}" does not match the namespace "{namespace}". '
            + _("Drop one of the two.")
        )
    return str(own or namespace or cluster.namespace)


def post(cluster: Cluster, obj: Object, resource: Resource, namespace: str | None) -> Object:
    """Create an object.

    Raises:
        NotFoundError: its namespace does not exist; the message says how to create it.
    """
    body = {**obj, "metadata": {**obj["metadata"], **({"namespace": namespace} if namespace else {})}}
    try:
        created: Object = cluster.api.request("POST", resource.path(namespace), query=STRICT, body=body)
    except NotFoundError as error:
        if namespace and f'namespaces "{namespace}" not found' in error.message:
            hint = _("Create it first: kubectl.create_namespace(cluster)")
            raise NotFoundError(error.code, error.reason, error.message, hint) from error
        raise
    return created


def apply_one(cluster: Cluster, obj: Object, resource: Resource, namespace: str | None) -> tuple[str, Object]:
    """Apply one object; gives `created`, `configured` or `unchanged`, and the object as it is now."""
    if namespace:
        obj = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
    name = obj["metadata"].get("name")
    if not name:
        raise UsageError(_("apply needs metadata.name; generateName works with create only."))
    live = cluster.read_or_none(resource, name, namespace)
    if live is None:
        return "created", post(cluster, with_last_applied(obj), resource, namespace)
    change = three_way_merge_patch(obj, live)
    if not change:
        return "unchanged", live
    changed = cluster.patch(resource, name, change, namespace=namespace)
    same = changed["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    return ("unchanged" if same else "configured"), changed


def delete_one(
    cluster: Cluster,
    resource: Resource,
    name: str,
    namespace: str | None,
    *,
    timeout_seconds: float = 60.0,
    ignore_not_found: bool = True,
    say: Callable[[str], None] | None = None,
) -> bool:
    """Delete an object and wait until it is gone; says whether there was one. `say` gets kubectl's line at once.

    Raises:
        NotFoundError: there is none and `ignore_not_found` is False.
        WaitTimeoutError: it is still there after `timeout_seconds`.
    """
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    try:
        cluster.api.request("DELETE", resource.path(namespace, name), body=body)
    except NotFoundError:
        if ignore_not_found:
            return False
        raise
    if say is not None:
        say(f'{resource.word} "{name}" deleted')
    gone, deadline = conditions.Wanted("delete"), time.monotonic() + timeout_seconds
    wait_until(cluster, resource, name, gone, namespace=namespace or cluster.namespace, deadline=deadline)
    return True
