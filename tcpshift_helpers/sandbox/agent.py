"""The agent: controllers and node in one process, with one API client and one copy of each object.

It waits quietly for the API server, both at start and when it is restarted. On an orderly stop it ends the containers' processes;
when it is killed they live on, and the next agent takes them over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import NAMESPACES, Client, UnreachableError
from tcpshift_helpers.sandbox.controllers import addons
from tcpshift_helpers.sandbox.controllers.context import Context
from tcpshift_helpers.sandbox.controllers.deployment import DeploymentController
from tcpshift_helpers.sandbox.controllers.endpoints import EndpointsController
from tcpshift_helpers.sandbox.controllers.endpointslice import EndpointSliceController
from tcpshift_helpers.sandbox.controllers.events import EventRecorder
from tcpshift_helpers.sandbox.controllers.garbage import GarbageCollector
from tcpshift_helpers.sandbox.controllers.job import JobController
from tcpshift_helpers.sandbox.controllers.namespace import NamespaceController
from tcpshift_helpers.sandbox.controllers.replicaset import ReplicaSetController
from tcpshift_helpers.sandbox.controllers.service import ServiceController
from tcpshift_helpers.sandbox.network import load_subnet
from tcpshift_helpers.sandbox.node.kubelet import Kubelet
from tcpshift_helpers.sandbox.node.kubelet_server import KubeletServer
from tcpshift_helpers.sandbox.serviceproxy.hosts import HostsFiles
from tcpshift_helpers.sandbox.serviceproxy.kube_proxy import KubeProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tcpshift_helpers.sandbox.home import Home

log = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 3.0
_FIRST_RETRY_SECONDS = 0.02
_LONGEST_RETRY_SECONDS = 0.25


async def run(home: Home) -> None:
    """Run controllers and node until SIGTERM or SIGINT.

    Raises:
        FileNotFoundError: the sandbox has no network or credentials yet.
        OSError: the kubelet's port is taken.
    """
    stop = asyncio.Event()
    _on_signals(stop.set)
    async with Client.from_home(home) as client:
        agent = _Agent(home, client)
        working = asyncio.create_task(agent.work())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await agent.stop()
        if working.done():
            working.result()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


class _Agent:
    """What runs, and the order in which it starts and stops."""

    def __init__(self, home: Home, client: Client) -> None:
        subnet = load_subnet(home)
        recorder = EventRecorder(client)
        self._client = client
        self._recorder = recorder
        self._context = context = Context(client.named("kube-controller-manager"), recorder)
        certificate = (home.pki / "ca.crt").read_text(encoding="utf-8")
        controllers = (
            DeploymentController(context),
            ReplicaSetController(context),
            JobController(context),
            EndpointSliceController(context),
            EndpointsController(context),
            ServiceController(context.of("cloud-controller-manager"), subnet),
            NamespaceController(context, certificate),
            GarbageCollector(context),
        )
        self._queues = [controller.queue for controller in controllers]
        self._kubelet = Kubelet(context.of("kubelet"), home, subnet)
        self._kube_proxy = KubeProxy(context, home, subnet)
        self._hosts_files = HostsFiles(context, home)
        self._kubelet_server = KubeletServer(self._kubelet, home, subnet.api_server)

    async def work(self) -> None:
        """Start everything in order, then let it run for ever."""
        began = time.monotonic()
        await self._kubelet_server.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recorder.run())
            await _when_reachable(lambda: self._client.get(NAMESPACES, "default"))
            reached = time.monotonic()
            for informer in self._context.informers.values():
                tasks.create_task(informer.run(), name=f"informer {informer.resource.plural}")
            objects = addons.load()
            await asyncio.gather(*(informer.synced.wait() for informer in self._context.informers.values()))
            self._hosts_files.begin()
            await _when_reachable(self._kubelet.register)
            await self._kubelet.begin()
            self._kube_proxy.begin()
            await _when_reachable(lambda: addons.apply(self._client.named("istio-operator"), objects))
            ready = time.monotonic()
            log.info("ready %.2f s after the API server, %.2f s after the start", ready - reached, ready - began)

    async def stop(self) -> None:
        """End the containers' processes, then everything else."""
        for queue in self._queues:
            await queue.close()
        self._kube_proxy.close()
        await self._kubelet.shut_down(STOP_GRACE_SECONDS)
        await self._kubelet_server.stop()


async def _when_reachable(ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Ask until the API server answers."""
    pause = _FIRST_RETRY_SECONDS
    while True:
        try:
            await ask()
        except UnreachableError:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_RETRY_SECONDS)
        else:
            return


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            with contextlib.suppress(ValueError):
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
