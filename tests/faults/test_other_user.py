"""Another user of the same computer: can neither read the sandbox's state nor drive it, whatever umask it was started under.

The other user is `nobody`, in a process of its own; only root can become that. The state directory is where others may pass, unlike
pytest's own directories, so that its own mode is what keeps them out.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.network import API_PORT, GATEWAY_PORT, KUBELET_PORT, load_subnet

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
import json, os, pathlib, ssl, sys, urllib.error, urllib.request

root, *urls = sys.argv[1:]
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
lines = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
given["command lines"] = b"\\n".join(lines).decode(errors="replace")
print(json.dumps(given))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A sandbox that runs, started under umask 0."""
    with tempfile.TemporaryDirectory(prefix="tcpshift-shared-") as shared:
        Path(shared).chmod(0o755)
        home = Home(Path(shared) / "home")
        environment = {**os.environ, "TCPSHIFT_HOME": str(home.root)}
        try:
            subprocess.run(
                [sys.executable, "-c", _UP_UNDER_UMASK_0], env=environment, check=True, capture_output=True, timeout=120
            )
            yield home
        finally:
            supervisor.stop(home)
        assert what_is_left(home) == []


def test_only_the_owner_can_read(home: Home) -> None:
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    for path in (home.kubeconfig, *home.pki.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_nothing_listens_beyond_loopback(home: Home) -> None:
    ours = {process.pid for process in processes_of(home)}
    listening = [c for c in psutil.net_connections("inet") if c.status == psutil.CONN_LISTEN and c.pid in ours]
    assert {API_PORT, KUBELET_PORT, GATEWAY_PORT} <= {c.laddr.port for c in listening}, "all parts are looked at"
    assert {c.laddr.ip for c in listening if not c.laddr.ip.startswith("127.")} == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_neither_read_nor_drive_it(home: Home) -> None:
    address = load_subnet(home).api_server
    api, kubelet = f"https://{address}:{API_PORT}", f"https://{address}:{KUBELET_PORT}"
    pods = f"{api}/api/v1/namespaces/istio-system/pods"
    urls = [pods, f"{pods}?watch=true", f"{pods}/x/log", f"{kubelet}/containerLogs/istio-system/x/c", f"{kubelet}/pods"]
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-c", _ATTEMPTS, str(home.root), *urls],
        user="nobody",
        group=_NOBODYS_GROUP,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    given = json.loads(done.stdout)
    assert given.pop("parent") == "1", "others get as far as the directory itself"
    lines = given.pop("command lines")
    assert str(home.root) in lines or "tcpshift" in lines, "others see the processes"
    for secret in (home.token.read_text(), (home.pki / "admin.key").read_text().splitlines()[1]):
        assert secret not in lines
    assert {name: what for name, what in given.items() if what not in ("refused", 401)} == {}
    assert len(given) == 8 + len(urls)
