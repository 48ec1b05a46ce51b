"""Commands in containers of a sandbox: what they leave behind here and there, and in which words they fail."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from tcpshift_helpers import containers, execution, kubectl
from tcpshift_helpers.errors import ExecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster

NAMESPACE = "execution"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "pod"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": name, "image": "busybox", "command": ["sleep", "infinity"], "env": [{"name": "ME", "value": name}]}
            for name in ("first", "second")
        ],
    },
}


@pytest.fixture
def pod(sandbox: Cluster) -> Iterator[Cluster]:
    """A sandbox with a pod `pod`, whose containers are called first and second."""
    kubectl.create_namespace(sandbox, NAMESPACE)
    kubectl.apply(sandbox, POD, namespace=NAMESPACE)
    kubectl.wait(sandbox, "pod/pod", wait_for="condition=Ready", namespace=NAMESPACE)
    yield sandbox
    kubectl.delete(sandbox, "namespace", NAMESPACE)


def run(
    cluster: Cluster, *command: str, pod: str = "pod", container: str = "first", seconds: float = 30
) -> execution.Finished:
    return execution.run(cluster, pod, command, namespace=NAMESPACE, container=container, timeout_seconds=seconds)


def open_sockets() -> int:
    return len(psutil.Process().net_connections(kind="inet"))


def test_output_and_exit_code(pod: Cluster) -> None:
    done = run(pod, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done == execution.Finished(3, "out\n", "err\n")
    assert run(pod, "true") == execution.Finished(0, "", "")
    large = run(pod, "sh", "-c", "i=0; while [ $i -lt 50000 ]; do echo line; i=$((i+1)); done")
    assert large.stdout == "line\n" * 50_000


def test_in_which_container(pod: Cluster) -> None:
    assert run(pod, "sh", "-c", "echo $ME", container="second").stdout == "second\n"


def test_the_first_container_is_meant_where_none_is_named(pod: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    said = 'Defaulted container "first" out of: first, second\n'
    assert kubectl.exec(pod, "pod", ["sh", "-c", "echo $ME"], namespace=NAMESPACE) == "first\n"
    assert capsys.readouterr().out.endswith(f"{said}first\n")
    assert kubectl.logs(pod, "pod", namespace=NAMESPACE) == ""
    assert said in capsys.readouterr().out
    assert kubectl.exec(pod, "pod", ["sh", "-c", "echo $ME"], container="second", namespace=NAMESPACE) == "second\n"
    assert "Defaulted" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("annotation", "spec", "name", "said"),
    [
        (None, {"containers": ["a"]}, "a", ""),
        (None, {"containers": ["a", "b"], "initContainers": ["i"]}, "a", "a, b, i (init)"),
        ("b", {"containers": ["a", "b"]}, "b", ""),
        ("i", {"containers": ["a"], "initContainers": ["i"]}, "i", ""),
        ("gone", {"containers": ["a", "b"]}, "a", "a, b"),
    ],
)
def test_which_container_is_meant(annotation: str | None, spec: dict[str, list[str]], name: str, said: str) -> None:
    metadata = {"annotations": {"kubectl.kubernetes.io/default-container": annotation}} if annotation else {}
    listed = {field: [{"name": each} for each in names] for field, names in spec.items()}
    words = f'Defaulted container "{name}" out of: {said}' if said else ""
    assert containers.default_container({"metadata": metadata, "spec": listed}) == (name, words)


def test_twenty_leave_no_socket_open(pod: Cluster) -> None:
    run(pod, "true")
    before = open_sockets()
    for _ in range(20):
        assert run(pod, "true").code == 0
    assert open_sockets() <= before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pod": "gone"}, 'pods "gone" not found'),
        ({"container": "third"}, "container third is not valid for pod pod"),
    ],
)
def test_what_is_refused(pod: Cluster, wrong: dict[str, str], words: str) -> None:
    before = open_sockets()
    named = wrong.get("pod", "pod")
    with pytest.raises(ExecError) as raised:
        run(pod, "echo", "x", **wrong)
    assert str(raised.value) == (
        f"echo x could not be started in pod {named}: {words}\n"
        f"Is the pod running? kubectl -n {NAMESPACE} get pod {named}"
    )
    assert open_sockets() <= before


def test_a_program_that_is_not_there(pod: Cluster) -> None:
    with pytest.raises(
        ExecError, match=r'^no-such could not be started in pod pod: .*"no-such": executable file not found in \$PATH'
    ):
        run(pod, "no-such")


def test_one_that_does_not_end_is_let_go(pod: Cluster) -> None:
    before = open_sockets()
    with pytest.raises(ExecError, match=r"^sleep 1000 in pod pod did not end within 0\.5 s; it was let go\.$"):
        run(pod, "sleep", "1000", seconds=0.5)
    assert open_sockets() <= before


def test_one_whose_connection_is_cut(pod: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection ends under it, as when the API server is killed."""
    from kubernetes.stream.ws_client import WSClient

    update = WSClient.update

    def cut(self: WSClient, timeout: float = 0) -> None:
        update(self, timeout=timeout)
        with socket.socket(fileno=os.dup(self.sock.sock.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    monkeypatch.setattr(WSClient, "update", cut)
    before = open_sockets()
    with pytest.raises(
        ExecError, match=r"^sh -c .* in pod pod was cut off: the connection ended before the command did\.\nIs"
    ):
        run(pod, "sh", "-c", "echo up; sleep 1000")
    assert open_sockets() <= before


FAILED = {"metadata": {}, "status": "Failure", "message": "words"}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (None, None),
        ({"metadata": {}, "status": "Success"}, 0),
        ({**FAILED, "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}, 7),
        (
            {**FAILED, "reason": "InternalError", "details": {"causes": [{"message": "other words"}]}, "code": 500},
            "words",
        ),
        (FAILED, "words"),
    ],
)
def test_what_the_error_channel_says(status: object, outcome: object) -> None:
    assert execution.exit_code(json.dumps(status) if status else "") == outcome
