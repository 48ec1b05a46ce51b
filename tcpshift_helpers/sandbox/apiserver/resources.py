"""The kinds of object this API server knows, as data.

Pure. Storage, routing, discovery and printing all read one table of these, `catalog`: the built-in kinds that are listed
here, and one for each custom resource definition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = dict[str, Any]


@dataclass(frozen=True)
class CustomVersion:
    """What a custom resource definition says of one version of its kind.

    Attributes:
        schema: the version's `openAPIV3Schema`.
    """

    schema: Schema


@dataclass(frozen=True)
class ResourceType:
    """One kind of object.

    Attributes:
        group: API group, empty for the core group.
        versions: served versions, preferred first.
        kind: CamelCase kind.
        plural: name in paths.
        singular: lower-case kind.
        short_names: kubectl's abbreviations.
        categories: groups of kinds, such as `all`.
        namespaced: whether objects live in namespaces.
        subresources: such as `status`, `scale`.
        storage_version: version objects are kept in.
        custom: for a kind that comes from a custom resource definition, what that says of each version; else None.
        is_kept: objects are stored; a review is only answered.
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    custom: Mapping[str, CustomVersion] | None = field(default=None, compare=False, repr=False)
    is_kept: bool = True

    @property
    def singular(self) -> str:
        """The lower-case kind."""
        return self.kind.lower()

    @property
    def storage_version(self) -> str:
        """The version objects are kept in: the preferred one."""
        return self.versions[0]

    @property
    def group_resource(self) -> str:
        """As error messages name it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str | None = None) -> str:
        """`apps/v1`, or `v1` for the core group."""
        version = version or self.storage_version
        return f"{self.group}/{version}" if self.group else version


_STATUS = frozenset({"status"})
_SCALE = frozenset({"status", "scale"})
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"

BUILT_IN: tuple[ResourceType, ...] = (
    ResourceType("", ("v1",), "Namespace", "namespaces", False, ("ns",), (), frozenset({"status", "finalize"})),
    ResourceType("", ("v1",), "Node", "nodes", False, ("no",), (), _STATUS),
    ResourceType(
        "",
        ("v1",),
        "Pod",
        "pods",
        True,
        ("po",),
        ("all",),
        frozenset({"status", "log", "binding", "eviction", "exec", "attach", "portforward"}),
    ),
    ResourceType("", ("v1",), "Service", "services", True, ("svc",), ("all",), _STATUS),
    ResourceType("", ("v1",), "ConfigMap", "configmaps", True, ("cm",)),
    ResourceType("", ("v1",), "Secret", "secrets"),
    ResourceType("", ("v1",), "ServiceAccount", "serviceaccounts", True, ("sa",)),
    ResourceType("", ("v1",), "Event", "events", True, ("ev",)),
    ResourceType("", ("v1",), "Endpoints", "endpoints", True, ("ep",)),
    ResourceType("apps", ("v1",), "Deployment", "deployments", True, ("deploy",), ("all",), _SCALE),
    ResourceType("apps", ("v1",), "ReplicaSet", "replicasets", True, ("rs",), ("all",), _SCALE),
    ResourceType(_AUTHENTICATION, ("v1",), "SelfSubjectReview", "selfsubjectreviews", False, is_kept=False),
    ResourceType(_AUTHORIZATION, ("v1",), "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, is_kept=False),
    ResourceType(_AUTHORIZATION, ("v1",), "SelfSubjectRulesReview", "selfsubjectrulesreviews", False, is_kept=False),
    ResourceType("batch", ("v1",), "Job", "jobs", True, (), ("all",), _STATUS),
    ResourceType("coordination.k8s.io", ("v1",), "Lease", "leases"),
    ResourceType("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
)
