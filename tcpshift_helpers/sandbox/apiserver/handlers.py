"""Verbs on resources: from an HTTP request to the registry and back.

One entry for all kinds; nothing here is particular to one. Watches and logs are streamed by `streams`.

Source: kubernetes/apiserver pkg/endpoints/{installer.go,handlers}; messages as kube-apiserver 1.34 answers them.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tcpshift_helpers.sandbox.apiserver import subresources
from tcpshift_helpers.sandbox.apiserver.deletion import delete, success
from tcpshift_helpers.sandbox.apiserver.freshness import Freshness
from tcpshift_helpers.sandbox.apiserver.listing import ListOptions, page, read_version
from tcpshift_helpers.sandbox.apiserver.log_options import log_parameters
from tcpshift_helpers.sandbox.apiserver.patching import APPLY_PATCH, Patch, patch_type, read_config
from tcpshift_helpers.sandbox.apiserver.pod_streams import CONNECTED
from tcpshift_helpers.sandbox.apiserver.registry import Registry, Target
from tcpshift_helpers.sandbox.apiserver.representation import Representation, negotiate
from tcpshift_helpers.sandbox.apiserver.request import (
    ResourcePath,
    WriteOptions,
    delete_options,
    truthy,
    write_options,
)
from tcpshift_helpers.sandbox.apiserver.reviews import review
from tcpshift_helpers.sandbox.apiserver.status import StatusError, method_not_allowed, unknown_resource
from tcpshift_helpers.sandbox.apiserver.store import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
    from tcpshift_helpers.sandbox.apiserver.codec import Codec
    from tcpshift_helpers.sandbox.apiserver.schemas import Schemas
    from tcpshift_helpers.sandbox.apiserver.streams import Streams

Object = dict[str, Any]

_SCALE = "scale"
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Call:
    """One request, as far as it is understood."""

    request: web.Request
    target: Target
    representation: Representation

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters."""
        return self.request.query

    @property
    def content_type(self) -> str:
        """What the body is said to be."""
        return self.request.headers.get("Content-Type", "")

    def write_options(self, kind: str, *, apply: bool = False) -> WriteOptions:
        """What the query says about a write."""
        dry_run = self.request.query.getall("dryRun", [])
        user_agent = self.request.headers.get("User-Agent", "")
        return write_options(kind, self.query, dry_run, user_agent, apply=apply)


def json_response(body: Object, status: int = 200, warnings: Sequence[str] = ()) -> web.Response:
    """A JSON answer with Warning headers."""
    content = (encode(body) + "\n").encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    response = web.Response(
        body=content if len(content) <= _PIECE_BYTES else _pieces(content), status=status, headers=headers
    )
    for warning in warnings:
        response.headers.add("Warning", _warning(warning))
    return response


def status_response(error: StatusError) -> web.Response:
    """A refusal."""
    response = json_response(error.body(), error.code, error.warnings)
    if error.details and "retryAfterSeconds" in error.details:
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """A large answer, sent as the client reads it; written at once it would be copied as a whole, encrypted, and wait there."""
    for start in range(0, len(content), _PIECE_BYTES):
        yield content[start : start + _PIECE_BYTES]


def _warning(text: str) -> str:
    return "299 - " + json.dumps(text, ensure_ascii=False)


@contextlib.contextmanager
def _told_even_if_refused(warnings: list[str]) -> Iterator[None]:
    """What decoding found goes with the answer, whatever that is."""
    try:
        yield
    except StatusError as error:
        error.warnings = tuple(warnings)
        raise


