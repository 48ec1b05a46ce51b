"""Jobs over the sandbox's API server, with pods whose ends are written by hand: as the real controller was seen to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.client import EVENTS, JOBS, PODS
from tcpshift_helpers.sandbox.controllers import job_progress as progress
from tcpshift_helpers.sandbox.controllers.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .conftest import Controllers

Object = dict[str, Any]
Until = Any


def job(**spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}
    metadata = {"name": "j", "namespace": "default"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


@pytest.fixture
def pods(controllers: Controllers) -> Callable[[], list[Object]]:
    """The Job's pods, oldest name first."""
    known = controllers.context.informer(PODS).objects
    return lambda: sorted(
        (pod for (_, name), pod in known.items() if name.startswith("j-")), key=lambda pod: pod["metadata"]["name"]
    )


@pytest.fixture
def end(controllers: Controllers) -> Callable[[Object, str], Awaitable[Any]]:
    """Writes a pod's phase, as a node would."""

    async def write(pod: Object, phase: str) -> None:
        name = pod["metadata"]["name"]
        await controllers.client.merge_patch(PODS, name, "default", {"status": {"phase": phase}}, "status")

    return write


def status_when(controllers: Controllers, wished: Callable[[Object], bool]) -> Callable[[], Object | None]:
    def look() -> Object | None:
        found = controllers.context.informer(JOBS).objects.get(("default", "j"))
        status = (found or {}).get("status") or {}
        return status if wished(status) else None

    return look


def conditions(status: Object) -> list[tuple[str, str, str, str]]:
    fields = ("type", "status", "reason", "message")
    return [tuple(one[field] for field in fields) for one in status.get("conditions") or []]


