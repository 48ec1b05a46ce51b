"""A real Envoy on loopback addresses of its own, fed by `build` and `Delivery`, with echo servers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox import envoy
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.mesh.configuration import Configuration, build
from tcpshift_helpers.sandbox.mesh.delivery import Delivery, Outcome
from tcpshift_helpers.sandbox.mesh.model import Proxy, Snapshot

from .objects import endpoint_slice, gateway_pod, pod, service, with_objects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Obj = dict[str, Any]

DRAIN_TIME_SECONDS = 2


def free_prefix() -> str:
    """The first three numbers of loopback addresses on which no other mesh runs."""
    while True:
        prefix = f"127.{random.randint(100, 250)}.{random.randint(1, 250)}"
        with socket.socket() as probe:
            try:
                probe.bind((f"{prefix}.11", 9000))
            except OSError:
                continue
            return prefix


class Mesh:
    """One gateway pod with its Envoy, and the objects it is configured from.

    Attributes:
        home: a state directory with nothing in it but that pod's files.
        snapshot: everything but Istio's objects; tests replace parts of it.
        prefix: the first three numbers of its addresses: .2 load balancer, .10 gateway, .11 v1, .12 v2.
    """

    def __init__(self, directory: Path) -> None:
        self.prefix = free_prefix()
        self.home = Home(directory)
        self.snapshot = self._snapshot()
        self.xds = self.home.xds(self.proxy.uid)
        self.xds.mkdir(parents=True)
        self._bootstrap = self.xds.with_name("envoy.json")
        self._versions = itertools.count(1)
        self.admin = envoy.Admin(self.home.admin_socket(self.proxy.uid))
        self.delivery = self.new_delivery()
        self._process: asyncio.subprocess.Process | None = None
        self.echoes: list[asyncio.Server] = []

    @property
    def address(self) -> str:
        return f"{self.prefix}.10"

    @property
    def load_balancer(self) -> str:
        return f"{self.prefix}.2"

    def _snapshot(self) -> Snapshot:
        pods = [
            gateway_pod(address=self.address),
            pod("tcp-echo-v1", f"{self.prefix}.11", {"app": "tcp-echo", "version": "v1"}),
            pod("tcp-echo-v2", f"{self.prefix}.12", {"app": "tcp-echo", "version": "v2"}),
        ]
        ports = [{"name": "tcp", "port": 31400}, {"name": "status-port", "port": 15021}]
        gateway = service(
            "istio-ingressgateway", {"istio": "ingressgateway"}, ports, "istio-system", type="LoadBalancer"
        )
        gateway["status"] = {"loadBalancer": {"ingress": [{"ip": self.load_balancer}]}}
        echo = service("tcp-echo", {"app": "tcp-echo"}, [{"name": "tcp", "port": 9000}])
        return Snapshot(
            pods=pods, services=[gateway, echo], endpoint_slices=[endpoint_slice(one, pods) for one in (gateway, echo)]
        )

    def new_delivery(self) -> Delivery:
        """As a new istiod would begin."""
        return Delivery("gateway.istio-system", self.xds, self.admin, lambda: f"v{next(self._versions)}")

    @property
    def proxy(self) -> Proxy:
        return self.snapshot.proxies[0]

    def build(self, *objects: Obj) -> Configuration:
        return build(self.proxy, with_objects(self.snapshot, list(objects)), self.xds)

    async def apply(self, *objects: Obj) -> Outcome:
        """Make these the only Istio objects there are, and wait for Envoy's answer."""
        return await self.delivery.deliver(self.build(*objects))

    def without_endpoints_of(self, name: str) -> None:
        """As if the pod were gone."""
        pods = [one for one in self.snapshot.pods if one["metadata"]["name"] != name]
        slices = [endpoint_slice(one, pods) for one in self.snapshot.services]
        self.snapshot = replace(self.snapshot, pods=pods, endpoint_slices=slices)

    async def start_envoy(self) -> None:
        envoy.write_first_files(self.xds)
        content = envoy.bootstrap(
            name=self.proxy.name,
            namespace=self.proxy.namespace,
            address=self.address,
            admin_socket="admin.sock",
            xds=self.xds,
            kind="router",
        )
        self._bootstrap.write_text(json.dumps(content))
        command = envoy.command_line(self._bootstrap, drain_time_seconds=DRAIN_TIME_SECONDS)
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=self._bootstrap.parent, stderr=asyncio.subprocess.DEVNULL
        )

    async def stop_envoy(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def start_echo(self, number: int, word: str, port: int = 9000) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while line := await reader.readline():
                    writer.write(f"{word} ".encode() + line)
                    await writer.drain()
            writer.close()

        self.echoes.append(await asyncio.start_server(serve, f"{self.prefix}.{number}", port))

    async def close(self) -> None:
        await self.stop_envoy()
        for one in self.echoes:
            one.close()

    async def probe(self, address: str | None = None, port: int = 31400) -> str:
        """`one`, `two`, `reset` or `refused`."""
        try:
            reader, writer = await asyncio.open_connection(address or self.load_balancer, port)
        except ConnectionRefusedError:
            return "refused"
        try:
            writer.write(b"hello\n")
            line = await reader.readline()
        except ConnectionResetError:
            return "reset"
        finally:
            writer.close()
        return line.split()[0].decode() if line else "reset"

    async def probes(self, count: int) -> dict[str, int]:
        """How many connections were answered how."""
        answers: dict[str, int] = {}
        for start in range(0, count, 25):
            for answer in await asyncio.gather(*(self.probe() for _ in range(min(25, count - start)))):
                answers[answer] = answers.get(answer, 0) + 1
        return answers


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    """A mesh whose Envoy runs with an empty configuration."""
    made = Mesh(tmp_path)
    try:
        await made.start_echo(11, "one")
        await made.start_echo(12, "two")
        await made.start_envoy()
        yield made
    finally:
        await made.close()


@pytest.fixture
def istio() -> Callable[..., list[Obj]]:
    """Gateway, DestinationRule and VirtualService of the lesson: `istio({"v1": 80, "v2": 20})`."""

    def objects(
        weights: dict[str, int | None], *, without: str = "", port: int = 31400, **destination: Any
    ) -> list[Obj]:
        def route(subset: str, weight: int | None) -> Obj:
            one: Obj = {"destination": {"host": "tcp-echo", "port": {"number": 9000}, "subset": subset, **destination}}
            return one if weight is None else {**one, "weight": weight}

        tcp = [{"match": [{"port": port}], "route": [route(name, weight) for name, weight in weights.items()]}]
        server = {"port": {"number": 31400, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
        subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
        made = {
            "Gateway": ("tcp-echo-gateway", {"selector": {"istio": "ingressgateway"}, "servers": [server]}),
            "DestinationRule": ("tcp-echo-destination", {"host": "tcp-echo", "subsets": subsets}),
            "VirtualService": ("tcp-echo", {"hosts": ["*"], "gateways": ["tcp-echo-gateway"], "tcp": tcp}),
        }
        return [
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": kind,
                "metadata": {"name": name, "namespace": "default"},
                "spec": spec,
            }
            for kind, (name, spec) in made.items()
            if kind != without
        ]

    return objects
