"""Objects for the mesh's tests: the gateway and both echo pods as they were when recorded/ was made."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from tcpshift_helpers.sandbox.mesh.model import Snapshot

Obj = dict[str, Any]

GATEWAY_ADDRESS = "10.244.0.3"
FIELDS = {
    "Pod": "pods",
    "Service": "services",
    "EndpointSlice": "endpoint_slices",
    "Gateway": "gateways",
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "Namespace": "namespaces",
    "GatewayClass": "gateway_classes",
    "TCPRoute": "tcp_routes",
    "ReferenceGrant": "reference_grants",
}
GATEWAY_API = "gateway.networking.k8s.io"
_counter = iter(range(1, 1_000_000))


def stamped(obj: Obj) -> Obj:
    """With the metadata the API server adds; each object a second younger than the one before."""
    number = next(_counter)
    minutes, seconds = divmod(number, 60)
    hours, minutes = divmod(minutes, 60)
    added = {
        "uid": f"uid-{number}",
        "generation": 1,
        "resourceVersion": str(number),
        "creationTimestamp": f"2026-01-01T{hours:02}:{minutes:02}:{seconds:02}Z",
    }
    return {**obj, "metadata": {**added, **obj["metadata"]}}


def pod(name: str, address: str, labels: Obj, namespace: str = "default", **spec: Any) -> Obj:
    spec.setdefault("containers", [{"name": "app", "image": "x"}])
    status = {"phase": "Running", "podIP": address}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return stamped({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})


def gateway_pod(name: str = "istio-ingressgateway-1", address: str = GATEWAY_ADDRESS) -> Obj:
    labels = {"istio": "ingressgateway", "app": "istio-ingressgateway"}
    proxy = {"name": "istio-proxy", "image": "x", "args": ["proxy", "router"]}
    return pod(name, address, labels, "istio-system", containers=[proxy])


def service(name: str, selector: Obj, ports: list[Obj], namespace: str = "default", **spec: Any) -> Obj:
    metadata = {"name": name, "namespace": namespace}
    return stamped(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": selector, "ports": ports, **spec},
        }
    )


def endpoint_slice(of: Obj, pods: list[Obj]) -> Obj:
    """The EndpointSlice of a Service over the pods it selects."""
    metadata = of["metadata"]
    selected = [
        one
        for one in pods
        if one["metadata"]["namespace"] == metadata["namespace"]
        and of["spec"]["selector"].items() <= one["metadata"]["labels"].items()
    ]
    return stamped(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{metadata['name']}-abcde",
                "namespace": metadata["namespace"],
                "labels": {"kubernetes.io/service-name": metadata["name"]},
            },
            "addressType": "IPv4",
            "ports": [
                {"name": port.get("name", ""), "port": port.get("targetPort", port["port"])}
                for port in of["spec"]["ports"]
            ],
            "endpoints": [
                {
                    "addresses": [one["status"]["podIP"]],
                    "conditions": {"ready": True},
                    "targetRef": {"kind": "Pod", "name": one["metadata"]["name"]},
                }
                for one in selected
            ],
        }
    )


def base_snapshot(extra: list[Obj] | None = None) -> Snapshot:
    """One gateway pod and its Service, two echo pods and theirs, and more Services if given."""
    pods = [
        gateway_pod(),
        pod("tcp-echo-v1", "10.244.0.1", {"app": "tcp-echo", "version": "v1"}),
        pod("tcp-echo-v2", "10.244.0.2", {"app": "tcp-echo", "version": "v2"}),
    ]
    gateway_ports = [{"name": "tcp", "port": 31400}, {"name": "status-port", "port": 15021}]
    services = [
        service("istio-ingressgateway", {"istio": "ingressgateway"}, gateway_ports, "istio-system"),
        service("tcp-echo", {"app": "tcp-echo"}, [{"name": "tcp", "port": 9000}, {"name": "tcp-other", "port": 9001}]),
        *(stamped(one) for one in extra or [] if one["kind"] == "Service"),
    ]
    slices = [endpoint_slice(one, pods) for one in services]
    return Snapshot(pods=pods, services=services, endpoint_slices=slices)


def field_of(obj: Obj) -> str:
    """The field of a `Snapshot` that an object belongs to: two kinds are called Gateway."""
    if obj["kind"] == "Gateway" and obj.get("apiVersion", "").startswith(GATEWAY_API):
        return "kubernetes_gateways"
    return FIELDS[obj["kind"]]


def snapshot_of(objects: list[Obj]) -> Snapshot:
    """The snapshot of exactly these objects."""
    return Snapshot(**{name: [obj for obj in objects if field_of(obj) == name] for name in map(field_of, objects)})


def with_objects(snapshot: Snapshot, objects: list[Obj]) -> Snapshot:
    """The snapshot with objects added, in this order of creation."""
    added: dict[str, list[Any]] = {field.name: list(getattr(snapshot, field.name)) for field in fields(snapshot)}
    for one in objects:
        added[field_of(one)].append(stamped(one))
    return replace(snapshot, **added)
