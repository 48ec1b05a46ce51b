"""kubectl wait and delete, which end when something is gone or as it should be."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest


@pytest.fixture
def three(kubectl):
    """Three ConfigMaps, two of them with a label."""
    for name in "abc":
        kubectl("create", "configmap", name)
    kubectl("label", "configmap", "a", "b", "own=yes")


@pytest.fixture
def soon(api):
    """Does something to the server while kubectl is at work; it is done when the test ends."""
    threads = []

    def start(act):
        other = type(api)(api.kubeconfig, api.is_peer, api.host, api.tls, api.headers)

        def run():
            act(other)
            other.close()

        threads.append(threading.Timer(0.5, run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parity("kubectl wait --for=jsonpath=", "works")
def test_wait_for_a_field(core, kubectl, three, soon):
    soon(lambda other: other.patch(f"{core}/configmaps/a", {"data": {"k": "v"}}))
    assert (
        kubectl("wait", "--for=jsonpath={.data.k}=v", "configmap/a", "--timeout=20s") == "configmap/a condition met\n"
    )
    assert kubectl("wait", "--for=jsonpath={.data.k}=w", "configmap/a", "--timeout=1s", code=1) == (
        "error: timed out waiting for the condition on configmaps/a\n"
    )


@pytest.mark.parity("kubectl wait --for=delete", "works")
def test_wait_for_the_end(core, kubectl, three, soon):
    soon(lambda other: other.delete(f"{core}/configmaps/a"))
    assert kubectl("wait", "--for=delete", "configmap/a", "--timeout=20s") == "configmap/a condition met\n"
    assert kubectl("wait", "--for=delete", "configmap/a", "--timeout=20s") == ""
    assert kubectl("wait", "--for=condition=x", "configmap/a", code=1) == (
        'Error from server (NotFound): configmaps "a" not found\n'
    )


@pytest.mark.parity("kubectl delete waits for finalizers", "works")
def test_delete_waits(core, kubectl, three, soon):
    kubectl("patch", "configmap", "a", "-p", '{"metadata":{"finalizers":["example.com/held"]}}')
    soon(lambda other: other.patch(f"{core}/configmaps/a", {"metadata": {"finalizers": None}}))
    assert kubectl("delete", "configmap", "a", "--timeout=20s") == 'configmap "a" deleted\n'
    assert kubectl("get", "configmap", "a", "--ignore-not-found") == ""


@pytest.mark.parity("kubectl delete -l, --all", "works")
def test_delete_several(kubectl, three, namespace):
    assert kubectl("delete", "configmaps", "-l", "own") == 'configmap "a" deleted\nconfigmap "b" deleted\n'
    assert 'configmap "c" deleted\n' in kubectl("delete", "configmaps", "--all")
    assert kubectl("delete", "secrets", "--all") == "No resources found\n"


@pytest.mark.parity("kubectl delete --dry-run=server", "works")
def test_delete_for_show(kubectl, three):
    assert kubectl("delete", "configmap", "a", "--dry-run=server") == 'configmap "a" deleted (server dry run)\n'
    assert kubectl("get", "configmap", "a", "-o", "name") == "configmap/a\n"


@pytest.mark.parity("kubectl delete --grace-period=0 --force", "works")
def test_delete_by_force(kubectl):
    """A pod that is on no node is gone at once anyway."""
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {schedulerName: none, containers: [{name: c, image: i}]}\n"
    kubectl("apply", "-f", "-", stdin=pod)
    assert kubectl("delete", "pod", "p", "--grace-period=0", "--force").splitlines() == [
        'pod "p" force deleted',
        "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. "
        "The resource may continue to run on the cluster indefinitely.",
    ]


BUSY_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: c
    image: busybox
    command: ["sh", "-c", "trap 'while [ ! -e go ]; do sleep 0.05; done; exit' TERM; while :; do sleep 0.05; done"]
"""


@pytest.mark.sandbox
@pytest.mark.parity("kubectl delete namespace, with a pod that takes its time", "works")
@pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node")
def test_delete_of_a_namespace_in_use(live_kubectl):
    name = f"{live_kubectl.namespace}-used"
    live_kubectl("create", "namespace", name)
    kubectl = replace(live_kubectl, namespace=name)
    kubectl("apply", "-f", "-", stdin=BUSY_POD)
    kubectl("create", "configmap", "a")
    kubectl("wait", "--for=condition=Ready", "pod/busy", "--timeout=60s")
    assert kubectl("delete", "namespace", name, "--wait=false").startswith(f'namespace "{name}" deleted\n')
    why = f"unable to create new content in namespace {name} because it is being terminated"
    assert kubectl("create", "configmap", "b", code=1) == (
        f'error: failed to create configmap: configmaps "b" is forbidden: {why}\n'
    )
    kubectl("wait", "--for=delete", "configmap/a", "--timeout=60s")
    kubectl("wait", "--for=jsonpath={.metadata.deletionTimestamp}", "pod/busy", "--timeout=60s")
    # It waits for the pod, which has its time.
    remaining = 'jsonpath={.status.conditions[?(@.type=="NamespaceContentRemaining")].message}'
    words = "Some resources are remaining: pods. has 1 resource instances"
    kubectl("wait", f"--for={remaining}={words}", f"namespace/{name}", "--timeout=60s")
    assert kubectl("get", "namespace", name, "-o", "jsonpath={.status.phase}") == "Terminating"
    kubectl("exec", "busy", "--", "touch", "go")
    kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=60s")
    assert kubectl("get", "pods", "-o", "name") == ""
    assert kubectl("get", "namespace", name, code=1) == (
        f'Error from server (NotFound): namespaces "{name}" not found\n'
    )
