"""The API server: TLS, who may ask, limits, and which part answers a path.

One process, one event loop, loopback only. Kinds' rules are in the registry; this module composes and serves.

Source: kubernetes/apiserver pkg/server (health, version, not-found answers, body limit of 3 MiB).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from asyncio import constants, sslproto
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tcpshift_helpers.errors import PortInUseError
from tcpshift_helpers.sandbox import certificates, limits
from tcpshift_helpers.sandbox.apiserver.authentication import Authenticator
from tcpshift_helpers.sandbox.apiserver.bootstrap import bootstrap
from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.codec import Codec
from tcpshift_helpers.sandbox.apiserver.connections import Connection
from tcpshift_helpers.sandbox.apiserver.documents import Documents
from tcpshift_helpers.sandbox.apiserver.established import Established
from tcpshift_helpers.sandbox.apiserver.field_manager import FieldManager
from tcpshift_helpers.sandbox.apiserver.handlers import ResourceHandler, status_response
from tcpshift_helpers.sandbox.apiserver.merge_types import MergeTypes
from tcpshift_helpers.sandbox.apiserver.registry import Registry
from tcpshift_helpers.sandbox.apiserver.request import parse_path
from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
from tcpshift_helpers.sandbox.apiserver.status import StatusError, too_large_request
from tcpshift_helpers.sandbox.apiserver.store import Store
from tcpshift_helpers.sandbox.apiserver.streams import Streams, too_many_requests
from tcpshift_helpers.sandbox.apiserver.upgrade import Kubelet
from tcpshift_helpers.sandbox.credentials import NO_CHECK_TIME
from tcpshift_helpers.sandbox.network import API_PORT, KUBELET_PORT, Subnet, choose_subnet
from tcpshift_helpers.sandbox.places import Places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tcpshift_helpers.sandbox.apiserver.admission import Admission
    from tcpshift_helpers.sandbox.home import Home

_SHUTDOWN_SECONDS = 1.0
_TLS_BUFFER_BYTES = 32 * 1024  # two TLS records
_UNSENT_KIBIBYTES = 64
_BACKLOG = 128
_log = logging.getLogger(__name__)


async def run(home: Home, admission: Sequence[Admission] = ()) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        home: the state directory; credentials and network are made if they are not there.
        admission: plug-ins that change or refuse objects on their way in, in order.

    Raises:
        PortInUseError: another process listens on the API server's address.
        sqlite3.OperationalError: another API server holds the database, or it cannot be written.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with serve(home, admission):
        await stop.wait()


@contextlib.asynccontextmanager
async def serve(home: Home, admission: Sequence[Admission] = ()) -> AsyncIterator[Subnet]:
    """Serve while the context is open; yields the subnet once requests are answered.

    Raises:
        PortInUseError, sqlite3.OperationalError: as `run`.
    """
    # asyncio gives each TLS connection a zeroed buffer of 256 KiB: 10 MB for the 40 watches of a sandbox.
    sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES
    # And it takes in 512 KiB that the client has not read before it makes anybody wait.
    constants.FLOW_CONTROL_HIGH_WATER_SSL_WRITE = _UNSENT_KIBIBYTES  # type: ignore[misc]
    home.create()
    subnet = choose_subnet(home)
    certificates.ensure(home, [subnet.api_server])
    listener = _listen(subnet.api_server)
    store = Store(home.database)
    try:
        app = _application(home, store, subnet, admission)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            async with _accepting(runner, listener, _server_tls(home)):
                _log.info("serving https://%s:%d at resourceVersion %d", subnet.api_server, API_PORT, store.revision)
                yield subnet
        finally:
            await runner.cleanup()
    finally:
        listener.close()
        store.close()


@contextlib.asynccontextmanager
async def _accepting(runner: web.AppRunner, listener: socket.socket, tls: ssl.SSLContext) -> AsyncIterator[None]:
    """Accept connections, as aiohttp's own site would, but for their kind."""
    loop, server = asyncio.get_running_loop(), runner.server
    assert server is not None  # noqa: S101 - it was set up
    accepting = await loop.create_server(lambda: Connection(server, loop), sock=listener, ssl=tls, backlog=_BACKLOG)
    try:
        yield
    finally:
        accepting.close()


