"""`kill -9` of the API server in the middle of 200 writes, while probes go through the gateway.

Counted: acknowledged writes that are gone afterwards, probes that failed, and how long writes were impossible.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
from bar import Result, api_server, cluster, deploy_echo
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from tcpshift_helpers import istio, netcat
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 5
WRITES = 200
_PATIENCE_SECONDS = 30.0


def measure() -> list[Result]:
    lost, failed, pauses = [], [], []
    with cluster() as here:
        deploy_echo(here)
        istio.wait_in_force(here, "tcp-echo")
        host, port = istio.ingress(here)
        api = _api()
        for run in range(RUNS):
            with _probing(host, port) as frames:
                acknowledged, pause_seconds = _write_and_kill(api, run)
            there = {item.metadata.name for item in api.list_namespaced_config_map("default").items}
            lost.append(float(len(acknowledged - there)))
            probes = pd.concat(frames)
            assert len(probes) > WRITES, "too few probes to say that the gateway kept serving"
            failed.append(float(probes["answer"].isna().sum()))
            pauses.append(pause_seconds)
    return [
        Result("acknowledged writes lost when the API server is killed", lost, "", 0, always=True),
        Result("probes through the gateway that failed meanwhile", failed, "", 0, always=True),
        Result("from the kill to the next acknowledged write", pauses, "s", float("inf")),
    ]


def _api() -> client.CoreV1Api:
    """The official client, without its own retries: each write is either acknowledged or known to have failed."""
    configuration = client.Configuration()
    configuration.retries = False
    config.load_kube_config(str(Home.from_environment().kubeconfig), client_configuration=configuration)
    return client.CoreV1Api(client.ApiClient(configuration))


def _write_and_kill(api: client.CoreV1Api, run: int) -> tuple[set[str], float]:
    """Write 200 objects, kill the server after the hundredth; gives the acknowledged names and the pause in seconds."""
    acknowledged: set[str] = set()
    killed_at = resumed_at = 0.0
    for number in range(WRITES):
        name = f"run-{run}-{number}"
        if number == WRITES // 2:
            api_server(Home.from_environment()).kill()
            killed_at = time.perf_counter()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _create(api, name):
            assert time.monotonic() < deadline, "the API server did not come back"
            time.sleep(0.01)
        acknowledged.add(name)
        if killed_at and not resumed_at:
            resumed_at = time.perf_counter()
    return acknowledged, resumed_at - killed_at


def _create(api: client.CoreV1Api, name: str) -> bool:
    """Whether the write is acknowledged; a write repeated because its answer was lost counts as such, too."""
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={"written": "yes"})
    try:
        api.create_namespaced_config_map("default", body)
    except HTTPError:
        return False
    except ApiException as error:
        return bool(error.status == 409)
    return True


@contextlib.contextmanager
def _probing(host: str, port: int) -> Iterator[list[Any]]:
    """Probes through the gateway, one after the other, as long as the context is open; gives their frames."""
    frames: list[Any] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            frames.append(netcat.probe(host, port, count=20))

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield frames
    finally:
        stop.set()
        thread.join()
