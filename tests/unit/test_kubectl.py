"""kubectl's verbs against a real API server: the lines they print, what they return, what they refuse and how."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import kubectl, manifests
from tcpshift_helpers.errors import (
    AlreadyExistsError,
    InvalidError,
    ManifestError,
    NotFoundError,
    UsageError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tcpshift_helpers.connection import Cluster

Captured = pytest.CaptureFixture[str]
NEEDS_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
COURSE = ["tcp-echo-services.yaml", "tcp-echo-all-v1.yaml", "tcp-echo-20-v2.yaml", "curl.yaml"]


def config_map(name: str = "cm", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def lines(captured: Captured, cluster: Cluster) -> list[str]:
    return captured.readouterr().out.replace(cluster.namespace, "NS").splitlines()


def test_apply_prints_the_command_and_what_became_of_each_object(cluster: Cluster, capsys: Captured) -> None:
    for word in ("created", "unchanged"):
        objects = kubectl.apply(cluster, "tcp-echo-services.yaml")
        assert lines(capsys, cluster) == [
            "$ kubectl -n NS apply -f manifests/tcp-echo-services.yaml",
            f"service/tcp-echo {word}",
            f"deployment.apps/tcp-echo-v1 {word}",
            f"deployment.apps/tcp-echo-v2 {word}",
        ]
    assert [obj["kind"] for obj in objects] == ["Service", "Deployment", "Deployment"]


def test_apply_says_configured_and_removes_what_the_manifest_dropped(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, config_map(a="1", b="2"))
    kubectl.patch(cluster, "configmap", "cm", {"data": {"foreign": "x"}})
    changed = kubectl.apply(cluster, config_map(a="1"))
    assert changed[0]["data"] == {"a": "1", "foreign": "x"}
    assert lines(capsys, cluster)[-2:] == ["$ kubectl -n NS apply -f -", "configmap/cm configured"]


@NEEDS_KUBECTL
@pytest.mark.parametrize("name", COURSE)
@pytest.mark.parametrize("first", ["helper", "kubectl"])
def test_mixes_with_the_real_kubectl(
    cluster: Cluster, api_server: Path, capsys: Captured, name: str, first: str
) -> None:
    file = manifests.FOLDERS[0] / name
    command = ["kubectl", "--kubeconfig", str(api_server), "-n", cluster.namespace, "apply", "-f", str(file)]

    def by_kubectl() -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def by_helper() -> list[str]:
        kubectl.apply(cluster, file)
        return lines(capsys, cluster)[1:]

    one, other = (by_helper, by_kubectl) if first == "helper" else (by_kubectl, by_helper)
    created, unchanged = one(), other()
    assert all(line.endswith(" created") for line in created)
    assert unchanged == [line.replace(" created", " unchanged") for line in created]
    assert one() == unchanged


@NEEDS_KUBECTL
@pytest.mark.parametrize(
    "words",
    [
        ["get", "configmaps"],
        ["get", "cm", "cm", "-o", "yaml"],
        ["get", "svc", "--show-labels"],
        ["get", "svc", "-o", "wide"],
    ],
)
def test_get_prints_what_kubectl_prints(cluster: Cluster, api_server: Path, capsys: Captured, words: list[str]) -> None:
    kubectl.apply(cluster, [config_map(a="1", text="two\nlines\n", number="12"), config_map("another-longer-name")])
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    capsys.readouterr()
    command = ["kubectl", "--kubeconfig", str(api_server), "-n", cluster.namespace, *words]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [word for word in words[1:] if not word.startswith("-") and word not in {"wide", "yaml"}]
    output = words[words.index("-o") + 1] if "-o" in words else ""
    kubectl.get(cluster, *names, output=output, show_labels="--show-labels" in words)
    command_line, _, ours = capsys.readouterr().out.partition("\n")
    assert command_line == f"$ kubectl -n {cluster.namespace} {' '.join(words)}"
    # The age may tick over between the two.
    assert re.sub(r"\d+s", "AGE", ours) == re.sub(r"\d+s", "AGE", theirs)


def test_get_says_when_there_is_nothing(cluster: Cluster, capsys: Captured) -> None:
    assert kubectl.get(cluster, "deployments") == []
    assert lines(capsys, cluster)[-1] == "No resources found in NS namespace."
    with pytest.raises(NotFoundError, match=r'\(NotFound\): deployments.apps "x" not found'):
        kubectl.get(cluster, "deploy", "x")
    with pytest.raises(NotFoundError, match='the server doesn\'t have a resource type "deplyo"'):
        kubectl.get(cluster, "deplyo")


def test_create_namespace_twice_is_fine(cluster: Cluster, capsys: Captured) -> None:
    kubectl.create_namespace(cluster, labels={"istio-injection": "enabled"})
    assert lines(capsys, cluster) == [
        "$ kubectl create namespace NS",
        "namespace/NS exists already",
        "$ kubectl label namespace NS istio-injection=enabled --overwrite",
        "namespace/NS labeled",
    ]


def test_label_and_annotate(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, config_map())
    kubectl.label(cluster, "cm", "cm", {"a": "1"})
    kubectl.label(cluster, "cm", "cm", {"a": "1"})
    kubectl.label(cluster, "cm", "cm", {"a": None})
    found = kubectl.annotate(cluster, "cm", "cm", {"note": "two words"})[0]
    assert found["metadata"].get("labels", {}) == {}
    assert [line for line in lines(capsys, cluster) if line.startswith("configmap")] == [
        "configmap/cm created",
        "configmap/cm labeled",
        "configmap/cm not labeled",
        "configmap/cm unlabeled",
        "configmap/cm annotated",
    ]


def test_command_lines_are_quoted_for_a_shell(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, config_map())
    kubectl.patch(cluster, "cm", "cm", {"data": {"a": "it's"}})
    assert """-p '{"data":{"a":"it'"'"'s"}}'""" in capsys.readouterr().out
    for value in ("Active", "two words"):
        with pytest.raises(NotFoundError):
            kubectl.wait(cluster, "pod/x", wait_for=f"jsonpath={{.status.phase}}={value}", timeout_seconds=5)
    shown = [line.partition(" wait ")[2] for line in lines(capsys, cluster)]
    assert shown == [
        "--for=jsonpath='{.status.phase}'=Active pod/x --timeout=5s",
        "--for=jsonpath='{.status.phase}'='two words' pod/x --timeout=5s",
    ]


def test_scale(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    assert kubectl.scale(cluster, "tcp-echo-v1", 3)[0]["spec"]["replicas"] == 3
    assert lines(capsys, cluster)[-2:] == [
        "$ kubectl -n NS scale deployment tcp-echo-v1 --replicas=3",
        "deployment.apps/tcp-echo-v1 scaled",
    ]
    for wrong in (-1, 1.5, True):
        with pytest.raises(UsageError):
            kubectl.scale(cluster, "tcp-echo-v1", wrong)  # type: ignore[arg-type]


def test_deletes_can_be_repeated(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    capsys.readouterr()
    kubectl.delete_manifest(cluster, "tcp-echo-all-v1.yaml")
    assert lines(capsys, cluster) == [
        "$ kubectl -n NS delete -f manifests/tcp-echo-all-v1.yaml --ignore-not-found",
        'gateway.networking.istio.io "tcp-echo-gateway" deleted',
        'destinationrule.networking.istio.io "tcp-echo-destination" deleted',
        'virtualservice.networking.istio.io "tcp-echo" deleted',
    ]
    kubectl.delete_manifest(cluster, "tcp-echo-all-v1.yaml")
    kubectl.delete(cluster, "vs", "tcp-echo")
    assert lines(capsys, cluster) == [
        "$ kubectl -n NS delete -f manifests/tcp-echo-all-v1.yaml --ignore-not-found",
        "$ kubectl -n NS delete vs tcp-echo --ignore-not-found",
    ]
    with pytest.raises(NotFoundError):
        kubectl.delete(cluster, "vs", "tcp-echo", ignore_not_found=False)


def test_create_refuses_what_exists(cluster: Cluster) -> None:
    kubectl.create(cluster, config_map())
    with pytest.raises(AlreadyExistsError, match='configmaps "cm" already exists'):
        kubectl.create(cluster, config_map())


def test_an_unknown_kind_changes_nothing(cluster: Cluster) -> None:
    strange = {"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "x"}}
    with pytest.raises(NotFoundError) as caught:
        kubectl.apply(cluster, [config_map(), strange])
    assert 'no matches for kind "Strange" in version "example.com/v1"\nensure CRDs are installed first' in str(
        caught.value
    )
    assert kubectl.get(cluster, "cm", selector="") == [] or "cm" not in {
        o["metadata"]["name"] for o in kubectl.get(cluster, "cm")
    }


def test_an_unknown_version_lists_those_there_are(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match="serves Deployment as apps/v1: change apiVersion"):
        kubectl.apply(cluster, {"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "x"}})


@pytest.mark.parametrize("existing", [False, True])
def test_an_unknown_field_is_refused_in_the_servers_words(cluster: Cluster, existing: bool) -> None:
    wrong = manifests.load("tcp-echo-20-v2.yaml").objects[0]
    if existing:
        kubectl.apply(cluster, wrong)
    wrong["spec"]["tcp"][0]["route"][0]["wieght"] = 1
    with pytest.raises(
        InvalidError, match=r'strict decoding error: unknown field "spec.tcp\[0\].route\[0\].wieght"'
    ) as caught:
        kubectl.apply(cluster, wrong)
    assert len(str(caught.value)) < 400


def test_a_missing_namespace_says_what_to_do(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match='namespaces "nowhere" not found\nCreate it first'):
        kubectl.apply(cluster, config_map(), namespace="nowhere")


def test_a_manifest_with_namespaces_of_its_own_is_applied_without_naming_another(
    cluster: Cluster, capsys: Captured
) -> None:
    own = config_map() | {"metadata": {"name": "cm", "namespace": cluster.namespace}}
    kubectl.apply(cluster, own)
    kubectl.delete_manifest(cluster, own)
    assert lines(capsys, cluster) == [
        "$ kubectl apply -f -",
        "configmap/cm created",
        "$ kubectl delete -f - --ignore-not-found",
        'configmap "cm" deleted',
    ]


def test_a_namespace_in_the_manifest_must_agree(cluster: Cluster) -> None:
    elsewhere = config_map() | {"metadata": {"name": "cm", "namespace": "default"}}
    with pytest.raises(UsageError, match="does not match the namespace"):
        kubectl.apply(cluster, elsewhere, namespace=cluster.namespace)


def test_malformed_yaml_never_reaches_the_server(cluster: Cluster) -> None:
    with pytest.raises(ManifestError, match=r"the text, line 3, column 4: malformed YAML"):
        kubectl.apply(cluster, "apiVersion: v1\nkind: Pod\n  x: 1\n")


def test_wait_says_what_it_last_saw(cluster: Cluster, capsys: Captured) -> None:
    kubectl.apply(cluster, "tcp-echo-services.yaml")
    with pytest.raises(WaitTimeoutError) as caught:
        kubectl.wait(cluster, "deployment/tcp-echo-v1", timeout_seconds=0.2)
    words = str(caught.value)
    # Where controllers run (TCPSHIFT_TEST_KUBECONFIG) the deployment has come further than here.
    assert re.search("of deployment.apps/tcp-echo-v1: (it has no condition Available yet|Available=False)", words)
    assert re.search("it has no pods yet|pod tcp-echo-v1-.*: Pending", words)
    assert "describe deployment tcp-echo-v1" in words
    assert "--for=condition=Available deployment/tcp-echo-v1 --timeout=0.2s" in capsys.readouterr().out


def test_wait_sees_the_condition_come(cluster: Cluster, capsys: Captured) -> None:
    applied = kubectl.apply(cluster, "tcp-echo-services.yaml")[1]
    resource = cluster.api.resource_named("deployments")
    conditions = [{"type": "Available", "status": "True", "reason": "x", "message": "x"}]
    status = {"observedGeneration": applied["metadata"]["generation"], "conditions": conditions}
    cluster.patch(resource, "tcp-echo-v1", {"status": status}, subresource="status")
    kubectl.wait(cluster, "deployment/tcp-echo-v1", timeout_seconds=20)
    assert lines(capsys, cluster)[-1] == "deployment.apps/tcp-echo-v1 condition met"
    kubectl.delete(cluster, "deployment", "tcp-echo-v1")
    kubectl.wait(cluster, "deployment/tcp-echo-v1", wait_for="delete", timeout_seconds=20)


def test_wait_refuses_a_statement_it_does_not_know(cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="condition=Available"):
        kubectl.wait(cluster, "deployment/x", wait_for="Available")
    with pytest.raises(NotFoundError, match="no matching resources found"):
        kubectl.wait(cluster, "deployment")


def test_a_notebook_shows_nothing_for_returned_objects() -> None:
    shown = kubectl.Objects([{"kind": "Pod"}])
    written = kubectl.Output("a log")
    with contextlib.redirect_stdout(None):
        assert shown._ipython_display_() is None
        assert written._ipython_display_() is None
    assert (shown[0]["kind"], written) == ("Pod", "a log")