async def test_a_pod_that_succeeds_completes_the_job(
    controllers: Controllers, until: Until, pods: Any, end: Any
) -> None:
    await controllers.client.create(JOBS, job())
    running = await until(status_when(controllers, lambda status: status.get("active") == 1), "the pod")
    assert {key: value for key, value in running.items() if key != "startTime"} == {
        **{"active": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    }
    (pod,) = pods()
    assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    await end(pod, "Succeeded")
    done = await until(status_when(controllers, lambda status: "completionTime" in status), "completion")
    words = ("True", "CompletionsReached", "Reached expected number of succeeded pods")
    assert conditions(done) == [("SuccessCriteriaMet", *words), ("Complete", *words)]
    rest = {key: value for key, value in done.items() if key not in ("startTime", "completionTime", "conditions")}
    assert rest == {"ready": 0, "succeeded": 1, "terminating": 0, "uncountedTerminatedPods": {}}
    assert "finalizers" not in pods()[0]["metadata"]


async def test_too_many_failures_fail_the_job(controllers: Controllers, until: Until, pods: Any, end: Any) -> None:
    await controllers.client.create(JOBS, job(backoffLimit=0))
    await until(pods, "the pod")
    await end(pods()[0], "Failed")
    failed = await until(status_when(controllers, lambda status: len(conditions(status)) == 2), "failure")
    words = ("True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions(failed) == [("FailureTarget", *words), ("Failed", *words)]
    assert (failed["failed"], failed.get("active"), "completionTime" in failed) == (1, None, False)


async def test_parallelism_and_completions(controllers: Controllers, until: Until, pods: Any, end: Any) -> None:
    await controllers.client.create(JOBS, job(completions=3, parallelism=2))
    await until(lambda: len(pods()) == 2, "two pods")
    await end(pods()[0], "Succeeded")
    await until(lambda: len(pods()) == 3, "a third pod")
    for pod in pods():
        await end(pod, "Succeeded")
    done = await until(status_when(controllers, lambda status: "completionTime" in status), "completion")
    assert done["succeeded"] == 3
    assert len(pods()) == 3


async def test_a_deleted_pod_counts_as_failed(controllers: Controllers, until: Until, pods: Any) -> None:
    await controllers.client.create(JOBS, job())
    await until(pods, "the pod")
    await controllers.client.delete(PODS, pods()[0]["metadata"]["name"], "default")
    failed = await until(status_when(controllers, lambda status: status.get("failed") == 1), "the failure")
    assert (failed["terminating"], failed["uncountedTerminatedPods"]) == (0, {})
    await until(lambda: not pods(), "the pod to be let go")


async def test_suspended_and_resumed(controllers: Controllers, until: Until, pods: Any) -> None:
    client = controllers.client
    await client.create(JOBS, job(suspend=True))
    waiting = await until(status_when(controllers, lambda status: bool(conditions(status))), "the condition")
    assert conditions(waiting) == [("Suspended", "True", "JobSuspended", "Job suspended")]
    assert "startTime" not in waiting
    await client.merge_patch(JOBS, "j", "default", {"spec": {"suspend": False}})
    resumed = await until(status_when(controllers, lambda status: status.get("active") == 1), "the pod")
    assert conditions(resumed) == [("Suspended", "False", "JobResumed", "Job resumed")]
    await client.merge_patch(JOBS, "j", "default", {"spec": {"suspend": True}})
    await until(lambda: not pods(), "the pod to go")
    again = await until(status_when(controllers, lambda status: "active" not in status), "the count")
    assert conditions(again) == [("Suspended", "True", "JobSuspended", "Job suspended")]
    assert "failed" not in again


async def test_a_deadline_ends_the_job(controllers: Controllers, until: Until, pods: Any) -> None:
    await controllers.client.create(JOBS, job(activeDeadlineSeconds=1))
    await until(pods, "the pod")
    late = await until(status_when(controllers, lambda status: len(conditions(status)) == 2), "the end")
    words = ("True", "DeadlineExceeded", "Job was active longer than specified deadline")
    assert conditions(late) == [("FailureTarget", *words), ("Failed", *words)]
    assert (late["failed"], pods()) == (1, [])


async def test_an_ended_job_goes_when_its_time_is_over(
    controllers: Controllers, until: Until, pods: Any, end: Any
) -> None:
    await controllers.client.create(JOBS, job(ttlSecondsAfterFinished=0))
    await until(pods, "the pod")
    await end(pods()[0], "Succeeded")
    await until(lambda: ("default", "j") not in controllers.context.informer(JOBS).objects, "the Job to go")
    await until(lambda: not pods(), "its pod to go")


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_pods_go_with_their_job(controllers: Controllers, until: Until, pods: Any, policy: str) -> None:
    await controllers.client.create(JOBS, job())
    await until(pods, "the pod")
    await controllers.client.delete(JOBS, "j", "default", propagation_policy=policy)
    await until(lambda: not pods(), "the pod to go")
    await until(lambda: ("default", "j") not in controllers.context.informer(JOBS).objects, "the Job to go")


async def test_indexed_jobs_are_refused_in_words(controllers: Controllers, until: Until, pods: Any) -> None:
    await controllers.client.create(JOBS, job(completionMode="Indexed"))

    async def told() -> bool:
        events, _ = await controllers.client.list(EVENTS, "default")
        return any(event["reason"] == "NotSupported" for event in events)

    await until(told, "the Event")
    assert pods() == []


def test_restarts_in_place_count_against_the_limit() -> None:
    often: Object = {
        "metadata": {"name": "p"},
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 2}]},
    }
    patient, strict = job(backoffLimit=3), job(backoffLimit=2)
    for one in (patient, strict):
        one["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert progress.ending(patient, [often]) is None
    why = progress.ending(strict, [often])
    assert why is not None
    assert why.reason == "BackoffLimitExceeded"


def test_back_off_doubles_up_to_ten_minutes() -> None:
    assert [progress.back_off_seconds(count) for count in (0, 1, 2, 3, 20)] == [0, 10, 20, 40, 600]


def test_without_completions_no_pod_is_replaced_once_one_succeeded() -> None:
    alone = job(parallelism=3)
    assert progress.wanted_pods(alone, 0) == 3
    alone["status"] = {"succeeded": 1}
    assert progress.wanted_pods(alone, 2) == 2


def test_time_to_live_counts_from_the_end() -> None:
    from datetime import UTC, datetime, timedelta

    ended = job(ttlSecondsAfterFinished=100)
    moment = rfc3339(datetime.now(UTC) - timedelta(seconds=40))
    ended["status"] = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": moment}]}
    left = progress.seconds_to_live(ended)
    assert left is not None
    assert 50 < left <= 60
