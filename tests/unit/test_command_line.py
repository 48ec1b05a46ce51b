"""kubectl's command lines in a notebook: what is printed is what the real kubectl prints; what is not known is refused."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers import command_line, kubectl
from tcpshift_helpers.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tcpshift_helpers.connection import Cluster

NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
READING = [
    "get deployments",
    "get deploy tcp-echo-v1 -o wide",
    "get svc -l app=tcp-echo --show-labels",
    "get service/tcp-echo -o name",
    "get deploy -o name",
    "get -n kube-system configmaps",
    "-n default get pods",
    "get configmaps -A",
    "get svc tcp-echo -o yaml",
    "get svc tcp-echo -o json",
    """get svc tcp-echo -o jsonpath='{.spec.ports[?(@.name=="tcp")].port}'""",
    "get deploy -o jsonpath='{.items[*].metadata.name} of {.kind}'",
    "get deploy tcp-echo-v1 -o=jsonpath={.spec.selector.matchLabels}",
    "get secrets",
]
# In the order in which they are typed.
CHANGING = [
    "apply -f manifests/tcp-echo-all-v1.yaml",
    "label svc tcp-echo tier=front",
    "label svc tcp-echo tier=back --overwrite",
    "label service/tcp-echo tier-",
    "annotate svc tcp-echo note='two words'",
    """patch virtualservice tcp-echo --type=json -p '[{"op":"replace","path":"/spec/hosts/0","value":"tcp-echo"}]'""",
    "patch deploy/tcp-echo-v1 -p 'spec: {replicas: 2}'",
    "scale deployment tcp-echo-v1 --replicas=3",
    "wait deploy/tcp-echo-v1 --for=jsonpath='{.spec.replicas}'=3 --timeout=1m30s",
    "delete virtualservice tcp-echo --ignore-not-found",
    "delete virtualservice tcp-echo --ignore-not-found",
    "delete -f manifests/tcp-echo-all-v1.yaml --ignore-not-found",
]
REFUSED = {
    "frobnicate": "invalid choice: 'frobnicate'",
    "": "VERB",
    "get": "You must specify the type of resource",
    "get svc,deploy": "of several kinds",
    "get svc a b": "of several kinds",
    "get pods --watch": "unrecognized arguments: --watch",
    "get pods -o table": "output='table' is not one of",
    "get svc -o jsonpath='{range .items[*]}{.kind}{end}'": "jsonpath 'range .items[*]' is not understood",
    "get pods 'unclosed": "cannot be read: No closing quotation",
    "apply": "must specify -f",
    "apply -f -": "there are none",
    "create deployment x": "create deployment is not known here",
    "delete pods": "no name was specified",
    "label svc tcp-echo": "At least one KEY=VALUE",
    "label svc tcp-echo app": "neither KEY=VALUE nor KEY-",
    "label svc tcp-echo app=other": "'app' already has a value (tcp-echo), and --overwrite is false",
    "patch svc tcp-echo -p '{'": "unable to parse",
    "scale svc tcp-echo --replicas=2": "scale knows deployments",
    "scale deploy tcp-echo-v1 --replicas=two": "invalid int value: 'two'",
    "wait deploy --for=condition=Available": "add --all",
    "wait deploy/tcp-echo-v1 --for=condition=Available --timeout=5": "'5' is no duration",
    "exec tcp-echo": "you must specify at least one command",
}


@pytest.fixture
def echo(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Iterator[Cluster]:
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    capsys.readouterr()
    yield cluster
    kubectl.delete(cluster, "service", "tcp-echo")  # there are fifty cluster addresses, and more tests


def without_ages(text: str) -> str:
    """The age may tick over between the two; and each apply leaves versions of its own."""
    return re.sub(r"\d+s\b|(?<=resourceVersion: )\"\d+\"|(?<=\"resourceVersion\": )\"\d+\"", "…", text)


def by_kubectl(cluster: Cluster, kubeconfig: Path, line: str) -> str:
    words = ["kubectl", "--kubeconfig", str(kubeconfig), *shlex.split(line)]
    if not {"-n", "-A"} & set(words):
        words[3:3] = ["-n", cluster.namespace]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@NEEDS_KUBECTL
@pytest.mark.parametrize("line", READING)
def test_reads_as_kubectl_does(echo: Cluster, api_server: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    command_line.run(echo, line)
    ours = capsys.readouterr().out
    theirs = by_kubectl(echo, api_server, line)
    assert without_ages(ours).rstrip("\n") == without_ages(theirs).rstrip("\n")
    assert ours.strip()


@NEEDS_KUBECTL
def test_changes_as_kubectl_does(echo: Cluster, api_server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours = []
    for line in CHANGING:
        command_line.run(echo, line)
        ours.append(capsys.readouterr().out)
    kubectl.delete_manifest(echo, "tcp-echo-services.yaml")
    kubectl.apply(echo, "tcp-echo-services.yaml")
    capsys.readouterr()
    assert ours == [by_kubectl(echo, api_server, line) for line in CHANGING]


@pytest.mark.parametrize(("line", "why"), REFUSED.items())
def test_refuses_what_it_does_not_know_and_says_what(
    echo: Cluster, capsys: pytest.CaptureFixture[str], line: str, why: str
) -> None:
    with pytest.raises(UsageError) as raised:
        command_line.run(echo, line)
    assert why in str(raised.value)
    assert not capsys.readouterr().out


def test_what_is_missing_is_said_in_the_server_s_words(echo: Cluster) -> None:
    for line in ("get pod x", "delete pod x"):
        with pytest.raises(NotFoundError, match=r'^Error from server \(NotFound\): pods "x" not found$'):
            command_line.run(echo, line)


def test_a_cell_s_own_lines_are_what_apply_reads(echo: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cell = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-a-cell}\ndata: {a: b}\n"
    command_line.run(echo, "apply -f -", cell)
    assert capsys.readouterr().out == "configmap/from-a-cell created\n"
    command_line.run(echo, "create -f - ", cell.replace("from-a-cell", "another"))
    assert capsys.readouterr().out == "configmap/another created\n"


def test_the_command_line_is_not_printed_again_but_by_the_helpers_afterwards(
    echo: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.run(echo, "get svc")
    assert "$ kubectl" not in capsys.readouterr().out
    kubectl.get(echo, "svc")
    assert "$ kubectl" in capsys.readouterr().out


def test_the_magic_uses_the_notebook_s_cluster_and_its_cell(echo: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    try:
        shell.user_ns["cluster"] = echo
        shell.run_line_magic("load_ext", "tcpshift_helpers.magic")
        shell.run_line_magic("kubectl", "get svc tcp-echo -o jsonpath={.spec.ports[0].port}")
        assert capsys.readouterr().out.strip() == "9000"
        shell.run_cell_magic("kubectl", "apply -f -", "{apiVersion: v1, kind: ConfigMap, metadata: {name: magic}}")
        assert capsys.readouterr().out == "configmap/magic created\n"
    finally:
        shell.history_manager.end_session()
