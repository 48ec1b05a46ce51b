"""The widgets beside each other: by keyboard alone, clicked in a hurry, run again, and left by kernel, sandbox or page.

One page serves most of these tests; each runs its cells anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import course, inside, istio
from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.widgets import base

from ..remains import what_is_left
from .jupyter import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

    from .jupyter import JupyterLab

NAME = "en/widgets.ipynb"
CELLS = (
    """from tcpshift_helpers import connect, widgets
from tcpshift_helpers.widgets import probing
probing.UNHEARD_SECONDS = 8  # so that a test need not wait for longer
cluster = connect()""",
    'widgets.weights(cluster, "tcp-echo")',
    "widgets.live(cluster)",
    'widgets.predict("Of ten connections, how many go to v2?", range(11))',
    'widgets.predict("Who answers?", ["one", "two"])',
    "pass",
)
PANEL, LIVE, NUMBER, CHOICE, EMPTY = range(5)
QUIET_SECONDS = 1.5
DEADLINE_SECONDS = 60
SAYS_HERE = """() => new Promise((resolve) => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    if (/"kind": ?"here"/.test(text)) resolve(true);
    return send.call(this, data);
  };
  setTimeout(() => resolve(false), 30000);
})"""
TWENTY_CLICKS = """form => {
  const number = form.querySelector("input[type=number]");
  for (let percent = 41; percent <= 60; percent += 1) {
    number.value = percent;
    number.dispatchEvent(new Event("input"));
    form.querySelector("button[type=submit]").click();
  }
}"""
# The panel on a page whose kernel says nothing.
UNANSWERED = """async (source) => {
  const traits = { labels: {}, looks: {}, lang: "en" };
  const model = { get: (name) => traits[name], send() {}, on() {}, off() {} };
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  widget.render({ model, el: document.body });
}"""
OUTLINE = """() => {
  const style = getComputedStyle(document.activeElement);
  return [style.outlineStyle, parseFloat(style.outlineWidth)];
}"""


class Desk(Notebook):
    """A notebook of widgets."""

    def run_all(self) -> None:
        """Run its cells, so that all widgets are new."""
        self.run("Run All Cells", len(CELLS) - 1)

    def run_another(self, which: int, code: str) -> None:
        """Run another code than the cell has of which a widget is the output."""
        self.cell(which + 1).locator(".cm-content").fill(code)
        self.page.keyboard.press("Control+Enter")

    def shown(self, which: int) -> Any:
        """A widget by its place."""
        return self.page.locator(".jp-OutputArea .tcpshift").nth(which)

    def start(self) -> Any:
        """Press Start in the live view and wait for its traffic."""
        view = self.shown(LIVE)
        view.get_by_role("button", name="Start").click()
        view.locator(".dot").first.wait_for(state="attached")
        return view


@pytest.fixture(scope="module")
def open_desk(jupyter_lab: JupyterLab, browser: Any) -> Callable[[], Desk]:
    """Opens the notebook in a page of its own."""

    def open_it() -> Desk:
        jupyter_lab.write(NAME, CELLS)
        return Desk(jupyter_lab, browser, NAME, "dark")

    return open_it


@pytest.fixture(scope="module")
def one_desk(open_desk: Callable[[], Desk]) -> Iterator[Desk]:
    """The page that most tests share."""
    desk = open_desk()
    yield desk
    desk.page.close()


@pytest.fixture
def shifted(sandbox: Cluster) -> Cluster:
    """The sandbox with one connection in five going to v2."""
    course.begin(sandbox, "04")
    return sandbox


@pytest.fixture
def desk(
    one_desk: Desk, shifted: Cluster, keep_picture: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[Desk]:
    """That page with new widgets on that sandbox; no script of the page may fail."""
    for which in (PANEL, EMPTY):
        one_desk.cell(which + 1).locator(".cm-content").fill(CELLS[which + 1])
    one_desk.run_all()
    failed_before = request.session.testsfailed
    yield one_desk
    if request.session.testsfailed > failed_before:
        keep_picture(one_desk, f"{request.node.name}-failed")
    assert one_desk.errors == []


def until_quiet(cluster: Cluster) -> None:
    """Wait until no connection goes through the gateway any more; a widget that works makes ten a second."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    before = -1
    while (now := int(inside.connections(cluster)["connections"].sum())) != before:
        assert time.monotonic() < deadline, "traffic goes on"
        before = now
        time.sleep(QUIET_SECONDS)


