"""Service → EndpointSlice: which pod addresses answer for a Service.

One slice for each distinct set of ports, which is one slice a Service unless pods give a named port different numbers.
Services without a selector and of type ExternalName have none. Not done: splitting beyond 100 endpoints, IPv6, zones,
and the older `Endpoints` objects.

Source: kubernetes 1.34 pkg/controller/endpointslice and staging endpointslice/utils.go.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINT_SLICES, PODS, SERVICES, ApiError, key_of
from tcpshift_helpers.sandbox.controllers.ownership import controller_reference, is_being_deleted
from tcpshift_helpers.sandbox.controllers.pod_conditions import is_finished, is_ready
from tcpshift_helpers.sandbox.controllers.selectors import labels_of, matches_map
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
CONTROLLER = "endpointslice-controller.k8s.io"


class EndpointSliceController:
    """Keeps the EndpointSlices of each Service in step with its pods."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.informer(SERVICES)
        self._slices = context.informer(ENDPOINT_SLICES)
        self.queue = WorkQueue("endpointslice", self.sync)
        self._services.on_change(lambda _, obj: self.queue.add(key_of(obj)))
        self._slices.on_change(self._slice_changed)
        context.informer(PODS).on_change(self._pod_changed)

    def _slice_changed(self, _: str, endpoint_slice: dict[str, Any]) -> None:
        labels = labels_of(endpoint_slice)
        if labels.get(MANAGED_BY) == CONTROLLER and SERVICE_NAME in labels:
            self.queue.add((endpoint_slice["metadata"]["namespace"], labels[SERVICE_NAME]))

    def _pod_changed(self, _: str, pod: dict[str, Any]) -> None:
        # A pod whose labels changed may have left a Service it no longer matches: those whose slices name it count too.
        name = pod["metadata"]["name"]
        for service in self._context.in_namespace(SERVICES, pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and (matches_map(selector, labels_of(pod)) or self._names(service, name)):
                self.queue.add(key_of(service))

    def _names(self, service: dict[str, Any], pod_name: str) -> bool:
        return any(
            (endpoint.get("targetRef") or {}).get("name") == pod_name
            for endpoint_slice in self._slices_of(key_of(service))
            for endpoint in endpoint_slice.get("endpoints") or []
        )

    def _slices_of(self, key: Key) -> list[dict[str, Any]]:
        namespace, name = key
        return [
            endpoint_slice
            for endpoint_slice in self._context.in_namespace(ENDPOINT_SLICES, namespace)
            if labels_of(endpoint_slice).get(SERVICE_NAME) == name
            and labels_of(endpoint_slice).get(MANAGED_BY) == CONTROLLER
            and not is_being_deleted(endpoint_slice)
        ]

    async def sync(self, key: Key) -> None:
        """Bring the slices of one Service in order."""
        service = self._services.objects.get(key)
        if service is None or is_being_deleted(service):
            return  # Its slices go by their owner reference.
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName":
            return
        pods = [
            pod
            for pod in self._context.in_namespace(PODS, key[0])
            if matches_map(selector, labels_of(pod)) and not is_finished(pod) and addresses_of(pod)
        ]
        wanted = desired_slices(service, pods)
        spare = [found for found in self._slices_of(key) if _owner_uid(found) == service["metadata"]["uid"]]
        for ports, endpoints in wanted:
            known = _take_matching(spare, ports)
            await self._write(service, known, ports, endpoints)
        for left_over in spare:
            await self._delete(left_over)

    async def _write(
        self,
        service: dict[str, Any],
        known: dict[str, Any] | None,
        ports: list[dict[str, Any]] | None,
        endpoints: list[dict[str, Any]] | None,
    ) -> None:
        labels = slice_labels(service)
        if known is None:
            fresh = {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "generateName": f"{service['metadata']['name']}-",
                    "namespace": service["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {TRIGGER_TIME: now()},
                    "ownerReferences": [controller_reference(service)],
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            }
            self._slices.remember(await self._context.client.create(ENDPOINT_SLICES, fresh))
            return
        same = (known.get("endpoints") or []) == (endpoints or []) and (known.get("ports") or []) == (ports or [])
        if same and labels_of(known) == labels:
            return
        metadata = {**known["metadata"], "labels": labels}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), TRIGGER_TIME: now()}
        changed = {**known, "metadata": metadata, "endpoints": endpoints, "ports": ports}
        self._slices.remember(await self._context.client.replace(ENDPOINT_SLICES, changed))

    async def _delete(self, endpoint_slice: dict[str, Any]) -> None:
        namespace, name = key_of(endpoint_slice)
        try:
            await self._context.client.delete(ENDPOINT_SLICES, name, namespace, uid=endpoint_slice["metadata"]["uid"])
        except ApiError as error:
            if error.code != 404:
                raise


def addresses_of(pod: Mapping[str, Any]) -> list[str]:
    """The pod's IPv4 addresses."""
    return [entry["ip"] for entry in (pod.get("status") or {}).get("podIPs") or [] if ":" not in entry["ip"]]


def slice_labels(service: Mapping[str, Any]) -> dict[str, str]:
    """The labels of a Service's slices: its own and those that say whose they are."""
    labels = {**labels_of(service), SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: CONTROLLER}
    labels.pop(HEADLESS, None)
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels


def desired_slices(
    service: Mapping[str, Any], pods: list[dict[str, Any]]
) -> list[tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]]:
    """(ports, endpoints) of each slice the Service should have; an empty one if no pod matches."""
    groups: dict[str, tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        ports = [port for port in (_port(entry, pod) for entry in service["spec"].get("ports") or []) if port]
        _, endpoints = groups.setdefault(json.dumps(ports, sort_keys=True), (ports, []))
        if endpoints is not None:
            endpoints.append(_endpoint(service, pod))
    return list(groups.values()) or [(None, None)]


def _endpoint(service: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    serving = is_ready(pod)
    terminating = is_being_deleted(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: dict[str, Any] = {
        "addresses": addresses_of(pod),
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }
    if pod["spec"].get("nodeName"):
        endpoint["nodeName"] = pod["spec"]["nodeName"]
    if pod["spec"].get("hostname") and pod["spec"].get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = pod["spec"]["hostname"]
    return endpoint


def _port(service_port: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any] | None:
    number = port_number(service_port, pod)
    if number is None:
        return None
    port = {
        "name": service_port.get("name", ""),
        "port": number,
        "protocol": service_port.get("protocol", "TCP"),
    }
    if service_port.get("appProtocol"):
        port["appProtocol"] = service_port["appProtocol"]
    return port


def port_number(service_port: Mapping[str, Any], pod: Mapping[str, Any]) -> int | None:
    """The pod's port behind a Service's port; None if the target port is a name the pod does not know."""
    target = service_port.get("targetPort", service_port["port"])
    if isinstance(target, int):
        return target or int(service_port["port"])
    protocol = service_port.get("protocol", "TCP")
    sidecars = [entry for entry in pod["spec"].get("initContainers") or [] if entry.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for port in container.get("ports") or []:
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _owner_uid(obj: Mapping[str, Any]) -> str | None:
    references = obj["metadata"].get("ownerReferences") or []
    return next((entry["uid"] for entry in references if entry["kind"] == "Service"), None)


def _take_matching(spare: list[dict[str, Any]], ports: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Take the slice of these ports out of `spare`, else any: an empty slice gets ports with its first pod."""
    for index, found in enumerate(spare):
        if (found.get("ports") or []) == (ports or []):
            return spare.pop(index)
    return spare.pop() if spare else None