def _application(home: Home, store: Store, subnet: Subnet, admission: Sequence[Admission]) -> web.Application:
    catalog = Catalog()
    schemas = Schemas.load(home.cache, catalog)
    registry = Registry(store, tuple(subnet.cluster_ips()), FieldManager(MergeTypes(schemas)), admission)
    established = Established(registry, catalog)
    bootstrap(registry, catalog, subnet.api_server, API_PORT)
    established.begin(asyncio.get_running_loop().call_soon)
    token = home.token.read_text(encoding="utf-8").strip()
    kubelet_tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    streams = Streams(store, Kubelet(subnet.api_server, KUBELET_PORT, token, kubelet_tls))
    established.on_change = streams.end_watches
    codec = Codec(schemas, catalog)
    front = Front(
        Authenticator(token),
        Documents(catalog, schemas, f"{subnet.api_server}:{API_PORT}"),
        ResourceHandler(registry, catalog, codec, schemas, streams),
    )
    app = web.Application(client_max_size=limits.LARGEST_BODY_BYTES)
    app.on_shutdown.append(_ending(streams))
    app.router.add_route("*", "/{path:.*}", front.handle)
    return app


def _ending(streams: Streams) -> Callable[[web.Application], Awaitable[None]]:
    async def end(_: web.Application) -> None:
        streams.close()

    return end


class Front:
    """The first to see a request: credentials, then documents or resources, and errors as `metav1.Status`."""

    def __init__(self, authenticator: Authenticator, documents: Documents, resources: ResourceHandler) -> None:
        """Ask these three, in this order."""
        self._authenticator = authenticator
        self._documents = documents
        self._resources = resources
        self._writes = Places(limits.MOST_WRITES)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        try:
            return await self._answer(request)
        except StatusError as error:
            return status_response(error)
        except web.HTTPRequestEntityTooLarge:
            answer = status_response(too_large_request(f"limit is {limits.LARGEST_BODY_BYTES}"))
            answer.force_close()  # the rest of the body would have to be read first
            return answer
        except (ConnectionResetError, TimeoutError, asyncio.CancelledError):
            raise  # The client is gone, or stopped reading.
        except Exception as error:
            _log.exception("%s %s", request.method, request.path)
            message = f"Internal error occurred: {type(error).__name__}: {error}"
            details = {"causes": [{"message": message.partition(": ")[2]}]}
            return status_response(StatusError(500, "InternalError", message, details))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._authenticator.check(request.path, request.headers.get("Authorization", ""), _peer_certificate(request))
        if request.method in ("GET", "HEAD"):
            return await self._found(request)
        if self._writes.are_full:
            return too_many_requests()
        with self._writes.one():
            return await self._found(request)

    async def _found(self, request: web.Request) -> web.StreamResponse:
        document = self._documents.answer(request)
        if document is not None:
            return document
        path = parse_path(request.path)
        if path is None or not self._resources.serves(path):
            return web.Response(text="404 page not found\n", status=404)
        return await self._resources.handle(request, path)


def _peer_certificate(request: web.Request) -> dict[str, Any] | None:
    transport = request.transport
    return transport.get_extra_info("peercert") if transport else None


def _listen(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, API_PORT))
    except OSError as error:
        listener.close()
        raise PortInUseError(
            f"The API server cannot listen on {address}:{API_PORT}: {error.strerror}. "
            "Another sandbox or program holds this address; stop it (tcpshift down), or find it with: "
            f"ss -ltnp 'sport = :{API_PORT}'."
        ) from error
    return listener


def _server_tls(home: Home) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=home.pki / "ca.crt")
    context.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= NO_CHECK_TIME
    return context
