"""kubectl and files: several documents, directories, kustomizations, dry runs and differences."""

from __future__ import annotations

import json

import pytest

from .kubectl import MANIFEST

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: one}}}}\ndata: {{k: v}}\n"
VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, labels: {}, annotations: {}, finalizers: []}
spec: {hosts: ["*"], tcp: [{route: [{destination: {host: a}}]}]}
"""


@pytest.fixture
def directory(tmp_path):
    """A directory with two manifests."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.yaml").write_text(CONFIG_MAP.format(name=name))
    return folder


@pytest.mark.parity("kubectl apply -f DIRECTORY", "works")
def test_apply_directory(kubectl, directory):
    assert kubectl("apply", "-f", str(directory)) == "configmap/a created\nconfigmap/b created\n"


@pytest.mark.parity("kubectl apply, get, diff and delete -f FILE", "works")
def test_one_file(kubectl, directory):
    file = ("-f", str(directory / "a.yaml"))
    assert kubectl("apply", *file) == "configmap/a created\n"
    assert kubectl("get", *file, "-o", "name") == "configmap/a\n"
    assert kubectl("diff", *file) == ""
    assert kubectl("delete", *file) == 'configmap "a" deleted\n'
    assert kubectl("delete", *file, code=1).startswith('Error from server (NotFound): error when deleting "')


@pytest.mark.parity("kubectl create -f", "works")
def test_create_file(kubectl, directory):
    file = str(directory / "a.yaml")
    assert kubectl("create", "-f", file) == "configmap/a created\n"
    assert kubectl("create", "-f", file, code=1) == (
        f'Error from server (AlreadyExists): error when creating "{file}": configmaps "a" already exists\n'
    )


@pytest.mark.parity("kubectl apply -k", "works")
def test_apply_kustomization(kubectl, directory):
    text = "resources: [a.yaml, b.yaml]\nnamePrefix: x-\nconfigMapGenerator: [{name: c, literals: [k=v]}]\n"
    (directory / "kustomization.yaml").write_text(text)
    created = kubectl("apply", "-k", str(directory)).split()
    assert [word for word in created if "/" in word and "/x-c-" not in word] == ["configmap/x-a", "configmap/x-b"]
    assert kubectl("apply", "-k", str(directory)).count("unchanged") == 3


@pytest.mark.parity("kubectl apply --dry-run=client, --dry-run=server", "works")
def test_dry_run(kubectl, namespace):
    for kind, said in (("client", "dry run"), ("server", "server dry run")):
        output = kubectl("apply", f"--dry-run={kind}", "-f", "-", stdin=CONFIG_MAP.format(name="a"))
        assert output == f"configmap/a created ({said})\n"
    assert kubectl("get", "configmaps", "-l", "set") == f"No resources found in {namespace} namespace.\n"


@pytest.mark.parity("kubectl create --dry-run=client -o yaml", "works")
def test_dry_run_prints(kubectl, namespace):
    output = kubectl("create", "configmap", "a", "--from-literal=k=v", "--dry-run=client", "-o", "yaml")
    assert output.splitlines()[:4] == ["apiVersion: v1", "data:", "  k: v", "kind: ConfigMap"]


@pytest.mark.parity("kubectl diff", "works")
def test_diff(kubectl, applied):
    assert kubectl("diff", "-f", "-", stdin=MANIFEST) == ""
    output = kubectl("diff", "-f", "-", stdin=MANIFEST.replace("weight: 100", "weight: 80"), code=1)
    assert {"-      weight: 100", "+      weight: 80"} < set(output.splitlines())
    assert kubectl("get", "vs", "tcp-echo", "-o", "jsonpath={.spec.tcp[0].route[0].weight}") == "100"


@pytest.mark.parity("kubectl diff of a custom resource that was created", "works")
def test_diff_of_empty_metadata(kubectl):
    """Empty maps of the metadata are not kept, so adding one is no change."""
    kubectl("create", "-f", "-", stdin=VIRTUAL_SERVICE)
    metadata = kubectl("get", "virtualservice", "v", "-o", "jsonpath={.metadata}")
    assert not any(field in metadata for field in ("labels", "annotations", "finalizers"))
    assert kubectl("diff", "-f", "-", stdin=VIRTUAL_SERVICE) == ""


@pytest.mark.parity("kubectl apply, three-way merge: what it no longer has goes, what others added stays", "works")
def test_three_way_merge(kubectl, applied):
    kubectl("scale", "deployment/tcp-echo-v1", "--replicas=3")
    kubectl("label", "service", "tcp-echo", "others=stay")
    without = MANIFEST.replace("  replicas: 1\n", "").replace("  - {name: tcp-other, port: 9001}\n", "")
    without = without.replace("labels: {app: tcp-echo}\nspec:\n  ports", "labels: {new: one}\nspec:\n  ports")
    assert kubectl("apply", "-f", "-", stdin=without).splitlines()[:2] == [
        "service/tcp-echo configured",
        "deployment.apps/tcp-echo-v1 configured",
    ]
    assert kubectl("get", "service", "tcp-echo", "-o", "jsonpath={.spec.ports[*].name}") == "tcp"
    labels = json.loads(kubectl("get", "service", "tcp-echo", "-o", "jsonpath={.metadata.labels}"))
    assert labels == {"new": "one", "others": "stay"}
    assert kubectl("get", "deployment", "tcp-echo-v1", "-o", "jsonpath={.spec.replicas}") == "1"


@pytest.mark.parity("kubectl apply --prune --prune-allowlist", "works")
def test_prune(kubectl, directory):
    both = (directory / "a.yaml").read_text() + "---\n" + (directory / "b.yaml").read_text()
    kubectl("apply", "-f", "-", stdin=both)
    prune = ("--prune", "-l", "set=one", "--prune-allowlist=core/v1/ConfigMap")
    output = kubectl("apply", *prune, "-f", str(directory / "a.yaml"))
    assert output.splitlines()[-2:] == ["configmap/a unchanged", "configmap/b pruned"]


@pytest.mark.parity(
    "kubectl apply --prune without an allowlist",
    "known difference: kubectl looks through kinds that the sandbox does not have, such as PersistentVolumeClaim, and says so",
)
def test_prune_everything(api, kubectl, directory):
    output = kubectl("apply", "--prune", "-l", "set=one", "-f", str(directory), code=0 if api.is_peer else 1)
    assert ('no matches for kind "PersistentVolumeClaim" in version "v1"' in output) is not api.is_peer
