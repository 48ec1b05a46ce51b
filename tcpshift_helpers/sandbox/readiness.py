"""Is the sandbox ready? Asked of the API server, from outside, with the standard library alone.

Why not the `kubernetes` client: importing it takes longer than the whole start may take.
Objects outlive the processes behind them (they are in a database), so right after a start the API still tells of the
pods of last time: a pod counts only if the node has written down a start of its containers after this supervisor's,
and the API tells of that very start. It does not talk to Envoy or istiod themselves.
"""

from __future__ import annotations

import json
import ssl
import time
from http.client import HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox import record
from tcpshift_helpers.sandbox.network import API_PORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

# What answers on the addresses of Services is among them: whoever is told that all is ready may use those at once.
DEPLOYMENTS = {"istiod": "istio-system", "istio-ingressgateway": "istio-system", "kube-proxy": "kube-system"}

_POLL_SECONDS = 0.02
_TICK_SECONDS = 0.02
_REQUEST_SECONDS = 5.0
_PODS = "/api/v1/pods"


def missing(home: Home) -> list[str]:
    """What is not ready now, such as `["API server"]` or `["istio-ingressgateway"]`; empty means ready."""
    state = record.read(home)
    try:
        with _Api(home) as api:
            return api.missing(state.started_at if state else 0.0)
    except (OSError, HTTPException, ValueError):
        return ["API server", *DEPLOYMENTS]


def wait(
    home: Home, check_supervisor: Callable[[], None], timeout_seconds: float, progress: Callable[[str], None]
) -> None:
    """Wait until nothing is missing.

    Args:
        home: the state directory of a supervisor that is starting.
        check_supervisor: called often; raises if the supervisor has ended.
        timeout_seconds: how long to wait.
        progress: called with one line for each thing that became ready.

    Raises:
        SandboxError: the time is over; the message says what is missing.
    """
    deadline = time.monotonic() + timeout_seconds
    lacking = ["API server", *DEPLOYMENTS]
    while lacking:
        check_supervisor()
        if time.monotonic() > deadline:
            raise SandboxError(
                f"The sandbox was not ready after {timeout_seconds:.0f} s; still missing: {', '.join(lacking)}. "
                f"The logs in {home.logs} say more; `tcpshift doctor` looks for causes."
            )
        state = record.read(home)
        still_lacking = lacking
        if state and state.state == record.RUNNING:
            still_lacking = _wait_for_news(home, state.started_at, lacking)
        if still_lacking == lacking:
            time.sleep(_POLL_SECONDS)
        for name in lacking:
            if name not in still_lacking:
                progress(f"{name} is ready")
        lacking = still_lacking


def _wait_for_news(home: Home, started_at: float, lacking: list[str]) -> list[str]:
    """What is missing, as soon as it differs from `lacking`, or after a second at the latest."""
    try:
        with _Api(home) as api:
            now_lacking = api.missing(started_at)
            if now_lacking == lacking:
                api.wait_for_pod_event()
                now_lacking = api.missing(started_at)
    except (OSError, HTTPException, ValueError):
        return lacking
    return now_lacking


class _Api:
    """One connection to the API server with the credentials of the state directory."""

    def __init__(self, home: Home) -> None:
        state = record.read(home)
        if state is None or not state.api_server:
            raise ConnectionRefusedError("the address is not chosen yet")
        self._home = home
        self._token = home.token.read_text(encoding="utf-8")
        context = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
        self._connection = HTTPSConnection(state.api_server, API_PORT, context=context, timeout=_REQUEST_SECONDS)

    def __enter__(self) -> _Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def missing(self, started_at: float) -> list[str]:
        status, _ = self._get("/readyz")
        if status != 200:
            return ["API server", *DEPLOYMENTS]
        _, pods = self._get(_PODS)
        _, deployments = self._get("/apis/apps/v1/deployments")
        available = {_key_of(item) for item in _items(deployments) if _has_condition(item, "Available")}
        fresh = [_key_of(item) for item in _items(pods) if _is_fresh(self._home, item, started_at)]
        return [
            name
            for name, namespace in DEPLOYMENTS.items()
            if (namespace, name) not in available
            or not any(place == namespace and pod.startswith(f"{name}-") for place, pod in fresh)
        ]

    def wait_for_pod_event(self) -> None:
        """Return after the next change of a pod, or after a second."""
        _, pods = self._get(_PODS)
        version = json.loads(pods).get("metadata", {}).get("resourceVersion", "")
        self._request(f"{_PODS}?watch=true&timeoutSeconds=1&resourceVersion={version}")
        self._connection.getresponse().readline()

    def _get(self, path: str) -> tuple[int, bytes]:
        self._request(path)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _request(self, path: str) -> None:
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})


def _items(body: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(body).get("items") or []
    return items


def _key_of(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _has_condition(item: dict[str, Any], condition_type: str) -> bool:
    conditions = item.get("status", {}).get("conditions") or []
    return any(condition["type"] == condition_type and condition["status"] == "True" for condition in conditions)


def _is_fresh(home: Home, pod: dict[str, Any], started_at: float) -> bool:
    """Ready, and run by processes that were started after `started_at`."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    folder = home.pod(pod["metadata"]["uid"]) / "processes"
    return (
        _has_condition(pod, "Ready")
        and bool(statuses)
        and all(
            _is_start_of(folder / f"{status['name']}.json", status.get("restartCount", 0), started_at)
            for status in statuses
        )
    )


def _is_start_of(note: Path, restart_count: int, started_at: float) -> bool:
    """Whether the node's note of a process is newer than `started_at` and counts as many restarts as the API tells."""
    try:
        # The kernel's clock for files runs up to a tick behind.
        is_new = note.stat().st_mtime >= started_at - _TICK_SECONDS
        return is_new and bool(json.loads(note.read_bytes())["restart_count"] == restart_count)
    except (OSError, ValueError, KeyError):
        return False
