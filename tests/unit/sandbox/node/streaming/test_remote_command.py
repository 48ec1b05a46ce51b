"""exec and attach over a websocket, against real processes."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest

from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.client import PODS
from tcpshift_helpers.sandbox.network import API_PORT
from tcpshift_helpers.sandbox.node import processes
from tcpshift_helpers.sandbox.node.streaming import channels, sockets

from ..conftest import shell

if TYPE_CHECKING:
    from ..conftest import Node

BOTH = pytest.mark.parametrize("protocol", [channels.V4, channels.V5])


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@BOTH
async def test_output_and_exit_code(pod: str, open_session: Any, protocol: str) -> None:
    done = await (await open_session(pod, "sh", "-c", "echo out; echo err >&2; exit 3", protocol=protocol)).end()
    assert (done.channels[1], done.channels[2], done.code) == (b"out\n", b"err\n", 3)
    assert done.socket.protocol == protocol
    assert done.socket.close_code == 1000
    assert (await (await open_session(pod, "true", protocol=protocol)).end()).status == {
        "metadata": {},
        "status": "Success",
    }


@pytest.mark.parametrize("protocol", [channels.UNNAMED, channels.V1])
async def test_clients_of_old_are_told_of_failures_alone(pod: str, open_session: Any, protocol: str) -> None:
    done = await (await open_session(pod, "echo", "out", protocol=protocol)).end()
    assert done.socket.protocol == (protocol or None)
    assert done.channels == {1: b"out\n"}
    done = await (await open_session(pod, "false", protocol=protocol)).end()
    words = b"command terminated with non-zero exit code: error executing command [false], exit code 1"
    assert done.channels[channels.ERROR] == words


async def test_a_port_forward_of_a_client_that_names_no_protocol(pod: str, open_session: Any) -> None:
    del pod
    done = await (await open_session("/portForward/default/pod", port="9", protocol=channels.UNNAMED)).end()
    assert done.channels[1].endswith(b"connection refused")


async def test_the_first_message_says_that_the_connection_stands(pod: str, open_session: Any) -> None:
    for wanted, channel in (({"output": "1"}, 1), ({"error": "1"}, 2), ({"input": "1"}, 3)):
        session = await open_session(pod, "cat", **wanted)
        await session.step()
        assert session.channels == {channel: b""}
        await session.socket.close()


async def test_only_what_is_wanted_comes(pod: str, open_session: Any) -> None:
    done = await (await open_session(pod, "sh", "-c", "echo out; echo err >&2", error="1")).end()
    assert (done.channels[2], 1 in done.channels) == (b"err\n", False)


async def test_where_it_runs(node: Node, pod: str, open_session: Any) -> None:
    script = "echo $GREETING $POD_LISTEN_ADDRESS $HOSTNAME; pwd; ps -o pid=,pgid=,sid= -p $$"
    done = await (await open_session(pod, "sh", "-c", script, output="1")).end()
    variables, directory, numbers = done.channels[1].decode().splitlines()
    address = node.status("pod")["podIP"]
    assert variables == f"hello {address} pod"
    assert directory == str(node.home.pod(node.pods[("default", "pod")]["metadata"]["uid"]) / "containers" / "c")
    assert len(set(numbers.split())) == 1, "it leads a session and a group of its own"


async def test_standard_input_and_its_end(pod: str, open_session: Any) -> None:
    session = await open_session(pod, "cat", protocol=channels.V5, input="1", output="1")
    await session.send(channels.STDIN, b"one\n")
    await session.until(channels.STDOUT, b"one\n")
    await session.socket.send_str("\0two\n")
    await session.send(channels.CLOSE, bytes((channels.STDIN,)))
    done = await session.end()
    assert (done.channels[1], done.code) == (b"one\ntwo\n", 0)


async def test_without_standard_input_there_is_nothing_to_read(pod: str, open_session: Any) -> None:
    session = await open_session(pod, "cat", output="1")
    await session.send(channels.STDIN, b"lost")
    assert (await session.end()).code == 0


async def test_input_that_nobody_reads_any_more_is_lost(pod: str, open_session: Any) -> None:
    session = await open_session(pod, "sh", "-c", "exec <&-; echo ready; sleep 0.1; echo done", input="1", output="1")
    await session.until(channels.STDOUT, b"ready\n")
    for _ in range(10):
        await session.send(channels.STDIN, b"x" * 100_000)
    done = await session.end()
    assert (done.channels[1], done.code) == (b"ready\ndone\n", 0)


async def test_a_terminal(pod: str, open_session: Any) -> None:
    session = await open_session(pod, "sh", protocol=channels.V5, input="1", output="1", error="1", tty="1")
    await session.send(channels.RESIZE, b'{"Width":111,"Height":33}')
    await session.send(channels.STDIN, b"stty size; tty >&2; echo $TERM; ps -o tty= -p $$\n")
    await session.until(channels.STDOUT, b"33 111\r\n/dev/pts/")
    await session.until(channels.STDOUT, b"\r\nxterm\r\npts/")
    await session.send(channels.RESIZE, b'{"Width":50,"Height":20}')
    # It says so when it is in the foreground: before that, nobody hears an interrupt.
    await session.send(channels.STDIN, b"sh -c 'stty size; echo up; exec sleep 1000'\n")
    await session.until(channels.STDOUT, b"20 50\r\nup\r\n")
    await session.send(channels.STDIN, b"\x03")
    await session.send(channels.STDIN, b"exit 7\n")
    done = await session.end()
    assert (2 in done.channels, done.code) == (False, 7)


@BOTH
async def test_a_program_that_is_not_there(pod: str, open_session: Any, protocol: str) -> None:
    message = (await (await open_session(pod, "no-such", protocol=protocol)).end()).status["message"]
    doubled = "Internal error occurred: " * (protocol == channels.V5)
    assert message.startswith(
        f"{doubled}Internal error occurred: error executing command in container: failed to exec in container:"
    )
    assert message.endswith('exec: "no-such": executable file not found in $PATH: unknown')


async def test_no_command_at_all(pod: str, open_session: Any) -> None:
    message = (await (await open_session(pod)).end()).status["message"]
    assert message.endswith("OCI runtime exec failed: exec failed: args must not be empty: unknown")


async def test_a_file_that_is_no_program(node: Node, pod: str, open_session: Any) -> None:
    file = node.home.root / "text"
    file.write_text("no program")
    file.chmod(0o755)
    message = (await (await open_session(pod, str(file))).end()).status["message"]
    assert message.endswith(f'exec: "{file}": exec format error: unknown')


async def test_it_ends_with_its_client(pod: str, open_session: Any, until: Any) -> None:
    session = await open_session(pod, "sh", "-c", "echo $$; sleep 1000 & sleep 1000")
    await session.until(channels.STDOUT, b"\n")
    pid = int(session.channels[1])
    group = [pid, *(child.pid for child in psutil.Process(pid).children())]
    session.socket._response.connection.transport.abort()
    await until(lambda: not any(map(runs, group)), "the command and what it started to end")


async def test_it_ends_with_its_container(node: Node, pod: str, open_session: Any) -> None:
    session = await open_session(pod, "sh", "-c", "echo ready; sleep 1000")
    await session.until(channels.STDOUT, b"ready")
    await node.client.delete(PODS, "pod", "default", grace_period_seconds=0)
    assert (await session.end()).code == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    "script",
    [
        "sleep 1000 & echo $!",
        "set -m; sleep 1000 & echo $!",
        "mkfifo it; setsid sh -c 'echo $$ > it; read line < it' & cat it",
    ],
    ids=["in its group", "a job with a group of its own", "a daemon"],
)
async def test_what_it_leaves_ends_with_it(node: Node, pod: str, open_session: Any, until: Any, script: str) -> None:
    done = await (await open_session(pod, "sh", "-c", script)).end()
    assert done.code == 0
    await until(lambda: not runs(int(done.channels[1])), "what it left to end")
    assert processes.find(node.records("pod")[0]), "the container is left alone"


async def test_what_a_killed_agent_left_is_found(node: Node, pod: str, open_session: Any, until: Any) -> None:
    session = await open_session(pod, "sh", "-c", "echo $$; exec sleep 1000")
    await session.until(channels.STDOUT, b"\n")
    pid = int(session.channels[1])
    # While it becomes another program, the system shows no environment of it.
    await until(lambda: psutil.Process(pid).cmdline()[:1] == ["sleep"], "it to sleep")
    assert processes.end_unrecorded(node.home) == 1
    assert not runs(pid)
    assert processes.find(node.records("pod")[0]), "the container is left alone"
    await session.end()


async def test_output_waits_for_its_reader(node: Node, pod: str, open_session: Any) -> None:
    """A reader that does not read stops the command; what is on its way fits into the buffers of pipes and sockets."""
    script = "i=0; while true; do head -c 1000000 /dev/zero; i=$((i+1)); echo $i > written; done"
    session = await open_session(pod, "sh", "-c", script, output="1")
    await session.step()
    file = node.home.pod(node.pods[("default", "pod")]["metadata"]["uid"]) / "containers" / "c" / "written"
    counts = [-1, -2]
    while counts[-1] != counts[-2]:
        await asyncio.sleep(0.5)
        counts.append(int(file.read_text() or 0) if file.exists() else 0)
    assert counts[-1] < 30
    session.socket._response.connection.transport.abort()


async def test_a_message_that_is_too_long(pod: str, open_session: Any, until: Any) -> None:
    session = await open_session(pod, "sh", "-c", "echo $$; exec cat", input="1", output="1")
    await session.until(channels.STDOUT, b"\n")
    await session.send(channels.STDIN, b"x" * limits.LONGEST_MESSAGE_BYTES)
    done = await session.end()
    # The reason gets lost where the rest of the message is still on its way when the connection is closed.
    assert done.socket.close_code in (aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
    assert channels.ERROR not in done.channels
    await until(lambda: not runs(int(done.channels[1])), "the command to end")


async def test_attach_shows_what_comes_until_the_end(node: Node, open_session: Any, until: Any) -> None:
    script = "echo before; while ! test -e go; do sleep 0.02; done; echo after; printf rest"
    await node.run("talker", shell(script), restartPolicy="Never")
    await until(lambda: node.is_ready("talker"), "the pod to run")
    session = await open_session("/attach/default/talker/c", output="1", error="1", protocol=channels.V5)
    await session.step()
    (node.home.pod(node.pods[("default", "talker")]["metadata"]["uid"]) / "containers" / "c" / "go").touch()
    done = await session.end()
    assert (done.channels[1], done.status["status"]) == (b"after\nrest", "Success")


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ("/exec/default/absent/c?output=1", 404, "pod does not exist"),
        ("/exec/default/pod/d?output=1", 500, 'container not found ("d")'),
        ("/attach/default/pod/d?output=1", 500, "container d not found in pod pod_default"),
        ("/exec/default/pod/c", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/default/pod/c?error=1&tty=1", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/portForward/default/absent?port=1", 404, "pod does not exist"),
        ("/portForward/default/pod", 400, 'query parameter "port" is required'),
        ("/portForward/default/pod?port=", 400, 'query parameter "port" cannot be empty'),
        ("/portForward/default/pod?port=0", 400, 'port "0" must be > 0'),
        ("/portForward/default/pod?port=1,x", 400, 'unable to parse "1,x" as a port: strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("pod")
async def test_what_is_refused(kubelet: Any, open_session: Any, asked: str, code: int, words: str) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": channels.V4}
    async with kubelet.get(asked, headers=headers) as answer:
        assert (answer.status, await answer.text()) == (code, words)
    if not asked.startswith("/portForward"):
        path, _, query = asked.partition("?")
        wanted = dict(part.split("=") for part in query.split("&") if part) or {"other": "1"}
        said = (await (await open_session(path, protocol=channels.V5, **wanted)).end()).status
        assert (said["code"], said["reason"]) == (500, "InternalError")
        assert said["message"] == f"Internal error occurred: unable to upgrade connection: {words}"


async def test_how_it_can_be_asked(pod: str, kubelet: Any) -> None:
    query, upgrade = "?command=true&output=1", {"Connection": "Upgrade", "Upgrade": "websocket"}
    async with kubelet.get(pod + query) as answer:
        assert (answer.status, await answer.text()) == (500, "Upgrade request required")
    async with kubelet.get(pod + query, headers={**upgrade, "Sec-WebSocket-Protocol": "v9.channel.k8s.io"}) as answer:
        assert (answer.status, await answer.text()) == (403, "")
    async with kubelet.post(pod + query, headers={**upgrade, "Sec-WebSocket-Protocol": channels.V4}) as answer:
        assert answer.status == 405
    spdy = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
    async with kubelet.post(pod + query, headers=spdy) as answer:
        words = (
            "unable to upgrade: unable to negotiate protocol: client supports [v4.channel.k8s.io], server accepts []"
        )
        assert (answer.status, await answer.text()) == (403, words)
    for path in (pod + query, "/portForward/default/pod", "/attach/default/pod/c"):
        async with kubelet.get(path, headers={**upgrade, "Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 401


@pytest.fixture
def two_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has room for two sessions."""
    monkeypatch.setattr(limits, "MOST_SESSIONS", 2)


