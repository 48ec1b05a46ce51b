"""Choosing the cluster: the order of the choices, never ~/.kube/config by itself, and errors that say what there is."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from tcpshift_helpers import connection
from tcpshift_helpers.connection import Cluster, connect
from tcpshift_helpers.errors import ClusterUnreachableError, ForbiddenError, UsageError
from tcpshift_helpers.sandbox.home import Home


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """State directories of the sandboxes that would have been started; environment and HOME are empty."""
    homes: list[Path] = []
    monkeypatch.setattr(connection, "_start", lambda home: homes.append(home.root))
    for name in ("TCPSHIFT_CONTEXT", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("TCPSHIFT_HOME", str(tmp_path / "sandbox"))
    return homes


def kubeconfig(
    folder: Path, source: Path, *, current: str | None = "a", names: tuple[str, ...] = ("a", "b"), **cluster: Any
) -> Path:
    """A kubeconfig with several contexts that lead to the API server of `source`."""
    config = yaml.safe_load(source.read_text())
    config["clusters"][0]["cluster"] |= cluster
    context = config["contexts"][0]["context"]
    config["contexts"] = [{"name": name, "context": context} for name in names]
    config["current-context"] = current
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config"
    file.write_text(yaml.safe_dump(config))
    return file


def test_prints_one_line_that_says_which(
    api_server: Path,
    tmp_path: Path,
    started: list[Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = kubeconfig(tmp_path / "k", api_server)
    monkeypatch.setenv("KUBECONFIG", str(file))
    cluster = connect()
    assert (cluster.context, cluster.is_sandbox, started) == ("a", False, [])
    assert capsys.readouterr().out == (
        f"Cluster: context a, {cluster.server} (Kubernetes {cluster.version}), namespace {connection.COURSE_NAMESPACE}\n"
    )
    monkeypatch.setenv("TCPSHIFT_CONTEXT", "b")
    assert connect().context == "b"
    assert connect("a", namespace="mine").namespace == "mine"


def test_an_unknown_language_starts_nothing(started: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCPSHIFT_LANGUAGE", "xx")
    with pytest.raises(UsageError, match="TCPSHIFT_LANGUAGE is 'xx'"):
        connect()
    assert started == []


def test_the_sandbox_is_the_default_and_is_started(
    api_server: Path, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.from_environment()
    home.create()
    home.kubeconfig.write_bytes(api_server.read_bytes())
    kubeconfig(Path.home() / ".kube", api_server)
    assert connect().is_sandbox
    assert connect("tcpshift-sandbox").is_sandbox
    monkeypatch.setenv("KUBECONFIG", str(home.kubeconfig))
    assert connect().is_sandbox
    assert started == [home.root] * 3


def test_kubeconfig_alone_finds_the_sandbox_beside_it(api_server: Path, started: list[Path], tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.create()
    other.network.write_text("{}")
    other.kubeconfig.write_bytes(api_server.read_bytes())
    assert connect(kubeconfig=other.kubeconfig).is_sandbox
    assert started == [other.root]


def test_the_users_own_kubeconfig_needs_a_named_context(api_server: Path, started: list[Path]) -> None:
    kubeconfig(Path.home() / ".kube", api_server)
    assert connect("b").context == "b"
    assert started == []


def test_a_missing_context_lists_those_there_are(api_server: Path, started: list[Path], tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, api_server)
    with pytest.raises(ClusterUnreachableError, match=r"has no context c\. Contexts there: a, b\."):
        connect("c", kubeconfig=file)
    file = kubeconfig(tmp_path, api_server, current=None)
    with pytest.raises(ClusterUnreachableError, match=r"has no current context\. Contexts there: a, b\."):
        connect(kubeconfig=file)
    assert started == []


@pytest.mark.parametrize("text", ["", "[", "apiVersion: v1\n"])
def test_a_broken_kubeconfig(started: list[Path], tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ClusterUnreachableError, match="kubeconfig"):
        connect(kubeconfig=file)
    with pytest.raises(ClusterUnreachableError, match="There is no kubeconfig"):
        connect(kubeconfig=tmp_path / "nope")
    assert started == []


def test_nothing_answers(api_server: Path, started: list[Path], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = kubeconfig(tmp_path, api_server, server=f"https://127.0.0.1:{port}")
    with pytest.raises(
        ClusterUnreachableError, match=rf"Nothing answers at https://127.0.0.1:{port} \(connection refused\)"
    ):
        connect(kubeconfig=file)
    assert started == []


def test_a_certificate_of_another_authority(api_server: Path, started: list[Path], tmp_path: Path) -> None:
    config = yaml.safe_load(kubeconfig(tmp_path, api_server).read_text())
    for key in ("certificate-authority-data", "certificate-authority"):
        config["clusters"][0]["cluster"].pop(key, None)
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterUnreachableError, match="certificate that cannot be trusted"):
        connect(kubeconfig=tmp_path / "config")
    assert started == []


def test_wrong_credentials(api_server: Path, started: list[Path], tmp_path: Path) -> None:
    config = yaml.safe_load(kubeconfig(tmp_path, api_server).read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    cluster: Cluster | None = None
    with pytest.raises(ForbiddenError, match="credentials are not valid here"):
        cluster = connect(kubeconfig=tmp_path / "config")
        cluster.api.request("GET", "/api/v1/namespaces")
    assert started == []
