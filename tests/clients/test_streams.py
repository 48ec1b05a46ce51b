"""Into containers with people's own libraries: exec, port-forward and logs, as their documentation shows, and how each fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import re
import socket
from typing import TYPE_CHECKING, Any

import httpx_ws
import kr8s
import kr8s.asyncio
import pytest
from kr8s._async_utils import as_sync_func
from kr8s.asyncio.objects import Pod as AsyncPod
from kr8s.objects import Pod
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

NAMESPACE = "client-streams"
SHELL = {"name": "shell", "image": "busybox", "command": ["sh", "-c", "echo one; echo two; sleep infinity"]}
ECHO = {"name": "tcp-echo", "image": "docker.io/istio/tcp-echo-server:1.3", "args": ["9000", "one"]}
NOT_FOUND = 'exec: "no-such": executable file not found in $PATH'
REFUSED = "error forwarding port 9 to pod "

# The official client leaves the sockets of its streams to the garbage collector.
pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")]


@pytest.fixture(scope="module")
def kubeconfig(sandbox_home: Home) -> Iterator[Path]:
    """Of a sandbox in which two pods run: `shell`, which has said one and two, and `tcp-echo`, at port 9000."""
    api_client = config.new_client_from_config(str(sandbox_home.kubeconfig))
    core = client.CoreV1Api(api_client)
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    for container in (SHELL, ECHO):
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": container["name"]}, "spec": spec})
        events = watch.Watch().stream(
            core.list_namespaced_pod,
            NAMESPACE,
            field_selector=f"metadata.name={container['name']}",
            timeout_seconds=60,
        )
        assert any(
            condition.type == "Ready" and condition.status == "True"
            for event in events
            for condition in event["object"].status.conditions or []
        )
        events.close()
    yield sandbox_home.kubeconfig
    core.delete_namespace(NAMESPACE)
    api_client.close()
    api_client.rest_client.pool_manager.clear()


# The official client.


@pytest.fixture
def core(kubeconfig: Path) -> Iterator[client.CoreV1Api]:
    """The official client; what it leaves is collected before another test is blamed for it."""
    api_client = config.new_client_from_config(str(kubeconfig))
    yield client.CoreV1Api(api_client)
    api_client.close()
    api_client.rest_client.pool_manager.clear()
    gc.collect()


def official(core: client.CoreV1Api, *command: str, pod: str = "shell", **options: Any) -> Any:
    asked = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **options}
    return stream(core.connect_get_namespaced_pod_exec, pod, NAMESPACE, command=list(command), **asked)


@contextlib.contextmanager
def session(core: client.CoreV1Api, *command: str, **options: Any) -> Iterator[Any]:
    """One that is not waited for; the client leaves its socket open when the server ends it."""
    opened = official(core, *command, _preload_content=False, **options)
    try:
        yield opened
    finally:
        opened.sock.shutdown()


def test_official_exec_that_is_waited_for(core: client.CoreV1Api) -> None:
    assert official(core, "sh", "-c", "echo out; echo err >&2") == "out\nerr\n"


@pytest.mark.parametrize("code", [0, 3])
def test_official_exec_of_which_each_stream_is_read(core: client.CoreV1Api, code: int) -> None:
    with session(core, "sh", "-c", f"echo out; echo err >&2; exit {code}") as opened:
        opened.run_forever(timeout=30)
        assert (opened.read_stdout(), opened.read_stderr(), opened.returncode) == ("out\n", "err\n", code)


def test_official_exec_with_standard_input(core: client.CoreV1Api) -> None:
    with session(core, "cat", stdin=True) as opened:
        opened.write_stdin("one\n")
        assert opened.readline_stdout(timeout=30) == "one"
        opened.write_stdin("two\n")
        assert opened.readline_stdout(timeout=30) == "two"
        assert opened.returncode is None
        opened.close_channel(0)
        opened.run_forever(timeout=30)
        assert opened.returncode == 0


def test_official_exec_on_a_terminal(core: client.CoreV1Api) -> None:
    with session(core, "sh", stdin=True, tty=True) as opened:
        opened.write_channel(4, '{"Width":111,"Height":33}')
        opened.write_stdin("stty size; exit 5\n")
        opened.run_forever(timeout=30)
        assert "33 111\r\n" in opened.read_stdout()
        assert opened.returncode == 5


def test_official_exec_of_a_program_that_is_not_there(core: client.CoreV1Api) -> None:
    with session(core, "no-such") as opened:
        opened.run_forever(timeout=30)
        status = json.loads(opened.read_channel(3))
    assert (status["status"], status["code"], status["reason"]) == ("Failure", 500, "InternalError")
    assert NOT_FOUND in status["message"]


@pytest.mark.parametrize(
    ("where", "code", "words"),
    [
        ({"container": "other"}, 400, "container other is not valid for pod shell"),
        ({"pod": "gone"}, 404, 'pods \\"gone\\" not found'),
    ],
)
def test_official_exec_where_nothing_is(core: client.CoreV1Api, where: dict[str, str], code: int, words: str) -> None:
    with pytest.raises(ApiException) as raised:
        official(core, "true", **where)
    assert raised.value.reason.startswith(f"Handshake status {code} ")
    assert words in raised.value.reason


def test_official_port_forward(core: client.CoreV1Api) -> None:
    forward = portforward(core.connect_get_namespaced_pod_portforward, "tcp-echo", NAMESPACE, ports="9000")
    connection = forward.socket(9000)
    connection.setblocking(True)
    connection.sendall(b"hello\n")
    assert connection.recv(100) == b"one hello\n"
    assert forward.error(9000) is None
    forward.close()


def test_official_port_forward_to_a_closed_port(core: client.CoreV1Api) -> None:
    forward = portforward(core.connect_get_namespaced_pod_portforward, "tcp-echo", NAMESPACE, ports="9")
    connection = forward.socket(9)
    connection.setblocking(True)
    assert connection.recv(100) == b""
    assert forward.error(9).startswith(REFUSED)
    assert forward.error(9).endswith("connection refused")
    forward.close()


def test_official_logs(core: client.CoreV1Api) -> None:
    assert core.read_namespaced_pod_log("shell", NAMESPACE) == "one\ntwo\n"
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "shell", NAMESPACE)
    assert [next(lines), next(lines)] == ["one", "two"]
    lines.close()


# kr8s.


def fails(words: str) -> Any:
    """What is run in it fails in these words; its own error comes wrapped by the websocket's tasks."""
    return pytest.RaisesGroup(
        pytest.RaisesExc(kr8s.ExecError, match=re.escape(words)), allow_unwrapped=True, flatten_subgroups=True
    )


