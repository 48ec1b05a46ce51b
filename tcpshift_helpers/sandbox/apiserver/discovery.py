"""Which groups, versions and kinds there are: what kubectl asks before anything else.

Pure. Both the legacy documents (a request for each group) and the aggregated one are made from the same table of kinds.

Source: kubernetes/apiserver pkg/endpoints/discovery; api/discovery types of apidiscovery.k8s.io/v2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.definitions import by_priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

AGGREGATED_MEDIA_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_SUBRESOURCES: dict[str, tuple[str, str, str, list[str]]] = {
    # subresource: (group, version, kind; empty kind means the resource's own), verbs
    "status": ("", "", "", ["get", "patch", "update"]),
    "scale": ("autoscaling", "v1", "Scale", ["get", "patch", "update"]),
    "log": ("", "", "", ["get"]),
    "exec": ("", "v1", "PodExecOptions", ["create", "get"]),
    "attach": ("", "v1", "PodAttachOptions", ["create", "get"]),
    "portforward": ("", "v1", "PodPortForwardOptions", ["create", "get"]),
    "binding": ("", "v1", "Binding", ["create"]),
    "eviction": ("policy", "v1", "Eviction", ["create"]),
    "finalize": ("", "", "", ["update"]),
}
_NO_DELETE_COLLECTION = frozenset({"namespaces"})


def verbs(resource: ResourceType) -> list[str]:
    """What can be done with a kind."""
    if not resource.is_kept:
        return ["create"]
    return [
        verb for verb in _VERBS if verb != "deletecollection" or resource.group_resource not in _NO_DELETE_COLLECTION
    ]


def api_versions(server_address: str) -> Object:
    """`/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }


def _versions_by_group(resources: Iterable[ResourceType]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for resource in resources:
        known = groups.setdefault(resource.group, [])
        known.extend(version for version in resource.versions if version not in known)
    return {group: by_priority(versions) for group, versions in groups.items()}


def _group(name: str, versions: Sequence[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_group_list(resources: Iterable[ResourceType]) -> Object:
    """`/apis`."""
    groups = [_group(name, versions) for name, versions in _versions_by_group(resources).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(resources: Iterable[ResourceType], group: str) -> Object | None:
    """`/apis/{group}`, or None if there is no such group."""
    versions = _versions_by_group(resources).get(group)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)} if versions and group else None


def api_resource_list(resources: Iterable[ResourceType], group: str, version: str) -> Object | None:
    """`/api/v1` or `/apis/{group}/{version}`, or None if it is not served."""
    listed: list[Object] = []
    for resource in resources:
        if resource.group != group or version not in resource.versions:
            continue
        entry: Object = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        listed.extend(
            _subresource_entry(resource, name)
            for name in sorted(resource.at(version).subresources)
            if name in _SUBRESOURCES
        )
    if not listed:
        return None
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _subresource_entry(resource: ResourceType, name: str) -> Object:
    group, version, kind, allowed = _SUBRESOURCES[name]
    entry: Object = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": kind or resource.kind,
        "verbs": allowed,
    }
    if group:
        entry["group"], entry["version"] = group, version
    return entry


def aggregated(resources: Sequence[ResourceType], *, core: bool) -> Object:
    """`/api` (core) or `/apis` as one `APIGroupDiscoveryList`."""
    groups = {name: versions for name, versions in _versions_by_group(resources).items() if bool(name) != core}
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": version,
                        "resources": _aggregated_resources(resources, name, version),
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
            for name, versions in groups.items()
        ],
    }


def _aggregated_resources(resources: Iterable[ResourceType], group: str, version: str) -> list[Object]:
    listed: list[Object] = []
    for resource in resources:
        if resource.group != group or version not in resource.versions:
            continue
        kind = {"group": group, "version": version, "kind": resource.kind}
        entry: Object = {
            "resource": resource.plural,
            "responseKind": kind,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": verbs(resource),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        subresources = [
            _aggregated_subresource(name, kind)
            for name in sorted(resource.at(version).subresources)
            if name in _SUBRESOURCES
        ]
        if subresources:
            entry["subresources"] = subresources
        listed.append(entry)
    return listed


def _aggregated_subresource(name: str, own_kind: Object) -> Object:
    group, version, kind, allowed = _SUBRESOURCES[name]
    response = {"group": group, "version": version, "kind": kind} if kind else own_kind
    return {"subresource": name, "responseKind": response, "verbs": allowed}
