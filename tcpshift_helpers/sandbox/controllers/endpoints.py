"""Service → Endpoints: the older form of what EndpointSlices say, for clients that still read it.

One object a Service, of its name. Services without a selector and of type ExternalName have none. Not done: truncation
beyond 1,000 addresses, IPv6.

Source: kubernetes 1.34 pkg/controller/endpoint/endpoints_controller.go and pkg/api/v1/endpoints/util.go (RepackSubsets).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINTS, PODS, SERVICES, ApiError, key_of
from tcpshift_helpers.sandbox.controllers.endpointslice import HEADLESS, TRIGGER_TIME, addresses_of, port_number
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.pod_conditions import is_finished, is_ready
from tcpshift_helpers.sandbox.controllers.selectors import labels_of, matches_map
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

Object = dict[str, Any]

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"


class EndpointsController:
    """Keeps the Endpoints of each Service in step with its pods."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._services = context.informer(SERVICES)
        self._endpoints = context.informer(ENDPOINTS)
        self.queue = WorkQueue("endpoints", self.sync)
        self._services.on_change(lambda _, obj: self.queue.add(key_of(obj)))
        self._endpoints.on_change(self._endpoints_changed)
        context.informer(PODS).on_change(self._pod_changed)

    def _endpoints_changed(self, _: str, endpoints: Object) -> None:
        if labels_of(endpoints).get(MANAGED_BY) == CONTROLLER:
            self.queue.add(key_of(endpoints))

    def _pod_changed(self, _: str, pod: Object) -> None:
        # A pod whose labels changed may have left a Service it no longer matches: those whose Endpoints name it count too.
        for service in self._context.in_namespace(SERVICES, pod["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and (matches_map(selector, labels_of(pod)) or self._names(key_of(service), pod)):
                self.queue.add(key_of(service))

    def _names(self, key: Key, pod: Object) -> bool:
        listed = (self._endpoints.objects.get(key) or {}).get("subsets") or []
        addresses = [one for subset in listed for part in _PARTS for one in subset.get(part) or []]
        return any((one.get("targetRef") or {}).get("uid") == pod["metadata"]["uid"] for one in addresses)

    async def sync(self, key: Key) -> float | None:
        """Bring the Endpoints of one Service in order; those of a deleted Service go."""
        service, known = self._services.objects.get(key), self._endpoints.objects.get(key)
        if service is None:
            if not self._services.synced.is_set():
                return _LOOK_AGAIN_SECONDS
            if known is not None and labels_of(known).get(MANAGED_BY) == CONTROLLER:
                await self._delete(known)
            return None
        selector = service["spec"].get("selector")
        if not selector or service["spec"].get("type") == "ExternalName" or is_being_deleted(service):
            return None
        pods = (pod for pod in self._context.in_namespace(PODS, key[0]) if matches_map(selector, labels_of(pod)))
        await self._write(service, known, desired_subsets(service, pods))
        return None

    async def _write(self, service: Object, known: Object | None, subsets: list[Object]) -> None:
        labels = {**labels_of(service), MANAGED_BY: CONTROLLER}
        labels.pop(HEADLESS, None)
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        client = self._context.client
        if known is None:
            namespace, name = key_of(service)
            metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": {TRIGGER_TIME: now()}}
            fresh = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
            self._endpoints.remember(await client.create(ENDPOINTS, fresh))
        elif (known.get("subsets") or []) != subsets or labels_of(known) != labels:
            annotations = {**(known["metadata"].get("annotations") or {}), TRIGGER_TIME: now()}
            metadata = {**known["metadata"], "labels": labels, "annotations": annotations}
            self._endpoints.remember(
                await client.replace(ENDPOINTS, {**known, "metadata": metadata, "subsets": subsets})
            )

    async def _delete(self, endpoints: Object) -> None:
        namespace, name = key_of(endpoints)
        try:
            await self._context.client.delete(ENDPOINTS, name, namespace, uid=endpoints["metadata"]["uid"])
        except ApiError as error:
            if error.code != 404:
                raise


_PARTS = ("addresses", "notReadyAddresses")
# While the Services are not listed yet, a missing one says nothing.
_LOOK_AGAIN_SECONDS = 0.05


def desired_subsets(service: Mapping[str, Any], pods: Iterable[Object]) -> list[Object]:
    """The subsets of a Service: pods with the same ports share one, ready and unready addresses apart."""
    spec = service["spec"]
    tolerant = bool(spec.get("publishNotReadyAddresses"))
    by_ports: dict[tuple[tuple[tuple[str, Any], ...], ...], Object] = {}
    for pod in sorted(pods, key=lambda pod: (*addresses_of(pod)[:1], str(pod["metadata"]["uid"]))):
        if is_finished(pod) or not addresses_of(pod) or (is_being_deleted(pod) and not tolerant):
            continue
        ports = _ports(spec.get("ports") or [], pod)
        if not ports and (spec.get("ports") or spec.get("clusterIP") != "None"):
            continue
        key = tuple(tuple(port.items()) for port in ports)
        subset = by_ports.setdefault(key, {"ports": ports} if ports else {})
        part = "addresses" if tolerant or is_ready(pod) else "notReadyAddresses"
        subset.setdefault(part, []).append(_address(service, pod))
    return list(by_ports.values())


def _ports(service_ports: Iterable[Object], pod: Object) -> list[Object]:
    ports = []
    for entry in service_ports:
        number = port_number(entry, pod)
        if number is None:
            continue
        port = {"name": entry.get("name", ""), "port": number, "protocol": entry.get("protocol", "TCP")}
        if entry.get("appProtocol"):
            port["appProtocol"] = entry["appProtocol"]
        ports.append({key: value for key, value in port.items() if value})
    return ports


def _address(service: Mapping[str, Any], pod: Object) -> Object:
    metadata, spec = pod["metadata"], pod["spec"]
    target = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    address: Object = {"ip": addresses_of(pod)[0], "targetRef": target}
    if spec.get("nodeName"):
        address["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = spec["hostname"]
    return address
