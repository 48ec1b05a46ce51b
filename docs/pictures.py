"""The README's pictures: two lessons in JupyterLab, in each language of the course.

`make pictures` takes them, with a sandbox of their own and the system's Chromium. They show real traffic, so they are a
little different each time; a test looks that each README shows those of its language.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

from tcpshift_helpers.language import LANGUAGES
from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.sandbox.home import Home
from tests.browser.jupyter import CHROMIUM, JupyterLab, Notebook, chromium, serve

ROOT = Path(__file__).resolve().parents[1]
# A lesson, and the words that its last cell in the picture begins with.
FIGURE = ("03-shift-20-percent-to-v2", "two_hundred")
WIDGETS = ("07-finish-and-roll-back", "widgets.weights")
WIDTH = 900
COLOURS = 128
CONNECTIONS = 120


def copy_until(lesson: Path, first_words: str, copy: Path) -> None:
    """A lesson without outputs that ends with the cell that begins with these words.

    Raises:
        LookupError: it has no such cell.
    """
    notebook = nbformat.read(lesson, as_version=4)
    found = [place for place, cell in enumerate(notebook.cells) if cell.source.startswith(first_words)]
    if not found:
        raise LookupError(f"{lesson.name}: no cell begins with {first_words}")
    notebook.cells = notebook.cells[: found[0] + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, copy)


def save(picture: bytes, name: str) -> None:
    """Save it in few colours: a page that shows it is to load quickly."""
    path = ROOT / "docs" / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    print(f"docs/{path.name} written, {path.stat().st_size} bytes")


def opened(server: JupyterLab, browser: Any, path: str, height: int) -> Notebook:
    """A lesson that has run, with nothing beside it."""
    notebook = Notebook(server, browser, path)
    notebook.page.set_viewport_size({"width": WIDTH, "height": height})
    notebook.page.locator(".jp-SideBar.jp-mod-left .lm-mod-current").click()
    notebook.run("Run All Cells", notebook.page.locator(".jp-CodeCell").count() - 1)
    return notebook


def take_figure(server: JupyterLab, browser: Any, language: str) -> None:
    """JupyterLab, where a lesson draws two hundred connections."""
    page = opened(server, browser, f"{language}/{FIGURE[0]}.ipynb", 760).page
    # Loaded, the figure has its height.
    page.wait_for_function("[...document.querySelectorAll('.jp-OutputArea img')].at(-1)?.naturalHeight > 0")
    page.locator(".jp-Notebook h2").last.evaluate("heading => heading.scrollIntoView()")
    save(page.screenshot(animations="disabled"), f"lesson-{language}")
    page.close()


def take_widgets(server: JupyterLab, browser: Any, language: str) -> None:
    """The live view above the weight panel, while both versions answer."""
    from playwright.sync_api import expect  # noqa: PLC0415

    notebook = opened(server, browser, f"{language}/{WIDGETS[0]}.ipynb", 1400)
    live, panel = notebook.widget("svg"), notebook.widget("input[type=range]")
    panel.locator("input[type=number]").fill("40")
    panel.locator("button[type=submit]").click()
    expect(panel.locator(".history li")).to_have_count(1)
    live.locator("button").first.click()
    live.evaluate("widget => widget.scrollIntoView({block: 'center'})")
    counts = "[...document.querySelectorAll('.tcpshift .count')].reduce((sum, one) => sum + Number(one.textContent), 0)"
    notebook.page.wait_for_function(f"{counts} >= {CONNECTIONS}")
    notebook.page.wait_for_function("['one', 'two'].every(name => document.querySelector(`.tcpshift .dot.${name}`))")
    cells = [widget.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')]") for widget in (live, panel)]
    top, bottom = (cell.bounding_box() for cell in cells)
    height = bottom["y"] + bottom["height"] - top["y"]
    save(notebook.page.screenshot(clip={**top, "height": height}), f"widgets-{language}")
    notebook.page.close()


def main() -> None:
    """Take all of them.

    Raises:
        SystemExit: there is no browser; the message says where it comes from.
    """
    if CHROMIUM is None:
        sys.exit("There is no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="tcpshift-") as name:
        home, folder = Home(Path(name) / "home"), Path(name) / "course" / "notebooks"
        for language in LANGUAGES:
            for lesson, last in (FIGURE, WIDGETS):
                file = f"{language}/{lesson}.ipynb"
                copy_until(ROOT / "notebooks" / file, last, folder / file)
        try:
            supervisor.start(home, progress=print)
            with serve(folder, home.kubeconfig) as server, chromium() as browser:
                # All cells are on the page, so that it can be scrolled to any.
                settings = "/lab/api/settings/@jupyterlab/notebook-extension:tracker"
                server.request("PUT", settings, {"raw": json.dumps({"windowingMode": "none"})})
                for language in LANGUAGES:
                    take_figure(server, browser, language)
                    take_widgets(server, browser, language)
        finally:
            supervisor.stop(home)


if __name__ == "__main__":
    main()
