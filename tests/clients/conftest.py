"""One sandbox, whose gateway is every test's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers import kubectl

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster


@pytest.fixture
def no_other_routes(sandbox: Cluster) -> None:
    """Port 31400 is the whole cluster's: what an earlier test routes there must go."""
    for namespace in sandbox.list(sandbox.api.resource_named("namespaces")):
        name = namespace["metadata"]["name"]
        if name not in {"default", "istio-system", "kube-system", "kube-public", "kube-node-lease"}:
            kubectl.delete(sandbox, "namespace", name)
