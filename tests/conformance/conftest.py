"""One suite, two servers: each test runs against the sandbox's API server or against a real kube-apiserver.

`pytest tests/conformance` starts an API server process of its own; `--server peer --peer-kubeconfig FILE` asks a real one.
See README.md beside this file.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..server_process import ServerProcess
from .kubectl import MANIFEST, Kubectl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Api


@pytest.fixture(scope="session")
def home_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State directory of the sandbox under test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def kubeconfig(home_directory: Path, peer_kubeconfig: Path | None) -> Iterator[Path]:
    """A kubeconfig of the server under test."""
    if peer_kubeconfig:
        yield peer_kubeconfig
        return
    with ServerProcess(home_directory) as server:
        yield server.kubeconfig


@pytest.fixture
def spare_kubeconfig(tmp_path: Path, peer_kubeconfig: Path | None) -> Iterator[Path]:
    """A kubeconfig of the peer, or of an API server of the test's own, for what would get in the way of other tests."""
    if peer_kubeconfig:
        yield peer_kubeconfig
        return
    (tmp_path / "home").mkdir()
    with ServerProcess(tmp_path / "home") as server:
        yield server.kubeconfig


@pytest.fixture
def api(kubeconfig: Path, client_of: Callable[[Path], Api]) -> Iterator[Api]:
    """A client of the server under test."""
    client = client_of(kubeconfig)
    yield client
    client.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own; it goes when the test ends (there is no namespace controller here)."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    assert api.post("/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
    yield name
    for path in (
        "api/v1",
        "apis/apps/v1",
        "apis/batch/v1",
        "apis/coordination.k8s.io/v1",
        "apis/networking.istio.io/v1",
    ):
        for resource in api.get(f"/{path}").body["resources"]:
            if resource["namespaced"] and "deletecollection" in resource["verbs"]:
                api.delete(f"/{path}/namespaces/{name}/{resource['name']}?gracePeriodSeconds=0")
    api.delete(f"/api/v1/namespaces/{name}")
    api.put(f"/api/v1/namespaces/{name}/finalize", {"metadata": {"name": name}, "spec": {"finalizers": []}})


@pytest.fixture
def core(namespace: str) -> str:
    """Path of the test's namespace in the core group."""
    return f"/api/v1/namespaces/{namespace}"


@pytest.fixture
def apps(namespace: str) -> str:
    """Path of the test's namespace in the group apps."""
    return f"/apis/apps/v1/namespaces/{namespace}"


@pytest.fixture
def virtual_services(namespace: str) -> str:
    """Path of the VirtualServices of the test's namespace."""
    return f"/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices"


@pytest.fixture
def kubectl(api: Api, namespace: str, tmp_path: Path) -> Kubectl:
    """Runs kubectl in the test's namespace; its caches go to the test's directory."""
    return Kubectl(api.kubeconfig, tmp_path / "cache", namespace)


@pytest.fixture
def applied(kubectl: Kubectl) -> None:
    """The test's namespace holds a Service, a Deployment and a VirtualService, each named tcp-echo or tcp-echo-v1."""
    kubectl("apply", "-f", "-", stdin=MANIFEST)


@pytest.fixture
def live_kubectl(request: pytest.FixtureRequest, peer_kubeconfig: Path | None, tmp_path: Path) -> Iterator[Kubectl]:
    """Runs kubectl in a namespace of its own where controllers are at work: in a whole sandbox, or in the peer."""
    kubeconfig = peer_kubeconfig or request.getfixturevalue("sandbox_home").kubeconfig
    run = Kubectl(kubeconfig, tmp_path / "cache", f"test-{uuid.uuid4().hex[:10]}")
    run("create", "namespace", run.namespace)
    yield run
    run("delete", "namespace", run.namespace, "--wait=false")
