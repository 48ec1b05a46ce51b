"""Deployment → ReplicaSets: rolling update, Recreate, scaling, pause, history, status.

It writes ReplicaSets and never touches pods. The decisions are in `rollout`.
Not done: the long-deprecated `rollbackTo` annotation (kubectl rolls back by patching the template, which works).

Source: kubernetes 1.34 pkg/controller/deployment.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import DEPLOYMENTS, PODS, REPLICA_SETS, ApiError, key_of
from tcpshift_helpers.sandbox.controllers import rollout
from tcpshift_helpers.sandbox.controllers.ownership import (
    controller_of,
    controller_reference,
    is_being_deleted,
    is_controlled_by,
)
from tcpshift_helpers.sandbox.controllers.pod_conditions import is_finished
from tcpshift_helpers.sandbox.controllers.selectors import labels_of, matches
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


class DeploymentController:
    """Keeps the ReplicaSets of each Deployment as it wishes them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deployments = context.informer(DEPLOYMENTS)
        self._replica_sets = context.informer(REPLICA_SETS)
        self._pods = context.informer(PODS)
        self._events = context.recorder.source("deployment-controller")
        self.queue = WorkQueue("deployment", self.sync)
        self._deployments.on_change(lambda _, obj: self.queue.add(key_of(obj)))
        self._replica_sets.on_change(lambda _, obj: self._wake_owner(obj))
        self._pods.on_change(self._pod_changed)

    def _wake_owner(self, replica_set: dict[str, Any]) -> None:
        reference = controller_of(replica_set)
        namespace = replica_set["metadata"]["namespace"]
        if reference is not None and reference["kind"] == "Deployment":
            self.queue.add((namespace, reference["name"]))
        elif reference is None:
            for deployment in self._context.in_namespace(DEPLOYMENTS, namespace):
                if matches(deployment["spec"]["selector"], labels_of(replica_set)):
                    self.queue.add(key_of(deployment))

    def _pod_changed(self, event_type: str, pod: dict[str, Any]) -> None:
        # Only Recreate waits for the last old pod to be gone.
        reference = controller_of(pod)
        if event_type == "DELETED" and reference is not None and reference["kind"] == "ReplicaSet":
            replica_set = self._replica_sets.objects.get((pod["metadata"]["namespace"], reference["name"]))
            if replica_set is not None:
                self._wake_owner(replica_set)

    async def sync(self, key: Key) -> float | None:
        """Bring one Deployment in order; returns when to look again for lack of progress."""
        known = self._deployments.objects.get(key)
        if known is None:
            return None
        deployment = copy.deepcopy(known)
        deployment.setdefault("status", {})
        owned = await self._claim(deployment)
        if is_being_deleted(deployment):
            new_set, old_sets = self._split(deployment, owned)
            return await self._write(known, deployment, rollout.calculate_status(deployment, new_set, old_sets))
        self._note_pause(deployment)
        if deployment["spec"].get("paused") or rollout.is_scaling_event(deployment, owned):
            return await self._scale(known, deployment, owned)
        if rollout.is_rolling_update(deployment):
            return await self._roll(known, deployment, owned)
        return await self._recreate(known, deployment, owned)

    async def _claim(self, deployment: dict[str, Any]) -> list[dict[str, Any]]:
        """Its ReplicaSets; orphans that match are adopted, and those that match no longer are let go."""
        owned = []
        for replica_set in self._context.in_namespace(REPLICA_SETS, deployment["metadata"]["namespace"]):
            fits = matches(deployment["spec"]["selector"], labels_of(replica_set))
            if is_controlled_by(replica_set, deployment):
                if fits or is_being_deleted(replica_set):
                    owned.append(replica_set)
                elif not is_being_deleted(deployment):
                    await self._own(replica_set, None)
            elif (
                fits
                and controller_of(replica_set) is None
                and not any(map(is_being_deleted, (deployment, replica_set)))
            ):
                owned.append(await self._own(replica_set, deployment))
        return owned

    async def _own(self, replica_set: dict[str, Any], owner: dict[str, Any] | None) -> dict[str, Any]:
        others = [
            entry for entry in replica_set["metadata"].get("ownerReferences") or [] if not entry.get("controller")
        ]
        references = [*others, controller_reference(owner)] if owner else others
        return await self._patch(replica_set, {"metadata": {"ownerReferences": references}})

    def _split(
        self, deployment: dict[str, Any], owned: list[dict[str, Any]]
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        new_set = rollout.find_new(deployment, owned)
        return new_set, [replica_set for replica_set in owned if replica_set is not new_set]

    async def _new_and_old(
        self, deployment: dict[str, Any], owned: list[dict[str, Any]], *, create: bool
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The ReplicaSet of the present template, made if wished, and all others; revisions brought up to date."""
        new_set, old_sets = self._split(deployment, owned)
        revision = max((rollout.revision_of(replica_set) for replica_set in old_sets), default=0) + 1
        if new_set is None:
            if create:
                new_set = await self._create(deployment, old_sets, revision)
            return new_set, old_sets
        annotations = rollout.new_annotations(deployment, new_set, revision, exists=True)
        min_ready = deployment["spec"].get("minReadySeconds", 0)
        changes: dict[str, Any] = {}
        if annotations != rollout.annotations_of(new_set):
            changes["metadata"] = {"annotations": annotations}
        if min_ready != new_set["spec"].get("minReadySeconds", 0):
            changes["spec"] = {"minReadySeconds": min_ready}
        if changes:
            new_set = await self._patch(new_set, changes)
        self._set_revision(deployment, annotations[rollout.REVISION])
        if rollout.has_deadline(deployment) and rollout.find_condition(deployment["status"], "Progressing") is None:
            message = f'Found new replica set "{new_set["metadata"]["name"]}"'
            rollout.set_condition(deployment["status"], "Progressing", "True", "FoundNewReplicaSet", message)
        return new_set, old_sets

    async def _create(
        self, deployment: dict[str, Any], old_sets: list[dict[str, Any]], revision: int
    ) -> dict[str, Any]:
        fresh = _new_replica_set(deployment)
        count = rollout.new_replica_count(deployment, old_sets, 0)
        fresh["spec"]["replicas"] = count
        fresh["metadata"]["annotations"] = rollout.new_annotations(deployment, fresh, revision, exists=False)
        name = fresh["metadata"]["name"]
        try:
            created = await self._context.client.create(REPLICA_SETS, fresh)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return await self._resolve_collision(deployment, fresh, error)
            message = f'Failed to create new replica set "{name}": {error.message}'
            self._events.warning(deployment, "ReplicaSetCreateError", message)
            if rollout.has_deadline(deployment):
                status = copy.deepcopy(deployment["status"])
                rollout.set_condition(status, "Progressing", "False", "ReplicaSetCreateError", message)
                await self._context.write_status(DEPLOYMENTS, deployment, {"conditions": status["conditions"]})
            raise
        self._replica_sets.remember(created)
        if count > 0:
            self._events.normal(deployment, "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {count}")
        self._set_revision(deployment, str(revision))
        if rollout.has_deadline(deployment):
            message = f'Created new replica set "{name}"'
            rollout.set_condition(deployment["status"], "Progressing", "True", "NewReplicaSetCreated", message)
        return created

    async def _resolve_collision(
        self, deployment: dict[str, Any], fresh: dict[str, Any], error: ApiError
    ) -> dict[str, Any]:
        metadata = fresh["metadata"]
        there = await self._context.client.get(REPLICA_SETS, metadata["name"], metadata["namespace"])
        if is_controlled_by(there, deployment) and rollout.find_new(deployment, [there]):
            self._replica_sets.remember(there)
            return there
        count = int(deployment["status"].get("collisionCount") or 0) + 1
        await self._context.write_status(DEPLOYMENTS, deployment, {"collisionCount": count})
        raise error

    async def _roll(
        self, known: dict[str, Any], deployment: dict[str, Any], owned: list[dict[str, Any]]
    ) -> float | None:
        new_set, old_sets = await self._new_and_old(deployment, owned, create=True)
        if new_set is None:
            raise AssertionError("a ReplicaSet was to be created")
        total = rollout.replicas(deployment)
        current = rollout.replicas(new_set)
        if current != total:
            all_sets = [*old_sets, new_set]
            size = total if current > total else rollout.new_replica_count(deployment, all_sets, current)
            resized = await self._resize(new_set, size, deployment)
            if resized is not new_set:
                return await self._finish(known, deployment, resized, old_sets)
        old_sets = await self._scale_down_old(deployment, new_set, old_sets)
        return await self._finish(known, deployment, new_set, old_sets)

    async def _scale_down_old(
        self, deployment: dict[str, Any], new_set: dict[str, Any], old_sets: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Take pods of old ReplicaSets away as far as availability allows: unhealthy ones first."""
        sets = {replica_set["metadata"]["name"]: replica_set for replica_set in old_sets}
        least = rollout.min_available(deployment)
        new_unavailable = rollout.replicas(new_set) - rollout.in_status(new_set, "availableReplicas")
        budget = rollout.total_replicas([*old_sets, new_set]) - least - new_unavailable
        if budget <= 0:
            return old_sets
        for replica_set in rollout.by_creation(rollout.active(sets.values())):
            unhealthy = rollout.replicas(replica_set) - rollout.in_status(replica_set, "availableReplicas")
            fewer = min(budget, unhealthy)
            if fewer > 0:
                budget -= fewer
                name = replica_set["metadata"]["name"]
                sets[name] = await self._resize(replica_set, rollout.replicas(replica_set) - fewer, deployment)
        spare = rollout.total_in_status([*sets.values(), new_set], "availableReplicas") - least
        for replica_set in rollout.by_creation(rollout.active(sets.values())):
            fewer = min(rollout.replicas(replica_set), spare)
            if fewer > 0:
                spare -= fewer
                name = replica_set["metadata"]["name"]
                sets[name] = await self._resize(replica_set, rollout.replicas(replica_set) - fewer, deployment)
        return list(sets.values())

    async def _recreate(
        self, known: dict[str, Any], deployment: dict[str, Any], owned: list[dict[str, Any]]
    ) -> float | None:
        new_set, old_sets = await self._new_and_old(deployment, owned, create=False)
        if rollout.active(old_sets):
            old_sets = [await self._resize(replica_set, 0, deployment) for replica_set in old_sets]
            return await self._finish(known, deployment, new_set, old_sets)
        if self._old_pods_remain(owned, new_set):
            return await self._finish(known, deployment, new_set, old_sets)
        if new_set is None:
            new_set, old_sets = await self._new_and_old(deployment, owned, create=True)
        if new_set is not None:
            new_set = await self._resize(new_set, rollout.replicas(deployment), deployment)
        return await self._finish(known, deployment, new_set, old_sets)

    def _old_pods_remain(self, owned: list[dict[str, Any]], new_set: dict[str, Any] | None) -> bool:
        old = [replica_set for replica_set in owned if replica_set is not new_set]
        if rollout.total_in_status(old, "replicas") > 0:
            return True
        uids = {replica_set["metadata"]["uid"] for replica_set in old}
        return any(
            (controller_of(pod) or {}).get("uid") in uids and not is_finished(pod)
            for pod in self._pods.objects.values()
        )

    async def _scale(
        self, known: dict[str, Any], deployment: dict[str, Any], owned: list[dict[str, Any]]
    ) -> float | None:
        """Follow a changed size, in proportion if a rollout is under way; nothing is rolled on."""
        new_set, old_sets = await self._new_and_old(deployment, owned, create=False)
        all_sets = {rs["metadata"]["name"]: rs for rs in [*old_sets, *([new_set] if new_set else [])]}
        for name, size in _sizes_after_scaling(deployment, new_set, old_sets):
            all_sets[name] = await self._resize(all_sets[name], size, deployment)
        new_name = new_set["metadata"]["name"] if new_set else None
        olds = [replica_set for name, replica_set in all_sets.items() if name != new_name]
        if deployment["spec"].get("paused"):
            await self._prune(deployment, olds)
        status = rollout.calculate_status(deployment, all_sets.get(new_name or ""), olds)
        return await self._write(known, deployment, status)

    async def _resize(self, replica_set: dict[str, Any], size: int, deployment: dict[str, Any]) -> dict[str, Any]:
        before = rollout.replicas(replica_set)
        annotations = rollout.replica_annotations(deployment)
        current = rollout.annotations_of(replica_set)
        if before == size and all(current.get(key) == value for key, value in annotations.items()):
            return replica_set
        if before == size and not rollout.is_scaling_event(deployment, [replica_set]):
            return replica_set
        resized = await self._patch(replica_set, {"metadata": {"annotations": annotations}, "spec": {"replicas": size}})
        if before != size:
            direction = "up" if before < size else "down"
            name = replica_set["metadata"]["name"]
            message = f"Scaled {direction} replica set {name} from {before} to {size}"
            self._events.normal(deployment, "ScalingReplicaSet", message)
        return resized

    async def _prune(self, deployment: dict[str, Any], old_sets: list[dict[str, Any]]) -> None:
        """Delete the oldest empty ReplicaSets beyond `revisionHistoryLimit`."""
        limit = deployment["spec"].get("revisionHistoryLimit")
        if limit is None or limit == 2**31 - 1:
            return
        alive = [replica_set for replica_set in old_sets if not is_being_deleted(replica_set)]
        for replica_set in sorted(alive, key=rollout.revision_of)[: max(0, len(alive) - limit)]:
            observed = rollout.in_status(replica_set, "observedGeneration")
            if rollout.replicas(replica_set) or rollout.in_status(replica_set, "replicas"):
                continue
            if int(replica_set["metadata"].get("generation") or 0) > observed:
                continue
            namespace, name = key_of(replica_set)
            try:
                await self._context.client.delete(REPLICA_SETS, name, namespace, uid=replica_set["metadata"]["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise

    async def _finish(
        self,
        known: dict[str, Any],
        deployment: dict[str, Any],
        new_set: dict[str, Any] | None,
        old_sets: list[dict[str, Any]],
    ) -> float | None:
        if rollout.is_complete(deployment, deployment["status"]):
            await self._prune(deployment, old_sets)
        status = rollout.calculate_status(deployment, new_set, old_sets)
        rollout.judge_progress(deployment, new_set, status)
        failure = _replica_failure(new_set, old_sets)
        if failure is None:
            rollout.remove_condition(status, "ReplicaFailure")
        else:
            rollout.set_condition(status, *failure)
        return await self._write(known, deployment, status)

    async def _write(self, known: dict[str, Any], deployment: dict[str, Any], status: dict[str, Any]) -> float | None:
        revision = rollout.annotations_of(deployment).get(rollout.REVISION)
        renamed = revision is not None and revision != rollout.annotations_of(known).get(rollout.REVISION)
        annotations = {rollout.REVISION: str(revision)} if renamed else None
        before = known.get("status") or {}
        # The real object leaves zeros out.
        counts = {field: status[field] or None for field in _COUNTS}
        if annotations or any(before.get(field) != value for field, value in {**status, **counts}.items()):
            await self._context.write_status(DEPLOYMENTS, deployment, {**status, **counts}, annotations)
        return rollout.seconds_to_deadline(deployment, status)

    async def _patch(self, replica_set: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        namespace, name = key_of(replica_set)
        # The version in the patch makes the server refuse it if the object changed meanwhile.
        versioned = {**patch, "metadata": {**patch.get("metadata", {}), **_version(replica_set)}}
        answer = await self._context.client.merge_patch(REPLICA_SETS, name, namespace, versioned)
        self._replica_sets.remember(answer)
        return answer

    def _set_revision(self, deployment: dict[str, Any], revision: str) -> None:
        deployment["metadata"].setdefault("annotations", {})[rollout.REVISION] = revision

    def _note_pause(self, deployment: dict[str, Any]) -> None:
        current = rollout.find_condition(deployment["status"], "Progressing")
        reason = current.get("reason") if current else None
        if not rollout.has_deadline(deployment) or reason == "ProgressDeadlineExceeded":
            return
        status = deployment["status"]
        if deployment["spec"].get("paused") and reason != "DeploymentPaused":
            rollout.set_condition(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        elif not deployment["spec"].get("paused") and reason == "DeploymentPaused":
            rollout.set_condition(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")


def _version(obj: dict[str, Any]) -> dict[str, str]:
    return {"resourceVersion": obj["metadata"]["resourceVersion"]}


def _new_replica_set(deployment: dict[str, Any]) -> dict[str, Any]:
    spec = deployment["spec"]
    digest = rollout.template_hash(spec["template"], deployment["status"].get("collisionCount"))
    label = {rollout.POD_TEMPLATE_HASH: digest}
    template = copy.deepcopy(spec["template"])
    template.setdefault("metadata", {})
    template["metadata"]["labels"] = {**(template["metadata"].get("labels") or {}), **label}
    selector = copy.deepcopy(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), **label}
    metadata = deployment["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name'][: 252 - len(digest)]}-{digest}",
            "namespace": metadata["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {"selector": selector, "template": template}
        | ({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
    }


def _sizes_after_scaling(
    deployment: dict[str, Any], new_set: dict[str, Any] | None, old_sets: list[dict[str, Any]]
) -> list[tuple[str, int]]:
    all_sets = [*old_sets, *([new_set] if new_set else [])]
    running = rollout.active(all_sets)
    if not all_sets:
        return []
    if len(running) <= 1:
        only = running[0] if running else new_set or rollout.by_creation(old_sets)[-1]
        return [(only["metadata"]["name"], rollout.replicas(deployment))]
    if rollout.is_saturated(deployment, new_set):
        return [(replica_set["metadata"]["name"], 0) for replica_set in rollout.active(old_sets)]
    return rollout.proportional_sizes(deployment, running) if rollout.is_rolling_update(deployment) else []


def _replica_failure(
    new_set: dict[str, Any] | None, old_sets: list[dict[str, Any]]
) -> tuple[str, str, str, str] | None:
    """The newest ReplicaSet's failure to make pods, else an old one's."""
    for replica_set in [*([new_set] if new_set else []), *old_sets]:
        found = rollout.find_condition(replica_set.get("status") or {}, "ReplicaFailure")
        if found is not None:
            return "ReplicaFailure", found["status"], found.get("reason", ""), found.get("message", "")
    return None
