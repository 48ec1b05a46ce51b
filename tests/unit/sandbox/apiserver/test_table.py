"""What `kubectl get` shows; the rows were compared with a real server's for some hundred random objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.durations import age, human_duration
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.apiserver.pod_summary import summarize
from tcpshift_helpers.sandbox.apiserver.table import columns, table

KINDS = {one.kind: one for one in Catalog(map(resource_type, definitions()))}
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREATED = "2026-01-02T03:02:45Z"


def cells(kind: str, obj: dict[str, Any]) -> list[Any]:
    obj = {**obj, "metadata": {"name": "x", "creationTimestamp": CREATED, **obj.get("metadata", {})}}
    found: list[Any] = table(KINDS[kind], [obj], NOW)["rows"][0]["cells"]
    return found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (8 * 3600, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (51 * 3600, "2d3h"),
        (8 * 86400, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (731 * 86400, "2y1d"),
        (8 * 365 * 86400, "8y"),
    ],
)
def test_durations_are_kubectls(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@given(st.floats(0, 1e10), st.floats(0, 1e10))
def test_a_longer_duration_never_looks_shorter(first: float, second: float) -> None:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}

    def seconds(text: str) -> int:
        total, digits = 0, ""
        for character in text:
            if character.isdigit():
                digits += character
            else:
                total, digits = total + int(digits) * units[character], ""
        return total

    short, long = sorted((first, second))
    assert seconds(human_duration(short)) <= seconds(human_duration(long))


def test_an_age_needs_a_time() -> None:
    assert age(None, NOW) == "<unknown>"
    assert age((NOW - timedelta(seconds=5)).isoformat(), NOW) == "5s"
    assert age("2026-01-02T03:04:00.000000Z", NOW) == "5s"


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_a_cell_for_every_column(kind: str) -> None:
    empty = {"spec": {}, "status": {}}
    assert len(cells(kind, empty)) == len(columns(KINDS[kind]))
    names = [column["name"] for column in columns(KINDS[kind]) if column["format"] == "name"]
    assert names == ["Name"]


RUNNING = {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}


def pod(*statuses: dict[str, Any], phase: str = "Running", **more: Any) -> dict[str, Any]:
    status = {"phase": phase, "containerStatuses": list(statuses), **more.pop("status", {})}
    spec = {
        "containers": [{"name": one.get("name", "c")} for one in statuses] or [{"name": "c"}],
        **more.pop("spec", {}),
    }
    return {"metadata": more.pop("metadata", {}), "spec": spec, "status": status}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **more}


def ended(**terminated: Any) -> dict[str, Any]:
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"terminated": terminated}}


INIT = {"spec": {"initContainers": [{"name": "i"}, {"name": "j"}]}}


@pytest.mark.parametrize(
    ("obj", "ready", "status"),
    [
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod(waiting("ContainerCreating"), phase="Pending"), "0/1", "ContainerCreating"),
        (pod(waiting("ImagePullBackOff"), phase="Pending"), "0/1", "ImagePullBackOff"),
        (pod(RUNNING), "1/1", "Running"),
        (pod(RUNNING, {**RUNNING, "ready": False}), "1/2", "Running"),
        (pod(waiting("CrashLoopBackOff"), RUNNING), "1/2", "CrashLoopBackOff"),
        (pod(ended(exitCode=0, reason="Completed"), phase="Succeeded"), "0/1", "Completed"),
        (pod(ended(exitCode=1, reason="Error"), phase="Failed"), "0/1", "Error"),
        (pod(ended(exitCode=3), phase="Failed"), "0/1", "ExitCode:3"),
        (pod(ended(exitCode=0, signal=9), phase="Failed"), "0/1", "Signal:9"),
        (pod(ended(exitCode=0, reason="Completed"), RUNNING), "1/2", "NotReady"),
        (pod(RUNNING, metadata={"deletionTimestamp": CREATED}), "1/1", "Terminating"),
        (pod(phase="Succeeded", metadata={"deletionTimestamp": CREATED}), "0/1", "Succeeded"),
        (pod(phase="Failed", status={"reason": "Evicted"}), "0/1", "Evicted"),
        (pod(status={"initContainerStatuses": [{"name": "i", "state": {"running": {}}}]}, **INIT), "0/1", "Init:0/2"),
        (pod(status={"initContainerStatuses": [waiting("ErrImagePull")]}, **INIT), "0/1", "Init:ErrImagePull"),
        (pod(status={"initContainerStatuses": [ended(exitCode=2)]}, **INIT), "0/1", "Init:ExitCode:2"),
        (
            pod(RUNNING, status={"initContainerStatuses": [ended(exitCode=0), ended(exitCode=0)]}, **INIT),
            "1/1",
            "Running",
        ),
    ],
)
def test_a_pods_status_in_a_word(obj: dict[str, Any], ready: str, status: str) -> None:
    assert cells("Pod", obj)[1:3] == [ready, status]


def test_a_sidecar_counts_as_a_container() -> None:
    sidecar = {"name": "s", "ready": True, "started": True, "restartCount": 2, "state": {"running": {}}}
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
    summary = summarize(pod(RUNNING, spec=spec, status={"initContainerStatuses": [sidecar]}))
    assert (summary.ready_cell(), summary.status, summary.restarts) == ("2/2", "Running", 2)


def test_restarts_tell_when_the_last_one_was() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-02T03:04:00Z"}}
    assert cells("Pod", pod({**RUNNING, "restartCount": 3, "lastState": last}))[3] == "3 (5s ago)"
    assert cells("Pod", pod({**RUNNING, "restartCount": 3}))[3] == "3"


def test_a_pod_that_ended_has_a_condition() -> None:
    obj = {**pod(phase="Succeeded"), "metadata": {"name": "x"}}
    (row,) = table(KINDS["Pod"], [obj], NOW)["rows"]
    assert [condition["reason"] for condition in row["conditions"]] == ["Succeeded"]
    assert "conditions" not in table(KINDS["Pod"], [{**obj, "status": {}}], NOW)["rows"][0]


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        (
            {"type": "ClusterIP", "clusterIPs": ["1.2.3.4"], "ports": [{"port": 9000, "protocol": "TCP"}]},
            {},
            ["ClusterIP", "1.2.3.4", "<none>", "9000/TCP", "80s", "<none>"],
        ),
        (
            {
                "type": "LoadBalancer",
                "clusterIPs": ["1.2.3.4"],
                "ports": [{"port": 1, "nodePort": 2, "protocol": "UDP"}],
            },
            {},
            ["LoadBalancer", "1.2.3.4", "<pending>", "1:2/UDP", "80s", "<none>"],
        ),
        (
            {"type": "LoadBalancer", "clusterIPs": ["1.2.3.4"], "selector": {"b": "2", "a": "1"}},
            {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "h"}]}},
            ["LoadBalancer", "1.2.3.4", "9.9.9.9,h", "<none>", "80s", "a=1,b=2"],
        ),
        (
            {"type": "ExternalName", "externalName": "a.b"},
            {},
            ["ExternalName", "<none>", "a.b", "<none>", "80s", "<none>"],
        ),
    ],
)
def test_a_service(spec: dict[str, Any], status: dict[str, Any], expected: list[str]) -> None:
    assert cells("Service", {"spec": spec, "status": status})[1:] == expected


def test_a_deployment_and_its_replica_set() -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    status = {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    assert cells("Deployment", {"spec": spec, "status": status}) == ["x", "1/2", 2, 1, "80s", "c,d", "i,j", "a=b"]
    assert cells("ReplicaSet", {"spec": spec, "status": status}) == ["x", 2, 2, 1, "80s", "c,d", "i,j", "a=b"]


def test_istios_kinds_show_what_their_definitions_say() -> None:
    spec = {"gateways": ["g", "h"], "hosts": ["*"]}
    assert cells("VirtualService", {"spec": spec}) == ["x", '["g","h"]', '["*"]', "80s"]
    assert cells("VirtualService", {"spec": {"hosts": ["*"]}}) == ["x", None, '["*"]', "80s"]
    assert cells("DestinationRule", {"spec": {"host": "tcp-echo"}}) == ["x", "tcp-echo", "80s"]
    assert cells("Gateway", {"spec": {}}) == ["x", "80s"]


def test_an_event_and_an_endpoint_slice() -> None:
    event = {
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "source": {"component": "kubelet", "host": "sandbox"},
        "lastTimestamp": "2026-01-02T03:04:00Z",
        "firstTimestamp": CREATED,
        "message": " hello\n",
        "type": "Normal",
        "reason": "Started",
        "count": 4,
    }
    shown = ["5s", "Normal", "Started", "pod/p", "spec.containers{c}", "kubelet, sandbox", "hello", "80s", 4, "x"]
    assert cells("Event", event) == shown
    endpoints = [{"addresses": [f"10.0.0.{number}"]} for number in range(5)]
    endpoint_slice = {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}, {"name": "q"}]}
    assert cells("EndpointSlice", endpoint_slice)[2:4] == ["80,q", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."]
    assert cells("EndpointSlice", {"endpoints": None, "ports": []})[2:4] == ["<unset>", "<unset>"]


def test_a_node() -> None:
    node = {
        "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "False"}],
            "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}],
            "nodeInfo": {"kubeletVersion": "v1.34.0"},
        },
    }
    head = ["x", "NotReady,SchedulingDisabled", "control-plane", "80s", "v1.34.0", "1.2.3.4", "<none>"]
    assert cells("Node", node)[:7] == head
