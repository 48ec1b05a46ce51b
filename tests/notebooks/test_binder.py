"""The course on Binder: what repo2docker does with environment.yml and postBuild, and JupyterLab started as it does.

There is no image here: a virtual environment with the pins of environment.yml stands for it, made without the network
from what `make setup` left in uv's cache. The folder of the repository is the home directory, too, as in the image.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import nbformat
import pytest

from .test_lessons import NAMES_A_TARGET, checks, code_cells, read

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
NOT_INHERITED = ("JUPYTER", "JPY_", "TCPSHIFT_", "PYTEST_", "XDG_", "MPL", "VIRTUAL_ENV")
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not UV.exists(), reason="make setup could not have uv, so nothing is in its cache"),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a container in which postBuild has run; HOME is the repository."""
    home = tmp_path_factory.mktemp("binder")
    for name in ("environment.yml", "postBuild", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, home)
    for name in ("manifests", "notebooks", "tcpshift_helpers"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    prefix = tmp_path_factory.mktemp("prefix") / "notebook"
    subprocess.run([sys.executable, "-m", "venv", prefix], check=True)
    install = [UV, "pip", "install", "--offline", "--quiet", "--python", prefix / "bin" / "python"]
    subprocess.run([*install, "--require-hashes", "-r", home / "requirements.lock"], check=True)
    # pip would fetch what builds the package; with the network it does.
    subprocess.run([*install, "hatchling"], check=True)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in NAMES_A_TARGET and not name.startswith(NOT_INHERITED)
    }
    path = os.pathsep.join([str(prefix / "bin"), os.environ["PATH"]])
    made = {**inherited, "HOME": str(home), "PATH": path, "LANG": "en_US.UTF-8", "PIP_NO_BUILD_ISOLATION": "0"}
    subprocess.run(["./postBuild"], cwd=home, env=made, check=True)
    return made


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Address and token of a JupyterLab in the repository's folder; it and the sandbox of its kernels are stopped."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = ["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    if os.geteuid() == 0:
        words.append("--allow-root")
    started = {"cwd": environment["HOME"], "env": {**environment, "JUPYTER_TOKEN": token}}
    try:
        with subprocess.Popen(words, **started) as process:
            try:
                asyncio.run(until_up(f"http://127.0.0.1:{port}", process))
                yield f"http://127.0.0.1:{port}", token
            finally:
                process.terminate()
    finally:
        subprocess.run(["tcpshift", "down"], env=environment, check=True)


async def until_up(address: str, process: subprocess.Popen[bytes]) -> None:
    async with aiohttp.ClientSession() as http:
        while process.poll() is None:
            try:
                async with http.get(f"{address}/api"):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.2)
    raise AssertionError(f"JupyterLab ended with {process.returncode}")


async def run(server: tuple[str, str], lesson: str) -> Any:
    """The lesson, with the outputs of a kernel that the server started for it, as JupyterLab asks it to."""
    address, token = server
    notebook = read(ROOT / lesson)
    async with aiohttp.ClientSession(headers={"Authorization": f"token {token}"}) as http:
        wanted = {"path": lesson, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        async with http.post(f"{address}/api/sessions", json=wanted) as response:
            session = await response.json()
        async with http.ws_connect(f"{address}/api/kernels/{session['kernel']['id']}/channels") as channels:
            for cell in code_cells(notebook):
                cell.outputs = await executed(channels, cell.source)
        async with http.delete(f"{address}/api/sessions/{session['id']}") as response:
            assert response.status == 204
    return notebook


async def executed(channels: aiohttp.ClientWebSocketResponse, source: str) -> list[Any]:
    """What a cell shows, in nbformat's outputs."""
    name = uuid.uuid4().hex
    header = {"msg_id": name, "msg_type": "execute_request", "session": name, "username": "", "version": "5.3"}
    content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False}
    await channels.send_json(
        {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    )
    outputs: list[Any] = []
    while True:
        message = await channels.receive_json()
        if message["parent_header"].get("msg_id") != name:
            continue
        if message["msg_type"] in {"stream", "display_data", "execute_result", "error"}:
            outputs.append(nbformat.v4.output_from_msg(message))
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return outputs


def test_the_image_has_the_course_and_no_key(environment: dict[str, str]) -> None:
    home = Path(environment["HOME"])
    said = subprocess.run(["tcpshift", "status"], env=environment, capture_output=True, text=True, check=False)
    assert said.stdout.startswith("The sandbox is down.")
    assert list((home / ".cache" / "matplotlib").glob("fontlist-*.json"))
    assert [path for path in home.rglob("*") if path.suffix in {".key", ".crt"}] == []


async def test_jupyterlab_asks_nothing_of_the_internet(server: tuple[str, str]) -> None:
    address, token = server
    url = f"{address}/lab/api/settings/@jupyterlab/apputils-extension:notification?token={token}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        properties = (await response.json())["schema"]["properties"]
    assert {name: properties[name]["default"] for name in ("fetchNews", "checkForUpdates")} == {
        "fetchNews": "false",
        "checkForUpdates": False,
    }


async def test_the_first_lessons_run_and_the_first_cell_starts_the_sandbox(server: tuple[str, str]) -> None:
    for name in ("00-start-here", "01-deploy-tcp-echo", "02-send-all-traffic-to-v1"):
        done = await run(server, f"notebooks/en/{name}.ipynb")
        outputs = [output for cell in code_cells(done) for output in cell.outputs]
        assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
        expected = checks(read(ROOT / f"notebooks/en/{name}.ipynb"))
        assert expected
        assert checks(done) == expected


async def test_a_lesson_in_chinese_speaks_chinese(server: tuple[str, str]) -> None:
    done = await run(server, "notebooks/zh-CN/00-start-here.ipynb")
    assert "本机上的沙箱" in str(code_cells(done)[0].outputs)
