"""A thin asynchronous client of the Kubernetes API: what the sandbox's own parts use to reach the API server.

`Client` speaks plain verbs over one `aiohttp` session. Objects are plain dicts in the API's own shape.

It does not validate, default or cache requests, and the learner's helpers do not use it (they use the official client).
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from tcpshift_helpers.sandbox.network import API_PORT, load_subnet

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from tcpshift_helpers.sandbox.home import Home

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 30.0

Key = tuple[str, str]


@dataclass(frozen=True)
class Resource:
    """Where objects of one kind are found.

    Attributes:
        group: API group, empty for the core group.
        version: API version.
        plural: name in paths.
        namespaced: whether objects live in namespaces.
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of the collection, of one object, or of a subresource."""
        parts = ["/apis" if self.group else "/api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
NODES = Resource("", "v1", "nodes", namespaced=False)
PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SECRETS = Resource("", "v1", "secrets")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts")
EVENTS = Resource("", "v1", "events")
ENDPOINTS = Resource("", "v1", "endpoints")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
REPLICA_SETS = Resource("apps", "v1", "replicasets")
JOBS = Resource("batch", "v1", "jobs")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
GATEWAYS = Resource("networking.istio.io", "v1", "gateways")
VIRTUAL_SERVICES = Resource("networking.istio.io", "v1", "virtualservices")
DESTINATION_RULES = Resource("networking.istio.io", "v1", "destinationrules")
GATEWAY_CLASSES = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", namespaced=False)
KUBERNETES_GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways")
TCP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "tcproutes")
REFERENCE_GRANTS = Resource("gateway.networking.k8s.io", "v1", "referencegrants")


class ApiError(Exception):
    """The API server answered with something other than success.

    Attributes:
        code: HTTP status code.
        reason: `metav1.Status` reason, such as `NotFound`, `AlreadyExists`, `Conflict`; empty if none was given.
        message: the server's own message.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class UnreachableError(Exception):
    """No answer came: nothing listens, the connection broke, or the answer took too long."""


