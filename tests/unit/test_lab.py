"""Where the course is found, how JupyterLab is called, and that it ends when told to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tcpshift_helpers import lab, language
from tcpshift_helpers.errors import TcpShiftError, UsageError

RUN = """
import sys
from tcpshift_helpers import lab
child = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
sys.exit(lab.run(child, dict(__import__('os').environ)))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package directory as a wheel leaves it, with the course inside."""
    package = tmp_path / "site-packages" / "tcpshift_helpers"
    for name in (
        "notebooks/en/00-start-here.ipynb",
        "notebooks/zh-CN/00-start-here.ipynb",
        "manifests/tcp-echo-services.yaml",
    ):
        path = package / "_course" / name
        path.parent.mkdir(parents=True)
        path.write_text("original")
    monkeypatch.setattr(lab, "_PACKAGE", package)
    return package


@pytest.fixture(autouse=True)
def no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that tells a language: neither the variable nor the tester's own locale."""
    for name in (language.VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def test_in_a_checkout_the_course_is_the_repositorys_own(tmp_path: Path) -> None:
    assert lab.course_folder(tmp_path) == lab._PACKAGE.parent / "notebooks"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("installed")
def test_from_a_wheel_the_course_is_copied_once_and_never_overwritten(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    folder = lab.course_folder(here)
    assert folder == here / "tcpshift-course" / "notebooks"
    assert (here / "tcpshift-course" / "manifests" / "tcp-echo-services.yaml").exists()
    notebook = folder / "en" / "00-start-here.ipynb"
    notebook.write_text("the learner's own work")
    lab.course_folder(here)
    assert notebook.read_text() == "the learner's own work"


@pytest.mark.usefixtures("installed")
def test_a_folder_that_cannot_take_the_copy_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TcpShiftError, match=r"cannot be copied to .*Change to a folder of yours"):
        lab.course_folder(tmp_path / "file")


def test_the_first_lesson_opens_and_extra_arguments_come_last(installed: Path) -> None:
    folder = installed / "_course" / "notebooks"
    words = lab.command(folder, ["--port", "9999"])
    assert words[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--LabApp.default_url=/lab/tree/en/00-start-here.ipynb" in words
    assert words[-2:] == ["--port", "9999"]


@pytest.mark.parametrize(
    ("environ", "opened"),
    [
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "zha_CN"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "zh"}, "zh-CN"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_SG.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", language.VARIABLE: "en"}, "en"),
        ({"LC_ALL": "C", language.VARIABLE: "zh-CN"}, "zh-CN"),
    ],
    ids=str,
)
def test_the_first_lesson_is_in_the_users_language(
    installed: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], opened: str
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    words = lab.command(installed / "_course" / "notebooks", [])
    assert f"--LabApp.default_url=/lab/tree/{opened}/00-start-here.ipynb" in words


def test_a_language_without_lessons_is_refused(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "xx")
    with pytest.raises(UsageError, match="TCPSHIFT_LANGUAGE is 'xx'"):
        lab.command(installed / "_course" / "notebooks", [])
    with pytest.raises(UsageError, match="There is no language 'fr'"):
        lab.command(installed / "_course" / "notebooks", [], "fr")


def test_a_language_that_is_asked_for_wins(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "en")
    words = lab.command(installed / "_course" / "notebooks", [], "zh-CN")
    assert "--LabApp.default_url=/lab/tree/zh-CN/00-start-here.ipynb" in words


def test_the_lab_asks_nothing_of_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_CONFIG_PATH", raising=False)
    path = Path(lab.environment(None, None)["JUPYTER_CONFIG_PATH"])
    overrides = json.loads((path / "labconfig" / "default_setting_overrides.json").read_text(encoding="utf-8"))
    assert overrides["@jupyterlab/apputils-extension:notification"] == {"fetchNews": "false", "checkForUpdates": False}
    assert "--LabApp.extension_manager=readonly" in lab.command(Path("notebooks"), [])


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_when_we_are_root(
    installed: Path, monkeypatch: pytest.MonkeyPatch, user: int, allowed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in lab.command(installed, [])) is allowed


def test_kernels_are_pointed_at_the_sandbox_whatever_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    monkeypatch.setenv("TCPSHIFT_CONTEXT", "a-real-cluster")
    environ = lab.environment(tmp_path / "kubeconfig", None)
    assert environ["KUBECONFIG"] == str(tmp_path / "kubeconfig")
    assert "TCPSHIFT_CONTEXT" not in environ
    assert environ["JUPYTER_PREFER_ENV_PATH"] == "1"


def test_a_terminal_in_jupyterlab_finds_this_environments_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tcpshift").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(elsewhere))
    found = shutil.which("tcpshift", path=lab.environment(None, None)["PATH"])
    assert found == str(Path(sys.executable).parent / "tcpshift")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_server_in_order(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not psutil.pid_exists(server)


def test_the_servers_own_exit_code_is_passed_on() -> None:
    program = "import sys; from tcpshift_helpers import lab; sys.exit(lab.run([sys.executable, '-c', 'exit(5)'], {}))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 5
