"""What kubectl makes of the server: its verbs, with its own result lines."""

from __future__ import annotations

import json
import threading

import pytest

from .kubectl import MANIFEST


@pytest.mark.parity("kubectl apply -f -, several documents", "works")
def test_apply(kubectl):
    created = "service/tcp-echo created\ndeployment.apps/tcp-echo-v1 created\nvirtualservice.networking.istio.io/tcp-echo created\n"
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == created
    assert kubectl("apply", "-f", "-", stdin=MANIFEST) == created.replace("created", "unchanged")
    changed = MANIFEST.replace("weight: 100", "weight: 80").replace("replicas: 1", "replicas: 2")
    assert kubectl("apply", "-f", "-", stdin=changed).split("\n")[:3] == [
        "service/tcp-echo unchanged",
        "deployment.apps/tcp-echo-v1 configured",
        "virtualservice.networking.istio.io/tcp-echo configured",
    ]
    assert kubectl("get", "vs", "tcp-echo", "-o", "jsonpath={.spec.tcp[0].route[0].weight}") == "80"


@pytest.mark.parity("kubectl apply of an unknown field", "works")
def test_apply_of_an_unknown_field(kubectl):
    output = kubectl("apply", "-f", "-", stdin=MANIFEST.replace("weight: 100", "wieght: 100"), code=1)
    assert 'strict decoding error: unknown field "spec.tcp[0].route[0].wieght"' in output
    assert "Error from server (BadRequest)" in output


@pytest.mark.parity("kubectl apply of an unknown kind", "works")
@pytest.mark.parametrize("arguments", [("apply",), ("create",), ("apply", "--server-side"), ("delete",)])
@pytest.mark.parametrize("version", ["example.com/v1", "apps/v1"])
def test_apply_of_an_unknown_kind(kubectl, arguments, version):
    text = f"apiVersion: {version}\nkind: Nothing\nmetadata: {{name: x}}\n"
    output = kubectl(*arguments, "-f", "-", stdin=text, code=1)
    assert output.removeprefix("error: ") == (
        'resource mapping not found for name: "x" namespace: "" from "STDIN": '
        f'no matches for kind "Nothing" in version "{version}"\nensure CRDs are installed first\n'
    )


def test_apply_dry_run_and_diff(kubectl, applied):
    changed = MANIFEST.replace("weight: 100", "weight: 80")
    output = kubectl("apply", "--dry-run=server", "-f", "-", stdin=changed)
    assert "virtualservice.networking.istio.io/tcp-echo configured (server dry run)" in output
    assert kubectl("get", "vs", "tcp-echo", "-o", "jsonpath={.spec.tcp[0].route[0].weight}") == "100"


@pytest.mark.parity("kubectl get", "works")
def test_get(kubectl, applied):
    lines = kubectl("get", "services,deployments").splitlines()
    assert lines[0].split() == ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]
    assert lines[1].split()[0] == "service/tcp-echo"
    assert "9000/TCP,9001/TCP" in lines[1]
    assert lines[3].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    name, ready, _, available = lines[4].split()[:4]
    assert (name, ready, available) == ("deployment.apps/tcp-echo-v1", "0/1", "0")


@pytest.mark.parity("kubectl get -o wide", "works")
def test_get_wide(kubectl, applied):
    head = kubectl("get", "deployments", "-o", "wide").splitlines()[0]
    assert head.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]


@pytest.mark.parity("kubectl get of a custom resource", "works")
def test_get_istio(kubectl, applied):
    lines = kubectl("get", "virtualservices").splitlines()
    assert lines[0].split() == ["NAME", "GATEWAYS", "HOSTS", "AGE"]
    assert lines[1].split()[:3] == ["tcp-echo", '["tcp-echo-gateway"]', '["*"]']


@pytest.mark.parity("kubectl get -o yaml, json, name, jsonpath", "works")
def test_get_in_other_forms(kubectl, applied):
    assert kubectl("get", "service", "tcp-echo", "-o", "name") == "service/tcp-echo\n"
    port = '{.spec.ports[?(@.name=="tcp")].port}'
    assert kubectl("get", "service", "tcp-echo", "-o", f"jsonpath={port}") == "9000"
    assert "apiVersion: apps/v1" in kubectl("get", "deployment", "tcp-echo-v1", "-o", "yaml")
    assert json.loads(kubectl("get", "deployment", "tcp-echo-v1", "-o", "json"))["kind"] == "Deployment"


@pytest.mark.parity("kubectl get of nothing", "works")
def test_get_of_nothing(kubectl, namespace):
    assert kubectl("get", "pods") == f"No resources found in {namespace} namespace.\n"
    assert kubectl("get", "pods", "x", code=1) == 'Error from server (NotFound): pods "x" not found\n'
    assert "error: the server doesn't have a resource type" in kubectl("get", "foos", code=1)


