"""The command line: what it prints, where, and with which exit code. The sandbox itself is not started here."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import cli, lab
from tcpshift_helpers.errors import PortInUseError
from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.sandbox.supervisor import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMANDS = ["up", "down", "status", "reset", "kubeconfig", "lab", "doctor", "handout", "probe"]
PART = {
    "name": "apiserver",
    "pid": 12,
    "started_at": 1.0,
    "restarts": 2,
    "last_exit": "killed by SIGKILL",
    "last_exit_at": 2.0,
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TCPSHIFT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tcpshift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the entry point in this process; gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tcpshift", *arguments])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        return int(caught.value.code or 0), output.out, output.err

    return run


def status(home: Path, state: str, **changes: Any) -> Status:
    fields: dict[str, Any] = {
        "state": state, "home": str(home), "pid": 11, "started_at": 1.0, "server": "https://127.61.20.1:6443",
        "gateway": "127.61.20.2:31400", "missing": [], "parts": [PART], "error": "",
    }  # fmt: skip
    return Status(**{**fields, **changes})


def test_the_version_is_the_packages(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    assert tcpshift("--version") == (0, f"tcpshift {metadata.version('tcpshift')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_exit_codes(
    tcpshift: Callable[..., tuple[int, str, str]], command: str
) -> None:
    code, out, _ = tcpshift(command, "--help")
    assert code == 0
    assert "Exit codes:" in out


def test_the_help_names_every_command(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    _, out, _ = tcpshift("--help")
    assert [command for command in COMMANDS if f" {command} " not in out] == []


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["probe", "--count", "many"]])
def test_wrong_usage_is_exit_code_2_on_stderr(
    tcpshift: Callable[..., tuple[int, str, str]], arguments: list[str]
) -> None:
    code, out, err = tcpshift(*arguments)
    assert (code, out) == (2, "")
    assert "Usage:" in err


def test_an_error_is_one_message_on_stderr_and_exit_code_1(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise PortInUseError("Port 31400 on 127.61.20.2 is taken by nc (pid 1). Stop that program, then try again.")

    monkeypatch.setattr(supervisor, "start", start)
    assert tcpshift("up") == (
        1,
        "",
        "error: Port 31400 on 127.61.20.2 is taken by nc (pid 1). Stop that program, then try again.\n",
    )


def test_an_interrupted_up_is_exit_code_130(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "start", start)
    code, _, err = tcpshift("up")
    assert code == 130
    assert "stopped again" in err


def test_up_says_where_things_are(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(supervisor, "start", lambda *_, **__: None)
    monkeypatch.setattr(supervisor, "status", lambda _: status(home, "up"))
    code, out, _ = tcpshift("up")
    assert code == 0
    assert out.startswith("The sandbox is up already.\n")
    for words in ("https://127.61.20.1:6443", "127.61.20.2:31400", f"export KUBECONFIG={home / 'kubeconfig'}"):
        assert words in out


@pytest.mark.parametrize(("state", "expected"), [("up", 0), ("down", 3), ("not ready", 4), ("stopping", 4)])
def test_status_tells_scripts_by_its_exit_code(
    tcpshift: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    state: str,
    expected: int,
) -> None:
    monkeypatch.setattr(supervisor, "status", lambda _: status(home, state, missing=["istiod"]))
    code, out, _ = tcpshift("status", "--json")
    assert code == expected
    assert json.loads(out)["state"] == state


def test_status_reports_restarts(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(supervisor, "status", lambda _: status(home, "up"))
    _, out, _ = tcpshift("status")
    assert "restarted 2 times, last: killed by SIGKILL" in out


def test_status_reports_why_the_last_start_failed(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(
        supervisor, "status", lambda _: status(home, "down", parts=[], started_at=None, error="No Envoy.")
    )
    _, out, _ = tcpshift("status")
    assert out.startswith("The sandbox is down. Start it with: tcpshift up\nThe last start failed: No Envoy.\n")


def test_down_of_what_never_ran_is_fine(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    assert tcpshift("down") == (0, "The sandbox was not running.\n", "")


def test_kubeconfig_before_the_first_start_says_what_makes_it(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = tcpshift("kubeconfig")
    assert (code, out) == (1, "")
    assert "The first `tcpshift up` makes it." in err


def test_kubeconfig_prints_path_export_line_and_file(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "a home"
    monkeypatch.setenv("TCPSHIFT_HOME", str(home))
    home.mkdir()
    (home / "kubeconfig").write_text("kind: Config\n")
    assert tcpshift("kubeconfig")[1] == f"{home / 'kubeconfig'}\n"
    assert shlex.split(tcpshift("kubeconfig", "--export")[1]) == ["export", f"KUBECONFIG={home / 'kubeconfig'}"]
    assert tcpshift("kubeconfig", "--print")[1] == "kind: Config\n"


def test_doctor_tells_each_finding_and_fails_if_one_does(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TCPSHIFT_HOME", str(tmp_path / "file" / "home"))
    code, out, _ = tcpshift("doctor", "--json")
    assert code == 1
    findings = {finding["check"]: finding for finding in json.loads(out)}
    assert not findings["state directory"]["ok"]
    assert "export TCPSHIFT_HOME=" in findings["state directory"]["detail"]
    assert findings["Envoy"]["ok"]
    assert "FAIL state directory: " in tcpshift("doctor")[1]


def test_lab_in_an_unknown_language_starts_nothing(tcpshift: Callable[..., tuple[int, str, str]], home: Path) -> None:
    assert tcpshift("lab", "--lang", "xx") == (1, "", "error: There is no language 'xx'. Languages: en, zh-CN.\n")
    assert not home.exists()


def test_lab_passes_arguments_on_and_stops_the_sandbox_it_started(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(supervisor, "status", lambda _: status(home, "down"))
    monkeypatch.setattr(supervisor, "start", lambda *_, **__: calls.append("start"))
    monkeypatch.setattr(supervisor, "stop", lambda _: calls.append("stop"))

    def run(words: list[str], environ: dict[str, str]) -> int:
        calls.append("jupyter")
        assert words[-3:] == ["--no-browser", "--port", "9999"]
        assert environ["KUBECONFIG"] == str(home / "kubeconfig")
        return 7

    monkeypatch.setattr(lab, "run", run)
    code, out, _ = tcpshift("lab", "--", "--no-browser", "--port", "9999")
    assert "Ctrl-C here stops JupyterLab and the sandbox." in out
    assert out.endswith("The sandbox is stopped.\n")
    assert (code, calls) == (7, ["start", "jupyter", "stop"])


def test_lab_leaves_a_sandbox_running_that_was_up_before(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(supervisor, "status", lambda _: status(home, "up"))
    monkeypatch.setattr(supervisor, "start", lambda *_, **__: calls.append("start"))
    monkeypatch.setattr(supervisor, "stop", lambda _: calls.append("stop"))
    monkeypatch.setattr(lab, "run", lambda *_: 0)
    assert "Ctrl-C here stops JupyterLab.\n" in tcpshift("lab")[1]
    assert calls == ["start"]


def test_lab_on_a_named_context_starts_no_sandbox(
    tcpshift: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_: list[str], environ: dict[str, str]) -> int:
        assert environ["TCPSHIFT_CONTEXT"] == "my-cluster"
        assert environ.get("KUBECONFIG") == os.environ.get("KUBECONFIG")
        return 0

    monkeypatch.setattr(lab, "run", run)
    monkeypatch.setattr(supervisor, "start", lambda *_, **__: pytest.fail("the sandbox was started"))
    assert tcpshift("lab", "--context", "my-cluster")[0] == 0


def test_probe_without_a_sandbox_says_what_to_do(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = tcpshift("probe")
    assert (code, out) == (1, "")
    assert "Start it (tcpshift up), or name a host." in err


def test_probe_with_nothing_listening_counts_failures_with_their_reason(
    tcpshift: Callable[..., tuple[int, str, str]],
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # Bound but not listening: refused, and nobody else gets the port.
        port = holder.getsockname()[1]
        code, out, _ = tcpshift("probe", "127.0.0.1", str(port), "--count", "3")
        assert code == 1
        assert out.startswith(f"127.0.0.1:{port}: 3 failed (refused")
        assert "kubectl get gw,vs -A" in out
        report = json.loads(tcpshift("probe", "127.0.0.1", str(port), "-n", "3", "--json")[1])
    assert report["median_latency_ms"] is None
    assert sum(report["failures"].values()) == 3


def test_probe_counts_answers_and_judges_them_by_weights(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    with echo_server(b"one") as port:
        where = ("probe", "127.0.0.1", str(port))
        code, out, _ = tcpshift(*where, "--count", "5", "--lines")
        assert (code, len(out.splitlines())) == (0, 6)
        assert out.endswith(f"127.0.0.1:{port}: 5 one\n")
        out = tcpshift(*where, "--weights", "v1=100,v2=0", "--count", "2")[1]
        assert out.endswith("\n  do: probe at least 18 times\n")
        # What a notebook would do about it is no advice in a terminal.
        assert tcpshift(*where, "--weights", "v1=0,v2=100")[1].endswith(
            "\nFAIL: 10 of 10 answered one, whose weight is 0\n"
        )
        code, out, _ = tcpshift(*where, "--weights", "v1=0,v2=100", "--json")
        assert (code, json.loads(out)["verdict"]["word"]) == (1, "FAIL")
        assert tcpshift(*where, "--weights", "v1=100,v2=0")[0] == 0
        assert tcpshift(*where, "--weights", "v1")[0] == 2


@contextlib.contextmanager
def echo_server(prefix: bytes) -> Iterator[int]:
    """Answers each line as tcp-echo does; gives its port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                self.wfile.write(prefix + b" " + line)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_commands_start_without_the_notebook_libraries() -> None:
    heavy = ["pandas", "matplotlib", "kubernetes", "scipy", "rich", "aiohttp", "IPython", "cryptography"]
    program = f"import sys, tcpshift_helpers.cli, tcpshift_helpers.sandbox.supervisor; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
