"""The kubelet's HTTPS port: what the API server asks the node for on behalf of people.

Served are containerLogs, exec, attach and portForward, to whoever shows the sandbox's token; nothing else of a kubelet's API.

Source: kubernetes 1.34 pkg/kubelet/server/server.go.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from aiohttp import web

from tcpshift_helpers.sandbox.credentials import Owner, Shown
from tcpshift_helpers.sandbox.network import KUBELET_PORT
from tcpshift_helpers.sandbox.node.log_requests import LogRequests
from tcpshift_helpers.sandbox.node.streaming.requests import StreamRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.node.kubelet import Kubelet

_SHUTDOWN_SECONDS = 0.5


class KubeletServer:
    """Serves one kubelet."""

    def __init__(self, kubelet: Kubelet, home: Home, address: str) -> None:
        self._home = home
        self._address = address
        self._application = web.Application(
            middlewares=[_only_for(Owner(home.token.read_text(encoding="utf-8").strip()))]
        )
        LogRequests(kubelet).add_routes(self._application)
        StreamRequests(kubelet).add_routes(self._application)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        self._runner = web.AppRunner(
            self._application,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self._home.pki / "apiserver.crt", self._home.pki / "apiserver.key")
        await web.TCPSite(self._runner, self._address, KUBELET_PORT, ssl_context=tls).start()

    async def stop(self) -> None:
        """Stop listening and end open answers."""
        if self._runner is not None:
            await self._runner.cleanup()


def _only_for(owner: Owner) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def check(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if owner.shown(request.headers.get("Authorization", ""), None, time.time()) is not Shown.OWNER:
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    return check