def free_port() -> int:
    """A port of this machine at which nobody listens; kr8s draws one without asking the system."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def kr8s_api(kubeconfig: Path) -> Iterator[Any]:
    """kr8s, its synchronous half."""
    api = kr8s.api(kubeconfig=str(kubeconfig), namespace=NAMESPACE)
    yield api
    as_sync_func(api._session.aclose)()  # it has no other way


def test_kr8s_exec(kr8s_api: Any) -> None:
    pod = Pod.get("shell", api=kr8s_api)
    done = pod.exec(["sh", "-c", "echo out; echo err >&2"])
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 0)
    done = pod.exec(["sh", "-c", "echo out; exit 3"], check=False)
    assert (done.stdout, done.returncode) == (b"out\n", 3)
    with fails("exit code 3"):
        pod.exec(["sh", "-c", "exit 3"])
    with fails(NOT_FOUND):
        pod.exec(["no-such"])


def test_kr8s_exec_where_nothing_is(kr8s_api: Any) -> None:
    with pytest.raises(httpx_ws.WebSocketUpgradeError) as raised:
        Pod.get("shell", api=kr8s_api).exec(["true"], container="other")
    assert raised.value.response.status_code == 400


def test_kr8s_port_forward(kr8s_api: Any) -> None:
    with (
        Pod.get("tcp-echo", api=kr8s_api).portforward(9000, local_port=free_port()) as port,
        socket.create_connection(("127.0.0.1", port), 30) as connection,
    ):
        connection.sendall(b"hello\n")
        assert connection.recv(100) == b"one hello\n"


def test_kr8s_logs(kr8s_api: Any) -> None:
    pod = Pod.get("shell", api=kr8s_api)
    assert list(pod.logs()) == ["one", "two"]
    lines = pod.logs(follow=True)
    assert [next(lines), next(lines)] == ["one", "two"]
    lines.close()


@pytest.fixture
async def async_api(kubeconfig: Path) -> AsyncIterator[Any]:
    """kr8s on an event loop."""
    api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=NAMESPACE)
    yield api
    await api._session.aclose()  # it has no other way


async def test_asynchronous_kr8s_exec(async_api: Any) -> None:
    pod = await AsyncPod.get("shell", api=async_api)
    done = await pod.exec(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)
    with fails(NOT_FOUND):
        await pod.exec(["no-such"])


async def test_asynchronous_kr8s_port_forward(async_api: Any) -> None:
    pod = await AsyncPod.get("tcp-echo", api=async_api)
    async with pod.portforward(9000, local_port=free_port()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"one hello\n"
        writer.close()
        await writer.wait_closed()


async def test_asynchronous_kr8s_port_forward_to_a_closed_port(async_api: Any) -> None:
    """It does not read the error channel: the connection is closed."""
    pod = await AsyncPod.get("tcp-echo", api=async_api)
    async with pod.portforward(9, local_port=free_port()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        await writer.wait_closed()


async def test_asynchronous_kr8s_logs(async_api: Any) -> None:
    pod = await AsyncPod.get("shell", api=async_api)
    assert [line async for line in pod.logs()] == ["one", "two"]
    async with contextlib.aclosing(pod.logs(follow=True)) as lines:
        assert [await anext(lines), await anext(lines)] == ["one", "two"]
