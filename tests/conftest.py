"""One real sandbox for all tests that need real answers; it is started by the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """State directory of a sandbox that is up until the test session ends."""
    from tcpshift_helpers.sandbox import supervisor
    from tcpshift_helpers.sandbox.home import Home

    home = Home(tmp_path_factory.mktemp("sandbox"))
    try:
        supervisor.start(home)
        yield home
    finally:
        supervisor.stop(home)


@pytest.fixture
def sandbox(
    sandbox_home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """That sandbox with the course's namespace, in whatever state the test before left it; captured output is empty."""
    from tcpshift_helpers.connection import connect

    for name in ("TCPSHIFT_CONTEXT", "KUBECONFIG", "INGRESS_HOST", "TCP_INGRESS_PORT"):
        monkeypatch.delenv(name, raising=False)
    cluster = connect(kubeconfig=sandbox_home.kubeconfig)
    assert cluster.is_sandbox
    capsys.readouterr()
    yield cluster
    cluster.api.client.rest_client.pool_manager.clear()
