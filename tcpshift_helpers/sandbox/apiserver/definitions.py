"""What a custom resource definition makes: a kind that is served like any other.

Pure. Whether a definition is right, and whether its names are free, is asked elsewhere.

Source: apiextensions-apiserver pkg/apiserver/customresource_handler.go; order of versions: apimachinery pkg/version/helpers.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.resources import CustomVersion, ResourceType

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {"alpha": 0, "beta": 1, None: 2}


def resource_type(definition: Object) -> ResourceType:
    """The kind that a definition describes, with all its served versions."""
    spec = definition["spec"]
    names = spec["names"]
    versions = {version["name"]: version for version in spec["versions"] if version.get("served")}
    return ResourceType(
        group=spec["group"],
        versions=tuple(by_priority(versions)),
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for version in versions.values() for name in version.get("subresources") or ()),
        custom={name: CustomVersion(version["schema"]["openAPIV3Schema"]) for name, version in versions.items()},
    )


def by_priority(versions: Iterable[str]) -> list[str]:
    """Versions in the order in which clients prefer them: v10, v2, v1, v2beta1, v1alpha3, then all else by name."""
    return sorted(versions, key=_priority)


def _priority(version: str) -> tuple[int, int, int, int, str]:
    match = _VERSION.fullmatch(version)
    if match is None:
        return (1, 0, 0, 0, version)
    return (0, -_STAGES[match[2]], -int(match[1]), -int(match[3] or 0), "")
