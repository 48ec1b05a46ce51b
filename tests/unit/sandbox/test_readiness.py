"""When the sandbox counts as ready, asked of a small TLS server that answers as the API server would."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox import certificates, readiness, record
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STARTED_AT = 1_777_896_000.7
PODS = ["istiod-1-a", "istio-ingressgateway-2-b", "kube-proxy-3-c"]
DEPLOYMENTS = ["istiod", "istio-ingressgateway", "kube-proxy"]
EVERYTHING = ["API server", *DEPLOYMENTS]


def deployment(name: str, available: str = "True") -> dict[str, Any]:
    conditions = [{"type": "Available", "status": available}]
    return {"metadata": {"name": name, "namespace": namespace_of(name)}, "status": {"conditions": conditions}}


def namespace_of(name: str) -> str:
    return "kube-system" if name.startswith("kube-") else "istio-system"


def pod(name: str, restarts: int = 0, ready: str = "True", namespace: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace or namespace_of(name), "uid": f"uid-{name}"},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "main", "restartCount": restarts}],
        },
    }


def note_start(home: Home, name: str, *, restarts: int = 0, seconds_after: float = 0.1) -> None:
    """Write down the start of a container as the node does."""
    note = home.pod(f"uid-{name}") / "processes" / "main.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"restart_count": restarts}))
    os.utime(note, (STARTED_AT + seconds_after, STARTED_AT + seconds_after))


class Api:
    """What the server answers; `requests` counts the paths asked for."""

    def __init__(self) -> None:
        self.readyz = 200
        self.deployments = [deployment(name) for name in DEPLOYMENTS]
        self.pods = [pod(name) for name in PODS]
        self.tokens: set[str] = set()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path == "/readyz":
            return self.readyz, b"ok"
        items = self.deployments if path.endswith("/deployments") else self.pods
        return 200, json.dumps({"metadata": {"resourceVersion": "7"}, "items": items}).encode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    certificates.ensure(home, ["127.0.0.1"])
    record.Record(record.RUNNING, 1, STARTED_AT, api_server="127.0.0.1").write(home)
    for name in PODS:
        note_start(home, name)
    return home


@pytest.fixture
def api(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.tokens.add(self.headers["Authorization"])
            status, body = api.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        monkeypatch.setattr(readiness, "API_PORT", server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield api
        server.shutdown()
        thread.join()


def test_ready_means_all_deployments_available_and_their_pods_run_since_this_start(home: Home, api: Api) -> None:
    assert readiness.missing(home) == []
    assert api.tokens == {f"Bearer {home.token.read_text()}"}


def test_without_a_server_everything_is_missing(home: Home) -> None:
    assert readiness.missing(home) == EVERYTHING


def test_without_a_start_everything_is_missing(tmp_path: Path) -> None:
    assert readiness.missing(Home(tmp_path)) == EVERYTHING


def test_a_server_that_is_not_ready_is_missing(home: Home, api: Api) -> None:
    api.readyz = 500
    assert readiness.missing(home) == EVERYTHING


@pytest.mark.parametrize("missing", DEPLOYMENTS)
@pytest.mark.parametrize(
    ("deployments", "pods"),
    [
        (lambda name: [deployment(name, "False")], None),
        (lambda _: [], None),
        (None, lambda name: [pod(name, ready="False")]),
        (None, lambda name: [pod(name, namespace="default")]),
        (None, lambda name: [{"metadata": pod(name)["metadata"]}]),
        (None, lambda _: []),
    ],
    ids=["not available", "no deployment", "not ready", "somebody else's", "no status yet", "no pod"],
)
def test_a_deployment_that_is_not_there_yet_is_missing(
    home: Home,
    api: Api,
    missing: str,
    deployments: Callable[[str], list[dict[str, Any]]] | None,
    pods: Callable[[str], list[dict[str, Any]]] | None,
) -> None:
    its_pod = PODS[DEPLOYMENTS.index(missing)]
    if deployments:
        api.deployments = [deployment(name) for name in DEPLOYMENTS if name != missing] + deployments(missing)
    if pods:
        api.pods = [pod(name) for name in PODS if name != its_pod] + pods(its_pod)
    assert readiness.missing(home) == [missing]


def test_a_pod_of_last_time_is_missing_until_its_process_is_started_again(home: Home, api: Api) -> None:
    note_start(home, PODS[1], seconds_after=-0.1)
    assert readiness.missing(home) == ["istio-ingressgateway"]


def test_a_pod_is_missing_as_long_as_the_api_tells_of_its_last_run(home: Home, api: Api) -> None:
    note_start(home, PODS[1], restarts=1)
    assert readiness.missing(home) == ["istio-ingressgateway"]
    api.pods = [pod(PODS[0]), pod(PODS[1], restarts=1), pod(PODS[2])]
    assert readiness.missing(home) == []


def test_wait_tells_what_became_ready_in_that_order(home: Home, api: Api) -> None:
    lines: list[str] = []
    api.readyz = 500

    def let_go(round_number: list[int] = [0]) -> None:  # noqa: B006 (a counter)
        round_number[0] += 1
        api.readyz = 200 if round_number[0] > 2 else 500

    readiness.wait(home, let_go, 20, lines.append)
    assert lines == [f"{name} is ready" for name in EVERYTHING]


def test_wait_says_what_is_missing_when_the_time_is_over(home: Home, api: Api) -> None:
    api.pods = [pod("istiod-1-a")]
    with pytest.raises(SandboxError, match=r"not ready after 0 s; still missing: istio-ingressgateway, kube-proxy\."):
        readiness.wait(home, lambda: None, 0.3, lambda _: None)


def test_wait_ends_when_the_supervisor_does(home: Home) -> None:
    def dead() -> None:
        raise SandboxError("the supervisor is gone")

    before = time.monotonic()
    with pytest.raises(SandboxError, match="the supervisor is gone"):
        readiness.wait(home, dead, 60, lambda _: None)
    assert time.monotonic() - before < 10
