"""What the official Python client makes of the server."""

from __future__ import annotations

import pytest
from kubernetes import client, config, watch

# A peer's kubeconfig may skip verification; that is its owner's choice.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture
def api_client(api):
    made = config.new_client_from_config(str(api.kubeconfig))
    yield made
    made.close()
    made.rest_client.pool_manager.clear()


def config_map(name="a", **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_objects(api_client, namespace):
    core = client.CoreV1Api(api_client)
    created = core.create_namespaced_config_map(namespace, config_map(k="v"))
    assert created.metadata.creation_timestamp is not None
    assert core.read_namespaced_config_map("a", namespace).data == {"k": "v"}
    core.patch_namespaced_config_map("a", namespace, {"data": {"l": "w"}})
    created.data = {"k": "x"}
    with pytest.raises(client.ApiException) as conflict:
        core.replace_namespaced_config_map("a", namespace, created)
    assert (conflict.value.status, conflict.value.reason) == (409, "Conflict")
    listed = core.list_namespaced_config_map(namespace, field_selector="metadata.name=a")
    assert [item.data for item in listed.items] == [{"k": "v", "l": "w"}]
    core.delete_namespaced_config_map("a", namespace)
    with pytest.raises(client.ApiException) as missing:
        core.read_namespaced_config_map("a", namespace)
    assert missing.value.status == 404


def test_deployment_and_scale(api_client, namespace):
    apps = client.AppsV1Api(api_client)
    container = client.V1Container(name="c", image="i")
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": "d"}), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(selector=client.V1LabelSelector(match_labels={"app": "d"}), template=template)
    body = client.V1Deployment(metadata=client.V1ObjectMeta(name="d"), spec=spec)
    assert apps.create_namespaced_deployment(namespace, body).spec.replicas == 1
    apps.patch_namespaced_deployment_scale("d", namespace, {"spec": {"replicas": 2}})
    assert apps.read_namespaced_deployment_scale("d", namespace).spec.replicas == 2


def test_custom_objects(api_client, namespace):
    custom = client.CustomObjectsApi(api_client)
    where = ("networking.istio.io", "v1", namespace, "virtualservices")
    route = {"destination": {"host": "tcp-echo", "subset": "v1"}, "weight": 100}
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "v"},
        "spec": {"hosts": ["*"], "tcp": [{"route": [route]}]},
    }
    custom.create_namespaced_custom_object(*where, body)
    patched = custom.patch_namespaced_custom_object(*where, "v", {"spec": {"hosts": ["a"]}})
    assert patched["spec"]["hosts"] == ["a"]
    assert [item["metadata"]["name"] for item in custom.list_namespaced_custom_object(*where)["items"]] == ["v"]


def test_watch(api_client, namespace):
    core = client.CoreV1Api(api_client)
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map(k="v"))
    core.delete_namespaced_config_map("a", namespace)
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=1
    )
    assert [(event["type"], event["object"].metadata.name) for event in stream] == [("ADDED", "a"), ("DELETED", "a")]


def test_server_version(api_client):
    assert client.VersionApi(api_client).get_code().minor == "34"
    groups = [group.name for group in client.ApisApi(api_client).get_api_versions().groups]
    assert "apps" in groups
