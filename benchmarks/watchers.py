"""The API server with 1,000 objects and 50 watchers: how soon a write reaches them all, how many requests it answers, its memory.

Three ways to watch: whole objects, as informers do; the same under a label selector; and Tables, as `kubectl get -w` does.
Requests are counted by the server's own processor time, so that neither the client nor a busy machine is measured.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
from bar import Result, api_server, cluster, tls
from watching import Watchers, read_at_once, watching

from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.network import API_PORT, load_subnet

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACES = 50
OF_EACH_KIND = 10  # in each namespace: 1,000 objects in all
WATCHERS = 50
WRITES = 60
STORM = 5000
REQUESTS = 500
RUNS = 5
JSON = "application/json"
# As kubectl sends it.
TABLE = ",".join([*(f"{JSON};as=Table;v={version};g=meta.k8s.io" for version in ("v1", "v1beta1")), JSON])
CONFIG_MAPS = ("/api/v1", "configmaps")
VIRTUAL_SERVICES = ("/apis/networking.istio.io/v1", "virtualservices")
WAYS = {
    "50 informers of ConfigMaps": (CONFIG_MAPS, "", JSON),
    "50 watchers of VirtualServices by label": (VIRTUAL_SERVICES, "app in (echo, shop)", JSON),
    "50 `kubectl get -w` of VirtualServices": (VIRTUAL_SERVICES, "", TABLE),
}


def measure() -> list[Result]:
    results = []
    with cluster():
        home = Home.from_environment()
        server = api_server(home)
        with _memory_sampled(server) as megabytes, _Api(home) as api:
            _create_objects(api)
            for way, (kind, selector, accept) in WAYS.items():
                with _watching(home, api, kind, selector, accept) as watchers:
                    results += _reach(api, server, watchers, kind, way)
            with _watching(home, api, CONFIG_MAPS, "", JSON) as watchers:
                results += _requests(api, server)
                watchers.wait(_write_often(api, CONFIG_MAPS))
            peak_of_writes = max(megabytes)
            megabytes.clear()
            # As after a restart: all list, and all watch from the beginning.
            read_at_once(home, "/".join(CONFIG_MAPS), JSON, WATCHERS)
            with watching(home, "/".join(CONFIG_MAPS) + "?watch=true", JSON, WATCHERS) as watchers:
                watchers.wait(_write(api, CONFIG_MAPS, 0))
                time.sleep(1)  # so that the last samples are of a server at rest
        results += [
            Result("API server meanwhile and through 5,000 writes, peak PSS", [peak_of_writes], "MB", 150),
            Result("API server while 50 informers start at once, peak PSS", [max(megabytes)], "MB", 150),
            Result("API server after that, PSS", megabytes[-3:], "MB", 150),
        ]
    return results


class _Api:
    """One connection that is kept, and the token."""

    def __init__(self, home: Home) -> None:
        self._connection = HTTPSConnection(load_subnet(home).api_server, API_PORT, context=tls(home), timeout=30)
        self._token = home.token.read_text(encoding="utf-8").strip()

    def __enter__(self) -> _Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: Any = None, accept: str = JSON) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else JSON
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = self._connection.getresponse()
        text = response.read()
        assert response.status < 300, text
        return json.loads(text)


def _path(kind: tuple[str, str], namespace: int, name: int | None = None) -> str:
    base, plural = kind
    return f"{base}/namespaces/bench-{namespace}/{plural}" + ("" if name is None else f"/echo-{name}")


def _create_objects(api: _Api) -> None:
    for namespace in range(NAMESPACES):
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": f"bench-{namespace}"}})
        for number in range(OF_EACH_KIND):
            metadata = {"name": f"echo-{number}", "labels": {"app": "echo", "version": f"v{number}"}}
            data = {f"file-{part}.yaml": "level: info\nupstream: tcp-echo\n" * 15 for part in range(3)}
            api.request("POST", _path(CONFIG_MAPS, namespace), {"metadata": metadata, "data": data})
            api.request("POST", _path(VIRTUAL_SERVICES, namespace), _virtual_service(metadata))


def _virtual_service(metadata: dict[str, Any]) -> dict[str, Any]:
    """The task's own, with as many matches as there are ports in a busy gateway."""
    destinations = [
        {"destination": {"host": "tcp-echo", "port": {"number": 9000}, "subset": subset}, "weight": weight}
        for subset, weight in (("v1", 80), ("v2", 20))
    ]
    tcp = [{"match": [{"port": 31400 + port}], "route": destinations} for port in range(4)]
    spec = {"hosts": ["*"], "gateways": ["tcp-echo-gateway"], "tcp": tcp}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}


