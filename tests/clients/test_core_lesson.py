"""The core lesson, done by people's own tools: deploy, all to v1, shift 20%, clean up."""

from __future__ import annotations

import copy
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from scipy import stats

from tcpshift_helpers import conditions, istio, netcat
from tcpshift_helpers.routes.virtual_service import reconciled

from .clients import Kr8sAsync, Kr8sSync, LightkubeAsync, LightkubeSync, OfficialDynamic, OfficialTyped

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

    from .clients import Driver

MANIFESTS = Path(__file__).parents[2] / "manifests"
PROBES = 200
# Outside these the counts would be by chance in less than one run of 10,000: binomial, 200 probes, 20%.
FEWEST, MOST = (int(bound) for bound in stats.binom.interval(1 - 1e-5, PROBES, 0.2))

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def manifest(name: str) -> list[dict[str, Any]]:
    return [obj for obj in yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8")) if obj]


def in_force(virtual_service: dict[str, Any]) -> bool:
    answer = reconciled(virtual_service).answer
    assert answer is not False, conditions.condition(virtual_service, "Reconciled")
    return bool(answer)


@pytest.mark.usefixtures("no_other_routes")
@pytest.mark.parametrize(
    "driver_of", [OfficialTyped, OfficialDynamic, Kr8sSync, Kr8sAsync, LightkubeSync, LightkubeAsync]
)
def test_the_core_lesson(
    driver_of: Callable[[Path, str], Driver], sandbox: Cluster, sandbox_home: Any, until: Callable[..., None]
) -> None:
    namespace = f"client-{uuid.uuid4().hex[:6]}"
    driver = driver_of(sandbox_home.kubeconfig, namespace)
    try:
        driver.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        all_to_v1 = manifest("tcp-echo-all-v1.yaml")
        for obj in copy.deepcopy([*manifest("tcp-echo-services.yaml"), *all_to_v1]):
            driver.create(obj)
        for deployment in ("tcp-echo-v1", "tcp-echo-v2"):
            driver.wait_available(deployment)
        assert driver.watch_until("tcp-echo", in_force)
        host, port = istio.ingress(sandbox)
        # The rule's status says nothing of endpoints, which reach the gateway after the pods have become ready.
        until(lambda: netcat.probe(host, port, count=1, progress=False)["answer"].notna().all(), "the first answer")
        answers = netcat.probe(host, port, count=10, progress=False)["answer"]
        assert set(answers) == {"one"}
        shifted = manifest("tcp-echo-20-v2.yaml")[0]
        driver.patch("tcp-echo", {"spec": {"tcp": shifted["spec"]["tcp"]}})
        assert driver.watch_until("tcp-echo", in_force)
        answers = netcat.probe(host, port, count=PROBES, at_once=8, progress=False)["answer"]
        assert set(answers) == {"one", "two"}
        assert FEWEST <= int((answers == "two").sum()) <= MOST
        driver.delete_namespace()
    finally:
        driver.close()