def tcpshift(home: Home, command: str) -> None:
    """The command line, as typed in a terminal."""
    environment = {**os.environ, "TCPSHIFT_HOME": str(home.root)}
    subprocess.run([sys.executable, "-m", "tcpshift_helpers.cli", command], env=environment, check=True)


def press(desk: Desk, *keys: str) -> None:
    for key in keys:
        desk.page.keyboard.press(key)


def test_every_control_is_reached_by_tab_and_shows_that_it_has_the_focus(desk: Desk) -> None:
    from playwright.sync_api import expect

    expect(desk.shown(PANEL).get_by_role("button", name="Apply")).to_be_enabled()
    desk.run_another(EMPTY, "widgets.progress(cluster)")
    progress = desk.shown(EMPTY)
    expect(progress.get_by_role("status")).to_have_text("Checked.")
    progress.locator("summary").first.focus()
    press(desk, "Enter")
    expect(progress.locator("details").first.locator("ul")).to_be_visible()
    for which, controls in (
        (PANEL, ["range", "number", "Apply", "Count anew", "Changes"]),
        (LIVE, ["Start"]),
        (NUMBER, ["number", "Lock my answer"]),
        (CHOICE, ["radio", "Lock my answer"]),
        (EMPTY, ["Look again", "00", "01", "02"]),
    ):
        widget = desk.shown(which)
        widget.locator("input, button").first.focus()
        found = []
        for _control in controls:
            focused = widget.locator(":focus")
            outline, width = desk.page.evaluate(OUTLINE)
            assert (outline, width) == ("solid", 3), (which, found)
            name = "el => el.ariaLabel === 'Changes' ? 'Changes' : el.tagName === 'INPUT' ? el.type : el.innerText"
            found.append(focused.evaluate(name))
            press(desk, "Tab")
        assert [text[: len(wanted)] for text, wanted in zip(found, controls, strict=True)] == controls


def test_by_keyboard_alone_and_what_changes_is_said(desk: Desk, shifted: Cluster) -> None:
    from playwright.sync_api import expect

    panel, view, number, choice = (desk.shown(which) for which in (PANEL, LIVE, NUMBER, CHOICE))
    expect(panel.get_by_role("button", name="Apply")).to_be_enabled()
    panel.locator("input[type=range]").focus()
    press(desk, "End", "PageDown", "ArrowLeft")
    expect(panel.locator("input[type=range]")).to_have_attribute("aria-valuetext", "89%")
    press(desk, "Tab", "Tab", "Enter")
    expect(panel.get_by_role("status")).to_contain_text("Set: v1 11, v2 89.")
    assert istio.weights(shifted) == {"v1": 11, "v2": 89}

    view.get_by_role("button").focus()
    press(desk, "Enter")
    expect(view.get_by_role("status").last).to_contain_text(re.compile("[1-9][0-9]* two"))
    press(desk, "Space")
    expect(view.get_by_role("button", name="Start")).to_be_focused()
    expect(view.locator(".dot")).to_have_count(0)

    number.locator("input").focus()
    press(desk, "6", "Enter")
    expect(number.get_by_role("status")).to_have_text("Locked: 6.")
    choice.locator("input").first.focus()
    press(desk, "Space", "ArrowDown", "Tab", "Enter")
    expect(choice.get_by_role("status")).to_have_text("Locked: two.")


def test_no_share_can_be_chosen_before_the_kernel_says_what_is_set(browser: Any) -> None:
    page = browser.new_page()
    page.evaluate(UNANSWERED, base.module_of("weight_panel.js"))
    assert page.locator("input:disabled, button:disabled").count() == 4
    assert page.locator("input:enabled, button:enabled").count() == 0
    page.close()