@contextlib.contextmanager
def _watching(home: Home, api: _Api, kind: tuple[str, str], selector: str, accept: str) -> Iterator[Watchers]:
    path = "/".join(kind)
    version = api.request("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
    query = f"?watch=true&resourceVersion={version}&labelSelector={quote(selector)}"
    with watching(home, path + query, accept, WATCHERS) as watchers:
        yield watchers


def _write(api: _Api, kind: tuple[str, str], number: int) -> int:
    """Change one object; gives the version of the change."""
    path = _path(kind, number % NAMESPACES, number // NAMESPACES % OF_EACH_KIND)
    # A write that changes nothing would be no event.
    body = {"metadata": {"annotations": {"example.com/written-at": str(time.time_ns())}}}
    return int(api.request("PATCH", path, body)["metadata"]["resourceVersion"])


def _reach(api: _Api, server: psutil.Process, watchers: Watchers, kind: tuple[str, str], way: str) -> list[Result]:
    """From before the write until the last watcher has the event, the write itself included."""
    milliseconds, client_milliseconds = [], []
    busy_before = watchers.wait(_write(api, kind, 0)).busiest_seconds
    server_before = _processor_seconds(server)
    for number in range(1, WRITES + 1):
        started = time.perf_counter()
        arrival = watchers.wait(_write(api, kind, number))
        milliseconds.append((arrival.at - started) * 1e3)
        client_milliseconds.append((arrival.busiest_seconds - busy_before) * 1e3)
        busy_before = arrival.busiest_seconds
    server_milliseconds = (_processor_seconds(server) - server_before) / WRITES * 1e3
    return [
        Result(f"a write to the last of {way}", milliseconds, "ms", 100),
        Result("  processor time of the API server for it", [server_milliseconds], "ms", float("inf")),
        Result("  of the busiest of the measuring clients", client_milliseconds, "ms", float("inf")),
    ]


def _requests(api: _Api, server: psutil.Process) -> list[Result]:
    """Requests by second of the server's processor time, over one TLS connection that is kept."""
    asked = {
        "`kubectl get configmaps` (10 of them, as Table)": (_path(CONFIG_MAPS, 1), TABLE),
        "`kubectl get virtualservices` (10 of them, as Table)": (_path(VIRTUAL_SERVICES, 1), TABLE),
        "`kubectl get configmap NAME` (as Table)": (_path(CONFIG_MAPS, 1, 1), TABLE),
        "`kubectl get virtualservice NAME -o json`": (_path(VIRTUAL_SERVICES, 1, 1), JSON),
    }
    results = []
    for what, (path, accept) in asked.items():
        rates = []
        for _ in range(RUNS):
            before = _processor_seconds(server)
            for _ in range(REQUESTS):
                api.request("GET", path, accept=accept)
            rates.append(REQUESTS / (_processor_seconds(server) - before))
        results.append(Result(f"{what}, by processor second", rates, "1/s", 200, at_least=True))
    return results


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _write_often(api: _Api, kind: tuple[str, str]) -> int:
    """5,000 writes, one after the other; gives the version of the last."""
    version = 0
    for number in range(STORM):
        version = _write(api, kind, number)
    return version


@contextlib.contextmanager
def _memory_sampled(process: psutil.Process) -> Iterator[list[float]]:
    """The process's PSS in MB, ten times a second as long as the context is open."""
    samples: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(0.1):
            samples.append(process.memory_full_info().pss / 1e6)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
