"""A kubelet over the sandbox's own API server, in the test's process, with real processes."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tcpshift_helpers.sandbox.client import PODS, SERVICES, Client
from tcpshift_helpers.sandbox.controllers.context import Context
from tcpshift_helpers.sandbox.controllers.events import EventRecorder
from tcpshift_helpers.sandbox.network import load_subnet
from tcpshift_helpers.sandbox.node import processes
from tcpshift_helpers.sandbox.node.kubelet import Kubelet
from tcpshift_helpers.sandbox.node.kubelet_server import KubeletServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tcpshift_helpers.sandbox.home import Home


class Node:
    """A kubelet that can be killed and started again, and shorthands to watch it."""

    def __init__(self, home: Home, client: Client) -> None:
        self.home = home
        self.client = client
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Start as a new agent does."""
        self.recorder = EventRecorder(self.client)
        context = Context(self.client, self.recorder)
        self.kubelet = Kubelet(context, self.home, load_subnet(self.home))
        self.pods, self.services = context.informer(PODS).objects, context.informer(SERVICES).objects
        self._tasks = [asyncio.create_task(work.run()) for work in (self.recorder, *context.informers.values())]
        async with asyncio.timeout(10):
            await asyncio.gather(*(informer.synced.wait() for informer in context.informers.values()))
        await self.kubelet.register()
        await self.kubelet.begin()
        self.server = KubeletServer(self.kubelet, self.home, load_subnet(self.home).api_server)
        await self.server.start()

    async def vanish(self) -> None:
        """End as if killed: no container is told."""
        await self.server.stop()
        for worker in self.kubelet._workers.values():
            for container in worker.containers.values():
                if container.pump is not None:
                    container.pump.close()
                if container.process is not None and container.process._popen is not None:
                    container.process._popen.returncode = 0  # or Python warns of a child nobody waits for
        everything = [task for task in asyncio.all_tasks() if task.get_name().startswith(("pod ", "container "))]
        for task in [*everything, *self._tasks]:
            task.cancel()
        await asyncio.gather(*everything, *self._tasks, return_exceptions=True)
        await self.kubelet.queue.close()

    async def stop(self) -> None:
        """End in order."""
        await self.kubelet.shut_down(1)
        await self.server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def run(self, name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
        """Create a pod."""
        metadata = {"name": name, "namespace": "default", **spec.pop("metadata", {})}
        whole = {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
        return await self.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})

    def status(self, name: str) -> dict[str, Any]:
        """The pod's status as known here; empty if there is no such pod."""
        return (self.pods.get(("default", name)) or {}).get("status") or {}

    def container(self, name: str, index: int = 0) -> dict[str, Any]:
        """The status of one of its containers; empty if there is none yet."""
        statuses = self.status(name).get("containerStatuses") or []
        return statuses[index] if len(statuses) > index else {}

    def is_ready(self, name: str) -> bool:
        """Whether its condition Ready is true."""
        conditions = self.status(name).get("conditions") or []
        return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)

    def records(self, name: str) -> list[processes.ProcessRecord]:
        """What is written down of its processes."""
        return processes.read_records(self.home.pod(self.pods[("default", name)]["metadata"]["uid"]))

    async def events(self, name: str) -> list[str]:
        """Reason and message of each of its Events, in order of their first time."""
        from tcpshift_helpers.sandbox.client import EVENTS

        await self.recorder.drained()
        items, _ = await self.client.list(EVENTS, "default", field_selector=f"involvedObject.name={name}")
        return [f"{item['reason']}: {item['message']}" for item in items]


def shell(script: str, **container: Any) -> dict[str, Any]:
    """A container that runs a script."""
    return {"name": "c", "image": "busybox", "command": ["sh", "-c", script], **container}


@pytest.fixture
async def node(api_home: Home, api: Client) -> AsyncIterator[Node]:
    """A node that runs; afterwards nothing of it does."""
    made = Node(api_home, api)
    await made.start()
    yield made
    await made.stop()
    assert processes.stop_all(api_home) == 0


@pytest.fixture
async def kubelet(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the kubelet's port, with credentials."""
    tls = ssl.create_default_context(cafile=str(node.home.pki / "ca.crt"))
    token = node.home.token.read_text().strip()
    async with aiohttp.ClientSession(
        f"https://{node.kubelet.subnet.api_server}:10250",
        connector=aiohttp.TCPConnector(ssl=tls),
        headers={"Authorization": f"Bearer {token}"},
    ) as session:
        yield session
