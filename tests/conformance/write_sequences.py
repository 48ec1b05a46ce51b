"""Sequences of writes as `writes.yaml` has them: asked of a server, and answered so that two servers' answers can be compared.

What differs from run to run (uid, times, versions, the namespace's name) is left out or replaced; the order of `managedFields`, which goes
by time, is made the managers' own.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from ..conftest import Api

ANSWERS = Path(__file__).with_name("writes.json")
SEQUENCES: dict[str, list[tuple[Any, ...]]] = yaml.safe_load(Path(__file__).with_name("writes.yaml").read_bytes())

_PATCHES = {
    "APPLY": "application/apply-patch+yaml",
    "JSON": "application/json-patch+json",
    "MERGE": "application/merge-patch+json",
    "STRATEGIC": "application/strategic-merge-patch+json",
}
_VERSION_IN_WORDS = re.compile(r"(?<=in record \()\d+")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_KINDS = {
    "configmaps": "ConfigMap",
    "services": "Service",
    "deployments": "Deployment",
    "pods": "Pod",
    "virtualservices": "VirtualService",
    "destinationrules": "DestinationRule",
    "gateways": "Gateway",
    "replicasets": "ReplicaSet",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "endpoints": "Endpoints",
    "endpointslices": "EndpointSlice",
    "leases": "Lease",
    "jobs": "Job",
    "events": "Event",
}
_CHANGING = {"resourceVersion", "clusterIP", "clusterIPs", "nodePort"}
_IDENTITY = ("manager", "subresource", "apiVersion", "operation")


def ask(api: Api, name: str) -> list[dict[str, Any]]:
    """Do a sequence of writes in a namespace of its own.

    Args:
        api: the server.
        name: of the sequence.

    Returns:
        Code and comparable body of each answer.
    """
    namespace = f"writes-{uuid.uuid4().hex[:10]}"
    assert api.post("/api/v1/namespaces", {"metadata": {"name": namespace}}).code == 201
    answers = []
    last: Any = None
    for verb, where, *rest in SEQUENCES[name]:
        method, path, body = _request(verb, where, rest[0] if rest else None, namespace, last)
        answer = api.request(method, path, body, _PATCHES.get(verb, "application/json"))
        last = answer.body
        body = _comparable(json.loads(_comparable_text(answer.text, namespace)))
        answers.append({"code": answer.code, "body": body, "warnings": answer.warnings})
    return answers


def _request(verb: str, where: str, body: Any, namespace: str, last: Any) -> tuple[str, str, Any]:
    version, _, rest = where.partition(" ")
    base = f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{namespace}/"
    plural, name, *_ = [*rest.partition("?")[0].split("/"), ""]
    if verb == "onto":
        body = _onto(last, body)
    elif verb == "APPLY":
        body = {"apiVersion": version, "kind": _KINDS[plural], **body}
        body["metadata"] = {"name": name, **(body.get("metadata") or {})}
    elif verb == "POST":
        body = {"apiVersion": version, "kind": _KINDS[plural], **body}
    if body is not None:
        body = json.dumps(body).replace("{namespace}", namespace).encode()
    return "PUT" if verb == "onto" else "PATCH" if verb in _PATCHES else verb, base + rest, body


def _onto(last: Any, change: Any) -> Any:
    if isinstance(last, dict) and isinstance(change, dict):
        return {**last, **{name: _onto(last.get(name), part) for name, part in change.items()}}
    return change


def _comparable_text(text: str, namespace: str) -> str:
    text = text.replace(namespace, "{namespace}")
    return _VERSION_IN_WORDS.sub("{version}", _UID.sub("{uid}", _TIME.sub("{time}", text)))


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _comparable(item) for name, item in value.items() if name not in _CHANGING}
    if "managedFields" in found:
        found["managedFields"].sort(key=lambda entry: [entry.get(name, "") for name in _IDENTITY])
    if found.get("reason") == "Conflict":  # managers are a map to the real server, and come in no order
        found["details"].get("causes", []).sort(key=lambda cause: cause["message"])
    return found
