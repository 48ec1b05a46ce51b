"""Answers that stay open: watches, and what the kubelet is asked for: the log of a container, and streams into it.

A stream ends with its client: the server cancels the request, and everything opened for it is closed with it.

Source: kubernetes/apiserver pkg/endpoints/handlers/watch.go; kubernetes pkg/registry/core/pod/strategy.go (LogLocation).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver.freshness import Freshness
from tcpshift_helpers.sandbox.apiserver.listing import ListOptions, read_version
from tcpshift_helpers.sandbox.apiserver.pod_streams import container_of, port_forward_path, stream_path
from tcpshift_helpers.sandbox.apiserver.status import StatusError, bad_request, internal_error
from tcpshift_helpers.sandbox.apiserver.store import LAST_REVISION
from tcpshift_helpers.sandbox.apiserver.upgrade import relay
from tcpshift_helpers.sandbox.apiserver.watch import Wakeups, WatchOptions, watch
from tcpshift_helpers.sandbox.apiserver.watch_events import event_line
from tcpshift_helpers.sandbox.places import Places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.apiserver.registry import Target
    from tcpshift_helpers.sandbox.apiserver.representation import Representation
    from tcpshift_helpers.sandbox.apiserver.store import Store
    from tcpshift_helpers.sandbox.apiserver.upgrade import Kubelet

Object = dict[str, Any]

_WATCH_SECONDS = (1800.0, 3600.0)
_CHUNK_BYTES = 16384
_STALLED_SECONDS = 30.0


class Streams:
    """Serves watches, logs, exec, attach and port-forward."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        """Serve watches of `store`, and the rest from this kubelet."""
        self._store = store
        self._freshness = Freshness(store)
        self._wakeups = Wakeups(store)
        self._kubelet = kubelet
        self._watches = Places(limits.MOST_WATCHES)
        self._logs = Places(limits.MOST_LOGS)

    async def watch(self, request: web.Request, target: Target, representation: Representation) -> web.StreamResponse:
        """Stream the changes of a kind, a namespace or one object, unless too many are streamed already.

        Raises:
            StatusError: 400, 422 or 500, before anything was sent.
            TimeoutError: the client stopped reading.
        """
        options = _watch_options(request.query, target)
        if self._watches.are_full:
            return too_many_requests()
        with self._watches.one():
            return await self._watch(request, options, representation)

    async def _watch(
        self, request: web.Request, options: WatchOptions, representation: Representation
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        async with (
            asyncio.timeout(options.timeout_seconds + _STALLED_SECONDS),  # for a client that stopped reading
            aclosing(watch(self._store, self._wakeups, options, representation)) as lines,
        ):
            with contextlib.suppress(ConnectionResetError):  # the client is gone
                try:
                    await self._freshness.reach(options.not_older_than)
                except StatusError as error:
                    await response.write(event_line("ERROR", error.body()))
                    return response
                async for line in lines:
                    await response.write(line)
        return response

    def end_watches(self, resource: str) -> None:
        """End the watches of a kind, because it is served no longer, or differently."""
        self._wakeups.end(resource)

    def close(self) -> None:
        """End all watches, because the server stops."""
        self._wakeups.close()

    async def log(self, request: web.Request, pod: Object, parameters: dict[str, str]) -> web.StreamResponse:
        """Relay a container's log, unless too many are relayed already; of a pod that is on no node yet, nothing.

        Args:
            request: the client's request.
            pod: whose log it is.
            parameters: what the kubelet is asked with.

        Raises:
            StatusError: 400, 404 or 500: no such container, or what the kubelet said.
        """
        container = container_of(pod, request.query.get("container", ""))
        if not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        metadata = pod["metadata"]
        url = f"{self._kubelet.url}/containerLogs/{metadata['namespace']}/{metadata['name']}/{container}"
        headers = {"Authorization": f"Bearer {self._kubelet.token}"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        if self._logs.are_full:
            return too_many_requests()
        try:
            with self._logs.one():
                async with (
                    aiohttp.ClientSession(timeout=timeout) as session,
                    session.get(url, params=parameters, headers=headers, ssl=self._kubelet.tls) as answer,
                ):
                    return await _relay(request, answer, metadata["name"])
        except aiohttp.ClientConnectorError as error:
            why = os.strerror(error.os_error.errno or 0).lower()
            raise internal_error(f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {why}') from error

    async def connect(self, request: web.Request, pod: Object, subresource: str) -> web.StreamResponse:
        """Serve `exec`, `attach` or `portforward`, until the client or the kubelet ends it.

        Raises:
            StatusError: 400 or 500: no such container, no node yet, no upgrade, no kubelet.
        """
        if subresource == "portforward":
            path = port_forward_path(pod, request.query.getall("ports", []))
        else:
            path = stream_path(pod, subresource, request.query, request.query.getall("command", []))
        return await relay(request, self._kubelet, path)


def too_many_requests() -> web.Response:
    """429. It is no `metav1.Status`: clients make one of it, and ask again after a second.

    Source: kubernetes/apiserver pkg/server/filters/{priority-and-fairness,maxinflight}.go; measured on kube-apiserver 1.34.
    """
    headers = {"Retry-After": "1", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=429, text="Too many requests, please try again later.\n", headers=headers)


async def _relay(request: web.Request, answer: aiohttp.ClientResponse, name: str) -> web.StreamResponse:
    if answer.status != 200:
        words = (await answer.text()).strip()
        if answer.status == 404:
            raise StatusError(
                404,
                "NotFound",
                f"the server could not find the requested resource ( pods/log {name})",
                {
                    "name": name,
                    "kind": "pods/log",
                },
            )
        raise bad_request(words)
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # the client is gone
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            await response.write(chunk)
    return response


def _watch_options(query: Mapping[str, str], target: Target) -> WatchOptions:
    if target.name:
        fields = ",".join(part for part in (query.get("fieldSelector", ""), f"metadata.name={target.name}") if part)
        query = {**query, "fieldSelector": fields}
    options = ListOptions.of(query, target.resource, is_watch=True)
    version, initial = read_version(options.version), options.initial_events
    from_now = not version if initial is None else initial
    return WatchOptions(
        resource=target.resource,
        namespace=target.namespace,
        matches=options.matches,
        resource_version=None if from_now else min(version, LAST_REVISION),
        not_older_than=version if from_now else 0,
        timeout_seconds=float(options.timeout_seconds or random.uniform(*_WATCH_SECONDS)),  # noqa: S311
        bookmarks=options.bookmarks,
        initial_events_end=options.bookmarks and bool(initial),
    )
