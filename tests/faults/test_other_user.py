"""Another user of the same computer: can neither read the sandbox's state nor drive it, whatever umask it was started under.

The other user is `nobody`, in a process of its own; only root can become that. The state directory is where others may pass, unlike
pytest's own directories, so that its own mode is what keeps them out. The sandbox has an Envoy of each kind: gateways of both APIs,
sidecars and the service proxy.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tcpshift_helpers import connect, course, kubectl
from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.mesh.istiod import READY_PORT
from tcpshift_helpers.sandbox.network import API_PORT, ENVOY_STATUS_PORT, GATEWAY_PORT, KUBELET_PORT, load_subnet
from tcpshift_helpers.sandbox.serviceproxy.configuration import HEALTH_PORT

from ..remains import processes_of, what_is_left

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.sandbox

_NOBODYS_GROUP = 65534  # named nogroup or nobody
_UP_UNDER_UMASK_0 = """
import os, sys
os.umask(0)
os.execv(sys.executable, [sys.executable, "-m", "tcpshift_helpers.cli", "up"])
"""

# What the other user tries: one JSON object of what each attempt gave.
_ATTEMPTS = """
import json, os, pathlib, socket, ssl, sys, urllib.error, urllib.request

root, urls, sockets = sys.argv[1], *map(json.loads, sys.argv[2:])
tls = ssl._create_unverified_context()
given = {}

def attempt(name, act):
    try:
        given[name] = str(act())
    except urllib.error.HTTPError as error:
        given[name] = error.code
    except PermissionError:
        given[name] = "refused"

attempt("parent", lambda: len(os.listdir(os.path.dirname(root))))
attempt("list", lambda: os.listdir(root))
attempt("write", lambda: pathlib.Path(root, "x").write_text("x"))
for path in ("kubeconfig", "pki/token", "pki/ca.key", "state.db", "logs/apiserver.log", "supervisor.json"):
    attempt(path, lambda: pathlib.Path(root, path).read_bytes())
for url in urls:
    attempt(url, lambda: urllib.request.urlopen(url, context=tls, timeout=20).read())
for path in sockets:
    attempt(path, lambda: (os.chdir(os.path.dirname(path)), socket.socket(socket.AF_UNIX).connect("admin.sock")))
lines = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
given["command lines"] = b"\\n".join(lines).decode(errors="replace")
print(json.dumps(given))
"""


# What is asked of whatever listens: the administration of Envoy, of istiod and of a kubelet, an API server's beginnings, readiness.
_READS = """
    / /stats /stats/prometheus /config_dump /clusters /server_info /debug/syncz /debug/adsz /pods /configz /metrics /api /version
    /healthz /readyz /ready /healthz/ready
"""
_WRITES = "/logging /healthcheck/fail /drain_listeners /debug/force_disconnect /quitquitquit"
# As the other user, the first status that each request gets at each address, by both schemes; none where HTTP is not spoken.
_REQUESTS = """
import http.client, json, ssl, sys
from concurrent.futures import ThreadPoolExecutor

addresses, requests = map(json.loads, sys.argv[1:])
tls = ssl._create_unverified_context()

def answers(address):
    host, port = address
    found = {}
    for connect in (http.client.HTTPConnection, lambda *a, **k: http.client.HTTPSConnection(*a, context=tls, **k)):
        for method, path in requests:
            connection = connect(host, port, timeout=20)
            try:
                connection.request(method, path)
                found.setdefault(f"{method} {path}", connection.getresponse().status)
            except (OSError, http.client.HTTPException):
                break
            finally:
                connection.close()
    return found

