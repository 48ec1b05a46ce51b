"""Which cluster am I on: the sandbox, or one that a kubeconfig names.

The order: explicit arguments, `TCPSHIFT_CONTEXT`, `KUBECONFIG`, and else the sandbox, started if it is down.
`~/.kube/config` is read only when a context is named; no learner reaches a cluster of work by accident.
Besides starting the sandbox this module knows nothing of it.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import yaml

from tcpshift_helpers.api import MERGE_PATCH, Api, Object, Resource
from tcpshift_helpers.errors import ClusterError, ClusterUnreachableError, NotFoundError
from tcpshift_helpers.language import current, listed
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.progress import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.home import Home

COURSE_NAMESPACE = "istio-io-tcp-traffic-shifting"
SANDBOX_CONTEXT = "tcpshift-sandbox"
_STARTING = threading.Lock()


@dataclass(frozen=True)
class Cluster:
    """A cluster to work on, and the namespace to work in.

    Attributes:
        api: requests to its API server.
        namespace: where namespaced objects go unless a function is told otherwise.
        context: name of the kubeconfig context.
        is_sandbox: whether it is this package's own sandbox.
        version: what the API server calls its version, such as `v1.34.0`.
    """

    api: Api = field(repr=False)
    namespace: str
    context: str
    is_sandbox: bool
    version: str

    @property
    def server(self) -> str:
        """The API server's address."""
        return self.api.server

    def read(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """One object, as the server has it.

        Raises:
            NotFoundError: there is none.
        """
        found: Object = self.api.request("GET", resource.path(namespace or self.namespace, name))
        return found

    def read_or_none(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None when there is none."""
        try:
            return self.read(resource, name, namespace)
        except NotFoundError:
            return None

    def list(self, resource: Resource, namespace: str | None = None, *, selector: str = "") -> list[Object]:
        """All objects of a kind in a namespace (default: the course's) that match a label selector."""
        query = {"labelSelector": selector} if selector else None
        listing = self.api.request("GET", resource.path(namespace or self.namespace), query=query)
        return [_named(item, resource) for item in listing["items"]]

    def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        *,
        content_type: str = MERGE_PATCH,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        """Patch one object strictly and return it."""
        changed: Object = self.api.request(
            "PATCH",
            resource.path(namespace or self.namespace, name, subresource),
            query={"fieldValidation": "Strict"},
            body=patch,
            content_type=content_type,
        )
        return changed

    def watch(
        self, resource: Resource, name: str, namespace: str | None, *, timeout_seconds: float
    ) -> Iterator[Object | None]:
        """The object now and after each change; None while it does not exist. Ends at the timeout."""
        deadline = time.monotonic() + timeout_seconds
        path = resource.path(namespace or self.namespace)
        while True:
            listing = self.api.request("GET", path, query={"fieldSelector": f"metadata.name={name}"})
            yield _named(listing["items"][0], resource) if listing["items"] else None
            left = deadline - time.monotonic()
            if left <= 0:
                return
            query = {
                "fieldSelector": f"metadata.name={name}",
                "resourceVersion": listing["metadata"]["resourceVersion"],
                "timeoutSeconds": max(1, round(left)),
            }
            try:
                for kind, obj in self.api.stream(path, query=query, timeout_seconds=left):
                    if kind in {"ADDED", "MODIFIED", "DELETED"}:
                        yield None if kind == "DELETED" else obj
                    if time.monotonic() >= deadline:
                        return
            except ClusterError as error:
                if error.code != HTTPStatus.GONE:  # the version is too old: read again
                    raise
            # The stream can end early, for instance because the API server restarted: read again, without haste.
            time.sleep(min(0.2, max(0.0, deadline - time.monotonic())))


def _named(item: Object, resource: Resource) -> Object:
    # Items of a list come without the two fields that say what they are.
    return {"apiVersion": resource.api_version, "kind": resource.kind, **item}


def connect(
    context: str | None = None, *, kubeconfig: Path | str | None = None, namespace: str = COURSE_NAMESPACE
) -> Cluster:
    """Choose the cluster, make sure it answers, and print one line that says which it is.

    Args:
        context: a context of the kubeconfig; `tcpshift-sandbox` means the sandbox.
        kubeconfig: the file to look in; default: what `KUBECONFIG` names, and for a named context `~/.kube/config`.
        namespace: where the course's objects go.

    Raises:
        ClusterUnreachableError: no such file or context (the message lists those there are), or nothing answers.
        SandboxError: the sandbox could not be started.
        UsageError: `TCPSHIFT_LANGUAGE` names a language that there is not.
    """
    current()  # before anything is started: what follows could not even be said
    context = context or os.environ.get("TCPSHIFT_CONTEXT") or None
    files = str(kubeconfig or os.environ.get("KUBECONFIG") or "")
    if not files and context not in (None, SANDBOX_CONTEXT):
        files = str(Path("~/.kube/config").expanduser())
    sandbox = _sandbox_behind(files, context)
    if sandbox is not None:
        _start(sandbox)
        files = files or str(sandbox.kubeconfig)
    cluster = _open(files, context, namespace)
    place = (
        _("the sandbox on this computer")
        if cluster.is_sandbox
        else _("context {context}, {server}").format(context=cluster.context, server=cluster.server)
    )
    print(
        _("Cluster: {place} (Kubernetes {version}), namespace {namespace}").format(
            place=place, version=cluster.version, namespace=namespace
        )
    )
    return cluster


def _sandbox_behind(files: str, context: str | None) -> Home | None:
    """The state directory of the sandbox that these choices mean, or None when they mean another cluster."""
    from tcpshift_helpers.sandbox.home import Home  # noqa: PLC0415 - only here the two halves touch

    own = Home.from_environment()
    if not files:
        return own
    if context not in (None, SANDBOX_CONTEXT):
        return None
    file = Path(files)
    if own.kubeconfig.absolute() == file.absolute():
        return own
    # KUBECONFIG alone must be enough, even where TCPSHIFT_HOME is not set.
    beside = Home(file.absolute().parent)
    return beside if file.name == beside.kubeconfig.name and beside.network.is_file() else None


def _start(home: Home) -> None:
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415 - only here the two halves touch

    with _STARTING, ProgressLine() as line:
        supervisor.start(home, progress=line.say)


def _open(files: str, context: str | None, namespace: str) -> Cluster:
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415 - half a second, paid once one connects
    from kubernetes.config import kube_config  # noqa: PLC0415

    chosen = _choose_context(files, context)
    configuration = Configuration()
    configuration.retries = False
    try:
        kube_config.load_kube_config(  # type: ignore[no-untyped-call]
            files, context=chosen, client_configuration=configuration, persist_config=False
        )
    except Exception as error:
        raise ClusterUnreachableError(
            _(
                "The context {context} of {files} cannot be used: {error}.\n"
                "Check it with: kubectl --context {context} version"
            ).format(context=chosen, files=files, error=error)
        ) from error
    if not configuration.verify_ssl:
        # The kubeconfig's author chose insecure-skip-tls-verify; kubectl does not repeat that at every request either.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    is_sandbox = chosen == SANDBOX_CONTEXT and "//127." in configuration.host
    advice = (
        _("The sandbox is down: run connect() again, or tcpshift up in a terminal.")
        if is_sandbox
        else _(
            "Is the cluster up and this computer on its network? Check with: kubectl --context {context} version"
        ).format(context=chosen)
    )
    api = Api(ApiClient(configuration), configuration.host, advice)
    version = api.request("GET", "/version")["gitVersion"]
    return Cluster(api=api, namespace=namespace, context=chosen, is_sandbox=is_sandbox, version=version)


def _choose_context(files: str, context: str | None) -> str:
    from kubernetes.config import kube_config  # noqa: PLC0415 - see _open
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415

    if not any(Path(file).expanduser().is_file() for file in files.split(os.pathsep) if file):
        raise ClusterUnreachableError(
            _(
                "There is no kubeconfig {files}.\n"
                "Set KUBECONFIG to the file of your cluster, or unset it to use the sandbox."
            ).format(files=files)
        )
    try:
        loader = kube_config.KubeConfigMerger(files).config  # type: ignore[no-untyped-call]
        names = [entry["name"] for entry in loader["contexts"] or []] if loader else []
        current = loader.safe_get("current-context") if loader else None
    except (ConfigException, yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise ClusterUnreachableError(
            _("The kubeconfig {files} cannot be read: {error}").format(files=files, error=error)
        ) from error
    there = _("Contexts there: {contexts}.").format(contexts=listed(names) or _("none"))
    if context is None and not current:
        raise ClusterUnreachableError(
            _(
                "The kubeconfig {files} has no current context. {contexts_there}\n"
                "Name one: connect(context=…) or TCPSHIFT_CONTEXT."
            ).format(files=files, contexts_there=there)
        )
    chosen = str(context or current)
    if chosen not in names:
        raise ClusterUnreachableError(
            _("The kubeconfig {files} has no context {context}. {contexts_there}").format(
                files=files, context=chosen, contexts_there=there
            )
        )
    return chosen
