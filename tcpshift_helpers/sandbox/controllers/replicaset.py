"""ReplicaSet → Pods: as many pods of the template as wished.

Pods that match and have no controller are adopted; those whose labels no longer match are let go.
On the way down the least useful go first: pending before running, not ready before ready, then the younger.

Source: kubernetes 1.34 pkg/controller/replicaset, and ActivePodsWithRanks of pkg/controller.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import PODS, REPLICA_SETS, ApiError, key_of
from tcpshift_helpers.sandbox.controllers import rollout
from tcpshift_helpers.sandbox.controllers.ownership import (
    controller_of,
    controller_reference,
    is_being_deleted,
    is_controlled_by,
)
from tcpshift_helpers.sandbox.controllers.pod_conditions import (
    condition,
    is_active,
    is_available,
    is_ready,
    phase,
    seconds_until_available,
)
from tcpshift_helpers.sandbox.controllers.pod_template import pod_of
from tcpshift_helpers.sandbox.controllers.selectors import labels_of, matches, matches_map
from tcpshift_helpers.sandbox.controllers.timestamps import now, seconds_since
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

_BURST = 500
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ReplicaSetController:
    """Keeps the pods of each ReplicaSet as many as it wishes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._replica_sets = context.informer(REPLICA_SETS)
        self._pods = context.informer(PODS)
        self._events = context.recorder.source("replicaset-controller")
        self.queue = WorkQueue("replicaset", self.sync)
        self._replica_sets.on_change(lambda _, obj: self.queue.add(key_of(obj)))
        self._pods.on_change(lambda _, obj: self._wake_owner(obj))

    def _wake_owner(self, pod: dict[str, Any]) -> None:
        reference = controller_of(pod)
        namespace = pod["metadata"]["namespace"]
        if reference is not None:
            if reference["kind"] == "ReplicaSet":
                self.queue.add((namespace, reference["name"]))
            return
        for replica_set in self._context.in_namespace(REPLICA_SETS, namespace):
            if matches(replica_set["spec"]["selector"], labels_of(pod)):
                self.queue.add(key_of(replica_set))

    async def sync(self, key: Key) -> float | None:
        """Bring one ReplicaSet in order; returns when the next ready pod becomes available."""
        replica_set = self._replica_sets.objects.get(key)
        if replica_set is None:
            return None
        pods = await self._claim(replica_set)
        failure: Exception | None = None
        if not is_being_deleted(replica_set):
            try:
                if await self._manage(replica_set, pods):
                    return None  # The pods' own events bring the next round, which writes the status.
            except ApiError as error:
                failure = error
        await self._write_status(replica_set, pods, failure)
        if failure is not None:
            raise failure
        min_ready = int(replica_set["spec"].get("minReadySeconds") or 0)
        waits = [seconds_until_available(pod, min_ready) for pod in pods]
        return min((wait for wait in waits if wait is not None and wait > 0), default=None)

    async def _claim(self, replica_set: dict[str, Any]) -> list[dict[str, Any]]:
        claimed = []
        for pod in self._context.in_namespace(PODS, replica_set["metadata"]["namespace"]):
            if not is_active(pod):
                continue
            fits = matches(replica_set["spec"]["selector"], labels_of(pod))
            if is_controlled_by(pod, replica_set):
                if fits:
                    claimed.append(pod)
                elif not is_being_deleted(replica_set):
                    await self._own(pod, None)
            elif fits and controller_of(pod) is None and not is_being_deleted(replica_set):
                claimed.append(await self._own(pod, replica_set))
        return claimed

    async def _own(self, pod: dict[str, Any], owner: dict[str, Any] | None) -> dict[str, Any]:
        others = [entry for entry in pod["metadata"].get("ownerReferences") or [] if not entry.get("controller")]
        references = [*others, controller_reference(owner)] if owner else others
        namespace, name = key_of(pod)
        patch = {"metadata": {"ownerReferences": references, "uid": pod["metadata"]["uid"]}}
        answer = await self._context.client.merge_patch(PODS, name, namespace, patch)
        self._pods.remember(answer)
        return answer

    async def _manage(self, replica_set: dict[str, Any], pods: list[dict[str, Any]]) -> bool:
        """Make or delete pods; returns whether it did."""
        missing = rollout.replicas(replica_set) - len(pods)
        if missing > 0:
            await self._create_pods(replica_set, min(missing, _BURST))
        elif missing < 0:
            doomed = _least_useful_first(pods, self._related_pods(replica_set))[: min(-missing, _BURST)]
            await asyncio.gather(*(self._delete_pod(replica_set, pod) for pod in doomed))
        return missing != 0

    async def _create_pods(self, replica_set: dict[str, Any], count: int) -> None:
        """Make pods in batches of 1, 2, 4 …, so that a template the server refuses is refused once and not 500 times."""
        batch = 1
        while count > 0:
            batch = min(batch, count)
            await asyncio.gather(*(self._create_pod(replica_set) for _ in range(batch)))
            count -= batch
            batch *= 2

    async def _create_pod(self, replica_set: dict[str, Any]) -> None:
        try:
            pod = await self._context.client.create(PODS, pod_of(replica_set))
        except ApiError as error:
            if "because it is being terminated" not in error.message:
                self._events.warning(replica_set, "FailedCreate", f"Error creating: {error.message}")
                raise
            return
        self._pods.remember(pod)
        self._events.normal(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _delete_pod(self, replica_set: dict[str, Any], pod: dict[str, Any]) -> None:
        namespace, name = key_of(pod)
        try:
            answer = await self._context.client.delete(PODS, name, namespace, uid=pod["metadata"]["uid"])
        except ApiError as error:
            if error.code == 404:
                return
            self._events.warning(replica_set, "FailedDelete", f"Error deleting: {error.message}")
            raise
        if answer.get("kind") == "Pod" and is_being_deleted(answer):
            self._pods.remember(answer)
        self._events.normal(replica_set, "SuccessfulDelete", f"Deleted pod: {name}")

    def _related_pods(self, replica_set: dict[str, Any]) -> list[dict[str, Any]]:
        """Active pods of all ReplicaSets of the same Deployment."""
        owner = controller_of(replica_set)
        namespace = replica_set["metadata"]["namespace"]
        siblings = {replica_set["metadata"]["uid"]} | {
            sibling["metadata"]["uid"]
            for sibling in self._context.in_namespace(REPLICA_SETS, namespace)
            if owner is not None and (controller_of(sibling) or {}).get("uid") == owner["uid"]
        }
        return [
            pod
            for pod in self._context.in_namespace(PODS, namespace)
            if is_active(pod) and (controller_of(pod) or {}).get("uid") in siblings
        ]

    async def _write_status(
        self, replica_set: dict[str, Any], pods: list[dict[str, Any]], failure: Exception | None
    ) -> None:
        before = replica_set.get("status") or {}
        template_labels = (replica_set["spec"]["template"].get("metadata") or {}).get("labels") or {}
        min_ready = int(replica_set["spec"].get("minReadySeconds") or 0)
        status: dict[str, Any] = {
            "replicas": len(pods),
            "fullyLabeledReplicas": sum(matches_map(template_labels, labels_of(pod)) for pod in pods) or None,
            "readyReplicas": sum(is_ready(pod) for pod in pods) or None,
            "availableReplicas": sum(is_available(pod, min_ready) for pod in pods) or None,
            "observedGeneration": replica_set["metadata"].get("generation"),
            "conditions": _conditions(before, failure, len(pods) - rollout.replicas(replica_set)),
        }
        if any(before.get(field) != value for field, value in status.items()):
            await self._context.write_status(REPLICA_SETS, replica_set, status)


def _conditions(before: dict[str, Any], failure: Exception | None, surplus: int) -> list[dict[str, Any]] | None:
    known = rollout.find_condition(before, "ReplicaFailure")
    others = [entry for entry in before.get("conditions") or [] if entry["type"] != "ReplicaFailure"]
    if failure is None:
        return others or None
    entry = known or {
        "type": "ReplicaFailure",
        "status": "True",
        "lastTransitionTime": now(),
        "reason": "FailedCreate" if surplus < 0 else "FailedDelete",
        "message": getattr(failure, "message", str(failure)),
    }
    return [*others, entry]


def _least_useful_first(pods: list[dict[str, Any]], related: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    on_node: dict[str, int] = {}
    for pod in related:
        node = pod["spec"].get("nodeName", "")
        on_node[node] = on_node.get(node, 0) + 1

    def rank(pod: dict[str, Any]) -> tuple[Any, ...]:
        ready = condition(pod, "Ready") or {}
        since = ready.get("lastTransitionTime") if ready.get("status") == "True" else None
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        cost = (pod["metadata"].get("annotations") or {}).get(_DELETION_COST, "0")
        return (
            bool(pod["spec"].get("nodeName")),
            _PHASE_ORDER.get(phase(pod), 2),
            is_ready(pod),
            int(cost) if cost.lstrip("-").isdecimal() else 0,
            -on_node.get(pod["spec"].get("nodeName", ""), 0),
            _age_class(since),
            -max((int(entry.get("restartCount", 0)) for entry in statuses), default=0),
            _age_class(pod["metadata"].get("creationTimestamp")),
            pod["metadata"]["uid"],
        )

    return sorted(pods, key=rank)


def _age_class(since: str | None) -> int:
    """Ages compared by order of magnitude only, so that the choice among similar pods is even."""
    if since is None:
        return -1
    return int(math.log2(max(1.0, seconds_since(since) * 1e9)))