with ThreadPoolExecutor(16) as pool:
    print(json.dumps(list(pool.map(answers, addresses))))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A sandbox that runs, started under umask 0, in a directory whose path is longer than a socket's address can be."""
    with tempfile.TemporaryDirectory(prefix="tcpshift-shared-") as shared:
        Path(shared).chmod(0o755)
        home = Home(Path(shared) / ("home-" * 40))
        environment = {**os.environ, "TCPSHIFT_HOME": str(home.root)}
        try:
            subprocess.run(
                [sys.executable, "-c", _UP_UNDER_UMASK_0], env=environment, check=True, capture_output=True, timeout=120
            )
            cluster = connect(kubeconfig=home.kubeconfig)
            course.begin(cluster, "02")
            kubectl.apply(cluster, "gateway-api/tcp-echo-all-v1.yaml")
            kubectl.wait(cluster, "gtw/tcp-echo-gateway", wait_for="condition=programmed")
            yield home
        finally:
            supervisor.stop(home)
        assert what_is_left(home) == []


def test_only_the_owner_can_read(home: Home) -> None:
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    for path in (home.kubeconfig, *home.pki.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_nothing_listens_beyond_loopback(home: Home) -> None:
    listening = [c for c in connections_of(home, "inet") if c.status == psutil.CONN_LISTEN]
    assert {API_PORT, KUBELET_PORT, GATEWAY_PORT} <= {c.laddr.port for c in listening}, "all parts are looked at"
    assert {c.laddr.ip for c in listening if not c.laddr.ip.startswith("127.")} == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_neither_read_nor_drive_it(home: Home) -> None:
    address = load_subnet(home).api_server
    api, kubelet = f"https://{address}:{API_PORT}", f"https://{address}:{KUBELET_PORT}"
    pods = f"{api}/api/v1/namespaces/istio-system/pods"
    urls = [pods, f"{pods}?watch=true", f"{pods}/x/log", f"{kubelet}/containerLogs/istio-system/x/c", f"{kubelet}/pods"]
    sockets = [str(path) for path in admin_sockets(home)]
    given = as_nobody(_ATTEMPTS, str(home.root), json.dumps(urls), json.dumps(sockets))
    assert given.pop("parent") == "1", "others get as far as the directory itself"
    lines = given.pop("command lines")
    assert str(home.root) in lines or "tcpshift" in lines, "others see the processes"
    for secret in (home.token.read_text(), (home.pki / "admin.key").read_text().splitlines()[1]):
        assert secret not in lines
    assert {name: what for name, what in given.items() if what not in ("refused", 401)} == {}
    assert len(given) == 8 + len(urls) + len(sockets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_whatever_listens_tells_another_user_no_more_than_health_and_version(home: Home) -> None:
    addresses = sorted((c.laddr.ip, c.laddr.port) for c in connections_of(home) if c.status == psutil.CONN_LISTEN)
    requests = [*(("GET", path) for path in _READS.split()), *(("POST", path) for path in _WRITES.split())]
    answers = as_nobody(_REQUESTS, json.dumps(addresses), json.dumps(requests))
    told = {what for found in answers for what, status in found.items() if status not in (401, 404)}
    assert told == {"GET /version", "GET /healthz", "GET /readyz", "GET /ready", "GET /healthz/ready"}
    asked = {port for _, port in addresses}
    assert asked > {API_PORT, KUBELET_PORT, GATEWAY_PORT, ENVOY_STATUS_PORT, READY_PORT, HEALTH_PORT}, "all parts are"


def test_every_envoy_is_administered_through_a_socket_of_the_owner_s(home: Home) -> None:
    envoys = [process for process in processes_of(home) if "envoy" in process.name()]
    sockets = admin_sockets(home)
    assert len(sockets) == len(envoys) >= 5, "two gateways, two sidecars, the service proxy"
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}
    others = {c.laddr for c in connections_of(home, "unix")} - {""}
    assert {Path(name).name for name in others} == {"admin.sock"}, (
        "nor is there a socket without a file, which has no mode"
    )


def admin_sockets(home: Home) -> list[Path]:
    return sorted(home.pods.glob("*/admin.sock"))


def connections_of(home: Home, kind: str = "tcp") -> list[Any]:
    ours = {process.pid for process in processes_of(home)}
    return [connection for connection in psutil.net_connections(kind) if connection.pid in ours]


def as_nobody(code: str, *arguments: str) -> Any:
    """What a program of the other user prints as JSON."""
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-c", code, *arguments],
        user="nobody",
        group=_NOBODYS_GROUP,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
