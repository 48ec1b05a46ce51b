"""What the suites share: which server is asked, a plain HTTP client, and one real sandbox, started by the first test that needs it.

`--server sandbox` (the default) asks the sandbox; `--server peer --peer-kubeconfig FILE` asks a real cluster, to learn that a
test tells the truth. When a test that stands for a row of PARITY.md passes there, that is written down: see `parity.py`.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .parity import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

MERGE = "application/merge-patch+json"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which server to ask, and what."""
    parser.addoption("--server", choices=["sandbox", "peer"], default="sandbox", help="which API server to test")
    parser.addoption("--peer-kubeconfig", help="kubeconfig of a real kube-apiserver, for --server peer")
    parser.addoption("--requests", type=int, default=1_500, help="how many requests tests/fuzz sends")
    parser.addoption("--steps", type=int, default=600, help="how many steps tests/fuzz makes against its model")
    parser.addoption("--seed", type=int, help="which requests tests/fuzz sends; as printed by a run that failed")


def pytest_configure(config: pytest.Config) -> None:
    """What passes against a real API server is dated."""
    if config.getoption("--server") == "peer":
        config.pluginmanager.register(Recorder())


@dataclass(frozen=True)
class Answer:
    """A response: status code, headers, and the body as text, and as JSON if it is JSON."""

    code: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

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
            return Answer(response.status, response.headers, response.read())
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


def api_of(kubeconfig: Path, *, is_peer: bool) -> Api:
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
def peer_kubeconfig(request: pytest.FixtureRequest) -> Path | None:
    """The kubeconfig of the peer to ask; None when the sandbox is asked."""
    if request.config.getoption("--server") != "peer":
        return None
    named = request.config.getoption("--peer-kubeconfig")
    if not named:
        pytest.fail("--server peer needs --peer-kubeconfig")
    return Path(named).absolute()


@pytest.fixture(scope="session")
def client_of(peer_kubeconfig: Path | None) -> Callable[[Path], Api]:
    """Makes an HTTP client from a kubeconfig."""
    return lambda kubeconfig: api_of(kubeconfig, is_peer=kubeconfig == peer_kubeconfig)


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """`until(holds, what, seconds=60)` waits until `holds()` is true."""
    return _until


def _until(probe: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `probe` gives something true."""
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, f"still waiting: {what}"
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty state directory. The sandbox that was started there goes down with the test, and leaves nothing."""
    from tcpshift_helpers.sandbox import supervisor
    from tcpshift_helpers.sandbox.home import Home

    from .remains import what_is_left

    home = Home(tmp_path / "home")
    yield home
    if home.root.is_dir():
        supervisor.stop(home)
        assert what_is_left(home) == []


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
