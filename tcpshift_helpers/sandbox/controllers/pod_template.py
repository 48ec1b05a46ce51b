"""From a `spec.template` to a pod of its owner's. Pure.

Source: kubernetes 1.34 pkg/controller/controller_utils.go (GetPodFromTemplate).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.ownership import controller_reference

if TYPE_CHECKING:
    from collections.abc import Mapping


def pod_of(owner: Mapping[str, Any], *finalizers: str) -> dict[str, Any]:
    """A new pod of the owner's template, owned by it, held by the template's finalizers and these."""
    template = copy.deepcopy(owner["spec"]["template"])
    metadata = template.get("metadata") or {}
    kept = {field: metadata[field] for field in ("labels", "annotations") if metadata.get(field)}
    held = [*(metadata.get("finalizers") or []), *finalizers]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            **({"finalizers": held} if held else {}),
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }
