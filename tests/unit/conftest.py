"""A real API server for the learner's half: the sandbox's own, alone, without controllers, node or Envoy.

`TCPSHIFT_TEST_KUBECONFIG` names the kubeconfig of another one to run the same tests against, such as a kube-apiserver
with Istio's custom resource definitions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.errors import ClusterUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster

    from .tcp_server import Handler, Serve


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of an API server that lives as long as the test session."""
    if named := os.environ.get("TCPSHIFT_TEST_KUBECONFIG"):
        yield Path(named)
        return
    from tcpshift_helpers.connection import connect
    from tcpshift_helpers.sandbox import network
    from tcpshift_helpers.sandbox.home import Home

    home = Home(tmp_path_factory.mktemp("learner-home"))
    home.create()
    network.choose_subnet(home)
    environment = {**os.environ, "TCPSHIFT_HOME": str(home.root)}
    part = [sys.executable, "-m", "tcpshift_helpers.sandbox"]
    subprocess.run([*part, "certificates"], env=environment, check=True)
    # A name other than "kubeconfig": the helpers must take it for any cluster, not for a sandbox they may start.
    kubeconfig = home.root / "config.yaml"
    kubeconfig.write_bytes(home.kubeconfig.read_bytes())
    with (home.logs / "apiserver.log").open("wb") as log:
        server = subprocess.Popen([*part, "apiserver"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                connect(kubeconfig=kubeconfig)
                break
            except ClusterUnreachableError:
                assert server.poll() is None, (home.logs / "apiserver.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield kubeconfig
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def cluster(api_server: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """That API server with a namespace of the test's own, which exists; captured output starts empty."""
    from tcpshift_helpers import kubectl
    from tcpshift_helpers.connection import connect

    for name in ("TCPSHIFT_CONTEXT", "KUBECONFIG", "INGRESS_HOST", "TCP_INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)
    cluster = connect(kubeconfig=api_server, namespace=f"test-{uuid.uuid4().hex[:8]}")
    kubectl.create_namespace(cluster)
    capsys.readouterr()
    yield cluster
    monkeypatch.undo()
    services = cluster.api.resource_named("services")
    for service in cluster.list(services):
        # Each holds an address, of which the server has few.
        cluster.api.request("DELETE", services.path(cluster.namespace, service["metadata"]["name"]))
    cluster.api.client.rest_client.pool_manager.clear()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers, each with what it does with a connection, and gives their ports."""
    from .tcp_server import Server

    servers: list[Server] = []

    def start(handler: Handler) -> int:
        servers.append(Server(handler))
        return servers[-1].port

    yield start
    for server in servers:
        server.close()
