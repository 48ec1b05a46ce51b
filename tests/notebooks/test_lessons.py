"""The lessons, run whole and backwards with nothing but a kubeconfig, and without what they begin with.

`pytest --nbval notebooks/`, the other half of `make test`, runs them forwards, twice on one sandbox (once a language), and
compares every output with the saved one. Here a lesson has to come to its end without an error, and to pass the checks that
the saved one passed. Left out are the checks that
draw lots: by design each is wrong about once in ten thousand runs, and one place for that is enough.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tcpshift_helpers import course

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

FOLDER = Path(__file__).parents[2] / "notebooks" / "en"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
DRAWS_LOTS = re.compile(r"the answers to \d+ (?:fresh probes|calls of the Service) fit ")
NAMES_A_TARGET = ("TCPSHIFT_HOME", "TCPSHIFT_CONTEXT", "KUBECONFIG", "INGRESS_HOST", "TCP_INGRESS_PORT")
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def run(notebook: Any, **environment: str) -> Any:
    """Run a notebook in a kernel of its own, with these variables and nothing else that names a cluster."""
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES_A_TARGET}
    # The kernel of this very Python, whatever others the user has installed.
    notebook.metadata.pop("kernelspec", None)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}})
    client.execute(env={**inherited, "TCPSHIFT_PROGRESS": "off", **environment})
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def checks(notebook: Any) -> list[str]:
    """The lines that checks printed."""
    lines = [line for cell in code_cells(notebook) for line in printed(cell).splitlines()]
    return [line for line in lines if line.startswith(("PASS ", "NOT YET ")) and not DRAWS_LOTS.search(line)]


def test_the_folder_passes_backwards_with_nothing_but_a_kubeconfig(sandbox_home: Home, home: Home) -> None:
    # Backwards: no lesson may lean on what the one before has left. One kernel: all that is carried over is the cluster's state.
    backwards = LESSONS[::-1]
    cells = [nbformat.v4.new_code_cell(cell.source) for path in backwards for cell in code_cells(read(path))]
    ran = run(
        nbformat.v4.new_notebook(cells=cells), KUBECONFIG=str(sandbox_home.kubeconfig), TCPSHIFT_HOME=str(home.root)
    )
    assert checks(ran) == [line for path in backwards for line in checks(read(path))]
    # Nothing was started in the state directory that was not asked for.
    assert not home.root.exists()


@pytest.mark.parametrize("number", ["02", "03"])
def test_a_lesson_without_its_first_cell_says_what_is_missing(
    sandbox: Cluster, sandbox_home: Home, number: str
) -> None:
    course.reset(sandbox)
    notebook = read(next(path for path in LESSONS if path.name.startswith(number)))
    first = code_cells(notebook)[0]
    begin = f'course.begin(cluster, "{number}")'
    assert begin in first.source
    first.source = first.source.replace(begin, "")
    with pytest.raises(CellExecutionError) as caught:
        run(notebook, KUBECONFIG=str(sandbox_home.kubeconfig))
    assert f'namespaces "{sandbox.namespace}" not found' in caught.value.evalue
    assert "Create it first: kubectl.create_namespace(cluster)" in caught.value.evalue
