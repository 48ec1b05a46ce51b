"""What kubectl changes: patches of three types, edit, replace, set; what it cannot make here."""

from __future__ import annotations

import pytest

from .kubectl import MANIFEST


def image_of(kubectl):
    return kubectl("get", "deployment", "tcp-echo-v1", "-o", "jsonpath={.spec.template.spec.containers[*].image}")


@pytest.mark.parity("kubectl patch --type=merge", "works")
def test_merge_patch(kubectl, applied):
    """Of a custom resource, and a list is replaced as a whole."""
    patch = '{"spec":{"tcp":[{"route":[{"destination":{"host":"other"}}]}]}}'
    said = "virtualservice.networking.istio.io/tcp-echo patched"
    assert kubectl("patch", "vs", "tcp-echo", "--type=merge", "-p", patch) == f"{said}\n"
    assert (
        kubectl("get", "vs", "tcp-echo", "-o", "jsonpath={.spec.tcp}")
        == '[{"route":[{"destination":{"host":"other"}}]}]'
    )
    assert kubectl("patch", "vs", "tcp-echo", "--type=merge", "-p", patch) == f"{said} (no change)\n"


@pytest.mark.parity(
    "kubectl patch of a custom resource without --type", "refused: the body of the request was in an unknown format"
)
def test_strategic_patch_of_a_custom_resource(kubectl, applied):
    assert kubectl("patch", "vs", "tcp-echo", "-p", '{"spec":{"hosts":["a"]}}', code=1) == (
        "error: application/strategic-merge-patch+json is not supported by networking.istio.io/v1, Kind=VirtualService: the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml\n"
    )


@pytest.mark.parity("kubectl patch that does not apply", "works")
def test_patch_that_does_not_apply(kubectl, applied):
    patch = '[{"op":"test","path":"/spec/replicas","value":7}]'
    output = kubectl("patch", "deployment", "tcp-echo-v1", "--type=json", "-p", patch, code=1)
    assert output == ("The request is invalid: the server rejected our request due to an error in our request\n")


@pytest.mark.parity("kubectl edit", "works")
def test_edit(kubectl, applied):
    output = kubectl(
        "edit", "deployment", "tcp-echo-v1", KUBE_EDITOR="sed -i s/tcp-echo-server:1.3/tcp-echo-server:1.2/"
    )
    assert output == "deployment.apps/tcp-echo-v1 edited\n"
    assert image_of(kubectl) == "docker.io/istio/tcp-echo-server:1.2"
    assert kubectl("edit", "vs", "tcp-echo", KUBE_EDITOR="true") == "Edit cancelled, no changes made.\n"


@pytest.mark.parity("kubectl replace", "works")
def test_replace(kubectl, applied):
    output = kubectl("replace", "-f", "-", stdin=MANIFEST.replace("server:1.3", "server:1.2"))
    assert output == (
        "service/tcp-echo replaced\ndeployment.apps/tcp-echo-v1 replaced\nvirtualservice.networking.istio.io/tcp-echo replaced\n"
    )
    assert image_of(kubectl) == "docker.io/istio/tcp-echo-server:1.2"


@pytest.mark.parity("kubectl replace of nothing", "works")
def test_replace_of_nothing(kubectl):
    """A Service that is not there is created by it; others are not."""
    output = kubectl("replace", "-f", "-", stdin=MANIFEST, code=1)
    assert output.splitlines()[:2] == [
        "service/tcp-echo replaced",
        'Error from server (NotFound): error when replacing "STDIN": deployments.apps "tcp-echo-v1" not found',
    ]


@pytest.mark.parity("kubectl set image", "works")
def test_set_image(kubectl, applied):
    assert (
        kubectl("set", "image", "deployment/tcp-echo-v1", "tcp-echo=other:2")
        == "deployment.apps/tcp-echo-v1 image updated\n"
    )
    assert image_of(kubectl) == "other:2"
    assert (
        kubectl("set", "image", "deployment/tcp-echo-v1", "x=other:3", code=1)
        == 'error: unable to find container named "x"\n'
    )


@pytest.mark.parity("kubectl label, of what is there already", "works")
def test_label_twice(kubectl, applied):
    assert kubectl("label", "service", "tcp-echo", "app=x", code=1) == (
        "error: 'app' already has a value (tcp-echo), and --overwrite is false\n"
    )
    assert kubectl("label", "service", "tcp-echo", "app=x", "--overwrite") == "service/tcp-echo labeled\n"
    assert kubectl("label", "service", "tcp-echo", "app=-", "--overwrite", code=1).startswith(
        'error: invalid label value: "app=-": '
    )


@pytest.mark.parity("kubectl scale --current-replicas", "works")
def test_scale_from(kubectl, applied):
    output = kubectl("scale", "deployment/tcp-echo-v1", "--current-replicas=7", "--replicas=2", code=1)
    assert output == "error: Expected replicas to be 7, was 1\n"
    output = kubectl("scale", "deployment/tcp-echo-v1", "--current-replicas=1", "--replicas=0")
    assert output == "deployment.apps/tcp-echo-v1 scaled\n"


@pytest.mark.parity("kubectl autoscale", "refused: the server could not find the requested resource")
def test_autoscale(api, kubectl, applied):
    output = kubectl("autoscale", "deployment", "tcp-echo-v1", "--max=2", code=0 if api.is_peer else 1)
    refused = "the server could not find the requested resource (post horizontalpodautoscalers.autoscaling)"
    assert (output == f"Error from server (NotFound): {refused}\n") is not api.is_peer


@pytest.mark.parametrize(
    ("arguments", "resource"),
    [
        ("cronjob x --image=busybox --schedule=@daily", ""),
        ("role x --verb=get --resource=pods", "roles.rbac.authorization.k8s.io"),
        ("ingress x --rule=a/b=c:80", ""),
        ("quota x", ""),
        ("poddisruptionbudget x --min-available=1 --selector=a=b", ""),
    ],
)
@pytest.mark.parity(
    "kubectl create cronjob, role, ingress, quota, poddisruptionbudget",
    "refused: the server could not find the requested resource",
)
def test_create_of_kinds_that_are_not_here(api, kubectl, arguments, resource):
    output = kubectl("create", *arguments.split(), code=0 if api.is_peer else 1)
    assert ("the server could not find the requested resource" in output) is not api.is_peer
    assert api.is_peer or resource in output


@pytest.mark.parity("kubectl debug", "refused: ephemeral containers are disabled for this cluster")
def test_debug(api, core, kubectl):
    spec = {"containers": [{"name": "c", "image": "i"}], "schedulerName": "none"}
    api.post(f"{core}/pods", {"metadata": {"name": "p"}, "spec": spec})
    output = kubectl("debug", "p", "--image=busybox", code=0 if api.is_peer else 1)
    assert ("error: ephemeral containers are disabled for this cluster" in output) is not api.is_peer


@pytest.mark.parity("kubectl set env, set resources", "works")
def test_set_env_and_resources(kubectl, applied):
    assert kubectl("set", "env", "deployment/tcp-echo-v1", "A=b") == "deployment.apps/tcp-echo-v1 env updated\n"
    assert kubectl("set", "env", "deployment/tcp-echo-v1", "--list").splitlines()[1:] == ["A=b"]
    limits = kubectl("set", "resources", "deployment/tcp-echo-v1", "--limits=cpu=100m")
    assert limits == "deployment.apps/tcp-echo-v1 resource requirements updated\n"
    resources = "jsonpath={.spec.template.spec.containers[0].resources.limits.cpu}"
    assert kubectl("get", "deployment", "tcp-echo-v1", "-o", resources) == "100m"
