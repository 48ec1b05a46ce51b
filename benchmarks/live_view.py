"""Ten minutes of the live view in a browser: does the kernel grow, or the page?

The kernel is measured by its RSS and PSS, the page by what its JavaScript holds after a garbage collection and by the PSS
of the browser's processes that draw.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import browser
from bar import Result

if TYPE_CHECKING:
    from tests.browser.jupyter import JupyterLab

MINUTES = 10
# Before the first measurement: modules are loaded, and the view has its shape.
_SETTLE_SECONDS = 20


def measure(minutes: float = MINUTES) -> list[Result]:
    with browser.notebook(["widgets.live(cluster)"]) as (opened, server):
        view = opened.widget("svg")
        view.get_by_role("button", name="Start").click()
        time.sleep(_SETTLE_SECONDS)
        page = opened.page.context.new_cdp_session(opened.page)
        before = _megabytes(server, page)
        connections_before = _connections(view)
        time.sleep(minutes * 60)
        after = _megabytes(server, page)
        connections = _connections(view) - connections_before
        view.get_by_role("button", name="Pause").click()
    print(f"{connections} connections shown; before {before}, after {after}", file=sys.stderr)
    grown = {name: [after[name] - before[name]] for name in before}
    return [
        Result(f"live view, {minutes:g} minutes: growth of the kernel's RSS", grown["kernel RSS"], "MB", 50),
        Result(f"live view, {minutes:g} minutes: growth of the kernel's PSS", grown["kernel PSS"], "MB", 50),
        Result(f"live view, {minutes:g} minutes: growth of the page's JavaScript heap", grown["heap"], "MB", 50),
        Result(f"live view, {minutes:g} minutes: growth of the browser's renderers, PSS", grown["renderers"], "MB", 50),
        # A view that stopped would not grow either.
        Result("connections shown a minute", [connections / minutes], "", 300, at_least=True),
    ]


def _connections(view: Any) -> int:
    return sum(int(view.locator(f".count.{word}").text_content()) for word in ("one", "two"))


def _megabytes(server: JupyterLab, page: Any) -> dict[str, float]:
    page.send("HeapProfiler.collectGarbage")
    kernel = [process.memory_full_info() for process in server.kernels()]
    renderers = [process.memory_full_info() for process in browser.jupyter.processes_with("--type=renderer")]
    return {
        "kernel RSS": sum(one.rss for one in kernel) / 1e6,
        "kernel PSS": sum(one.pss for one in kernel) / 1e6,
        "renderers": sum(one.pss for one in renderers) / 1e6,
        "heap": page.send("Runtime.getHeapUsage")["usedSize"] / 1e6,
    }
