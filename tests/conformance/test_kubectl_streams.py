"""kubectl exec, attach, port-forward and cp, into pods of a running sandbox.

An API server alone has no node: what such a server says without one is in `test_pod_streams`.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.home import Home

NAMESPACE = "streams"
MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: streams}
---
apiVersion: v1
kind: Service
metadata: {name: tcp-echo, namespace: streams}
spec:
  selector: {app: tcp-echo}
  ports: [{name: tcp, port: 9000}]
---
apiVersion: v1
kind: Pod
metadata: {name: tcp-echo, namespace: streams, labels: {app: tcp-echo}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: tcp-echo
    image: docker.io/istio/tcp-echo-server:1.3
    args: ["9000", "one"]
    ports: [{containerPort: 9000}]
    readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: streams}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: curl
    image: docker.io/curlimages/curl:8.16.0
    command: ["/bin/sleep", "infinity"]
  - name: talker
    image: busybox
    command: ["sh", "-c", "while :; do echo talk; sleep 0.1; done"]
"""

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
pytestmark = [
    needs_kubectl,
    pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node"),
]


@pytest.fixture(scope="module")
def words(sandbox_home: Home, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line up to the verb."""
    cache = tmp_path_factory.mktemp("kubectl")
    return ["kubectl", "--kubeconfig", str(sandbox_home.kubeconfig), "--cache-dir", str(cache), "-n", NAMESPACE]


@pytest.fixture(scope="module")
def kubectl(words: list[str]) -> Iterator[Kubectl]:
    """Runs kubectl, in a namespace with pods that run."""

    def run(*arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*words, *arguments], check=False, input=stdin, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run("apply", "-f", "-", stdin=MANIFEST)
    run("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    yield run
    run("delete", "namespace", NAMESPACE)


def until_line(file: Any, pattern: str) -> re.Match[str]:
    """The next line that matches."""
    for line in file:
        if found := re.search(pattern, line):
            return found
    pytest.fail(f"no line like {pattern}")


class Terminal:
    """A terminal in which a command runs, as in a window: what is typed reaches it by way of the system's own line discipline.

    `sh` opens it once more and thereby makes it the terminal that controls the command.
    """

    def __init__(self, words: list[str], rows: int, columns: int) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = b""
        self.resize(rows, columns)
        by_name = ["sh", "-c", 'exec "$@" <>"$0" >&0 2>&0', os.ttyname(theirs), *words]
        self.process = subprocess.Popen(by_name, stdin=theirs, start_new_session=True)
        os.close(theirs)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.process.kill()
        self.process.wait(30)

    def close(self) -> None:
        """Close the window."""
        if self._ours >= 0:
            os.close(self._ours)
        self._ours = -1

    def type(self, text: bytes) -> None:
        os.write(self._ours, text)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the system tells whom the terminal controls."""
        termios.tcsetwinsize(self._ours, (rows, columns))

    def until(self, text: bytes) -> None:
        """Read until this has appeared."""
        while text not in self._seen:
            self._seen += os.read(self._ours, 4096)
        self._seen = self._seen.partition(text)[2]


@pytest.mark.parity("kubectl exec", "works")
def test_exec(kubectl: Kubectl) -> None:
    done = kubectl("exec", "client", "-c", "curl", "--", "sh", "-c", "echo out; echo err >&2; exit 3", code=3)
    assert (done.stdout, done.stderr) == ("out\n", "err\ncommand terminated with exit code 3\n")
    done = kubectl("exec", "client", "--", "true")
    assert (done.stdout, done.stderr) == ("", 'Defaulted container "curl" out of: curl, talker\n')


@pytest.mark.parity("kubectl exec, the task's own line: date, sleep and nc", "works")
@pytest.mark.parametrize("name", ["tcp-echo", "tcp-echo.streams", "tcp-echo.streams.svc.cluster.local"])
def test_the_tasks_own_line(kubectl: Kubectl, name: str) -> None:
    done = kubectl("exec", "client", "-c", "curl", "--", "sh", "-c", f"(date; sleep 1) | nc {name} 9000")
    assert re.fullmatch(r"one .*\d\d:\d\d:\d\d.*\n", done.stdout)


@pytest.mark.parity("kubectl exec, curl to a Service's names", "works")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("name", ["kubernetes.default", "kubernetes.default.svc.cluster.local"])
def test_curl(kubectl: Kubectl, name: str) -> None:
    done = kubectl("exec", "client", "-c", "curl", "--", "curl", "-sk", f"https://{name}/readyz")
    assert done.stdout == "ok"


@pytest.mark.parity("kubectl exec -i", "works")
def test_exec_with_standard_input(kubectl: Kubectl) -> None:
    text = "line\n" * 50_000
    assert kubectl("exec", "-i", "client", "-c", "curl", "--", "cat", stdin=text).stdout == text


@pytest.fixture
def shell(kubectl: Kubectl, words: list[str]) -> Iterator[Terminal]:
    """`kubectl exec -it … sh` in a terminal of 33 rows and 111 columns; what is typed is not shown again."""
    del kubectl
    with Terminal([*words, "exec", "-it", "client", "-c", "curl", "--", "sh"], 33, 111) as opened:
        opened.type(b"stty -echo; PS1='next> '; echo a''b\n")
        opened.until(b"ab\r\n")
        yield opened


@pytest.mark.parity("kubectl exec -it, with the terminal's size", "works")
def test_exec_with_a_terminal(shell: Terminal) -> None:
    shell.type(b"stty size; test -t 0 && test -t 1 && tty\n")
    shell.until(b"33 111\r\n")
    shell.until(b"/dev/pts/")
    shell.type(b"exit 7\n")
    assert shell.process.wait(30) == 7


@pytest.mark.parity("kubectl exec -it, the terminal is resized", "works")
def test_a_terminal_that_is_resized(shell: Terminal) -> None:
    """What runs in it is told by the signal WINCH, and both stty and Python see the new size."""
    shell.type(b"sh -c 'trap \"stty size; exit\" WINCH; echo up; while :; do sleep 0.02; done'\n")
    shell.until(b"up\r\n")
    shell.resize(20, 50)
    shell.until(b"20 50\r\n")
    shell.type(f"{sys.executable} -c 'import os; print(*os.get_terminal_size())'\n".encode())
    shell.until(b"50 20\r\n")
    shell.type(b"exit\n")
    assert shell.process.wait(30) == 0


@pytest.mark.parity("kubectl exec -it, Ctrl-C", "works")
def test_an_interrupt_is_the_commands(shell: Terminal) -> None:
    """It ends what runs in the foreground there, and neither the shell nor kubectl."""
    shell.type(b"sh -c 'echo up; exec sleep 1000'\n")
    shell.until(b"up\r\n")
    shell.type(b"\x03")
    shell.until(b"next> ")
    shell.type(b"echo code $?\n")
    shell.until(b"code 130\r\n")
    assert shell.process.poll() is None
    shell.type(b"exit 9\n")
    assert shell.process.wait(30) == 9


@pytest.mark.parity("kubectl exec -it, the terminal is closed", "works")
def test_a_terminal_that_is_closed(shell: Terminal, tmp_path: Path) -> None:
    """With kubectl ends what runs there, even what ignores a hang-up."""
    file = tmp_path / "pid"
    shell.type(f"sh -c 'trap \"\" HUP; echo $$ > {file}; echo up; sleep 1000; sleep 1000'\n".encode())
    shell.until(b"up\r\n")
    there = psutil.Process(int(file.read_text()))
    shell.close()
    there.wait(30)


@pytest.mark.parity("kubectl exec, attach and port-forward, a pod that is gone", "works")
@pytest.mark.parametrize("verb", [("exec", "gone", "--", "true"), ("attach", "gone"), ("port-forward", "gone", ":80")])
def test_a_pod_that_is_gone(kubectl: Kubectl, verb: tuple[str, ...]) -> None:
    assert kubectl(*verb, code=1).stderr == 'Error from server (NotFound): pods "gone" not found\n'


@pytest.mark.parity("kubectl exec, a container or a program that is not there", "works")
def test_exec_of_what_is_not_there(kubectl: Kubectl) -> None:
    said = kubectl("exec", "client", "-c", "x", "--", "true", code=1).stderr
    assert said == "Error from server (BadRequest): container x is not valid for pod client\n"
    said = kubectl("exec", "client", "-c", "curl", "--", "no-such", code=1).stderr
    assert 'exec: "no-such": executable file not found in $PATH' in said


ENDED = """\
apiVersion: v1
kind: Pod
metadata: {name: done}
spec:
  restartPolicy: Never
  containers: [{name: c, image: busybox, command: ["true"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: half}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: ended, image: busybox, command: ["true"]}
  - {name: idle, image: busybox, command: ["sleep", "infinity"]}
"""


KILLED = """\
apiVersion: v1
kind: Pod
metadata: {name: killed}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: ["sleep", "infinity"]}]
"""


@pytest.mark.parity("kubectl exec, attach and port-forward, a container or a pod that has ended", "works")
def test_what_has_ended(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=ENDED)
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=60s")
    kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}=Completed", "pod/half")
    said = "error: cannot exec into a container in a completed pod; current phase is Succeeded\n"
    assert kubectl("exec", "done", "--", "true", code=1).stderr == said
    said = 'error: Internal error occurred: unable to upgrade connection: container not found ("ended")\n'
    assert kubectl("exec", "half", "-c", "ended", "--", "true", code=1).stderr.endswith(said)
    said = kubectl("attach", "half", "-c", "ended", code=1).stderr
    words = "unable to upgrade connection: container ended not found in pod half_streams"
    assert said.endswith(f"error: Internal error occurred: {words}\n")
    assert kubectl("exec", "half", "-c", "idle", "--", "echo", "here").stdout == "here\n"
    said = "error: cannot attach a container in a completed pod; current phase is Succeeded\n"
    assert kubectl("attach", "done", code=1).stderr == said
    said = "error: unable to forward port because pod is not running. Current status=Succeeded\n"
    assert kubectl("port-forward", "done", ":80", code=1).stderr == said


