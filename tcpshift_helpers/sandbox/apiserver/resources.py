"""The kinds of object this API server knows, as data.

Pure. Storage, routing, discovery and printing all read this one table; a custom resource definition adds to a copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()

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
_ISTIO_CATEGORIES = ("istio-io", "networking-istio-io")
_ISTIO = "networking.istio.io"
_ISTIO_VERSIONS = ("v1", "v1beta1", "v1alpha3")

BUILT_IN: tuple[ResourceType, ...] = (
    ResourceType("", ("v1",), "Namespace", "namespaces", False, ("ns",), (), frozenset({"status", "finalize"})),
    ResourceType("", ("v1",), "Node", "nodes", False, ("no",), (), _STATUS),
    ResourceType(
        "", ("v1",), "Pod", "pods", True, ("po",), ("all",), frozenset({"status", "log", "binding", "eviction"})
    ),
    ResourceType("", ("v1",), "Service", "services", True, ("svc",), ("all",), _STATUS),
    ResourceType("", ("v1",), "ConfigMap", "configmaps", True, ("cm",)),
    ResourceType("", ("v1",), "Secret", "secrets"),
    ResourceType("", ("v1",), "ServiceAccount", "serviceaccounts", True, ("sa",)),
    ResourceType("", ("v1",), "Event", "events", True, ("ev",)),
    ResourceType("apps", ("v1",), "Deployment", "deployments", True, ("deploy",), ("all",), _SCALE),
    ResourceType("apps", ("v1",), "ReplicaSet", "replicasets", True, ("rs",), ("all",), _SCALE),
    ResourceType("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
    ResourceType(_ISTIO, _ISTIO_VERSIONS, "Gateway", "gateways", True, ("gw",), _ISTIO_CATEGORIES, _STATUS),
    ResourceType(
        _ISTIO, _ISTIO_VERSIONS, "VirtualService", "virtualservices", True, ("vs",), _ISTIO_CATEGORIES, _STATUS
    ),
    ResourceType(
        _ISTIO, _ISTIO_VERSIONS, "DestinationRule", "destinationrules", True, ("dr",), _ISTIO_CATEGORIES, _STATUS
    ),
)
