"""The kubelet's answers to exec, attach and portForward: what is refused and why, and what is upgraded to which protocol.

Only websockets are spoken. A plain upgrade to SPDY, which kubectl before 1.31 needs, is refused as by a server that shares no
protocol with its client.

Source: kubernetes 1.34 pkg/kubelet/server/server.go (getExec, getAttach, getPortForward), pkg/kubelet/kubelet_pods.go (GetExec …),
kubelet pkg/cri/streaming/{server,errors}.go; apimachinery pkg/util/httpstream (Handshake).
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from aiohttp import web

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.node.streaming import channels, port_forward
from tcpshift_helpers.sandbox.node.streaming.port_forward import Pod
from tcpshift_helpers.sandbox.node.streaming.remote_command import Options, Session
from tcpshift_helpers.sandbox.node.streaming.sockets import RefusedError, pinged, websocket
from tcpshift_helpers.sandbox.node.streaming.spdy import ProtocolError
from tcpshift_helpers.sandbox.places import Places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tcpshift_helpers.sandbox.node.container import Container
    from tcpshift_helpers.sandbox.node.container_process import ContainerProcess
    from tcpshift_helpers.sandbox.node.kubelet import Kubelet
    from tcpshift_helpers.sandbox.node.pod_worker import PodWorker

_REMOTE_COMMAND = (channels.V5, channels.V4, channels.V1, channels.UNNAMED)
_PORT_FORWARD = (channels.SPDY_TUNNEL, channels.V4, channels.UNNAMED)
_RETRY_SECONDS = 60


class StreamRequests:
    """Serves streams into one kubelet's containers."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._sessions = Places(limits.MOST_SESSIONS)

    def add_routes(self, application: web.Application) -> None:
        """Answer GET, which websockets ask with, and POST."""
        for method in ("GET", "POST"):
            application.router.add_route(method, "/exec/{namespace}/{pod}/{container}", self._exec)
            application.router.add_route(method, "/attach/{namespace}/{pod}/{container}", self._attach)
            application.router.add_route(method, "/portForward/{namespace}/{pod}", self._port_forward)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        return await self._remote_command(request, request.query.getall("command", []))

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        return await self._remote_command(request, None)

    async def _remote_command(self, request: web.Request, words: Sequence[str] | None) -> web.StreamResponse:
        """Run a command, or attach where there is none to run."""
        try:
            options = Options.read(request.query)
            container, process = self._running(request, attaching=words is None)
            protocol = self._admit(request, _REMOTE_COMMAND)
        except RefusedError as error:
            return await _refuse(request, error)
        async with self._session(request, protocol) as socket:
            session = Session(socket, options)
            await session.begin()
            if words is None:
                await session.attach(container)
            else:
                await session.exec(words, container, process)
        return socket

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        try:
            ports = port_forward.ports_of(request.query) if channels.SPDY_TUNNEL not in _offered(request) else []
            pod = _pod(self._worker(request))
            protocol = self._admit(request, _PORT_FORWARD)
        except RefusedError as error:
            return await _refuse(request, error)
        async with self._session(request, protocol) as socket:
            if protocol == channels.SPDY_TUNNEL:
                await port_forward.by_spdy(socket, pod)
            else:
                await port_forward.by_channels(socket, pod, ports)
        return socket

    # What is needed before there is a session.

    def _worker(self, request: web.Request) -> PodWorker:
        worker = self._kubelet.worker_of(request.match_info["namespace"], request.match_info["pod"])
        if worker is None:
            raise RefusedError("pod does not exist", 404)
        return worker

    def _running(self, request: web.Request, *, attaching: bool) -> tuple[Container, ContainerProcess]:
        name, pod = request.match_info["container"], request.match_info["pod"]
        container = self._worker(request).containers.get(name)
        if container is not None and container.process is not None:
            return container, container.process
        if attaching:
            raise RefusedError(f"container {name} not found in pod {pod}_{request.match_info['namespace']}", 500)
        raise RefusedError(f'container not found ("{name}")', 500)

    def _admit(self, request: web.Request, supported: Sequence[str]) -> str:
        """The protocol to speak."""
        if "upgrade" not in request.headers.get("Connection", "").lower():
            raise RefusedError("Upgrade request required", 500)
        if request.headers.get("Upgrade", "").lower() != "websocket":
            wanted = " ".join(request.headers.getall("X-Stream-Protocol-Version", []))
            words = f"unable to negotiate protocol: client supports [{wanted}], server accepts []"
            raise RefusedError(f"unable to upgrade: {words}", 403)
        if request.method != "GET":
            raise RefusedError("bad method", 405)
        protocol = channels.negotiate(_offered(request), supported)
        if protocol is None:
            raise RefusedError("", 403)
        if self._sessions.are_full:
            words = "rpc error: code = ResourceExhausted desc = maximum number of in-flight requests exceeded"
            raise RefusedError(words, 429)
        return protocol

    @contextlib.asynccontextmanager
    async def _session(self, request: web.Request, protocol: str) -> AsyncIterator[web.WebSocketResponse]:
        socket = websocket(protocol)
        with self._sessions.one():
            await socket.prepare(request)
            with contextlib.suppress(ConnectionError, ProtocolError):
                async with pinged(socket, request.transport):
                    yield socket
            await socket.close()


def _offered(request: web.Request) -> list[str]:
    """The protocols a client names; the unnamed one where it names none."""
    return [word.strip() for word in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]


def _pod(worker: PodWorker) -> Pod:
    uid = worker.pod["metadata"]["uid"]
    return Pod(hashlib.sha256(uid.encode()).hexdigest(), worker.address, worker.connect)


async def _refuse(request: web.Request, error: RefusedError) -> web.StreamResponse:
    """Say no: over the websocket where version 5 is wanted, since there the API server would have accepted it before asking."""
    if request.method == "GET" and channels.negotiate(_offered(request), _REMOTE_COMMAND) == channels.V5:
        socket = websocket(channels.V5)
        await socket.prepare(request)
        with contextlib.suppress(ConnectionError):
            session = Session(socket, Options(stdin=False, stdout=False, stderr=False, tty=False))
            await session.begin()
            await session.refuse(str(error))
        await socket.close()
        return socket
    headers = {"Retry-After": str(_RETRY_SECONDS)} if error.code == 429 else {}
    return web.Response(text=str(error), status=error.code, headers=headers)
