"""Paths that are no resources: health, version, discovery, OpenAPI.

Source: kubernetes/apiserver pkg/server/{healthz,routes}, pkg/endpoints/discovery; kube-openapi pkg/{handler,handler3}.
"""

from __future__ import annotations

import hashlib
import platform
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tcpshift_helpers.sandbox.apiserver import discovery
from tcpshift_helpers.sandbox.apiserver.representation import parse_accept
from tcpshift_helpers.sandbox.apiserver.status import unknown_resource
from tcpshift_helpers.sandbox.apiserver.store import encode

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
    from tcpshift_helpers.sandbox.apiserver.representation import MediaType
    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
    from tcpshift_helpers.sandbox.apiserver.schemas import Schemas

Object = dict[str, Any]

VERSION = "v1.34.0"
_GO_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
_HEALTH = ("/healthz", "/livez", "/readyz")
_PATHS = ("/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version")


class Documents:
    """Answers from the table of kinds; made on demand, so that a start stays quick."""

    def __init__(self, catalog: Catalog, schemas: Schemas, server_address: str) -> None:
        """Describe the kinds of `catalog`."""
        self._catalog = catalog
        self._schemas = schemas
        self._server_address = server_address

    @property
    def _resources(self) -> tuple[ResourceType, ...]:
        return tuple(self._catalog)

    def answer(self, request: web.Request) -> web.Response | None:
        """The answer to a GET, or None if the path is no document.

        Raises:
            StatusError: 404, a version of a known group that is not served.
        """
        path = request.path.rstrip("/") or "/"
        if request.method not in ("GET", "HEAD"):
            return None
        if path in _HEALTH or path.startswith(tuple(f"{health}/" for health in _HEALTH)):
            verbose = "verbose" in request.query
            return web.Response(text=f"[+]ping ok\n{path.strip('/')} check passed\n" if verbose else "ok")
        if path in ("/", "/version"):
            return _json(version_info() if path == "/version" else {"paths": [*_PATHS, *self._group_paths()]})
        if path.startswith("/openapi/"):
            return self._openapi_v2(request) if path == "/openapi/v2" else self._openapi_v3(request, path)
        if path in ("/api", "/apis"):
            return self._groups(path, request.headers.get("Accept", ""))
        return self._group_document(path)

    def _groups(self, path: str, accept: str) -> web.Response:
        core = path == "/api"
        if _wants_aggregated(accept):
            return _json(discovery.aggregated(self._resources, core=core), discovery.AGGREGATED_MEDIA_TYPE)
        if core:
            return _json(discovery.api_versions(self._server_address))
        return _json(discovery.api_group_list(self._resources))

    def _group_document(self, path: str) -> web.Response | None:
        parts = path.strip("/").split("/")
        if parts[0] == "apis" and len(parts) == 2:
            document = discovery.api_group(self._resources, parts[1])
        elif (parts[0] == "apis" and len(parts) == 3) or (parts[0] == "api" and len(parts) == 2):
            group = parts[1] if parts[0] == "apis" else ""
            document = discovery.api_resource_list(self._resources, group, parts[-1])
            if document is None and discovery.api_group(self._resources, group):
                raise unknown_resource()
        else:
            return None
        return _json(document) if document else None

    def _openapi_v2(self, request: web.Request) -> web.Response:
        # Larger still, and only asked for when a kind is not known, and by older clients.
        from tcpshift_helpers.sandbox.apiserver import openapi_protobuf  # noqa: PLC0415
        from tcpshift_helpers.sandbox.apiserver.openapi_v2 import openapi_v2  # noqa: PLC0415

        wanted = next(filter(None, map(_openapi_v2_form, parse_accept(request.headers.get("Accept") or "*/*"))), None)
        if wanted is None:
            return web.Response(status=406, headers={"Vary": "Accept"})
        document = openapi_v2(self._resources, self._schemas)
        text = encode(document).encode()
        body = openapi_protobuf.encode(document) if wanted == openapi_protobuf.MEDIA_TYPE else text
        response = _tagged(request, body, wanted, _etag(text))
        response.headers["Vary"] = "Accept"
        return response

    def _openapi_v3(self, request: web.Request, path: str) -> web.Response | None:
        # Large, and only kubectl apply and explain ask.
        from tcpshift_helpers.sandbox.apiserver.openapi import openapi_v3, openapi_v3_index  # noqa: PLC0415

        if path == "/openapi/v3":
            return _json(openapi_v3_index(self._resources))
        match path.split("/")[2:]:
            case ["v3", "api", version]:
                group = ""
            case ["v3", "apis", group, version]:
                pass
            case _:
                return None
        if discovery.api_resource_list(self._resources, group, version) is None:
            return None
        text = encode(openapi_v3(group, version, self._resources, self._schemas)).encode()
        return _tagged(request, text, "application/json", _etag(text))

    def _group_paths(self) -> list[str]:
        paths = []
        for group in discovery.api_group_list(self._resources)["groups"]:
            paths.append(f"/apis/{group['name']}")
            paths.extend(f"/apis/{version['groupVersion']}" for version in group["versions"])
        return paths


def version_info() -> Object:
    """`/version`: what this server presents itself as."""
    major, minor, _ = VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"{VERSION}+tcpshift",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": f"{platform.system().lower()}/{_GO_MACHINES.get(platform.machine(), platform.machine())}",
    }


def _wants_aggregated(accept: str) -> bool:
    for media_type in parse_accept(accept):
        parameters = media_type.parameters
        if parameters.get("as") == "APIGroupDiscoveryList":
            if parameters.get("g") == "apidiscovery.k8s.io" and parameters.get("v") == "v2":
                return True
        elif media_type.name in ("application/json", "*/*"):
            return False
    return False


def _openapi_v2_form(accepted: MediaType) -> str | None:
    """The form that one alternative of an Accept header asks for, of those there are."""
    from tcpshift_helpers.sandbox.apiserver.openapi_protobuf import MEDIA_TYPE  # noqa: PLC0415

    if accepted.name in (MEDIA_TYPE, MEDIA_TYPE.replace("v2.v1.0", "v2@v1.0")):
        return MEDIA_TYPE
    return "application/json" if accepted.name in ("application/json", "application/*", "*/*") else None


def _etag(body: bytes) -> str:
    return '"' + hashlib.sha512(body).hexdigest().upper() + '"'


def _tagged(request: web.Request, body: bytes, content_type: str, etag: str) -> web.Response:
    """The body, or nothing where the client has it already."""
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers={"ETag": etag})
    return web.Response(body=body, headers={"Content-Type": content_type, "ETag": etag})


def _json(document: Object, content_type: str = "application/json") -> web.Response:
    return web.Response(body=(encode(document) + "\n").encode(), headers={"Content-Type": content_type})