@pytest.mark.parity("kubectl scale", "works")
def test_scale(kubectl, applied):
    assert kubectl("scale", "deployment/tcp-echo-v1", "--replicas=3") == "deployment.apps/tcp-echo-v1 scaled\n"
    assert kubectl("get", "deployment", "tcp-echo-v1", "-o", "jsonpath={.spec.replicas}") == "3"


@pytest.mark.parity("kubectl label, annotate", "works")
def test_label_and_annotate(kubectl, applied):
    assert kubectl("label", "service", "tcp-echo", "a=b") == "service/tcp-echo labeled\n"
    assert kubectl("get", "services", "-l", "a=b", "-o", "name") == "service/tcp-echo\n"
    assert kubectl("label", "service", "tcp-echo", "a-") == "service/tcp-echo unlabeled\n"
    assert kubectl("annotate", "service", "tcp-echo", "a=b") == "service/tcp-echo annotated\n"


@pytest.mark.parity("kubectl patch", "works")
def test_patch(kubectl, applied):
    wished = '{"spec":{"template":{"spec":{"containers":[{"name":"tcp-echo","image":"other"}]}}}}'
    assert kubectl("patch", "deployment", "tcp-echo-v1", "-p", wished) == "deployment.apps/tcp-echo-v1 patched\n"
    container = "jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].args[1]}"
    assert kubectl("get", "deployment", "tcp-echo-v1", "-o", container) == "other one"
    operations = '[{"op":"replace","path":"/spec/replicas","value":4}]'
    assert kubectl("patch", "deployment", "tcp-echo-v1", "--type=json", "-p", operations).endswith("patched\n")


@pytest.mark.parity("kubectl wait --for=condition=", "works")
def test_wait_for_a_condition(api, apps, kubectl, applied):
    condition = {"type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    other = type(api)(api.kubeconfig, api.is_peer, api.host, api.tls, api.headers)

    def become_available():
        other.patch(f"{apps}/deployments/tcp-echo-v1/status", {"status": {"conditions": [condition]}})
        other.close()

    timer = threading.Timer(0.5, become_available)
    timer.start()
    output = kubectl("wait", "--for=condition=Available", "deployment/tcp-echo-v1", "--timeout=20s")
    timer.join()
    assert output == "deployment.apps/tcp-echo-v1 condition met\n"


def test_wait_that_times_out(kubectl, applied):
    output = kubectl("wait", "--for=condition=Available", "deployment/tcp-echo-v1", "--timeout=1s", code=1)
    assert output == "error: timed out waiting for the condition on deployments/tcp-echo-v1\n"


@pytest.mark.parity("kubectl delete", "works")
def test_delete(kubectl, applied):
    assert kubectl("delete", "deployment", "tcp-echo-v1") == 'deployment.apps "tcp-echo-v1" deleted\n'
    assert kubectl("delete", "-f", "-", "--ignore-not-found", stdin=MANIFEST) == (
        'service "tcp-echo" deleted\nvirtualservice.networking.istio.io "tcp-echo" deleted\n'
    )
    assert kubectl("delete", "service", "x", code=1) == 'Error from server (NotFound): services "x" not found\n'


@pytest.mark.parity("kubectl create configmap", "works")
def test_create_and_config_map(kubectl):
    assert kubectl("create", "configmap", "c", "--from-literal=a=b") == "configmap/c created\n"
    assert kubectl("create", "configmap", "c", code=1).startswith(
        'error: failed to create configmap: configmaps "c" already'
    )
    assert kubectl("describe", "configmap", "c").startswith("Name:         c\n")


@pytest.mark.parity("kubectl create secret, deployment, service, serviceaccount", "works")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("secret generic s --from-literal=a=b", "secret/s created\n"),
        ("deployment d --image=nginx --replicas=0 --port=80", "deployment.apps/d created\n"),
        ("service clusterip s --tcp=80:8080", "service/s created\n"),
        ("serviceaccount s", "serviceaccount/s created\n"),
    ],
)
def test_create_sends_protobuf(kubectl, arguments, said):
    assert kubectl("create", *arguments.split()) == said


