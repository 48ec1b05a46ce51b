"""istiod of the sandbox: watches the API, gives each Envoy its configuration, and tells how that went.

There is no debounce: whatever changes have arrived are taken together, everything is computed anew (it takes about a
millisecond), and each proxy whose configuration changed gets it at once. Objects of all API versions of Istio are read
as v1. It serves no xDS port, no injection webhook and no certificates: files, the API server's plug-ins and nothing,
respectively, stand in their place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox import client as api
from tcpshift_helpers.sandbox.envoy import Admin
from tcpshift_helpers.sandbox.informer import Informer
from tcpshift_helpers.sandbox.mesh.configuration import build
from tcpshift_helpers.sandbox.mesh.connection import Connection, versions
from tcpshift_helpers.sandbox.mesh.delivery import Delivery
from tcpshift_helpers.sandbox.mesh.gateway_api.controller import GatewayApiController
from tcpshift_helpers.sandbox.mesh.gateway_api.translation import Translation, translate
from tcpshift_helpers.sandbox.mesh.model import Snapshot
from tcpshift_helpers.sandbox.mesh.status_writer import StatusWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.mesh.model import Proxy
    from tcpshift_helpers.sandbox.mesh.status import ProxyState

log = logging.getLogger("ads")

READY_PORT = 8080
_WATCHED = {
    "pods": api.PODS,
    "services": api.SERVICES,
    "endpoint_slices": api.ENDPOINT_SLICES,
    "gateways": api.GATEWAYS,
    "virtual_services": api.VIRTUAL_SERVICES,
    "destination_rules": api.DESTINATION_RULES,
    "namespaces": api.NAMESPACES,
    "gateway_classes": api.GATEWAY_CLASSES,
    "kubernetes_gateways": api.KUBERNETES_GATEWAYS,
    "tcp_routes": api.TCP_ROUTES,
    "reference_grants": api.REFERENCE_GRANTS,
}


async def run(home: Home) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        FileNotFoundError: there is no sandbox in this state directory.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with api.Client.from_home(home, "pilot-discovery") as client:
        istiod = Istiod(client, home)
        async with _ready_port(istiod):
            running = asyncio.create_task(istiod.run())
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (running, stopping):
                task.cancel()
            for result in await asyncio.gather(running, stopping, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result


class Istiod:
    """The control plane: one snapshot of the API, one connection a proxy.

    Attributes:
        is_ready: whether everything has been listed and pushed once.
    """

    def __init__(self, client: api.Client, home: Home) -> None:
        """Nothing is watched yet.

        Args:
            client: to read and to write status with.
            home: where each Envoy is configured and asked.
        """
        self.is_ready = False
        self._client = client
        self._home = home
        self._informers = {name: Informer(client, resource) for name, resource in _WATCHED.items()}
        self._connections: dict[str, Connection] = {}
        self._versions = versions()
        self._push_scheduled = False
        self._status = StatusWriter(client, self._reported, self._proxy_states)
        self._translation = Translation(Snapshot())
        self._gateway_api = GatewayApiController(client, self._informers, lambda: self._translation, self._proxy_states)

    async def run(self) -> None:
        """Watch and push for ever."""
        for informer in self._informers.values():
            informer.on_change(self._changed)
        try:
            async with asyncio.TaskGroup() as group:
                for informer in self._informers.values():
                    group.create_task(informer.run())
                group.create_task(self._status.run())
                group.create_task(self._gateway_api.run())
                for informer in self._informers.values():
                    await informer.synced.wait()
                self._push()
                self.is_ready = True
        finally:
            for connection in self._connections.values():
                connection.close()

    def _changed(self, _event: str, _obj: dict[str, Any]) -> None:
        if self.is_ready and not self._push_scheduled:
            # Events that are already read are handled before: one push for all of them.
            self._push_scheduled = True
            asyncio.get_running_loop().call_soon(self._push)

    def _snapshot(self) -> Snapshot:
        return Snapshot(**{name: list(one.objects.values()) for name, one in self._informers.items()})

    def _push(self) -> None:
        self._push_scheduled = False
        try:
            translation = translate(self._snapshot())
            snapshot = translation.with_istio()
        except Exception:
            # One object that no validation saw must not take the control plane down, as it does the real one.
            log.exception("cannot translate the objects of the Gateway API; every proxy keeps what it has")
            return
        self._translation = translation
        present = set()
        for proxy in snapshot.proxies:
            present.add(proxy.uid)
            connection = self._connections.get(proxy.uid)
            if connection is None or connection.address != proxy.address:
                connection = self._connect(proxy)
            try:
                configuration = build(proxy, snapshot, self._home.xds(proxy.uid))
            except Exception:
                log.exception("cannot compute the configuration of node:%s; it keeps what it has", proxy.node_id)
                continue
            connection.want(configuration, proxy.restarts)
        for uid in self._connections.keys() - present:
            log.info("ADS: %s terminated", self._connections[uid].name)
            self._connections.pop(uid).close()
        self._answered()

    def _connect(self, proxy: Proxy) -> Connection:
        if proxy.uid in self._connections:
            self._connections[proxy.uid].close()
        log.info("ADS: new connection for node:%s", proxy.node_id)
        admin = Admin(self._home.admin_socket(proxy.uid))
        delivery = Delivery(proxy.node_id, self._home.xds(proxy.uid), admin, lambda: next(self._versions))
        connection = Connection(proxy.node_id, proxy.address, delivery, self._answered)
        self._connections[proxy.uid] = connection
        return connection

    def _answered(self) -> None:
        """What is wanted of a proxy, or how far it is, may have changed: tell."""
        self._status.wake()
        self._gateway_api.wake()

    def _reported(self) -> Iterator[tuple[api.Resource, dict[str, Any]]]:
        for name in ("gateways", "virtual_services", "destination_rules"):
            informer = self._informers[name]
            for obj in informer.objects.values():
                yield informer.resource, obj

    def _proxy_states(self) -> list[ProxyState]:
        return [state for one in self._connections.values() if (state := one.state()) is not None]


@contextlib.asynccontextmanager
async def _ready_port(istiod: Istiod) -> Any:
    """Answers `GET /ready` on port 8080 of the pod's address, where the node has given one."""
    address = os.environ.get("POD_LISTEN_ADDRESS")
    if not address:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(2):
                asked = await reader.readuntil(b"\r\n\r\n")
                ready = "200 OK" if istiod.is_ready else "503 Service Unavailable"
                status = ready if asked.startswith(b"GET /ready ") else "404 Not Found"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, address, READY_PORT):
        yield
