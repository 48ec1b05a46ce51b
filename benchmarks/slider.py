"""The weight panel in a browser: how long from a key on the slider, or from Apply, until the page has changed?

Measured within the page, from the event to the frame that draws what it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import browser
from bar import Result

if TYPE_CHECKING:
    from playwright.sync_api import Locator

MOVES = 40
# Begins to look at an element, and gives back a promise of the milliseconds from the next event of that type to the first
# frame after a change of the element. It is made before the event happens, so that it misses nothing.
_WATCH = """(panel, [type, selector]) => {
  let began = null;
  panel.addEventListener(type, (event) => { began = event.timeStamp; }, { once: true, capture: true });
  window.measured = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (began === null) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - began));
    });
    observer.observe(panel.querySelector(selector), { attributes: true, childList: true, characterData: true, subtree: true });
  });
}"""


def measure() -> list[Result]:
    moved, applied = [], []
    with browser.notebook(['widgets.weights(cluster, "tcp-echo")']) as (opened, _server):
        panel = opened.widget("input[type=range]")
        panel.locator(".whisker").wait_for()
        slider, apply = panel.locator("input[type=range]"), panel.get_by_role("button", name="Apply")
        for number in range(MOVES):
            key = "ArrowRight" if number % 2 else "ArrowLeft"
            moved.append(_milliseconds(panel, "input", "input[type=range]", slider, key))
            applied.append(_milliseconds(panel, "submit", ".set", apply, "Enter"))
    return [
        Result("slider to visible change", moved, "ms", 300, always=True),
        Result("Apply to the new weights shown, set in the cluster", applied, "ms", 300, always=True),
    ]


def _milliseconds(panel: Locator, event: str, changes: str, control: Locator, key: str) -> float:
    panel.evaluate(_WATCH, [event, changes])
    control.press(key)
    return float(panel.evaluate("() => window.measured"))
