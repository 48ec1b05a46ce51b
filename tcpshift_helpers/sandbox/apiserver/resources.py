"""The kinds of object this API server knows, as data.

Pure. Storage, routing, discovery and printing all read one table of these, `catalog`: the built-in kinds that are listed
here, and one for each custom resource definition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class ScalePaths:
    """Where a custom resource keeps what its scale subresource shows: simple paths such as `.spec.replicas`."""

    spec_replicas: str
    status_replicas: str
    label_selector: str = ""


@dataclass(frozen=True, eq=False)
class CustomVersion:
    """What a custom resource definition says of one version of its kind.

    Attributes:
        load_schema: fetches the version's `openAPIV3Schema`, descriptions and all.
        columns: `additionalPrinterColumns`.
        subresources: those of `status` and `scale` that it has.
        scale: paths of the scale subresource, or None.
        selectable_fields: simple paths that field selectors may name.
        deprecation_warning: said to every client of the version, or empty.
    """

    load_schema: Callable[[], Schema]
    columns: tuple[dict[str, Any], ...] = ()
    subresources: frozenset[str] = frozenset()
    scale: ScalePaths | None = None
    selectable_fields: tuple[str, ...] = ()
    deprecation_warning: str = ""

    @cached_property
    def schema(self) -> Schema:
        """The schema without descriptions, which are most of it; loaded when first needed."""
        return _without_descriptions(self.load_schema())


def _without_descriptions(schema: Schema) -> Schema:
    bare: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            bare[key] = {name: _without_descriptions(below) for name, below in value.items()}
        elif isinstance(value, dict) and key in {"items", "additionalProperties", "not"}:
            bare[key] = _without_descriptions(value)
        elif key in {"allOf", "anyOf", "oneOf"}:
            bare[key] = [_without_descriptions(one) for one in value]
        elif key not in {"description", "title", "example", "externalDocs"}:
            bare[key] = value
    return bare


@dataclass(frozen=True)
class ResourceType:
    """One kind of object.

    Attributes:
        group: API group, empty for the core group.
        versions: served versions, preferred first.
        kind: CamelCase kind.
        plural: name in paths.
        singular: what one object is called.
        short_names: kubectl's abbreviations.
        categories: groups of kinds, such as `all`.
        namespaced: whether objects live in namespaces.
        subresources: such as `status`, `scale`.
        storage_version: version objects are kept in.
        custom: for a kind that comes from a custom resource definition, what that says of each version; else None.
        is_kept: objects are stored; a review is only answered.
        given_singular, given_list_kind, given_storage_version: what a definition says in place of the usual.
        spoken: the version that a request speaks; empty for the kind as such.
        is_ending: its definition is being deleted: nothing new may be created.
        deprecation: said to every client of a built-in kind, or empty.
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
    given_singular: str = ""
    given_list_kind: str = ""
    given_storage_version: str = ""
    spoken: str = ""
    is_ending: bool = False
    deprecation: str = ""

    @property
    def singular(self) -> str:
        """What one object is called: the lower-case kind unless a definition says otherwise."""
        return self.given_singular or self.kind.lower()

    @property
    def list_kind(self) -> str:
        """The kind of its lists."""
        return self.given_list_kind or f"{self.kind}List"

    @property
    def storage_version(self) -> str:
        """The version objects are kept in: the preferred one unless a definition says otherwise."""
        return self.given_storage_version or self.versions[0]

    @property
    def definition(self) -> CustomVersion | None:
        """What the custom resource definition says of the spoken version; None for a built-in kind."""
        return None if self.custom is None else self.custom[self.spoken or self.versions[0]]

    def deprecation_of(self, version: str) -> str:
        """What every client of this version is warned of, or empty."""
        return self.deprecation if self.custom is None else self.custom[version].deprecation_warning

    def at(self, version: str) -> ResourceType:
        """The kind as a request in this version sees it."""
        if self.custom is None:
            return self
        return replace(self, spoken=version, subresources=self.custom[version].subresources)

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
_ENDPOINTS_ARE_DEPRECATED = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"

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
    ResourceType("", ("v1",), "Endpoints", "endpoints", True, ("ep",), deprecation=_ENDPOINTS_ARE_DEPRECATED),
    ResourceType("apps", ("v1",), "Deployment", "deployments", True, ("deploy",), ("all",), _SCALE),
    ResourceType("apps", ("v1",), "ReplicaSet", "replicasets", True, ("rs",), ("all",), _SCALE),
    ResourceType(_AUTHENTICATION, ("v1",), "SelfSubjectReview", "selfsubjectreviews", False, is_kept=False),
    ResourceType(_AUTHORIZATION, ("v1",), "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, is_kept=False),
    ResourceType(_AUTHORIZATION, ("v1",), "SelfSubjectRulesReview", "selfsubjectrulesreviews", False, is_kept=False),
    ResourceType("batch", ("v1",), "Job", "jobs", True, (), ("all",), _STATUS),
    ResourceType("coordination.k8s.io", ("v1",), "Lease", "leases"),
    ResourceType("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
    ResourceType(
        *("apiextensions.k8s.io", ("v1",), "CustomResourceDefinition", "customresourcedefinitions"),
        *(False, ("crd", "crds"), ("api-extensions",), _STATUS),
    ),
)
