"""`kill -9` in the middle of writing: what was acknowledged is there afterwards."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..server_process import ServerProcess

WRITES = 200
WRITERS = 4
KILL_AFTER = 90
PATH = "/api/v1/namespaces/default/configmaps"


class Server(ServerProcess):
    """An API server process over one state directory, and requests to it."""

    def connect(self) -> http.client.HTTPSConnection:
        prefix = json.loads((self.home / "network.json").read_text())["prefix"]
        tls = ssl.create_default_context(cafile=self.home / "pki" / "ca.crt")
        return http.client.HTTPSConnection(f"{prefix}.1", 6443, context=tls, timeout=10)

    def request(self, method: str, path: str, body: object = None, connection=None):
        token = (self.home / "pki" / "token").read_text().strip()
        own = connection or self.connect()
        try:
            own.request(method, path, json.dumps(body) if body else None, {"Authorization": f"Bearer {token}"})
            response = own.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith("{") else text
        finally:
            if connection is None:
                own.close()


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path) as made:
        yield made


def write_until_it_breaks(server: Server, first: int, acknowledged: dict[str, dict], reached: threading.Event) -> None:
    """Create every WRITERS-th object; note what was acknowledged."""
    connection = server.connect()
    try:
        for number in range(first, WRITES, WRITERS):
            body = {"metadata": {"name": f"w{number}"}, "data": {"number": str(number), "filler": "x" * 2000}}
            code, obj = server.request("POST", PATH, body, connection)
            assert code == 201, obj
            acknowledged[obj["metadata"]["name"]] = obj
            if len(acknowledged) >= KILL_AFTER:
                reached.set()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def test_acknowledged_writes_survive(server):
    acknowledged: dict[str, dict] = {}
    reached = threading.Event()
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write_until_it_breaks, server, n, acknowledged, reached) for n in range(WRITERS)]
        assert reached.wait(30)
        server.kill()
        for writer in writers:
            writer.result(30)
    assert KILL_AFTER <= len(acknowledged) < WRITES, "the kill has to come in the middle"

    server.start()
    _, listed = server.request("GET", PATH)
    present = {item["metadata"]["name"]: item for item in listed["items"]}
    for name, obj in acknowledged.items():
        stored = {**present[name], "kind": obj["kind"], "apiVersion": obj["apiVersion"]}
        assert stored == obj
    newest = max(int(obj["metadata"]["resourceVersion"]) for obj in acknowledged.values())
    _, after = server.request("POST", PATH, {"metadata": {"name": "after"}})
    assert int(after["metadata"]["resourceVersion"]) > newest


def test_watch_goes_on_after_a_restart(server):
    _, before = server.request("POST", PATH, {"metadata": {"name": "before"}})
    server.request("POST", PATH, {"metadata": {"name": "a"}})
    server.kill()
    server.start()
    server.request("POST", PATH, {"metadata": {"name": "b"}})
    version = before["metadata"]["resourceVersion"]
    connection = server.connect()
    token = (server.home / "pki" / "token").read_text().strip()
    query = f"{PATH}?watch=true&timeoutSeconds=1&resourceVersion={version}"
    connection.request("GET", query, headers={"Authorization": f"Bearer {token}"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    events = [json.loads(line) for line in lines]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]


def test_second_server_on_the_same_state_refuses(server):
    """It could not listen anyway; it must not touch the database either."""
    environment = {**os.environ, "TCPSHIFT_HOME": str(server.home)}
    code = (
        "from tcpshift_helpers.sandbox.apiserver.store import Store; import pathlib, sys; "
        f"Store(pathlib.Path({str(server.home / 'state.db')!r}), wait_seconds=0.2)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0
    assert "database is locked" in done.stderr
    assert server.request("GET", "/readyz")[0] == 200