class ResourceHandler:
    """Answers requests below /api and /apis."""

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        codec: Codec,
        schemas: Schemas,
        streams: Streams,
    ) -> None:
        """Serve the kinds of `catalog` from `registry`."""
        self._registry = registry
        self._catalog = catalog
        self._codec = codec
        self._schemas = schemas
        self._streams = streams
        self._freshness = Freshness(registry.store)

    def serves(self, path: ResourcePath) -> bool:
        """Whether the path's API group is served at all."""
        return self._catalog.has_group(path.group)

    async def handle(self, request: web.Request, path: ResourcePath) -> web.StreamResponse:
        """Answer one request.

        Raises:
            StatusError: any refusal.
        """
        if path.plural == "bindings" and not path.group and path.namespace and not path.name:
            path = ResourcePath("", path.version, "pods", path.namespace, "", "binding")
        resource = self._catalog.by_path(path.group, path.version, path.plural)
        if resource is None or (path.subresource and path.subresource not in resource.subresources):
            raise unknown_resource()
        if resource.namespaced != bool(path.namespace) and (path.namespace or path.name):
            raise unknown_resource()
        form = negotiate(request.headers.get("Accept", ""))
        representation = Representation(resource, path.version, form, request.query.get("includeObject", "Metadata"))
        target = Target(resource, path.version, path.namespace, path.name, path.subresource)
        call = Call(request, target, representation)
        if path.watch and not resource.is_kept:
            raise unknown_resource()
        if path.watch or (request.method == "GET" and truthy(request.query.get("watch")) and not path.name):
            return await self._streams.watch(request, target, representation)
        answer = await self._verb(call)(call)
        if deprecation := resource.deprecation_of(path.version):
            answer.headers.add("Warning", _warning(deprecation))
        return answer

    def _verb(self, call: Call) -> Callable[[Call], Awaitable[web.StreamResponse]]:
        target, method = call.target, call.request.method
        verbs: Mapping[str, Callable[[Call], Awaitable[web.StreamResponse]]]
        if not target.resource.is_kept:
            if target.name or target.namespace:
                raise unknown_resource()
            verbs = {"POST": self._review}
        elif target.subresource in CONNECTED:
            verbs = {"GET": self._connect, "POST": self._connect}
        elif target.subresource in ("binding", "eviction", "log"):
            verbs = {"log": {"GET": self._log}}.get(target.subresource, {"POST": self._post_subresource})
        elif target.subresource == "finalize":
            verbs = {"PUT": self._replace}
        elif target.subresource:
            verbs = {"GET": self._get, "PUT": self._replace, "PATCH": self._patch}
        elif target.name:
            verbs = {"GET": self._get, "PUT": self._replace, "PATCH": self._patch, "DELETE": self._delete}
        elif target.resource.namespaced and not target.namespace:
            verbs = {"GET": self._list}
        elif target.resource.plural == "namespaces":
            verbs = {"GET": self._list, "POST": self._create}
        else:
            verbs = {"GET": self._list, "POST": self._create, "DELETE": self._delete_collection}
        if method not in verbs:
            raise method_not_allowed()
        return verbs[method]

    async def _get(self, call: Call) -> web.Response:
        await self._freshness.reach(read_version(call.query.get("resourceVersion", "")))
        obj = self._registry.get(call.target)
        shown = (
            subresources.scale_of(obj, call.target.resource)
            if call.target.subresource == _SCALE
            else call.representation.object(obj)
        )
        return json_response(shown)

    async def _log(self, call: Call) -> web.StreamResponse:
        parameters = log_parameters(call.target.resource, call.target.name, call.query)
        return await self._streams.log(call.request, self._registry.get(call.target), parameters)

    async def _connect(self, call: Call) -> web.StreamResponse:
        pod = self._registry.get(replace(call.target, subresource=""))
        return await self._streams.connect(call.request, pod, call.target.subresource)

    async def _list(self, call: Call) -> web.Response:
        return json_response(await self._listed(call))

    async def _listed(self, call: Call) -> Object:
        options = ListOptions.of(call.query, call.target.resource)
        version = options.version_to_reach()
        await self._freshness.reach(version)
        target, revision = call.target, self._registry.store.revision
        if options.is_exact(version) and version != revision:
            self._check_unchanged_since(target.resource.group_resource, version)
            revision = version
        every = self._registry.list_objects(target.resource, target.namespace)
        selected = (obj for obj in every if options.matches is None or options.matches(obj))
        objs, metadata = page(selected, options, revision)
        return call.representation.list(objs, metadata)

    def _check_unchanged_since(self, resource: str, version: int) -> None:
        store = self._registry.store
        if version < store.oldest_watchable(resource) or store.changes(resource, version, limit=1):
            raise StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")

    async def _create(self, call: Call) -> web.Response:
        self._codec.check_media_type(call.content_type, call.target.resource)
        options = call.write_options("CreateOptions")
        obj = await self._decoded(call, options)
        with _told_even_if_refused(options.warnings):
            created = self._registry.create(call.target, obj, options)
        return json_response(call.representation.object(created), 201, options.warnings)

    async def _review(self, call: Call) -> web.Response:
        self._codec.check_media_type(call.content_type, call.target.resource)
        options = call.write_options("CreateOptions")
        asked = await self._decoded(call, options)
        return json_response(review(call.target.resource, asked), 201, options.warnings)

    async def _post_subresource(self, call: Call) -> web.Response:
        options = call.write_options("CreateOptions")
        binding = call.target.subresource == "binding"
        body = await self._plain(call, "Binding" if binding else "Eviction")
        act = subresources.bind if binding else subresources.evict
        return json_response(act(self._registry, call.target, body, options), 201)

    async def _replace(self, call: Call) -> web.Response:
        self._codec.check_media_type(call.content_type, call.target.resource)
        options = call.write_options("UpdateOptions")
        target = call.target
        if target.subresource == _SCALE:
            body = await self._plain(call, "Scale")
            scale = subresources.update_scale(self._registry, target, lambda _: body, options, conditional=False)
            return json_response(scale, 200, options.warnings)
        obj = await self._decoded(call, options)
        if target.subresource == "finalize":
            finalized = subresources.finalize(self._registry, target, lambda _: obj, options)
            return json_response(finalized, 200, options.warnings)
        with _told_even_if_refused(options.warnings):
            stored, created = self._registry.update(target, lambda _: obj, options)
        return json_response(call.representation.object(stored), 201 if created else 200, options.warnings)

    async def _patch(self, call: Call) -> web.Response:
        target = call.target
        media_type = patch_type(call.content_type, target.resource)
        options = call.write_options("PatchOptions", apply=media_type == APPLY_PATCH)
        if media_type == APPLY_PATCH:
            return await self._apply(call, options)
        patch = Patch(media_type, await call.request.read())
        if target.subresource == _SCALE:
            scale = subresources.update_scale(self._registry, target, patch.apply_plain, options, conditional=True)
            return json_response(scale, 200, options.warnings)

        def patched(old: Object) -> Object:
            obj, found = patch.apply(old, target, self._schemas, self._codec, options.field_validation)
            options.warnings.extend(found)
            return obj

        with _told_even_if_refused(options.warnings):
            stored, _ = self._registry.update(target, patched, options, conditional=True)
        return json_response(call.representation.object(stored), 200, options.warnings)

    async def _apply(self, call: Call, options: WriteOptions) -> web.Response:
        target = call.target
        scale = target.subresource == _SCALE
        expected = (
            ("autoscaling/v1", "Scale")
            if scale
            else (target.resource.api_version(target.version), target.resource.kind)
        )
        config, found = read_config(await call.request.read(), expected, options.field_validation)
        options.warnings.extend(found)
        if scale:
            applied = subresources.apply_scale(self._registry, target, config, options)
            return json_response(applied, 200, options.warnings)

        def decoded(obj: Object) -> Object:
            return self._codec.applied(obj, config, target.resource, target.version)

        with _told_even_if_refused(options.warnings):
            stored, created = self._registry.apply(target, config, decoded, options)
        return json_response(call.representation.object(stored), 201 if created else 200, options.warnings)

    async def _delete(self, call: Call) -> web.Response:
        options = delete_options(await self._delete_body(call), call.query, call.request.query.getall("dryRun", []))
        obj, gone = delete(self._registry, call.target, options)
        status = 202 if not gone and options.non_cascading_asked else 200
        warnings = self._registry.strategy(call.target.resource).warnings_on_delete(options.propagation_policy)
        if gone and not self._registry.strategy(call.target.resource).returns_deleted:
            return json_response(success(call.target, obj), status, warnings)
        return json_response(call.representation.object(obj), status, warnings)

    async def _delete_collection(self, call: Call) -> web.Response:
        options = delete_options(await self._delete_body(call), call.query, call.request.query.getall("dryRun", []))
        listed = await self._listed(call)
        matches = ListOptions.of(call.query, call.target.resource).matches
        for obj in list(self._registry.list_objects(call.target.resource, call.target.namespace)):
            if matches is None or matches(obj):
                name = obj["metadata"]["name"]
                target = Target(call.target.resource, call.target.version, call.target.namespace, name)
                delete(self._registry, target, options)
        return json_response(listed)

    async def _delete_body(self, call: Call) -> Object | None:
        return await self._plain(call, "DeleteOptions") if await call.request.read() else None

    async def _plain(self, call: Call, kind: str) -> Object:
        return self._codec.decode_plain(kind, await call.request.read(), call.content_type)

    async def _decoded(self, call: Call, options: WriteOptions) -> Object:
        body = await call.request.read()
        target, strictness = call.target, options.field_validation
        obj, found = self._codec.decode(body, call.content_type, target.resource, target.version, strictness)
        options.warnings.extend(found)
        return obj
