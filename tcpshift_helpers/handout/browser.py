"""A document as PDF, by a browser of this machine that has no window: Chromium or Chrome.

The browser gets a profile of its own for that one page and nothing from the network, and ends with us: when it is done, when
it takes too long, and when we are interrupted, with every process that it started. It knows nothing of what it prints.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import psutil

from tcpshift_helpers.errors import HandoutError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_SECONDS = 120.0


def find() -> str:
    """The browser that `PATH` has.

    Raises:
        HandoutError: there is none.
    """
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise HandoutError(
        _(
            "No browser that makes PDF is on the PATH ({names}). Install chromium, or use --format html and print that from any browser."
        ).format(names=", ".join(NAMES))
    )


def print_pdf(browser: str, page: Path, pdf: Path, profile: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Print a page.

    Args:
        browser: what `find` gave.
        page: an HTML file.
        pdf: where the PDF goes.
        profile: a directory for the browser alone; whoever made it removes it.
        timeout_seconds: a browser that takes longer is ended.

    Raises:
        HandoutError: it took too long, or there is no whole PDF; with the browser's last words.
    """
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-extensions",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--no-first-run",
        f"--user-data-dir={profile}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={pdf}",
        # In a container root is often the only user, and Chromium's own walls do not stand for root.
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        page.as_uri(),
    ]
    said = profile.with_name("browser.log")
    with said.open("wb") as log:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except OSError as error:
            raise HandoutError(_failed(browser, error.strerror or str(error))) from error
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            reason = _("it was not done after {seconds:g} seconds").format(seconds=timeout_seconds)
            raise HandoutError(_failed(browser, reason)) from None
        finally:
            _end(process)
    if not (pdf.is_file() and pdf.read_bytes().rstrip().endswith(b"%%EOF")):
        lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise HandoutError(_failed(browser, lines[-1] if lines else _("it wrote no PDF")))


def _failed(browser: str, reason: str) -> str:
    return _(
        "{browser} did not make the PDF: {reason}. Use --format html, and print that from any browser.",
    ).format(browser=browser, reason=reason.rstrip("."))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the browser with all that it started; nothing is left to do where it ended by itself."""
    try:
        everyone = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    except psutil.NoSuchProcess:
        everyone = []
    for one in everyone:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
