"""`%kubectl` and `%%kubectl` in a notebook: the command line as it is typed in a terminal, without a kubectl.

`%load_ext tcpshift_helpers.magic` brings them. They work on the cluster that the notebook calls `cluster`; where
there is none, on the one that `connect()` finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import Magics, line_cell_magic, magics_class

from tcpshift_helpers import command_line
from tcpshift_helpers.connection import Cluster, connect

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@magics_class
class KubectlMagics(Magics):
    """The magics; IPython makes one for a kernel."""

    @line_cell_magic
    def kubectl(self, line: str, cell: str | None = None) -> object:
        """`%kubectl get pods`; with `%%kubectl apply -f -` the lines below are what it reads."""
        there = self.shell.user_ns.get("cluster") if self.shell is not None else None
        cluster = there if isinstance(there, Cluster) else connect()
        return command_line.run(cluster, line, cell or "")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext`."""
    shell.register_magics(KubectlMagics)
