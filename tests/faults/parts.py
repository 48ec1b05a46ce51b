"""An API server and an agent as processes of their own, without a supervisor: for tests that kill one of them."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.network import load_subnet

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home

API_SERVER = (
    "import asyncio; from tcpshift_helpers.sandbox.home import Home; from tcpshift_helpers.sandbox.apiserver import server; "
    "asyncio.run(server.run(Home.from_environment()))"
)
AGENT = (
    "import asyncio; from tcpshift_helpers.sandbox.home import Home; from tcpshift_helpers.sandbox import agent; "
    "asyncio.run(agent.run(Home.from_environment()))"
)
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "echo", "namespace": "default"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "tcp-echo-server", "args": ["9000", "one"]}],
    },
}


class Parts:
    """An API server and an agent, as processes."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.create()
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, code: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TCPSHIFT_HOME": str(self.home.root)}
        with (self.home.logs / "test.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        tls = ssl.create_default_context(cafile=str(self.home.pki / "ca.crt"))
        connection = http.client.HTTPSConnection(load_subnet(self.home).api_server, 6443, context=tls, timeout=10)
        token = self.home.token.read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text.startswith("{") else text

    def is_up(self) -> bool:
        try:
            return self.home.kubeconfig.exists() and self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def pod(self) -> dict[str, Any]:
        return self.request("GET", "/api/v1/namespaces/default/pods/echo")[1]

    def is_running(self, restarts: int = 0) -> bool:
        statuses = self.pod().get("status", {}).get("containerStatuses") or [{}]
        return statuses[0].get("ready") is True and statuses[0]["restartCount"] == restarts
