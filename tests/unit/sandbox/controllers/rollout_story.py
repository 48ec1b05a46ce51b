"""The life of one Deployment, step by step, told by nothing but an API client: what `test_rollout_story` replays.

Each step is one write; after it the controllers bring everything to rest, and the state at rest is what is compared.
Run as a program it tells the same story to a real kube-apiserver with the real kube-controller-manager and prints what that
made of it (needs a state directory whose network, CA and token are that server's):

    python rollout_story.py STATE_DIRECTORY > recorded/rollout_story.json
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    Client,
)
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

NAMESPACE = "story"
_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


class Story:
    """Writes the steps, and reads the state."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._addresses = 0
        self._hashes: dict[str, str] = {}

    async def tell(self) -> AsyncIterator[str]:
        """One step after the other; each is named after it was written."""
        await self._client.create(
            NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        await self._client.create(SERVICES, _service())
        yield "a Service without pods"
        await self._client.create(DEPLOYMENTS, _deployment())
        yield "a Deployment of four"
        async for step in self._ready("first"):
            yield step
        await self._image("i:2")
        yield "another image"
        async for step in self._ready("second"):
            yield step
        await self._image("i:1")
        yield "rolled back"
        await self._patch({"spec": {"replicas": 8}})
        yield "scaled in the middle of it"
        async for step in self._ready("rolled back"):
            yield step
        await self._patch({"spec": {"paused": True}})
        yield "paused"
        await self._image("i:3")
        yield "another image while paused"
        await self._patch({"spec": {"replicas": 3}})
        yield "scaled while paused"
        await self._patch({"spec": {"paused": False}})
        yield "resumed"
        async for step in self._ready("resumed"):
            yield step
        strategy = {"type": "Recreate", "rollingUpdate": None}
        await self._patch({"spec": {"strategy": strategy, "revisionHistoryLimit": 1}})
        yield "strategy Recreate"
        await self._image("i:4")
        yield "another image to recreate"
        async for step in self._ready("recreated"):
            yield step
        await self._patch({"spec": {"replicas": 0}})
        yield "scaled to zero"
        await self._reap()
        yield "all ended"

    async def _ready(self, name: str) -> AsyncIterator[str]:
        """End what terminates, then make one pod ready, newest image first, until all are."""
        for number in range(40):
            await self._reap()
            yield f"{name}: ended {number}"
            pods = [pod for pod in await self._pods() if not _is_ready(pod) and not _is_terminating(pod)]
            if not pods:
                return
            await self._make_ready(max(pods, key=self._of))
            yield f"{name}: ready {number}"
        raise AssertionError("this rollout does not end")

    async def _make_ready(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "target": {"kind": "Node", "name": "n1"},
            }
            await self._client.create(PODS, binding, name=name, subresource="binding")
        self._addresses += 1
        address = f"10.1.0.{self._addresses}"
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [condition]}
        await self._client.merge_patch(PODS, name, NAMESPACE, {"status": status}, "status")

    async def _reap(self) -> None:
        for pod in await self._pods():
            if _is_terminating(pod):
                await self._client.delete(PODS, pod["metadata"]["name"], NAMESPACE, 0)

    async def _pods(self) -> list[dict[str, Any]]:
        return (await self._client.list(PODS, NAMESPACE))[0]

    async def _image(self, image: str) -> None:
        await self._patch({"spec": {"template": {"spec": {"containers": [{**_CONTAINER, "image": image}]}}}})

    async def _patch(self, patch: dict[str, Any]) -> None:
        await self._client.merge_patch(DEPLOYMENTS, "echo", NAMESPACE, patch)

    async def state(self) -> dict[str, Any]:
        """What matters of all objects, without times, names and addresses that differ from run to run."""
        lists = [
            (await self._client.list(resource, NAMESPACE))[0]
            for resource in (DEPLOYMENTS, REPLICA_SETS, PODS, ENDPOINT_SLICES)
        ]
        deployments, replica_sets, pods, slices = lists
        for replica_set in replica_sets:
            image = replica_set["spec"]["template"]["spec"]["containers"][0]["image"]
            self._hashes[replica_set["metadata"]["labels"]["pod-template-hash"]] = image
        state = {
            "deployments": [_shown(entry) for entry in deployments],
            "replicaSets": [_shown(entry) for entry in sorted(replica_sets, key=self._of)],
            "pods": sorted(f"{self._of(pod)} {_words(pod)}" for pod in pods),
            "slices": [self._slice(entry, {pod["metadata"]["name"]: pod for pod in pods}) for entry in slices],
        }
        return json.loads(self._without_hashes(json.dumps(state)))

    async def events(self) -> list[str]:
        """All Events about Deployments and ReplicaSets, counted together by their words."""
        events, _ = await self._client.list(EVENTS, NAMESPACE)
        found = [
            f"{event['source']['component']} {event['type']} {event['reason']} {event['message']}"
            for event in events
            if event["involvedObject"]["kind"] in ("Deployment", "ReplicaSet")
        ]
        return sorted({re.sub(r"-[a-z0-9]{5}$", "-POD", self._without_hashes(event)) for event in found})

    def _of(self, obj: dict[str, Any]) -> str:
        """The image of a ReplicaSet or of a pod of one."""
        return self._hashes.get(obj["metadata"]["labels"]["pod-template-hash"], "?")

    def _without_hashes(self, text: str) -> str:
        for digest, image in self._hashes.items():
            text = text.replace(digest, f"<{image}>")
        return text

    def _slice(self, entry: dict[str, Any], pods: dict[str, dict[str, Any]]) -> dict[str, Any]:
        endpoints = []
        for endpoint in entry.get("endpoints") or []:
            pod = pods.get(endpoint["targetRef"]["name"])
            if pod is None:
                endpoints.append("not at rest yet: its pod is gone")
                continue
            assert endpoint["addresses"] == [pod["status"]["podIP"]]
            endpoints.append(f"{self._of(pod)} {endpoint['conditions']} {endpoint['nodeName']}")
        ports = [f"{port['name']} {port['port']} {port['protocol']}" for port in entry.get("ports") or []]
        return {
            "labels": entry["metadata"]["labels"],
            "owner": entry["metadata"]["ownerReferences"][0]["name"],
            "ports": sorted(ports),
            "endpoints": sorted(endpoints),
        }


