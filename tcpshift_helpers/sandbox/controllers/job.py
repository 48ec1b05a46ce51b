"""Job → Pods: run pods of the template until enough have succeeded, or too many have failed.

Each pod that ends is counted exactly once: it is held by a finalizer until its end is noted in the Job's status, so that
neither a deleted pod nor a restart of this controller loses or repeats a count. An ended Job with
`ttlSecondsAfterFinished` is deleted when its time is over. Not done: indexed completions, pod failure policies, success policies.

Source: kubernetes 1.34 pkg/controller/job and pkg/controller/ttlafterfinished; statuses and Events as measured.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import JOBS, PODS, ApiError, key_of
from tcpshift_helpers.sandbox.controllers import job_progress as progress
from tcpshift_helpers.sandbox.controllers.ownership import controller_of, is_being_deleted, is_controlled_by
from tcpshift_helpers.sandbox.controllers.pod_conditions import condition, is_active
from tcpshift_helpers.sandbox.controllers.pod_template import pod_of
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context

Object = dict[str, Any]

_BURST = 500
# While the Jobs are not listed yet, a missing one says nothing.
_LOOK_AGAIN_SECONDS = 0.05
_INDEXED = "The sandbox does not run Jobs with completionMode Indexed; leave completionMode out"


class JobController:
    """Brings Jobs to their end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jobs = context.informer(JOBS)
        self._pods = context.informer(PODS)
        self._events = context.recorder.source("job-controller")
        # By the Job's uid: failures in a row, and when the last of them was seen.
        self._failures: dict[str, tuple[int, float]] = {}
        self.queue = WorkQueue("job", self.sync)
        self._jobs.on_change(lambda _, job: self.queue.add(key_of(job)))
        self._pods.on_change(lambda _, pod: self._wake_owner(pod))

    def _wake_owner(self, pod: Object) -> None:
        reference = controller_of(pod)
        if reference is not None and reference["kind"] == "Job":
            self.queue.add((pod["metadata"]["namespace"], reference["name"]))

    async def sync(self, key: Key) -> float | None:
        """Bring one Job forward; returns when to look again though nothing happened."""
        job = self._jobs.objects.get(key)
        if job is None and not self._jobs.synced.is_set():
            return _LOOK_AGAIN_SECONDS
        await self._release(self._abandoned(key, job))
        if job is None or is_being_deleted(job):
            return None
        if progress.has_ended(job):
            return await self._expire(job)
        if job["spec"].get("completionMode") != "Indexed":
            return await self._advance(job)
        self._events.warning(job, "NotSupported", _INDEXED)
        return None

    async def _advance(self, job: Object) -> float | None:
        job = await self._count_ended(job)
        why = progress.ending(job, self._pods_of(job))
        if why is not None:
            await self._end(job, why)
            return None
        if progress.is_suspended(job):
            await self._suspend(job)
            return None
        return await self._run(job)

    def _pods_of(self, job: Object) -> list[Object]:
        return [
            pod for pod in self._context.in_namespace(PODS, job["metadata"]["namespace"]) if is_controlled_by(pod, job)
        ]

    def _abandoned(self, key: Key, job: Object | None) -> list[Object]:
        """Pods that nobody will count any more: their Job is gone, is going, or has ended."""
        found = []
        for pod in self._context.in_namespace(PODS, key[0]):
            reference = controller_of(pod)
            if not progress.is_tracked(pod) or reference is None:
                continue
            if (reference["kind"], reference["name"]) == ("Job", key[1]) and (
                job is None or is_being_deleted(job) or progress.has_ended(job) or not is_controlled_by(pod, job)
            ):
                found.append(pod)
        return found

    async def _release(self, pods: Iterable[Object]) -> None:
        await asyncio.gather(*(self._release_one(pod) for pod in pods))

    async def _release_one(self, pod: Object) -> None:
        namespace, name = key_of(pod)
        kept = [finalizer for finalizer in pod["metadata"]["finalizers"] if finalizer != progress.TRACKING]
        patch = {"metadata": {"uid": pod["metadata"]["uid"], "finalizers": kept or None}}
        try:
            answer = await self._context.client.merge_patch(PODS, name, namespace, patch)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        else:
            if not is_being_deleted(answer):  # else it is gone now, and the watch says so
                self._pods.remember(answer)

    async def _count_ended(self, job: Object) -> Object:
        """Note which pods ended, let them go, then count them: in this order, so that a crash in between loses nothing."""
        status = job.get("status") or {}
        noted = status.get("uncountedTerminatedPods") or {}
        ended = {part: list(noted.get(part) or []) for part in ("succeeded", "failed")}
        pods = [pod for pod in self._pods_of(job) if progress.is_tracked(pod) and progress.is_ended(pod)]
        for pod in pods:
            part = ended["succeeded" if progress.has_succeeded(pod) else "failed"]
            if pod["metadata"]["uid"] not in part:
                part.append(pod["metadata"]["uid"])
        if not any(ended.values()):
            return job
        uncounted = {part: uids for part, uids in ended.items() if uids}
        await self._context.write_status(JOBS, job, {"uncountedTerminatedPods": uncounted})
        await self._release(pods)
        counted: Object = {part: (status.get(part) or 0) + len(uids) or None for part, uids in ended.items()}
        counted["uncountedTerminatedPods"] = {"succeeded": None, "failed": None}
        self._note_failures(job, failed=len(ended["failed"]), succeeded=len(ended["succeeded"]))
        return await self._context.write_status(JOBS, job, {**counted, **progress.counts(self._pods_of(job))})

    def _note_failures(self, job: Object, *, failed: int, succeeded: int) -> None:
        uid = job["metadata"]["uid"]
        before = 0 if succeeded else self._failures.get(uid, (0, 0.0))[0]
        self._failures[uid] = (before + failed, time.monotonic())

    async def _run(self, job: Object) -> float | None:
        job = await self._start(job)
        active = [pod for pod in self._pods_of(job) if is_active(pod)]
        missing = progress.wanted_pods(job, len(active)) - len(active)
        wait = self._back_off(job) if missing > 0 else 0.0
        if missing > 0 and wait <= 0:
            await asyncio.gather(*(self._create_pod(job) for _ in range(min(missing, _BURST))))
        elif missing < 0:
            await self._withdraw(job, active[missing:])
        await self._write(job, {})
        waits = [
            seconds for seconds in (wait, progress.seconds_to_deadline(job)) if seconds is not None and seconds > 0
        ]
        return min(waits, default=None)

    def _back_off(self, job: Object) -> float:
        failures, since = self._failures.get(job["metadata"]["uid"], (0, 0.0))
        return progress.back_off_seconds(failures) - (time.monotonic() - since)

    async def _start(self, job: Object) -> Object:
        resumed = condition(job, "Suspended")
        if resumed is not None and resumed["status"] == "True":
            self._events.normal(job, "Resumed", "Job resumed")
            conditions = progress.with_condition(job, "Suspended", "JobResumed", "Job resumed", true=False)
            return await self._write(job, {"startTime": now(), "conditions": conditions})
        return job if (job.get("status") or {}).get("startTime") else await self._write(job, {"startTime": now()})

    async def _suspend(self, job: Object) -> None:
        await self._withdraw(job, [pod for pod in self._pods_of(job) if is_active(pod)])
        known = condition(job, "Suspended")
        if known is None or known["status"] != "True":
            self._events.normal(job, "Suspended", "Job suspended")
        conditions = progress.with_condition(job, "Suspended", "JobSuspended", "Job suspended")
        await self._write(job, {"conditions": conditions})

    async def _end(self, job: Object, why: progress.Ending) -> None:
        """Announce the end, delete what still runs, and write the end down once nothing does."""
        conditions = progress.with_condition(job, why.announced, why.reason, why.message)
        job = await self._write(job, {"conditions": conditions})
        await self._delete_pods(job, [pod for pod in self._pods_of(job) if is_active(pod)])
        pods = self._pods_of(job)
        if any(progress.is_tracked(pod) or not progress.is_ended(pod) for pod in pods):
            return  # Their own events bring the next round.
        conditions = progress.with_condition(job, why.condition, why.reason, why.message)
        complete = why.condition == "Complete"
        status: Object = {"conditions": conditions, **({"completionTime": now()} if complete else {})}
        if not (job.get("status") or {}).get("startTime"):
            status["startTime"] = now()
        await self._write(job, status)
        if complete:
            self._events.normal(job, "Completed", "Job completed")
        else:
            self._events.warning(job, why.reason, why.message)
        self._failures.pop(job["metadata"]["uid"], None)

    async def _expire(self, job: Object) -> float | None:
        seconds = progress.seconds_to_live(job)
        if seconds is None or seconds > 0:
            return seconds
        namespace, name = key_of(job)
        uid = job["metadata"]["uid"]
        await self._context.client.delete(JOBS, name, namespace, uid=uid, propagation_policy="Foreground")
        return None

    async def _write(self, job: Object, status: Object) -> Object:
        """Write the counts of the pods, and more status, if that changes anything."""
        known = job.get("status") or {}
        wished: Object = {**progress.counts(self._pods_of(job)), **status}
        wished.setdefault("uncountedTerminatedPods", known.get("uncountedTerminatedPods") or {})
        if all(known.get(field) == value for field, value in wished.items()):
            return job
        return await self._context.write_status(JOBS, job, wished)

    async def _create_pod(self, job: Object) -> None:
        try:
            pod = await self._context.client.create(PODS, pod_of(job, progress.TRACKING))
        except ApiError as error:
            if "because it is being terminated" not in error.message:
                self._events.warning(job, "FailedCreate", f"Error creating: {error.message}")
                raise
            return
        self._pods.remember(pod)
        self._events.normal(job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")

    async def _withdraw(self, job: Object, pods: Iterable[Object]) -> None:
        """Delete pods that did nothing wrong: let go of first, they do not count as failed."""
        pods = list(pods)
        await self._release(pod for pod in pods if progress.is_tracked(pod))
        await self._delete_pods(job, pods)

    async def _delete_pods(self, job: Object, pods: Iterable[Object]) -> None:
        await asyncio.gather(*(self._delete_pod(job, pod) for pod in pods))

    async def _delete_pod(self, job: Object, pod: Object) -> None:
        namespace, name = key_of(pod)
        try:
            answer = await self._context.client.delete(PODS, name, namespace, uid=pod["metadata"]["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
            return
        if answer.get("kind") == "Pod" and is_being_deleted(answer):
            self._pods.remember(answer)
        self._events.normal(job, "SuccessfulDelete", f"Deleted pod: {name}")