@pytest.mark.usefixtures("two_sessions")
async def test_no_more_sessions_than_fit(node: Node, pod: str, kubelet: Any, open_session: Any) -> None:
    held = [await open_session(pod, "sleep", "1000"), await open_session("/portForward/default/pod", port="9000")]
    for session in held:
        await session.step()
    words = "rpc error: code = ResourceExhausted desc = maximum number of in-flight requests exceeded"
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": channels.V4}
    for path in (f"{pod}?command=true&output=1", "/attach/default/pod/c?output=1", "/portForward/default/pod?port=80"):
        async with kubelet.get(path, headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"], await answer.text()) == (429, "60", words)
    # The API server passes it on as it is.
    api = f"https://{node.kubelet.subnet.api_server}:{API_PORT}/api/v1/namespaces/default/pods/pod"
    for query in ("exec?command=true&stdout=1", "attach?stdout=1", "portforward?ports=80"):
        async with kubelet.get(f"{api}/{query}", headers=headers) as answer:
            assert (answer.status, answer.headers["Retry-After"], await answer.text()) == (429, "60", words)
    refused = (await (await open_session(pod, "true", protocol=channels.V5)).end()).status
    assert refused["message"] == f"Internal error occurred: unable to upgrade connection: {words}"
    await held[0].socket.close()
    async with asyncio.timeout(30):  # until the node has noticed
        while (await (await open_session(pod, "true", protocol=channels.V5)).end()).status["status"] != "Success":
            pass
    await held[1].socket.close()


@pytest.mark.parametrize("kilobytes", [600, 700, 800, 1_000_000])
async def test_a_client_that_vanishes_while_it_is_not_read_from(
    pod: str, open_session: Any, until: Any, monkeypatch: Any, kilobytes: int
) -> None:
    """Its end stands behind input that the command does not read, or comes while nobody listens: only writing or asking tells."""
    monkeypatch.setattr(sockets, "PING_SECONDS", 0.05)
    session = await open_session(pod, "sh", "-c", "echo $$; exec sleep 1000", input="1", output="1")
    await session.until(channels.STDOUT, b"\n")
    pid = int(session.channels[1])

    async def flood() -> None:
        for _ in range(kilobytes // 10):
            await session.send(channels.STDIN, b"x" * 10_000)

    flooding = asyncio.create_task(flood())
    await asyncio.wait([flooding], timeout=1)
    assert runs(pid), "it is not ended for not reading"
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    session.socket._response.connection.transport.abort()
    await until(lambda: not runs(pid), "the command to end")
