"""JupyterLab as `tcpshift lab` starts it, and a page of the system's Chromium that shows a notebook of it.

For tests and benchmarks. Nothing is downloaded; the settings of whoever runs it are neither read nor changed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nbformat
import psutil

from tcpshift_helpers import lab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WAIT_MILLISECONDS = 60_000


@dataclass(frozen=True)
class JupyterLab:
    """A server that runs.

    Attributes:
        folder: what it serves.
        port: on 127.0.0.1.
        token: its password.
    """

    folder: Path
    port: int
    token: str

    def address_of(self, path: str) -> str:
        """Where a browser finds a notebook, and nothing else that was open before."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{path}?token={self.token}&reset"

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's own API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Authorization": f"token {self.token}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, text
            return json.loads(text) if text else None
        finally:
            connection.close()

    def write(self, path: str, cells: Sequence[str]) -> None:
        """A notebook of these cells of code."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        (self.folder / path).parent.mkdir(exist_ok=True)
        nbformat.write(notebook, self.folder / path)

    def set_theme(self, theme: str) -> None:
        """For pages that are opened from now on."""
        raw = json.dumps({"theme": THEMES[theme]})
        self.request("PUT", "/lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": raw})

    def kernels(self) -> list[psutil.Process]:
        """The processes of all kernels."""
        ids = [session["kernel"]["id"] for session in self.request("GET", "/api/sessions")]
        return [process for one in ids for process in processes_with(one)]

    def end_kernels(self) -> None:
        """Shut all kernels down."""
        for session in self.request("GET", "/api/sessions"):
            self.request("DELETE", f"/api/sessions/{session['id']}")


def processes_with(word: str) -> list[psutil.Process]:
    """The processes that this one began, or one of those, with such a word in their command line."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(word in part for part in process.cmdline()):
                found.append(process)
    return found


@contextlib.contextmanager
def serve(folder: Path, kubeconfig: Path) -> Iterator[JupyterLab]:
    """JupyterLab on a folder, with a sandbox as its cluster. Its log and its settings lie beside the folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = JupyterLab(folder, port, secrets.token_hex(16))
    extra = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    environment = lab.environment(kubeconfig, None)
    # This is no saved run: here somebody watches.
    for name in ("PYTEST_VERSION", "PYTEST_CURRENT_TEST", "TCPSHIFT_PROGRESS"):
        environment.pop(name, None)
    for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        environment[name] = str(folder.parent / name)
    environment["JUPYTER_TOKEN"] = server.token
    log_file = folder.parent / "lab.log"
    with (
        log_file.open("wb") as log,
        subprocess.Popen(lab.command(folder, extra), env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_until_up(server, process, log_file)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_up(server: JupyterLab, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            server.request("GET", "/api/status")
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            return


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Notebook:
    """A notebook that is open in a page of the browser.

    Attributes:
        page: Playwright's.
        errors: what the page's scripts failed with.
    """

    def __init__(self, server: JupyterLab, browser: Any, path: str, theme: str = "light") -> None:
        """Open it and wait for its kernel."""
        server.set_theme(theme)
        self.page = browser.new_page(viewport={"width": 1280, "height": 2000}, color_scheme=theme)
        self.page.set_default_timeout(WAIT_MILLISECONDS)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(server.address_of(path))
        # Asked to run before there is a kernel, JupyterLab asks which.
        self.page.get_by_role("button", name="Python 3 (ipykernel) | Idle").wait_for()

    def choose(self, menu: str, item: str) -> None:
        """Choose from JupyterLab's menu, where a shortcut may stand behind an item."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile(f"^{re.escape(item)}")).click()

    def cell(self, number: int) -> Any:
        """A cell of code, counted from 0."""
        return self.page.locator(".jp-CodeCell").nth(number)

    def select(self, number: int) -> None:
        """Make a cell the selected one."""
        self.cell(number).locator(".jp-InputPrompt").click()

    def run(self, item: str, last: int) -> None:
        """Choose from the menu Run, and wait until the cell that this runs last is done."""
        from playwright.sync_api import expect

        prompt = self.cell(last).locator(".jp-InputPrompt")
        before = prompt.text_content()
        self.choose("Run", item)
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=2 * WAIT_MILLISECONDS)

    def widget(self, kind: str) -> Any:
        """The first widget with such a control or mark inside, as a CSS selector says."""
        return self.page.locator(".jp-OutputArea .tcpshift", has=self.page.locator(kind)).first