def test_what_protobuf_brings(kubectl):
    kubectl("create", "deployment", "d", "--image=nginx", "--replicas=0", "--port=80")
    spec = json.loads(kubectl("get", "deployment", "d", "-o", "json"))["spec"]
    assert (spec["replicas"], spec["selector"]) == (0, {"matchLabels": {"app": "d"}})
    container = spec["template"]["spec"]["containers"][0]
    assert (container["name"], container["image"]) == ("nginx", "nginx")
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    kubectl("create", "service", "clusterip", "s", "--tcp=80:8080")
    (port,) = json.loads(kubectl("get", "service", "s", "-o", "json"))["spec"]["ports"]
    assert port == {"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}
    kubectl("create", "secret", "generic", "x", "--from-literal=a=b")
    assert kubectl("get", "secret", "x", "-o", "jsonpath={.data.a}") == "Yg=="


@pytest.mark.parity("kubectl api-resources", "works")
def test_api_resources(kubectl):
    rows = [line.split() for line in kubectl("api-resources", "--no-headers", "--api-group=apps").splitlines()]
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in rows


@pytest.mark.parity("kubectl get -w", "works")
def test_watch(api, core, kubectl):
    """Tables in a watch: the second event has no column definitions of its own."""
    api.post(f"{core}/secrets", {"metadata": {"name": "a"}})
    other = type(api)(api.kubeconfig, api.is_peer, api.host, api.tls, api.headers)

    def write_and_end():
        other.patch(f"{core}/secrets/a", {"data": {"k": "eA=="}})
        other.close()

    timer = threading.Timer(0.7, write_and_end)
    timer.start()
    output = kubectl("get", "secrets", "-w", "--request-timeout=3s", "--no-headers", "--field-selector=metadata.name=a")
    timer.join()
    rows = [line.split()[:3] for line in output.splitlines()]
    assert rows[:2] == [["a", "Opaque", "0"], ["a", "Opaque", "1"]]


SERVER_SIDE = ("apply", "--server-side", "-f", "-")
APPLIED = (
    "service/tcp-echo serverside-applied\n"
    "deployment.apps/tcp-echo-v1 serverside-applied\n"
    "virtualservice.networking.istio.io/tcp-echo serverside-applied\n"
)


@pytest.mark.parity("kubectl apply --server-side", "works")
def test_apply_on_the_server_is_idempotent(kubectl):
    assert kubectl(*SERVER_SIDE, stdin=MANIFEST) == APPLIED
    names = ("service/tcp-echo", "virtualservice/tcp-echo")
    version = ("-o", "jsonpath={.items[*].metadata.resourceVersion}")
    before = kubectl("get", *names, *version)
    assert kubectl(*SERVER_SIDE, stdin=MANIFEST) == APPLIED
    assert kubectl("get", *names, *version) == before
    managers = kubectl("get", *names, "-o", "jsonpath={.items[*].metadata.managedFields[*]['manager', 'operation']}")
    assert managers == "kubectl kubectl Apply Apply"


@pytest.mark.parity("kubectl apply --server-side: conflicts, --force-conflicts, --field-manager", "works")
def test_apply_on_the_server_refuses_what_others_manage(kubectl):
    kubectl(*SERVER_SIDE, stdin=MANIFEST)
    changed = MANIFEST.replace("weight: 100", "weight: 80")
    other = (*SERVER_SIDE, "--field-manager", "other")
    refused = kubectl(*other, stdin=changed, code=1)
    assert 'error: Apply failed with 1 conflict: conflict with "kubectl": .spec.tcp\n' in refused
    assert "* If you intend to manage all of these fields, please re-run the apply\n" in refused
    assert kubectl(*other, "--force-conflicts", stdin=changed) == APPLIED
    weight = ("get", "vs", "tcp-echo", "-o", "jsonpath={.spec.tcp[0].route[0].weight}")
    assert kubectl(*weight) == "80"
    assert "virtualservice.networking.istio.io/tcp-echo serverside-applied (server dry run)" in kubectl(
        *other, "--dry-run=server", "--force-conflicts", stdin=MANIFEST
    )
    assert kubectl(*weight) == "80"


@pytest.mark.parity("kubectl apply --server-side after kubectl apply", "works")
def test_apply_goes_over_to_the_server(kubectl, applied):
    entries = ("get", "service", "tcp-echo", "-o", "jsonpath={.metadata.managedFields[*]['manager', 'operation']}")
    assert kubectl(*entries) == "kubectl-client-side-apply Update"
    without = MANIFEST.replace("  - {name: tcp-other, port: 9001}\n", "").replace("weight: 100", "weight: 80")
    assert kubectl(*SERVER_SIDE, stdin=without) == APPLIED
    assert sorted(kubectl(*entries).split()) == ["Apply", "Apply", "kubectl", "kubectl-last-applied"]
    assert kubectl("get", "service", "tcp-echo", "-o", "jsonpath={.spec.ports[*].name}") == "tcp"
    last = kubectl("apply", "view-last-applied", "service", "tcp-echo", "-o", "json")
    assert [port["name"] for port in json.loads(last)["spec"]["ports"]] == ["tcp"]


@pytest.mark.parity("kubectl diff --server-side", "works")
def test_diff_of_an_apply_on_the_server(kubectl):
    kubectl(*SERVER_SIDE, stdin=MANIFEST)
    diff = ("diff", "--server-side", "-f", "-")
    assert kubectl(*diff, stdin=MANIFEST) == ""
    output = kubectl(*diff, stdin=MANIFEST.replace("weight: 100", "weight: 80"), code=1)
    assert "-      weight: 100\n+      weight: 80\n" in output


@pytest.mark.parity("kubectl get --show-managed-fields", "works")
def test_managers_are_shown_on_demand(kubectl, applied):
    assert "managedFields" not in kubectl("get", "vs", "tcp-echo", "-o", "yaml")
    assert "manager: kubectl-client-side-apply" in kubectl(
        "get", "vs", "tcp-echo", "-o", "yaml", "--show-managed-fields"
    )