def _shown(obj: dict[str, Any]) -> dict[str, Any]:
    status = obj.get("status") or {}
    # Not that of a condition whose status did not change: it is when it was written, by whichever round came first.
    conditions = {
        entry["type"]: f"{entry['status']} {entry['reason']} {entry['message']}"
        for entry in status.get("conditions") or []
    }
    return {
        "name": obj["metadata"]["name"],
        "annotations": obj["metadata"].get("annotations") or {},
        "observed": status.get("observedGeneration") == obj["metadata"]["generation"],
        "wished": obj["spec"]["replicas"],
        "counts": {field: status[field] for field in _COUNTS if status.get(field)},
        "conditions": conditions,
    }


def _words(pod: dict[str, Any]) -> str:
    return f"{'ready' if _is_ready(pod) else 'not ready'}{' terminating' if _is_terminating(pod) else ''}"


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _is_terminating(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


_CONTAINER = {"name": "c", "image": "i:1", "ports": [{"name": "web", "containerPort": 9000}]}


def _deployment() -> dict[str, Any]:
    labels = {"app": "echo"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": NAMESPACE, "annotations": {"note": "kept"}},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [_CONTAINER]}},
        },
    }


def _service() -> dict[str, Any]:
    ports = [{"name": "tcp", "port": 80, "targetPort": "web"}, {"name": "other", "port": 9001}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "echo", "namespace": NAMESPACE, "labels": {"app": "echo"}},
        "spec": {"selector": {"app": "echo"}, "ports": ports},
    }


async def record(home: Home, settled: Callable[[Story], Awaitable[Any]]) -> dict[str, Any]:
    """The states at rest of all steps, and the Events at the end."""
    async with Client.from_home(home) as client:
        story = Story(client)
        steps = {step: await settled(story) async for step in story.tell()}
        return {"steps": steps, "events": await story.events()}


async def _after_a_while(story: Story) -> Any:
    """For recording only: the state once it has not changed for a second."""
    last, same = None, 0
    while same < 7:
        state = await story.state()
        same = same + 1 if state == last else 0
        last = state
        await asyncio.sleep(0.1)
    return last


if __name__ == "__main__":
    json.dump(asyncio.run(record(Home(Path(sys.argv[1])), _after_a_while)), sys.stdout, indent=1, sort_keys=True)
