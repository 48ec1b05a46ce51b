"""`pytest --nbval notebooks/` as it stands: the lessons on a sandbox of their own, compared after sanitizing.

Without this a run would use, and leave behind, the sandbox of whoever types it. A cluster named by TCPSHIFT_CONTEXT or
KUBECONFIG, and a state directory named by TCPSHIFT_HOME, are respected.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_NAMES_A_TARGET = ("TCPSHIFT_HOME", "TCPSHIFT_CONTEXT", "KUBECONFIG")


def pytest_configure(config: pytest.Config) -> None:
    """Give nbval its defaults, and the lessons a state directory that goes with the run."""
    if not config.getoption("nbval", default=False):
        return
    config.option.nbval_current_env = True
    if not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(Path(__file__).parent / "tests" / "notebooks" / "sanitize.cfg")
    if not any(os.environ.get(name) for name in _NAMES_A_TARGET):
        directory = tempfile.TemporaryDirectory(prefix="tcpshift-lessons-")
        os.environ["TCPSHIFT_HOME"] = directory.name
        config.add_cleanup(lambda: _stop_sandbox(directory))


def _stop_sandbox(directory: tempfile.TemporaryDirectory[str]) -> None:
    from tcpshift_helpers.sandbox import supervisor
    from tcpshift_helpers.sandbox.home import Home

    supervisor.stop(Home(Path(directory.name)))
    del os.environ["TCPSHIFT_HOME"]
    directory.cleanup()
