"""Asks a real kube-apiserver every question of these files again, and writes its answers into them.

    python record.py https://127.0.0.1:6443 TOKEN

Nothing is stored there: every write is a dry run, but the objects that patches need (ConfigMap c, Deployment d) are made
first and removed at the end. Istio's custom resource definitions must be installed. The answers in the repository are
those of kube-apiserver 1.34.0. A case with `differs` is one where the sandbox knowingly answers otherwise; it says why. With `anyOrder`, the real server tells its objections in an order that changes from answer to answer.
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
POD_SPEC = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        },
        {"name": "c2", "image": "i"},
    ]
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC},
    },
}


class Server:
    """One real server."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._context = ssl._create_unverified_context()

    def ask(self, method: str, path: str, body: str | None = None, content_type: str = "application/json") -> Any:
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else body.encode(),
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, context=self._context) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that is compared: of errors all but what never differs, of objects nothing."""
    if body.get("kind") != "Status":
        return {"code": 200}
    return {key: body[key] for key in ("code", "reason", "message", "details") if key in body}


def record(server: Server, file: Path) -> None:
    cases = json.loads(file.read_text(encoding="utf-8"))
    for case in cases:
        body = server.ask(case["method"], case["path"], case.get("body"), case.get("contentType", "application/json"))
        case["answer"] = answer(body)
        for part in case.get("keep", []):
            case["answer"][part] = body.get(part)
        for noise in ("managedFields", "uid", "resourceVersion", "creationTimestamp"):
            (case["answer"].get("metadata") or {}).pop(noise, None)
    file.write_text(
        "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n", encoding="utf-8"
    )


def main() -> None:
    server = Server(*sys.argv[1:3])
    config_maps = "/api/v1/namespaces/default/configmaps"
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    server.ask("POST", config_maps, json.dumps(CONFIG_MAP))
    server.ask("POST", deployments, json.dumps(DEPLOYMENT))
    for file in sorted(HERE.glob("*.json")):
        record(server, file)
    server.ask("DELETE", f"{config_maps}/c")
    server.ask("DELETE", f"{deployments}/d")


if __name__ == "__main__":
    main()
