"""The widgets in JupyterLab as `tcpshift lab` starts it, driven by a real browser: in English and in Chinese.

The browser is the system's Chromium; nothing is downloaded. Screenshots are left in test-artefacts/.
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tcpshift_helpers import course, istio, lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MILLISECONDS = 30_000
NOTEBOOK = "widgets.ipynb"
CELLS = (
    "from tcpshift_helpers import connect, widgets\ncluster = connect()",
    'widgets.weights(cluster, "tcp-echo")',
    "widgets.live(cluster)",
    'question = widgets.predict("v2?", range(11))\nquestion',
    "widgets.progress(cluster)",
)
WORDS = {
    "en": {"apply": "Apply", "start": "Start", "pause": "Pause", "set": "Set: v1 40, v2 60.", "locked": "Locked: 6."},
    "zh-CN": {
        "apply": "应用",
        "start": "开始",
        "pause": "暂停",
        "set": "设定值：v1 40、v2 60。",
        "locked": "已锁定：6。",
    },
}
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course with one notebook more, in each language."""
    copy = tmp_path_factory.mktemp("course") / "notebooks"
    shutil.copytree(ROOT / "notebooks", copy)
    for language in WORDS:
        (copy / language).mkdir(exist_ok=True)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, copy / language / NOTEBOOK)
    return copy


@pytest.fixture(scope="module")
def server(folder: Path, sandbox_home: Home) -> Iterator[str]:
    """Address of a JupyterLab on that copy, with the sandbox as its cluster; `{}` is where the path goes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    extra = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    environment = lab.environment(sandbox_home.kubeconfig, None)
    # This is no saved run: here somebody watches.
    environment.pop("PYTEST_VERSION", None)
    environment.pop("PYTEST_CURRENT_TEST", None)
    environment["JUPYTER_TOKEN"] = token
    log = (folder.parent / "lab.log").open("wb")
    with log, subprocess.Popen(lab.command(folder, extra), env=environment, stdout=log, stderr=log) as process:
        try:
            _wait_until_up(port, token, process, folder.parent / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_up(port: int, token: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", f"/api/status?token={token}")
            if connection.getresponse().status == 200:
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        finally:
            connection.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize("language", WORDS)
def test_a_slider_moves_traffic_and_dots_show_it(server: str, browser: Any, sandbox: Cluster, language: str) -> None:
    from playwright.sync_api import expect

    course.begin(sandbox, "03")
    words = WORDS[language]
    page = browser.new_page(
        viewport={"width": 1280, "height": 2000}, color_scheme="dark" if language == "zh-CN" else "light"
    )
    page.set_default_timeout(WAIT_MILLISECONDS)
    expect.set_options(timeout=WAIT_MILLISECONDS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(server.format(f"{language}/{NOTEBOOK}"))
        # Asked to run before there is a kernel, JupyterLab asks which.
        page.get_by_role("button", name="Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        panel, live, question, progress = (page.locator(".jp-OutputArea .tcpshift").nth(place) for place in range(4))

        # The weight panel, by keyboard: the slider, then Apply.
        expect(panel.locator(".set")).to_contain_text("v1 100")
        slider = panel.locator("input[type=range]")
        slider.focus()
        for _step in range(60):
            slider.press("ArrowRight")
        expect(panel.locator("input[type=number]")).to_have_value("60")
        panel.get_by_role("button", name=words["apply"]).press("Enter")
        expect(panel.locator(".set")).to_have_text(words["set"])
        expect(panel.locator(".history li")).to_have_count(1)
        expect(panel.locator(".observed")).to_contain_text("v2")
        assert istio.weights(sandbox) == {"v1": 40, "v2": 60}

        # The live view: dots of both versions, and counts that grow.
        live.get_by_role("button", name=words["start"]).click()
        live.locator(".dot.one").first.wait_for(state="attached")
        live.locator(".dot.two").first.wait_for(state="attached")
        for word in ("one", "two"):
            expect(live.locator(f".count.{word}")).not_to_have_text("0")
        expect(live.locator("[aria-live=polite]").last).to_contain_text("two")

        question.locator("input[type=number]").fill("6")
        question.get_by_role("button").click()
        expect(question.locator(".said")).to_have_text(words["locked"])
        expect(progress.locator("meter").first).to_have_js_property("value", 3)
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"widgets-{language}.png")

        live.get_by_role("button", name=words["pause"]).click()
        expect(live.get_by_role("button", name=words["start"])).to_be_visible()
        expect(live.locator(".dot")).to_have_count(0)
    except BaseException:
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / f"widgets-{language}-failed.png")
        raise
    finally:
        page.close()
    assert errors == []
