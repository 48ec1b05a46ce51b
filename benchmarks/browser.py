"""A notebook with widgets in JupyterLab, in the system's Chromium. No measuring happens here."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bar import cluster

from tcpshift_helpers import course
from tcpshift_helpers.sandbox.home import Home

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import jupyter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "bench.ipynb"


@contextlib.contextmanager
def notebook(cells: Sequence[str]) -> Iterator[tuple[jupyter.Notebook, jupyter.JupyterLab]]:
    """These cells, after one that connects, run on a sandbox in which one connection in five goes to v2."""
    if jupyter.CHROMIUM is None:
        raise SystemExit("There is no chromium to measure with: apt-get install chromium")
    with (
        tempfile.TemporaryDirectory(prefix="tcpshift-bench-lab-") as temporary,
        cluster() as here,
        contextlib.redirect_stdout(None),
    ):
        course.begin(here, "04")
        folder = Path(temporary) / "notebooks"
        folder.mkdir()
        with jupyter.serve(folder, Home.from_environment().kubeconfig) as server, jupyter.chromium() as browser:
            server.write(NAME, ["from tcpshift_helpers import connect, widgets\ncluster = connect()", *cells])
            opened = jupyter.Notebook(server, browser, NAME)
            opened.run("Run All Cells", len(cells))
            yield opened, server
            assert opened.errors == []
            opened.page.close()
