"""What a benchmark gives back, and the sandbox it runs on. No measuring happens here."""

from __future__ import annotations

import contextlib
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tcpshift_helpers import connect, kubectl
from tcpshift_helpers.sandbox import record, supervisor
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers import Cluster

ECHO_DEPLOYMENTS = ("tcp-echo-v1", "tcp-echo-v2")


@dataclass(frozen=True)
class Result:
    """One bar, measured.

    Attributes:
        bar: what was measured, in words.
        samples: one number a run.
        unit: of the samples and of the target.
        target: what is judged must not be above it, or not below it where `at_least`.
        at_least: whether more is better.
        always: whether every run must meet the target, not only the median.
    """

    bar: str
    samples: list[float]
    unit: str
    target: float
    at_least: bool = False
    always: bool = False

    @property
    def median(self) -> float:
        """Of all samples."""
        return statistics.median(self.samples)

    @property
    def ok(self) -> bool:
        """Whether the median meets the target, or every run where that is asked."""
        judged = max(self.samples) if self.always else self.median
        return judged >= self.target if self.at_least else judged <= self.target


@contextlib.contextmanager
def state_directory() -> Iterator[Home]:
    """An empty state directory, named in the environment; whatever runs on it is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="tcpshift-bench-") as folder:
        before = {name: os.environ.pop(name, None) for name in ("TCPSHIFT_HOME", "KUBECONFIG", "TCPSHIFT_CONTEXT")}
        home = Home(Path(folder) / "home")
        os.environ["TCPSHIFT_HOME"] = str(home.root)
        try:
            yield home
        finally:
            supervisor.stop(home)
            os.environ.pop("TCPSHIFT_HOME")
            os.environ.update({name: value for name, value in before.items() if value is not None})


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A sandbox of its own, up, as a learner's notebook sees it."""
    with state_directory(), contextlib.redirect_stdout(None):
        yield connect()


def api_server(home: Home) -> psutil.Process:
    """The process of the API server that runs now."""
    state = record.read(home)
    assert state is not None
    return psutil.Process(next(part["pid"] for part in state.parts if part["name"] == "apiserver"))


def tls(home: Home) -> ssl.SSLContext:
    """Trusts the API server, and nobody else."""
    return ssl.create_default_context(cafile=str(home.pki / "ca.crt"))


def deploy_echo(cluster: Cluster, *, sidecars: bool = False) -> None:
    """Both echo versions and the rule that sends everything to v1, all of it ready."""
    kubectl.create_namespace(cluster, labels={"istio-injection": "enabled"} if sidecars else None)
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    for name in ECHO_DEPLOYMENTS:
        kubectl.wait(cluster, f"deployment/{name}")


def tcpshift(*arguments: str) -> float:
    """Run a command of the command line; gives its seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tcpshift_helpers.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
