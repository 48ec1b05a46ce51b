"""Who owns `spec.replicas`, seen through the Scale of an object and carried back into the object.

Pure. In the Scale the field belongs to `autoscaling/v1`; in the object to the object's own version.

Source: kubernetes/apimachinery pkg/util/managedfields/scalehandler.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_sets, managers
from tcpshift_helpers.sandbox.apiserver.managers import Managers, Owned

Object = dict[str, Any]

_SCALE_VERSION = "autoscaling/v1"
_REPLICAS = field_sets.of(("spec", "replicas"))
_PATH = next(field_sets.paths(_REPLICAS))


def of_scale(entries: list[Object]) -> list[Object]:
    """The managers of an object's Scale: those of the object that own the number of replicas."""
    owners = {
        manager: Owned(_SCALE_VERSION, _REPLICAS, owned.time)
        for manager, owned in managers.decode(entries, trusted=True).items()
        if field_sets.has(owned.fields, _PATH)
    }
    return managers.encode(owners)


def of_scaled(entries: list[Object], scale_entries: list[Object], api_version: str) -> list[Object]:
    """The managers of an object after a write to its Scale.

    Args:
        entries: of the object before.
        scale_entries: of the Scale after.
        api_version: of the object, as the client speaks of it.
    """
    before = managers.decode(entries, trusted=True)
    of_replicas = managers.decode(scale_entries, trusted=True)
    after: Managers = {}
    for manager, owned in before.items():
        if not field_sets.has(owned.fields, _PATH):
            after[manager] = owned
        elif manager in of_replicas:
            after[manager] = owned
            del of_replicas[manager]
        else:
            left = field_sets.difference(owned.fields, _REPLICAS)
            if left:
                after[manager] = replace(owned, fields=left)
    for manager, owned in of_replicas.items():
        if field_sets.has(owned.fields, _PATH):
            known = before.get(manager)
            after[manager] = Owned(api_version, _REPLICAS, known.time if known else None)
    return managers.encode(after)