@pytest.mark.parity("kubectl exec, the pod is killed meanwhile", "works")
@pytest.mark.parametrize("options", [(), ("-i",)])
def test_a_pod_that_is_killed_in_mid_exec(kubectl: Kubectl, words: list[str], options: tuple[str, ...]) -> None:
    kubectl("apply", "-f", "-", stdin=KILLED)
    kubectl("wait", "--for=condition=Ready", "pod/killed", "--timeout=60s")
    command = ["exec", *options, "killed", "--", "sh", "-c", "echo up; sleep 1000"]
    with subprocess.Popen(
        [*words, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until_line(process.stdout, "^up$")
        kubectl("delete", "pod", "killed", "--grace-period=0", "--force")
        assert process.wait(30) == 137
        assert process.stderr is not None
        assert process.stderr.read() == "command terminated with exit code 137\n"


@pytest.mark.parity("kubectl attach", "works")
def test_attach(kubectl: Kubectl, words: list[str]) -> None:
    del kubectl
    process = subprocess.Popen(
        [*words, "attach", "client", "-c", "talker"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        until_line(process.stdout, "^talk$")
        process.terminate()


@pytest.mark.parity("kubectl port-forward, to a pod and to a Service", "works")
@pytest.mark.parametrize("what", ["pod/tcp-echo", "service/tcp-echo"])
def test_port_forward(kubectl: Kubectl, words: list[str], what: str) -> None:
    del kubectl
    process = subprocess.Popen(
        [*words, "port-forward", what, ":9000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        port = int(until_line(process.stdout, r"127\.0\.0\.1:(\d+) -> 9000")[1])
        for number in range(20):
            with socket.create_connection(("127.0.0.1", port), 30) as connection:
                connection.sendall(f"hello {number}\n".encode())
                assert connection.makefile().readline() == f"one hello {number}\n"
        process.terminate()


@pytest.mark.parity("kubectl port-forward, to a port at which nobody listens", "works")
def test_port_forward_to_a_closed_port(kubectl: Kubectl, words: list[str]) -> None:
    del kubectl
    process = subprocess.Popen(
        [*words, "port-forward", "pod/tcp-echo", ":9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        port = int(until_line(process.stdout, r"127\.0\.0\.1:(\d+) -> 9")[1])
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            assert connection.recv(1) == b""
        until_line(
            process.stderr,
            r"an error occurred forwarding \d+ -> 9: error forwarding port 9 to pod .*connection refused",
        )
        assert process.stderr.readline() == "error: lost connection to pod\n"
        assert process.wait(30) == 1


@pytest.mark.parity("kubectl port-forward, to an Envoy's admin port (15000)", "works")
def test_port_forward_to_the_admin_port_of_an_envoy(kubectl: Kubectl, words: list[str]) -> None:
    for namespace, label in (("istio-system", "istio=ingressgateway"), ("kube-system", "k8s-app=kube-proxy")):
        pod = kubectl("-n", namespace, "get", "pods", "-l", label, "-o", "name").stdout.strip()
        process = subprocess.Popen(
            [*words, "-n", namespace, "port-forward", pod, ":15000"], stdout=subprocess.PIPE, text=True
        )
        with process:
            port = int(until_line(process.stdout, r"127\.0\.0\.1:(\d+) -> 15000")[1])
            for _ in range(2):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=30) as response:
                    assert json.load(response)["node"]["id"].split("~")[2] == f"{pod.removeprefix('pod/')}.{namespace}"
            process.terminate()


@pytest.mark.parity(
    "kubectl exec … -c istio-proxy -- curl localhost:15000",
    "known difference: a container's localhost is the computer's, where Envoy does not listen; pilot-agent request asks it",
)
def test_an_envoy_is_not_at_localhost(kubectl: Kubectl) -> None:
    proxy = ("-n", "istio-system", "exec", "deployment/istio-ingressgateway", "-c", "istio-proxy", "--")
    kubectl(*proxy, "nc", "-z", "localhost", "15000", code=1)
    assert '"state": "LIVE"' in kubectl(*proxy, "pilot-agent", "request", "GET", "server_info").stdout


@pytest.mark.parity("kubectl cp", "works")
def test_cp(kubectl: Kubectl, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(1_000_000))
    kubectl("cp", str(there), "client:copied", "-c", "curl")
    assert kubectl("exec", "client", "-c", "curl", "--", "wc", "-c", "copied").stdout.split()[0] == "1000000"
    kubectl("cp", "client:copied", str(back), "-c", "curl")
    assert back.read_bytes() == there.read_bytes()


@pytest.mark.parity("kubectl cp, cut off in the middle", "works")
def test_cp_that_is_killed(kubectl: Kubectl, words: list[str], tmp_path: Path) -> None:
    """What unpacks at the other end goes, too."""
    there, size = tmp_path / "there", 2**32
    with there.open("wb") as file:
        file.truncate(size)
    directory = Path(kubectl("exec", "client", "-c", "curl", "--", "pwd").stdout.strip())
    copied = directory / "cut"
    process = subprocess.Popen([*words, "cp", str(there), "client:cut", "-c", "curl"])
    while not copied.exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"kubectl ended: {process.wait(0.02)}")
    unpacking = [each for each in psutil.process_iter(["name", "cwd"]) if each.info["cwd"] == str(directory)]
    assert "tar" in {each.info["name"] for each in unpacking}
    process.kill()
    process.wait(30)
    _, left = psutil.wait_procs([each for each in unpacking if each.info["name"] == "tar"], 30)
    assert left == []
    assert copied.stat().st_size < size
    copied.unlink()
