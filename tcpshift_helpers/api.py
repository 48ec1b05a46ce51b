"""Plain HTTP to one Kubernetes API server, and its refusals as our errors.

The official client's configuration (certificates, tokens, proxies, exec plug-ins) is used as it is; its generated
classes are not, because raw objects keep their camelCase keys and kinds such as VirtualService have no class.
While a server that has answered before restarts, reads, and requests that never left, are repeated for some seconds;
a write that may have arrived never is.
It does not know what any kind means.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProtocolError, SSLError

from tcpshift_helpers.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterUnreachableError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kubernetes.client import ApiClient

Object = dict[str, Any]
T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
RESTART_SECONDS = 6.0  # how long a server that has answered before may be away
_PAUSE_SECONDS = 0.1
_LONGEST_MESSAGE = 1000
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_AGGREGATED = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList,application/json"

_LONG_VALUE = re.compile(r'Invalid value: "(?:[^"\\]|\\.){200,}"')

_BY_REASON: dict[str, type[ClusterError]] = {
    "NotFound": NotFoundError,
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
    "Invalid": InvalidError,
    "BadRequest": InvalidError,
    "Unauthorized": ForbiddenError,
    "Forbidden": ForbiddenError,
}
_BY_CODE: dict[int, type[ClusterError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
}


@dataclass(frozen=True)
class Resource:
    """One kind as the API server serves it, found by discovery.

    Attributes:
        group: API group, empty for the core group.
        version: served version, such as `v1`.
        kind: such as `Deployment`.
        plural: as in paths, such as `deployments`.
        names: other names kubectl takes: singular and short ones.
        namespaced: whether its objects live in a namespace.
    """

    group: str
    version: str
    kind: str
    plural: str
    names: tuple[str, ...]
    namespaced: bool

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def word(self) -> str:
        """The kind as kubectl's result lines write it: `service`, `deployment.apps`."""
        return f"{self.kind.lower()}.{self.group}" if self.group else self.kind.lower()

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, an object or a subresource of it."""
        parts = ["", "apis", self.group, self.version] if self.group else ["", "api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


class Api:
    """Requests to one API server; safe to use from several threads."""

    def __init__(self, client: ApiClient, server: str, advice: str) -> None:
        """Wrap a configured client.

        Args:
            client: the official client; its connection pool and credentials are used.
            server: address to name in messages.
            advice: what a person can do when nothing answers there.
        """
        self.client = client
        self.server = server
        self._advice = advice
        self._discovered: list[Resource] | None = None
        self._has_answered = False
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | bool] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> Any:
        """Send one request and decode its JSON answer.

        Raises:
            ClusterError: the server refused; its subclass follows the `metav1.Status` reason.
            ClusterUnreachableError: no answer, or one that no Kubernetes API gives.
        """

        def attempt() -> tuple[int, bytes]:
            response = self._open(
                method,
                path,
                query=query,
                accept=accept,
                timeout_seconds=timeout_seconds,
                body=body,
                content_type=content_type,
            )
            return response.status, response.data

        status, text = self._repeated(method, attempt)
        if status >= 400:
            raise error_from_status(status, text)
        return self._decoded(text) if text else None

    def text(
        self,
        path: str,
        *,
        query: Mapping[str, str | int | bool] | None = None,
        timeout_seconds: float = READ_TIMEOUT_SECONDS,
    ) -> str:
        """GET something that is not JSON, such as a log."""

        def attempt() -> tuple[int, bytes]:
            response = self._open("GET", path, query=query, accept="*/*", timeout_seconds=timeout_seconds)
            return response.status, response.data

        status, body = self._repeated("GET", attempt)
        if status >= 400:
            raise error_from_status(status, body)
        return body.decode("utf-8", "replace")

    def stream(
        self, path: str, *, query: Mapping[str, str | int | bool], timeout_seconds: float
    ) -> Iterator[tuple[str, Object]]:
        """Events of a watch, as (type, object), until the server ends it or `timeout_seconds` pass without a word.

        Raises:
            ClusterError: refused, at once or by an ERROR event (410 Gone when the version is too old).
            ClusterUnreachableError: no connection at the start; a connection lost later just ends the events.
        """
        watched = {**query, "watch": "true"}

        def attempt() -> tuple[urllib3.BaseHTTPResponse, bytes]:
            opened = self._open("GET", path, query=watched, accept="application/json", timeout_seconds=timeout_seconds)
            return opened, opened.data if opened.status >= 400 else b""

        response, refusal = self._repeated("GET", attempt)
        if response.status >= 400:
            raise error_from_status(response.status, refusal)
        try:
            pending = b""
            for chunk in response.stream(65536):
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if not line.strip():
                        continue
                    event = self._decoded(line)
                    if event["type"] == "ERROR":
                        raise error_from_status(event["object"].get("code", 500), json.dumps(event["object"]).encode())
                    yield event["type"], event["object"]
        except HTTPError:
            return
        finally:
            response.close()

    def resources(self, *, refresh: bool = False) -> list[Resource]:
        """Every kind the server serves, preferred versions first; asked once and remembered."""
        with self._lock:
            if self._discovered is None or refresh:
                self._discovered = [*self._discover("/api"), *self._discover("/apis")]
            return self._discovered

    def resource_for_kind(self, api_version: str, kind: str) -> Resource:
        """The resource behind a manifest's `apiVersion` and `kind`.

        Raises:
            NotFoundError: the server does not serve it, with kubectl's words and what to do.
        """
        for refresh in (False, True):
            for resource in self.resources(refresh=refresh):
                if resource.kind == kind and resource.api_version == api_version:
                    return resource
        others = sorted({r.api_version for r in self.resources() if r.kind == kind})
        near = [r for r in self.resources() if r.kind.lower() == kind.lower()]
        if others:
            advice = _("This cluster serves {kind} as {versions}: change apiVersion in the manifest.").format(
                kind=kind, versions=listed(others)
            )
        elif api_version.partition("/")[0].endswith("istio.io"):
            advice = _(
                "The kinds of Istio are missing here, so Istio is not installed: https://istio.io/latest/docs/setup/ (the sandbox has it built in)."
            )
        elif near:
            advice = _("Did you mean {kind}, apiVersion {version}?").format(
                kind=near[0].kind, version=near[0].api_version
            )
        else:
            advice = _("Look for a slip in kind or apiVersion: kubectl api-resources lists what this cluster serves.")
        message = f'no matches for kind "{kind}" in version "{api_version}"'
        raise NotFoundError(404, "", message, f"ensure CRDs are installed first\n{advice}")

    def resource_named(self, word: str) -> Resource:
        """The resource kubectl means by `svc`, `deployments`, `virtualservice` or `deployments.apps`.

        Raises:
            NotFoundError: no such kind, with kubectl's words.
        """
        name, _dot, group = word.lower().partition(".")
        for refresh in (False, True):
            for resource in self.resources(refresh=refresh):
                known = (resource.plural, resource.kind.lower(), *resource.names)
                if name in known and (not group or f"{resource.group}.".startswith(f"{group}.")):
                    return resource
        raise NotFoundError(
            404,
            "",
            f'the server doesn\'t have a resource type "{word}"',
            _("kubectl api-resources lists those there are."),
        )

    def _discover(self, root: str) -> Iterator[Resource]:
        listing = self.request("GET", root, accept=_AGGREGATED)
        if listing.get("kind") == "APIGroupDiscoveryList":
            for group in listing.get("items", []):
                name = group.get("metadata", {}).get("name", "")
                for version in group.get("versions", []):
                    yield from (
                        _from_aggregated(name, version["version"], entry) for entry in version.get("resources", [])
                    )
            return
        versions = [("", version) for version in listing.get("versions", [])] if root == "/api" else [
            (group["name"], version["version"]) for group in listing.get("groups", []) for version in group["versions"]
        ]  # fmt: skip
        for group, version in versions:
            found = self.request("GET", f"/apis/{group}/{version}" if group else f"/api/{version}")
            for entry in found.get("resources", []):
                if "/" not in entry["name"]:
                    names = (entry.get("singularName", ""), *entry.get("shortNames", []))
                    yield Resource(group, version, entry["kind"], entry["name"], names, entry["namespaced"])

    def _headers(self) -> dict[str, str]:
        # auth_settings() also lets exec plug-ins and rotating tokens renew themselves.
        headers = {"User-Agent": "tcpshift", **self.client.default_headers}
        for setting in self.client.configuration.auth_settings().values():
            if setting["value"]:
                headers[setting["key"]] = setting["value"]
        return headers

    def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int | bool] | None,
        accept: str,
        timeout_seconds: float,
        body: Any = None,
        content_type: str = "application/json",
    ) -> urllib3.BaseHTTPResponse:
        url = self.client.configuration.host.rstrip("/") + path
        if query:
            url += "?" + urlencode(
                {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
            )
        headers = {**self._headers(), "Accept": accept}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, ensure_ascii=False).encode()
        pool = self.client.rest_client.pool_manager
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=timeout_seconds)
        response: urllib3.BaseHTTPResponse = pool.request(
            method, url, body=data, headers=headers, timeout=timeout, retries=False, preload_content=False
        )
        return response

    def _repeated(self, method: str, attempt: Callable[[], T]) -> T:
        """The attempt's result; repeated where that is safe and the server may just be restarting."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                result = attempt()
            except HTTPError as error:
                may_repeat = isinstance(error, NewConnectionError) or (method == "GET" and _was_cut(error))
                if not (may_repeat and self._has_answered and time.monotonic() < deadline):
                    raise self._unreachable(method, error) from error
            else:
                self._has_answered = True
                return result
            time.sleep(_PAUSE_SECONDS)

    def _decoded(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            start = text[:60].decode("utf-8", "replace")
            raise ClusterUnreachableError(
                _(
                    "{server} answers, but not as a Kubernetes API does (it sent {start!r}).\n"
                    "A proxy or a login page may be in between, or the kubeconfig names the wrong address."
                ).format(server=self.server, start=start)
            ) from error

    def _unreachable(self, method: str, error: HTTPError) -> ClusterUnreachableError:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        if isinstance(cause, SSLError) and "CERTIFICATE" in str(cause):
            return ClusterUnreachableError(
                _(
                    "{server} answered with a certificate that cannot be trusted: {cause}.\n"
                    "The kubeconfig is older than the cluster, or names another one: fetch it anew."
                ).format(server=self.server, cause=cause)
            )
        lines = [
            _("Nothing answers at {server} ({cause}).").format(server=self.server, cause=_plain(cause)),
            self._advice,
        ]
        if method != "GET" and not isinstance(cause, NewConnectionError):
            lines.append(_("Whether the change was made is not known: look before you repeat it."))
        return ClusterUnreachableError("\n".join(lines))


def _was_cut(error: HTTPError) -> bool:
    """Whether the connection broke off, as it does when the server at its other end ends."""
    return isinstance(error, ProtocolError) or (isinstance(error, SSLError) and "EOF" in str(error))


def error_from_status(code: int, body: bytes) -> ClusterError:
    """The error that a `metav1.Status` (or any other body of a refusal) stands for."""
    try:
        status = json.loads(body)
        reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        reason, message = "", body[:_LONGEST_MESSAGE].decode("utf-8", "replace").strip()
    # A refused patch quotes the whole object; the sentence after it is what helps.
    message = _LONG_VALUE.sub('Invalid value: "…"', message)
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, ClusterError)
    hint = ""
    if kind is ForbiddenError:
        hint = _(
            "The kubeconfig's credentials are not valid here or do not allow this: ask for a role that does, or use another context."
        )
    message = message or _("the server answered with status {code} and no words").format(code=code)
    return kind(code, reason, message, hint)


def _from_aggregated(group: str, version: str, entry: Object) -> Resource:
    names = (entry.get("singularResource", ""), *entry.get("shortNames", []))
    kind = entry.get("responseKind", {}).get("kind", "")
    return Resource(group, version, kind, entry["resource"], names, entry.get("scope") == "Namespaced")


def _plain(error: BaseException) -> str:
    text = str(error)
    for sign, words in (
        ("Connection refused", _("connection refused")),
        ("Connection aborted", _("it cut the connection")),
        ("Connection broken", _("it cut the connection")),
        ("WRONG_VERSION_NUMBER", _("what listens there does not speak TLS")),
        ("timed out", _("no answer in time")),
        ("Name or service not known", _("its name is not known")),
        ("Temporary failure in name resolution", _("its name cannot be looked up")),
        ("No route to host", _("no route to it")),
        ("Network is unreachable", _("the network is unreachable")),
    ):
        if sign in text:
            return words
    return text.rsplit(": ", 1)[-1] or type(error).__name__
