"""Lessons 03 and 07 as a learner takes them in JupyterLab: in English on light ground, in Chinese on dark."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import istio

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

    from .jupyter import JupyterLab, Notebook

SHIFT, FINISH = "03-shift-20-percent-to-v2.ipynb", "07-finish-and-roll-back.ipynb"
THEMES = {"en": "light", "zh-CN": "dark"}
WORDS = {
    "en": {
        "apply": "Apply",
        "start": "Start",
        "lock": "Lock my answer",
        "set": "Set: v1 40, v2 60.",
        "guess": "You predicted 2",
        "not yet": "NOT YET",
    },
    "zh-CN": {
        "apply": "应用",
        "start": "开始",
        "lock": "锁定我的答案",
        "set": "设定值：v1 40、v2 60。",
        "guess": "你预测的是 2",
        "not yet": "尚未",
    },
}


@pytest.fixture(params=THEMES)
def language(request: pytest.FixtureRequest) -> str:
    """One after the other."""
    return str(request.param)


def code_cells(server: JupyterLab, path: str) -> list[str]:
    """What the code cells of a lesson hold."""
    cells = json.loads((server.folder / path).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def shift_to_sixty(panel: Any, words: dict[str, str]) -> None:
    """Move the slider to 60 with the keyboard, apply, and see it set and observed."""
    from playwright.sync_api import expect

    slider = panel.locator("input[type=range]")
    expect(slider).to_be_enabled()
    for key in ("Home", *["PageUp"] * 5, *["ArrowRight"] * 10):
        slider.press(key)
    expect(panel.locator("input[type=number]")).to_have_value("60")
    panel.get_by_role("button", name=words["apply"]).press("Enter")
    expect(panel.locator(".set")).to_have_text(words["set"])
    expect(panel.locator(".filled.two").first).to_have_attribute("style", "width: 60%;")
    expect(panel.locator(".history li").first).to_contain_text("60%")
    expect(panel.locator(".observed")).to_contain_text("95%")


def test_lesson_03_asks_shifts_and_hands_over_the_slider(
    sandbox: Cluster,
    jupyter_lab: JupyterLab,
    open_notebook: Callable[..., Notebook],
    keep_picture: Callable[..., None],
    language: str,
) -> None:
    from playwright.sync_api import expect

    words, path = WORDS[language], f"{language}/{SHIFT}"
    codes = code_cells(jupyter_lab, path)
    prediction = next(number for number, code in enumerate(codes) if "widgets.predict" in code)
    notebook = open_notebook(path, THEMES[language])
    notebook.select(prediction + 1)
    notebook.run("Run All Above Selected Cell", prediction)
    question = notebook.cell(prediction).locator(".tcpshift")
    question.locator("input[type=number]").press_sequentially("2")
    question.locator("input[type=number]").press("Enter")
    expect(question.get_by_role("button", name=words["lock"])).to_be_disabled()
    # Who answers is in that cell, and runs it once more.
    question.locator("legend").click()
    notebook.run("Run Selected Cell and All Below", len(codes) - 1)
    expect(question.locator(".said")).to_contain_text(words["guess"])
    figures = notebook.page.locator(".jp-RenderedImage img")
    expect(figures).to_have_count(2)
    expect(notebook.page.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    assert words["not yet"] not in notebook.page.locator(".jp-Notebook").inner_text()

    shift_to_sixty(notebook.widget("input[type=range]"), words)
    assert istio.weights(sandbox) == {"v1": 40, "v2": 60}
    # The figure, too, when its cell is run again.
    number = next(number for number, code in enumerate(codes) if code.startswith("two_hundred"))
    figure = notebook.cell(number).locator("img")
    before = figure.get_attribute("src")
    notebook.select(number)
    notebook.run("Run Selected Cell and Do not Advance", number)
    expect(figure).not_to_have_attribute("src", before or "")
    keep_picture(notebook, f"lesson-03-{language}")


def test_lesson_07_rolls_out_and_shows_it_live(
    sandbox: Cluster,
    jupyter_lab: JupyterLab,
    open_notebook: Callable[..., Notebook],
    keep_picture: Callable[..., None],
    language: str,
) -> None:
    from playwright.sync_api import expect

    words, path = WORDS[language], f"{language}/{FINISH}"
    notebook = open_notebook(path, THEMES[language])
    notebook.run("Run All Cells", len(code_cells(jupyter_lab, path)) - 1)
    expect(notebook.page.locator(".jp-RenderedImage img")).to_have_count(2)
    expect(notebook.page.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    assert words["not yet"] not in notebook.page.locator(".jp-Notebook").inner_text()

    # All goes to v2 at the end of the lesson; then the slider gives v1 its share back.
    view = notebook.widget("svg")
    view.get_by_role("button", name=words["start"]).click()
    view.locator(".dot.two").first.wait_for(state="attached")
    expect(view.locator(".count.one")).to_have_text("0")
    shift_to_sixty(notebook.widget("input[type=range]"), words)
    view.locator(".dot.one").first.wait_for(state="attached")
    expect(view.locator(".count.one")).not_to_have_text("0")
    expect(view.locator("[aria-live=polite]").last).to_contain_text("one")
    assert istio.weights(sandbox) == {"v1": 40, "v2": 60}
    keep_picture(notebook, f"lesson-07-{language}")
