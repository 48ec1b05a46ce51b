"""The kubelet's answers to requests for container logs.

Source: kubernetes 1.34 pkg/kubelet/server/server.go (getContainerLogs), pkg/kubelet/kubelet_pods.go (GetKubeletContainerLogs).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web

from tcpshift_helpers.sandbox.controllers.timestamps import parse
from tcpshift_helpers.sandbox.node import container_log

if TYPE_CHECKING:
    from pathlib import Path

    from tcpshift_helpers.sandbox.node.container import Container
    from tcpshift_helpers.sandbox.node.kubelet import Kubelet


class LogRequests:
    """Serves the logs of one kubelet's containers."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    def add_routes(self, application: web.Application) -> None:
        """Answer `GET /containerLogs/<namespace>/<pod>/<container>`."""
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        container, path = found
        options = _Options(request)
        pump = container.pump if options.follow and not options.previous else None
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        await _send(
            response,
            container_log.read(
                path, pump=pump, tail_lines=options.tail_lines, since=options.since, timestamps=options.timestamps
            ),
            options.limit_bytes,
        )
        await response.write_eof()
        return response

    def _find(self, request: web.Request) -> tuple[Container, Path] | web.Response:
        pod, name = request.match_info["pod"], request.match_info["container"]
        worker = self._kubelet.worker_of(request.match_info["namespace"], pod)
        if worker is None:
            return web.Response(status=404, text=f'pod "{pod}" does not exist\n')
        container = worker.containers.get(name)
        if container is None:
            return web.Response(status=404, text=f'container "{name}" not found in pod "{pod}"\n')
        previous = request.query.get("previous") == "true"
        if previous and not container.has_previous:
            return web.Response(status=400, text=f'previous terminated container "{name}" in pod "{pod}" not found')
        reason = container.waiting_reason
        if reason is not None:
            explanation = f'container "{name}" in pod "{pod}" is waiting to start: {_explained(reason)}'
            return web.Response(status=400, text=explanation)
        return container, container.log_path(previous=previous)


class _Options:
    """Query parameters of a log request."""

    def __init__(self, request: web.Request) -> None:
        query = request.query
        self.follow = query.get("follow") == "true"
        self.previous = query.get("previous") == "true"
        self.timestamps = query.get("timestamps") == "true"
        self.tail_lines = int(query["tailLines"]) if "tailLines" in query else None
        self.limit_bytes = int(query["limitBytes"]) if "limitBytes" in query else None
        self.since: float | None = None
        if "sinceSeconds" in query:
            self.since = time.time() - int(query["sinceSeconds"])
        elif "sinceTime" in query:
            self.since = parse(query["sinceTime"]).timestamp()


def _explained(reason: str) -> str:
    return "trying and failing to pull image" if reason in ("ErrImagePull", "ImagePullBackOff") else reason


async def _send(response: web.StreamResponse, pieces: object, limit: int | None) -> None:
    """Write pieces, many small ones together, up to `limit` bytes."""
    remaining = limit
    async for piece in pieces:  # type: ignore[attr-defined]
        part = piece if remaining is None else piece[:remaining]
        await response.write(part)
        if remaining is not None:
            remaining -= len(part)
            if remaining <= 0:
                return
