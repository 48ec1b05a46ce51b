"""One JupyterLab on a copy of the course and one browser, for all tests here. Screenshots are left in test-artefacts/."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .jupyter import CHROMIUM, Notebook, chromium, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.home import Home

    from .jupyter import JupyterLab

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "test-artefacts"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each of them takes a browser, a sandbox and its time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.sandbox)
            item.add_marker(pytest.mark.timeout(300))
            item.add_marker(
                pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
            )


@pytest.fixture(scope="session")
def jupyter_lab(tmp_path_factory: pytest.TempPathFactory, sandbox_home: Home) -> Iterator[JupyterLab]:
    """A JupyterLab on a copy of the course, with the sandbox as its cluster."""
    folder = tmp_path_factory.mktemp("course") / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder)
    with serve(folder, sandbox_home.kubeconfig) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium. It does not outlive the module: an event loop runs in this thread for as long."""
    with chromium() as running:
        yield running


@pytest.fixture
def keep_picture() -> Callable[[Notebook, str], None]:
    """Keeps what a page shows as a file of that name."""

    def keep(notebook: Notebook, name: str) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        notebook.page.screenshot(path=ARTEFACTS / f"{name}.png")

    return keep


@pytest.fixture(scope="module", autouse=True)
def _kernels_end(jupyter_lab: JupyterLab) -> Iterator[None]:
    yield
    jupyter_lab.end_kernels()


@pytest.fixture
def open_notebook(
    jupyter_lab: JupyterLab,
    browser: Any,
    keep_picture: Callable[[Notebook, str], None],
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook in a page that closes with the test; no script of the page may fail."""
    opened: list[Notebook] = []

    def open_it(path: str, theme: str = "light") -> Notebook:
        opened.append(Notebook(jupyter_lab, browser, path, theme))
        return opened[-1]

    failed_before = request.session.testsfailed
    yield open_it
    for number, notebook in enumerate(opened):
        if request.session.testsfailed > failed_before and not notebook.page.is_closed():
            keep_picture(notebook, f"{request.node.name}-{number}-failed")
        notebook.page.close()
    assert [error for notebook in opened for error in notebook.errors] == []
