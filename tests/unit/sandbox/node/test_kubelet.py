"""Pods as real processes: start, end, restart, take-over. Each test has an API server and a kubelet of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, NODES, PODS, SERVICES
from tcpshift_helpers.sandbox.node import processes

from .conftest import shell

if TYPE_CHECKING:
    from .conftest import Node

ECHO = {"name": "c", "image": "docker.io/istio/tcp-echo-server:1.3", "args": ["9000,9001", "one"]}
SLEEP = shell("sleep 1000")


async def ask(address: str, port: int, line: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(line)
    answer = await reader.readline()
    writer.close()
    return answer


def log_of(node: Node, name: str, run: int = 0) -> list[str]:
    uid = node.pods[("default", name)]["metadata"]["uid"]
    path = node.home.pod(uid) / "logs" / "c" / f"{run}.log"
    return [line.split(" ", 3)[3] for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_pod_runs_answers_and_goes(node: Node, until: Any) -> None:
    await node.run("echo", {**ECHO, "readinessProbe": {"tcpSocket": {"port": 9000}}})
    await until(lambda: node.is_ready("echo"), "the pod to be ready")
    status = node.status("echo")
    assert status["phase"] == "Running"
    assert await ask(status["podIP"], 9000, b"hello\n") == b"one hello\n"
    assert {entry["type"]: entry["status"] for entry in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    (record,) = node.records("echo")
    directory = node.home.pod(node.pods[("default", "echo")]["metadata"]["uid"])
    await node.client.delete(PODS, "echo", "default")
    await until(lambda: ("default", "echo") not in node.pods, "the pod to go")
    assert processes.find(record) is None
    await until(lambda: not directory.exists(), "its directory to go")
    words = [event.partition(":")[0] for event in await node.events("echo")]
    assert words == ["Scheduled", "Pulled", "Created", "Started", "Killing"]


async def test_the_node_says_what_it_is(node: Node) -> None:
    found = await node.client.get(NODES, "sandbox")
    assert found["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 10250
    assert found["status"]["addresses"][0] == {"type": "InternalIP", "address": node.kubelet.subnet.api_server}
    assert found["status"]["conditions"][-1]["reason"] == "KubeletReady"


async def test_behind_a_sidecar_the_application_listens_elsewhere(node: Node, until: Any) -> None:
    annotations = {"sidecar.istio.io/status": "{}"}
    await node.run("echo", ECHO, {"name": "istio-proxy", "image": "pause"}, metadata={"annotations": annotations})
    await until(lambda: node.is_ready("echo"), "the pod to be ready")
    prefix, _, last = node.status("echo")["podIP"].rpartition(".")

    async def answers() -> bool:
        try:
            return await ask(f"{prefix}.{int(last) + 100}", 9000, b"hello\n") == b"one hello\n"
        except ConnectionRefusedError:
            return False

    await until(answers, "the application to listen")
    with pytest.raises(ConnectionRefusedError):
        await ask(node.status("echo")["podIP"], 9000, b"hello\n")


async def test_environment_arguments_and_output(node: Node, until: Any) -> None:
    await node.client.create(
        CONFIG_MAPS,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "m", "namespace": "default"},
            "data": {"k": "v"},
        },
    )
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
        {"name": "BOTH", "value": "$(NAME)-$(KEY)-$$(KEY)"},
    ]
    script = 'echo "$BOTH $(args)"; echo $POD_IP $POD_LISTEN_ADDRESS; echo oops >&2; printf unended; env | grep -c SECRET_OF_THE_AGENT'
    os.environ["SECRET_OF_THE_AGENT"] = "x"
    try:
        await node.run("job", shell(script.replace("$(args)", "x"), env=env), restartPolicy="Never")
        await until(lambda: node.status("job").get("phase"), "a phase")
        await until(lambda: node.status("job")["phase"] in ("Succeeded", "Failed"), "the end")
    finally:
        del os.environ["SECRET_OF_THE_AGENT"]
    address = node.status("job")["podIP"]
    assert log_of(node, "job") == ["job-v-$(KEY) x", f"{address} {address}", "oops", "unended0"]
    # grep -c printed 0 and so ended with 1: nothing of the agent's own environment reached the container.
    assert node.container("job")["state"]["terminated"]["exitCode"] == 1


@pytest.mark.parametrize(("enabled", "expected"), [(True, "{address}:9000"), (False, ":")])
async def test_services_of_the_namespace_are_in_the_environment(
    node: Node, until: Any, enabled: bool, expected: str
) -> None:
    ports = [{"name": "tcp", "port": 9000}]
    metadata = {"name": "tcp-echo", "namespace": "default"}
    made = await node.client.create(
        SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}}
    )
    api_server = (await node.client.get(SERVICES, "kubernetes", "default"))["spec"]["clusterIP"]
    await until(lambda: ("default", "tcp-echo") in node.services, "the kubelet to know of the Service")
    script = (
        "echo $TCP_ECHO_SERVICE_HOST:$TCP_ECHO_SERVICE_PORT; echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"
    )
    await node.run("job", shell(script), restartPolicy="Never", enableServiceLinks=enabled)
    await until(lambda: node.status("job").get("phase") == "Succeeded", "the end")
    assert log_of(node, "job") == [expected.format(address=made["spec"]["clusterIP"]), f"{api_server}:443"]


@pytest.mark.parametrize(
    ("policy", "code", "outcome"),
    [
        ("Never", 0, ("Succeeded", "Completed")),
        ("Never", 3, ("Failed", "Error")),
        ("OnFailure", 0, ("Succeeded", "Completed")),
    ],
)
async def test_pods_that_end(node: Node, until: Any, policy: str, code: int, outcome: tuple[str, str]) -> None:
    await node.run("job", shell(f"exit {code}"), restartPolicy=policy)
    await until(lambda: node.status("job").get("phase") == outcome[0], "the end")
    ended = node.container("job")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (code, outcome[1])
    assert node.container("job")["restartCount"] == 0


async def test_a_container_that_keeps_ending_is_restarted_once_then_waits(node: Node, until: Any) -> None:
    await node.run("crash", shell("echo hi; exit 3"))
    await until(
        lambda: "waiting" in node.container("crash").get("state", {}) and node.container("crash")["restartCount"],
        "back-off",
    )
    status = node.container("crash")
    uid = node.pods[("default", "crash")]["metadata"]["uid"]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 10s restarting failed container=c pod=crash_default({uid})",
    }
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert node.status("crash")["phase"] == "Running"
    assert log_of(node, "crash", 0) == log_of(node, "crash", 1) == ["hi"]
    assert f"BackOff: Back-off restarting failed container c in pod crash_default({uid})" in await node.events("crash")


async def test_an_unknown_image_says_which_there_are(node: Node, until: Any) -> None:
    await node.run("bad", {"name": "c", "image": "nginx:1.2"})
    await until(
        lambda: node.container("bad").get("state", {}).get("waiting", {}).get("reason") == "ErrImagePull", "the error"
    )
    await until(lambda: node.container("bad")["state"]["waiting"]["reason"] == "ImagePullBackOff", "the pause")
    assert node.status("bad")["phase"] == "Pending"
    events = await node.events("bad")
    (told,) = [event for event in events if event.startswith('Failed: Failed to pull image "nginx:1.2"')]
    assert "tcp-echo-server" in told
    assert 'BackOff: Back-off pulling image "nginx:1.2"' in events


async def test_a_program_that_does_not_exist(node: Node, until: Any) -> None:
    await node.run("bad", {"name": "c", "image": "busybox", "command": ["/no/such"]}, restartPolicy="Never")
    await until(lambda: node.status("bad").get("phase") == "Failed", "the end")
    ended = node.container("bad")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/no/such" in ended["message"]


async def test_a_missing_config_map_is_waited_for(node: Node, until: Any) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nope", "key": "k"}}}]
    await node.run("waits", {**SLEEP, "env": env})
    await until(lambda: node.container("waits").get("state", {}).get("waiting", {}).get("message"), "the reason")
    assert node.container("waits")["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "nope" not found',
    }


async def test_init_containers_come_first_and_one_by_one(node: Node, until: Any) -> None:
    first = shell("sleep 0.05", name="first")
    second = shell("exit 0", name="second")
    phases: list[str] = []
    created = await node.run("pod", SLEEP, initContainers=[first, second])
    await until(lambda: node.is_ready("pod"), "the pod to be ready")
    status = node.status("pod")
    phases.append(status["phase"])
    assert [entry["ready"] for entry in status["initContainerStatuses"]] == [True, True]
    ended = [entry["state"]["terminated"]["reason"] for entry in status["initContainerStatuses"]]
    assert ended == ["Completed", "Completed"]
    assert created["status"]["phase"] == "Pending"


async def test_a_failed_init_container_ends_a_pod_that_is_never_restarted(node: Node, until: Any) -> None:
    await node.run("pod", SLEEP, initContainers=[shell("exit 1", name="first")], restartPolicy="Never")
    await until(lambda: node.status("pod").get("phase") == "Failed", "the end")
    assert node.container("pod")["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_liveness_restarts_and_readiness_does_not(node: Node, until: Any) -> None:
    liveness = {"exec": {"command": ["sh", "-c", "echo no; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    await node.run("sick", {**SLEEP, "livenessProbe": liveness})
    await until(lambda: node.container("sick").get("restartCount"), "a restart")
    events = await node.events("sick")
    assert "Unhealthy: Liveness probe failed: no" in events
    assert "Killing: Container c failed liveness probe, will be restarted" in events
    await node.run("shy", {**SLEEP, "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1}})
    await until(lambda: node.status("shy").get("phase") == "Running", "the pod to run")
    assert not node.is_ready("shy")
    message = next(entry["message"] for entry in node.status("shy")["conditions"] if entry["type"] == "Ready")
    assert message == "containers with unready status: [c]"


async def test_what_ignores_sigterm_is_killed_with_all_it_started(node: Node, until: Any) -> None:
    await node.run("deaf", shell("trap '' TERM; sleep 1000 & echo $!; wait; wait"))
    await until(lambda: log_of(node, "deaf") if ("default", "deaf") in node.pods else None, "its child")
    child = int(log_of(node, "deaf")[0])
    assert psutil.pid_exists(child)
    await node.client.delete(PODS, "deaf", "default")
    await until(lambda: ("default", "deaf") not in node.pods, "the pod to go")
    await until(lambda: not _runs(child), "its child to end")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_force_deletion_ends_it_at_once(node: Node, until: Any) -> None:
    await node.run("pod", SLEEP, terminationGracePeriodSeconds=1000)
    await until(lambda: node.is_ready("pod"), "the pod to run")
    (record,) = node.records("pod")
    await node.client.delete(PODS, "pod", "default", 0)
    await until(lambda: processes.find(record) is None, "its process to end", 5)


async def test_addresses_are_given_back(node: Node, until: Any) -> None:
    addresses = node.kubelet.addresses
    free = [addresses.assign(f"other {number}") for number in range(addresses.capacity - 1)]
    assert None not in free
    await node.run("first", SLEEP)
    await until(lambda: node.is_ready("first"), "the pod to run")
    await node.run("second", SLEEP)
    await until(lambda: node.status("second").get("conditions"), "the refusal")
    (condition,) = node.status("second")["conditions"]
    assert condition["reason"] == "Unschedulable"
    assert condition["message"].startswith("0/1 nodes are available: 1 Too many pods.")
    await node.client.delete(PODS, "first", "default")
    await until(lambda: node.is_ready("second"), "the second pod to run")


async def test_a_pod_for_another_kind_of_node_stays_pending(node: Node, until: Any) -> None:
    await node.run("picky", SLEEP, nodeSelector={"disk": "fast"})
    await until(lambda: node.status("picky").get("conditions"), "the refusal")
    assert "didn't match Pod's node affinity/selector" in node.status("picky")["conditions"][0]["message"]
    assert any(event.startswith("FailedScheduling") for event in await node.events("picky"))


async def test_a_new_agent_takes_over_what_lives(node: Node, until: Any) -> None:
    await node.run("lives", shell("echo before; sleep 1000"))
    await node.run("dies", SLEEP)
    await node.run("goes", SLEEP)
    await until(lambda: all(node.is_ready(name) for name in ("lives", "dies", "goes")), "the pods to run")
    await until(lambda: log_of(node, "lives"), "the first line")
    records = {name: node.records(name)[0] for name in ("lives", "dies", "goes")}
    uid = node.pods[("default", "goes")]["metadata"]["uid"]
    await node.vanish()
    os.killpg(records["dies"].pid, signal.SIGKILL)
    await node.client.delete(PODS, "goes", "default", 0)
    await node.start()
    await until(lambda: node.container("dies").get("restartCount") == 1 and node.is_ready("dies"), "the restart")
    assert node.container("dies")["lastState"]["terminated"]["exitCode"] == 255
    assert node.container("lives")["restartCount"] == 0
    assert node.records("lives") == [records["lives"]]
    assert processes.find(records["lives"]) is not None
    assert processes.find(records["goes"]) is None
    assert not node.home.pod(uid).exists()
    os.killpg(records["lives"].pid, signal.SIGKILL)
    await until(lambda: node.container("lives").get("restartCount") == 1, "the end of what was taken over to be seen")


async def test_pods_start_again_with_the_sandbox(node: Node, until: Any) -> None:
    await node.run("pod", SLEEP)
    await node.run("done", shell("exit 0"), restartPolicy="Never")
    await until(lambda: node.is_ready("pod") and node.status("done").get("phase") == "Succeeded", "both pods")
    before = node.status("pod")
    (record,) = node.records("pod")
    await node.stop()
    assert processes.find(record) is None
    await node.start()
    await until(lambda: node.container("pod").get("restartCount") == 1 and node.is_ready("pod"), "the restart")
    assert node.container("pod")["lastState"]["terminated"]["reason"] == "Unknown"
    assert node.status("pod")["podIP"] == before["podIP"]
    assert node.status("done")["phase"] == "Succeeded"
    await node.client.delete(PODS, "done", "default")
    await until(lambda: ("default", "done") not in node.pods, "the finished pod to go")
