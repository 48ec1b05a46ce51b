"""What exists before anyone applied anything: system namespaces, the API server's own Service, and the definitions of Istio and the Gateway API.

Source: kubernetes pkg/controlplane/controller/{systemnamespaces,kubernetesservice}; objects as measured on kube-apiserver 1.34.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import gateway_api_schemas, istio_schemas
from tcpshift_helpers.sandbox.apiserver.defaults import apply_defaults
from tcpshift_helpers.sandbox.apiserver.definitions import DEFINITIONS
from tcpshift_helpers.sandbox.apiserver.registry import NAMESPACES, Registry, Target, new_uid, timestamp
from tcpshift_helpers.sandbox.apiserver.request import WriteOptions
from tcpshift_helpers.sandbox.apiserver.store import Key
from tcpshift_helpers.sandbox.apiserver.strategy import note_storage_version

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.catalog import Catalog

_ITSELF = WriteOptions(field_manager="kube-apiserver")
# As the projects' own installation lines apply theirs, so that the same line meets no conflict here.
_INSTALLED = WriteOptions(field_manager="kubectl")
_SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SLICES = "endpointslices.discovery.k8s.io"


def bootstrap(registry: Registry, catalog: Catalog, address: str, port: int) -> None:
    """Create what is missing.

    Args:
        registry: where to.
        catalog: the kinds.
        address: where the API server listens.
        port: its port.
    """
    for name in _SYSTEM_NAMESPACES:
        if registry.store.get(Key(NAMESPACES, "", name)) is None:
            registry.create(
                Target(catalog.by_group_resource(NAMESPACES), "v1"), _object("v1", "Namespace", name), _ITSELF
            )
    if registry.store.get(Key("services", "default", "kubernetes")) is None:
        service = _object("v1", "Service", "kubernetes")
        service["metadata"]["labels"] = {"component": "apiserver", "provider": "kubernetes"}
        https = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}
        service["spec"] = {"type": "ClusterIP", "sessionAffinity": "None", "ports": [https]}
        registry.create(Target(catalog.by_group_resource("services"), "v1", "default"), service, _ITSELF)
    _endpoint_slice(registry, address, port)
    for definition in (*istio_schemas.definitions(), *gateway_api_schemas.definitions()):
        _definition(registry, catalog, definition)


def _definition(registry: Registry, catalog: Catalog, definition: dict[str, Any]) -> None:
    """Create a definition, or renew one of an earlier version of this package that nobody has changed since."""
    target = Target(catalog.by_group_resource(DEFINITIONS), "v1", name=definition["metadata"]["name"])
    known = registry.store.get(target.key)
    if known is None:
        # Judged by a test, not here: to compile its rules takes the machinery of CEL, 16 MB for good.
        registry.apply(target, definition, lambda applied: applied, _INSTALLED, is_judged=True)
    elif known["metadata"]["generation"] == 1:
        wished = {**known, "spec": apply_defaults(target.resource, definition)["spec"], "status": {**known["status"]}}
        note_storage_version(wished)
        if wished != known:
            registry.store.put(target.key, wished)


def _endpoint_slice(registry: Registry, address: str, port: int) -> None:
    # Written past validation, which refuses loopback addresses as the real server does.
    key = Key(_SLICES, "default", "kubernetes")
    known = registry.store.get(key)
    endpoints = [{"addresses": [address], "conditions": {"ready": True}}]
    if known is not None and known["endpoints"] == endpoints:
        return
    obj = known or _object("discovery.k8s.io/v1", "EndpointSlice", "kubernetes")
    labels = {"kubernetes.io/service-name": "kubernetes"}
    obj["metadata"].update({"namespace": "default", "labels": labels, "generation": 1})
    obj["metadata"].setdefault("uid", new_uid())
    obj["metadata"].setdefault("creationTimestamp", timestamp())
    obj.update(
        {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "https", "protocol": "TCP", "port": port}]}
    )
    registry.store.put(key, obj)


def _object(api_version: str, kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": api_version, "metadata": {"name": name}}
