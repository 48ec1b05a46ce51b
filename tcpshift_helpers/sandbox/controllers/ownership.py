"""Who owns whom: `metadata.ownerReferences`. Pure.

Source: kubernetes/apimachinery pkg/apis/meta/v1/controller_ref.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def controller_reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The reference that makes `owner` the one controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """The reference to the controller of an object, if it has one."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return dict(reference)
    return None


def is_controlled_by(obj: Mapping[str, Any], owner: Mapping[str, Any]) -> bool:
    """Whether `owner`, this very object and not another of its name, is the controller of `obj`."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def is_being_deleted(obj: Mapping[str, Any]) -> bool:
    """Whether somebody asked for its deletion and it still exists."""
    return bool(obj["metadata"].get("deletionTimestamp"))
