"""One suite, two servers: each test runs against the sandbox's API server or against a real kube-apiserver.

`pytest tests/conformance` starts an API server process of its own; `--server peer --peer-kubeconfig FILE` asks a real one.
See README.md beside this file.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_START = (
    "import asyncio; from tcpshift_helpers.sandbox.home import Home; from tcpshift_helpers.sandbox.apiserver import server; "
    "asyncio.run(server.run(Home.from_environment()))"
)
_START_SECONDS = 30.0
MERGE = "application/merge-patch+json"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which server to ask."""
    parser.addoption("--server", choices=["sandbox", "peer"], default="sandbox", help="which API server to test")
    parser.addoption("--peer-kubeconfig", help="kubeconfig of a real kube-apiserver, for --server peer")


@dataclass(frozen=True)
class Answer:
    """A response: status code, headers, and the body as JSON if it is JSON."""

    code: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str, str]:
        """Code, reason and message of a Status."""
        return self.code, self.body.get("reason", ""), self.body["message"]

    @property
    def warnings(self) -> list[str]:
        return self.headers.get_all("Warning") or []


@dataclass
class Api:
    """A plain HTTP client with one connection; it knows nothing of Kubernetes but its paths."""

    kubeconfig: Path
    is_peer: bool
    host: str
    tls: ssl.SSLContext
    headers: dict[str, str]
    _connection: http.client.HTTPSConnection | None = field(default=None)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        *,
        accept: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self.host, context=self.tls, timeout=30)
        sent = {"Accept": accept, **(self.headers if headers is None else headers)}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = content_type
        try:
            self._connection.request(method, path, data, sent)
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def get(self, path: str, accept: str = "application/json") -> Answer:
        return self.request("GET", path, accept=accept)

    def post(self, path: str, body: object, content_type: str = "application/json") -> Answer:
        return self.request("POST", path, body, content_type)

    def put(self, path: str, body: object) -> Answer:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: object, content_type: str = MERGE) -> Answer:
        return self.request("PATCH", path, body, content_type)

    def delete(self, path: str, body: object = None) -> Answer:
        return self.request("DELETE", path, body)

    def watch(self, path: str, **parameters: object) -> list[dict[str, Any]]:
        """All events of a watch that ends by itself (`timeoutSeconds`)."""
        query = "&".join(
            f"{name}={value}" for name, value in {"watch": "true", "timeoutSeconds": 1, **parameters}.items()
        )
        answer = self.get(f"{path}{'&' if '?' in path else '?'}{query}")
        assert answer.code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


def _api(kubeconfig: Path, *, is_peer: bool) -> Api:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context()
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    else:
        data = cluster.get("certificate-authority-data")
        text = base64.b64decode(data) if data else Path(cluster["certificate-authority"]).read_bytes()
        tls.load_verify_locations(cadata=text.decode())
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return Api(kubeconfig, is_peer, cluster["server"].removeprefix("https://"), tls, headers)


@pytest.fixture(scope="session")
def home_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """State directory of the sandbox under test."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest, home_directory: Path) -> Iterator[Path]:
    """A kubeconfig of the server under test."""
    if request.config.getoption("--server", default="sandbox") == "peer":
        named = request.config.getoption("--peer-kubeconfig")
        if not named:
            pytest.fail("--server peer needs --peer-kubeconfig")
        yield Path(named)
        return
    environment = {**os.environ, "TCPSHIFT_HOME": str(home_directory)}
    log = (home_directory / "test.log").open("wb")
    process = subprocess.Popen([sys.executable, "-c", _START], env=environment, stdout=log, stderr=log)
    try:
        _wait_until_ready(home_directory / "kubeconfig", process, home_directory / "test.log")
        yield home_directory / "kubeconfig"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(10)
        log.close()
    assert code == 0, (home_directory / "test.log").read_text()


def _wait_until_ready(kubeconfig: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        if kubeconfig.exists():
            client = _api(kubeconfig, is_peer=False)
            try:
                if client.get("/readyz").code == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                client.close()
        time.sleep(0.02)
    pytest.fail("the API server did not become ready: " + log.read_text())


@pytest.fixture
def api(request: pytest.FixtureRequest, kubeconfig: Path) -> Iterator[Api]:
    """A client of the server under test."""
    client = _api(kubeconfig, is_peer=request.config.getoption("--server", default="sandbox") == "peer")
    yield client
    client.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of the test's own; it goes when the test ends (there is no namespace controller here)."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    assert api.post("/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
    yield name
    for path in ("api/v1", "apis/apps/v1", "apis/networking.istio.io/v1"):
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
