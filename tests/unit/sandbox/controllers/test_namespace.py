"""A namespace's furnishings and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS, ApiError

if TYPE_CHECKING:
    from .conftest import Controllers

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}


def pod() -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "pause"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


async def furnished(controllers: Controllers, until: Any) -> None:
    await controllers.client.create(NAMESPACES, NAMESPACE)
    accounts = controllers.context.informer(SERVICE_ACCOUNTS).objects
    config_maps = controllers.context.informer(CONFIG_MAPS).objects
    await until(lambda: ("n", "default") in accounts and ("n", "kube-root-ca.crt") in config_maps, "the furnishings")


async def test_furnishings_come_and_come_back(controllers: Controllers, until: Any) -> None:
    await furnished(controllers, until)
    client = controllers.client
    found = await client.get(CONFIG_MAPS, "kube-root-ca.crt", "n")
    assert found["data"] == {"ca.crt": "the certificate"}
    await client.delete(SERVICE_ACCOUNTS, "default", "n")
    accounts = controllers.context.informer(SERVICE_ACCOUNTS).objects
    old = found["metadata"]["uid"]
    await until(lambda: accounts.get(("n", "default"), {"metadata": {"uid": old}})["metadata"]["uid"] != old, "another")


async def test_a_deleted_namespace_is_emptied_then_goes(controllers: Controllers, until: Any) -> None:
    await furnished(controllers, until)
    client = controllers.client
    await client.create(
        CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}}
    )
    await client.create(PODS, pod())
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": "n"},
        "target": {"kind": "Node", "name": "sandbox"},
    }
    await client.create(PODS, binding, name="p", subresource="binding")
    await client.delete(NAMESPACES, "n")

    async def conditions() -> dict[str, Any]:
        status = (await client.get(NAMESPACES, "n"))["status"]
        return {entry["type"]: entry for entry in status.get("conditions") or []}

    found = await until(conditions, "what remains to be told")
    assert found["NamespaceContentRemaining"]["status"] == "True"
    assert found["NamespaceContentRemaining"]["reason"] == "SomeResourcesRemain"
    assert found["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: pods. has 1 resource instances"
    )
    assert found["NamespaceFinalizersRemaining"]["message"] == "All content-preserving finalizers finished"
    # What a node does once the containers have ended.
    await client.delete(PODS, "p", "n", 0)
    await until(lambda: ("", "n") not in controllers.context.informer(NAMESPACES).objects, "the namespace to go", 4)
    with pytest.raises(ApiError) as gone:
        await client.get(CONFIG_MAPS, "c", "n")
    assert gone.value.code == 404
