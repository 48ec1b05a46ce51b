"""Keeps the service proxy's Envoy in step with Services and their endpoints.

The Envoy is the pod of the Deployment kube-system/kube-proxy; what it is to have is computed by `configuration` and
delivered as istiod delivers to gateways. Every change is taken at once; the newest wish wins.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINT_SLICES, PODS, SERVICES
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.selectors import labels_of
from tcpshift_helpers.sandbox.envoy import Admin
from tcpshift_helpers.sandbox.mesh.connection import Connection, versions
from tcpshift_helpers.sandbox.mesh.delivery import Delivery
from tcpshift_helpers.sandbox.mesh.model import Snapshot
from tcpshift_helpers.sandbox.serviceproxy.configuration import build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.controllers.context import Context
    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.network import Subnet

_NAMESPACE = "kube-system"
_LABEL = ("k8s-app", "kube-proxy")


class KubeProxy:
    """One connection to the Envoy that stands in for kube-proxy on this node."""

    def __init__(self, context: Context, home: Home, subnet: Subnet) -> None:
        """Follow Services, EndpointSlices and pods from now on; nothing is delivered before `begin`."""
        self._context = context
        self._home = home
        self._subnet = subnet
        self._versions = versions()
        self._uid = ""
        self._connection: Connection | None = None
        self._begun = self._scheduled = False
        for resource in (SERVICES, ENDPOINT_SLICES, PODS):
            context.informer(resource).on_change(self._changed)

    def begin(self) -> None:
        """Deliver, now that everything has been listed."""
        self._begun = True
        self._push()

    def close(self) -> None:
        """Give up; the Envoy keeps what it has."""
        self._begun = False
        self._disconnect()

    def _changed(self, _event: str, _obj: dict[str, Any]) -> None:
        if self._begun and not self._scheduled:
            # Events that are already read are handled before: one delivery for all of them.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._push)

    def _push(self) -> None:
        self._scheduled = False
        pod = next(self._pods(), None) if self._begun else None
        if pod is None:
            self._disconnect()
            return
        address, uid = str(pod["status"]["podIP"]), str(pod["metadata"]["uid"])
        if self._connection is None or self._uid != uid or self._connection.address != address:
            self._connect(pod["metadata"]["name"], uid, address)
        snapshot = Snapshot(
            pods=list(self._context.informer(PODS).objects.values()),
            services=list(self._context.informer(SERVICES).objects.values()),
            endpoint_slices=list(self._context.informer(ENDPOINT_SLICES).objects.values()),
        )
        if self._connection is not None:
            statuses = pod["status"].get("containerStatuses") or [{}]
            wanted = build(snapshot, address, self._subnet.api_server)
            self._connection.want(wanted, int(statuses[0].get("restartCount", 0)))

    def _pods(self) -> Iterator[dict[str, Any]]:
        """The proxy's pod, once it has an address; the youngest first, as an old one may be leaving."""
        found = [
            pod
            for pod in self._context.in_namespace(PODS, _NAMESPACE)
            if labels_of(pod).get(_LABEL[0]) == _LABEL[1]
            and (pod.get("status") or {}).get("podIP")
            and not is_being_deleted(pod)
        ]
        yield from sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)

    def _connect(self, name: str, uid: str, address: str) -> None:
        self._disconnect()
        node_id = f"{name}.{_NAMESPACE}"
        admin = Admin(self._home.admin_socket(uid))
        delivery = Delivery(node_id, self._home.xds(uid), admin, lambda: next(self._versions))
        self._uid, self._connection = uid, Connection(node_id, address, delivery, lambda: None)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