def key_of(obj: Mapping[str, Any]) -> Key:
    """(namespace, name); the namespace is empty for cluster-wide objects."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Client:
    """Verbs of the Kubernetes API, for one server and one identity. An asynchronous context manager.

    Every method raises `ApiError` when the server says no and `UnreachableError` when it does not answer.
    """

    def __init__(self, base_url: str, token: str, tls: ssl.SSLContext, program: str = "tcpshift") -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._program = program
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_home(cls, home: Home, program: str = "tcpshift") -> Client:
        """The client of the sandbox that lives in this state directory.

        Raises:
            FileNotFoundError: the sandbox was never started: no network, token or CA yet.
        """
        tls = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
        token = home.token.read_text(encoding="utf-8").strip()
        return cls(f"https://{load_subnet(home).api_server}:{API_PORT}", token, tls, program)

    def named(self, program: str) -> Client:
        """This client for another program, over the same connections: `managedFields` name it for what it writes."""
        other = copy.copy(self)
        other._program = program
        return other

    async def __aenter__(self) -> Client:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        # Proxy settings of the environment are for the internet, never for the loopback network.
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, timeout=timeout, trust_env=False, auto_decompress=True
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        """Read one object."""
        return await self._request("GET", resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[list[dict[str, Any]], str]:
        """Read all objects of one kind.

        Returns:
            The objects, each with its `apiVersion` and `kind`, and the resourceVersion to watch from.
        """
        params = _selectors(label_selector, field_selector)
        answer = await self._request("GET", resource.path(namespace), params=params)
        kind = str(answer.get("kind", "")).removesuffix("List")
        # The real server leaves both out of the items of a list.
        items = [{"apiVersion": answer.get("apiVersion"), "kind": kind, **item} for item in answer.get("items") or []]
        return items, answer["metadata"]["resourceVersion"]

    async def create(
        self, resource: Resource, obj: Mapping[str, Any], *, name: str | None = None, subresource: str | None = None
    ) -> dict[str, Any]:
        """Create an object, or POST to a subresource of the object `name` (such as `binding`)."""
        path = resource.path(obj["metadata"].get("namespace"), name, subresource)
        return await self._request("POST", path, obj)

    async def replace(
        self, resource: Resource, obj: Mapping[str, Any], subresource: str | None = None
    ) -> dict[str, Any]:
        """Replace an object; with a resourceVersion in its metadata only if nobody changed it (409 Conflict)."""
        namespace, name = key_of(obj)
        return await self._request("PUT", resource.path(namespace, name, subresource), obj)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        subresource: str | None = None,
    ) -> dict[str, Any]:
        """Apply a JSON merge patch (lists are replaced as a whole, null removes a field)."""
        path = resource.path(namespace, name, subresource)
        return await self._request("PATCH", path, patch, content_type="application/merge-patch+json")

    async def apply(self, resource: Resource, obj: Mapping[str, Any], manager: str) -> dict[str, Any]:
        """Server-side apply by force: create the object, or give it these fields and take those that `manager` applied before."""
        namespace, name = key_of(obj)
        params = {"fieldManager": manager, "force": "true"}
        path, content_type = resource.path(namespace, name), "application/apply-patch+yaml"
        return await self._request("PATCH", path, obj, params=params, content_type=content_type)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        grace_period_seconds: int | None = None,
        *,
        uid: str | None = None,
        propagation_policy: str | None = None,
    ) -> dict[str, Any]:
        """Delete an object; with `uid` only if it is still that very object (409 Conflict)."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        return await self._request("DELETE", resource.path(namespace, name), options)

    async def watch(
        self,
        resource: Resource,
        resource_version: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Follow changes after `resource_version` until the server ends the watch.

        Yields:
            (type, object) with type ADDED, MODIFIED, DELETED or BOOKMARK.

        Raises:
            ApiError: code 410 when `resource_version` is too old: list again.
            UnreachableError: the connection was lost.
        """
        params = _selectors(label_selector, field_selector)
        params |= {"watch": "true", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        forever = aiohttp.ClientTimeout(total=None, sock_connect=_REQUEST_SECONDS)
        with _reworded_failures():
            async with self._open.get(
                self._base_url + resource.path(namespace),
                params=params,
                headers={"User-Agent": self._program},
                timeout=forever,
            ) as response:
                if response.status != 200:
                    raise _error(response.status, await response.read())
                async for line in _lines(response.content):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _error(int(event["object"].get("code", 500)), event["object"])
                    yield event["type"], event["object"]

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the client inside `async with`")
        return self._session

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"User-Agent": self._program} | ({} if body is None else {"Content-Type": content_type})
        with _reworded_failures():
            async with self._open.request(
                method, self._base_url + path, params=params, data=data, headers=headers
            ) as response:
                answer = await response.read()
        if response.status >= 400:
            raise _error(response.status, answer)
        result: dict[str, Any] = json.loads(answer)
        return result


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    pairs = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in pairs.items() if value}


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length (the stream's own `readline` refuses long ones)."""
    parts: list[bytes] = []
    async for chunk in content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            parts.append(end)
            line = b"".join(parts)
            parts.clear()
            if line:
                yield line
        parts.append(rest)


@contextlib.contextmanager
def _reworded_failures() -> Any:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise UnreachableError(f"{type(error).__name__}: {error}") from error


def _error(code: int, answer: bytes | Mapping[str, Any]) -> ApiError:
    status: Any = answer
    if isinstance(answer, bytes):
        try:
            status = json.loads(answer)
        except ValueError:
            return ApiError(code, "", answer.decode(errors="replace").strip())
    if not isinstance(status, dict):
        return ApiError(code, "", str(status))
    return ApiError(code, status.get("reason", ""), status.get("message", ""))