def test_twenty_clicks_at_once_end_with_the_last_value_and_few_writes(desk: Desk, shifted: Cluster) -> None:
    from playwright.sync_api import expect

    panel = desk.shown(PANEL)
    expect(panel.locator(".set")).to_have_text("Set: v1 80, v2 20.")
    resource = shifted.api.resource_named("virtualservices")
    before = shifted.read(resource, "tcp-echo")["metadata"]["generation"]
    panel.locator("form").evaluate(TWENTY_CLICKS)
    expect(panel.locator(".set")).to_have_text("Set: v1 40, v2 60.")
    expect(panel.locator(".history")).to_contain_text("v2 60%: in force")
    expect(panel.locator(".observed")).to_contain_text("95% interval")
    assert istio.weights(shifted) == {"v1": 40, "v2": 60}
    # The generation counts what was written.
    writes = shifted.read(resource, "tcp-echo")["metadata"]["generation"] - before
    assert 1 <= writes <= 10
    expect(panel.locator(".said")).to_have_text("")


def test_cells_that_are_run_again_replace_their_widgets_and_end_their_traffic(desk: Desk, shifted: Cluster) -> None:
    from playwright.sync_api import expect

    desk.start()
    desk.run_all()
    expect(desk.page.locator(".jp-OutputArea .tcpshift")).to_have_count(EMPTY)
    view = desk.shown(LIVE)
    expect(view.get_by_role("button", name="Start")).to_be_visible()
    expect(view.locator(".count.one")).to_have_text("0")
    # The same kind in another cell ends it, too; here in that of the panel, whose traffic ends with it.
    view = desk.start()
    desk.run_another(PANEL, CELLS[LIVE + 1])
    expect(view.locator(".said").first).to_have_text("Ended. Run the cell again to go on.")
    expect(view.get_by_role("button")).to_be_disabled()
    until_quiet(shifted)


def test_a_kernel_that_restarts_takes_its_traffic_along_and_the_page_says_so(
    desk: Desk, shifted: Cluster, jupyter_lab: JupyterLab
) -> None:
    from playwright.sync_api import expect

    view, panel = desk.start(), desk.shown(PANEL)
    expect(panel.locator(".observed")).to_contain_text("95% interval")
    before = jupyter_lab.kernels()
    desk.choose("Kernel", "Restart Kernel…")
    desk.page.get_by_role("button", name="Confirm Kernel Restart").click()
    for widget in (view, panel):
        expect(widget.locator(".said").first).to_contain_text("The kernel does not answer")
    # What is left on the page does no harm.
    view.get_by_role("button", name="Start").click()
    panel.get_by_role("button", name="Apply").click()
    until_quiet(shifted)
    assert not [process for process in before if process.is_running()]
    assert len(jupyter_lab.kernels()) == len(before)
    assert istio.weights(shifted) == {"v1": 80, "v2": 20}


def test_a_sandbox_that_is_stopped_is_said_in_a_line_and_leaves_nothing(
    desk: Desk, shifted: Cluster, sandbox_home: Home
) -> None:
    from playwright.sync_api import expect

    view, panel = desk.start(), desk.shown(PANEL)
    expect(panel.locator(".observed")).to_contain_text("95% interval")
    message = (
        f"Nothing answers at {shifted.server} (connection refused).\n"
        "The sandbox is down: run connect() again, or tcpshift up in a terminal."
    )
    try:
        tcpshift(sandbox_home, "down")
        for widget in (view, panel):
            expect(widget.locator(".said").first).to_have_text(message)
        expect(view.get_by_role("button", name="Start")).to_be_visible()
        assert what_is_left(sandbox_home) == []
    finally:
        supervisor.start(sandbox_home)
    desk.start()
    expect(panel.locator(".said").first).to_have_text("")


def test_a_page_that_shows_traffic_says_that_it_is_there(desk: Desk) -> None:
    desk.start()
    assert desk.page.evaluate(SAYS_HERE)


@pytest.mark.parametrize("closed", ["notebook", "browser"])
def test_a_page_that_is_closed_ends_its_traffic_though_its_kernel_lives(
    open_desk: Callable[[], Desk], shifted: Cluster, jupyter_lab: JupyterLab, closed: str
) -> None:
    desk = open_desk()
    desk.run_all()
    desk.start()
    if closed == "notebook":
        desk.choose("File", "Close Tab")
        desk.page.get_by_role("button", name="Discard").click()
    else:
        desk.page.close()
    until_quiet(shifted)
    assert jupyter_lab.kernels()
    assert desk.errors == []
    desk.page.close()
