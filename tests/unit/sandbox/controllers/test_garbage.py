"""What goes with its owner, and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, DEPLOYMENTS, KUBERNETES_GATEWAYS, PODS, REPLICA_SETS

if TYPE_CHECKING:
    from .conftest import Controllers


def config_map(name: str, *owners: dict[str, Any], **reference: Any) -> dict[str, Any]:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **reference,
        }
        for owner in owners
    ]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def deployment() -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "pause"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def names(controllers: Controllers, resource: Any) -> set[str]:
    return {name for namespace, name in controllers.context.informer(resource).objects if namespace == "default"}


async def test_dependents_of_dependents_go_in_the_background(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    owner = await client.create(CONFIG_MAPS, config_map("owner"))
    child = await client.create(CONFIG_MAPS, config_map("child", owner))
    await client.create(CONFIG_MAPS, config_map("grandchild", child))
    await client.create(CONFIG_MAPS, config_map("stranger"))
    await until(lambda: "grandchild" in names(controllers, CONFIG_MAPS), "all")
    await client.delete(CONFIG_MAPS, "owner", "default")
    await until(lambda: not {"owner", "child", "grandchild"} & names(controllers, CONFIG_MAPS), "the family to go")
    assert "stranger" in names(controllers, CONFIG_MAPS)


async def test_what_is_made_for_a_gateway_goes_with_it(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    listeners = [{"name": "tcp", "port": 31400, "protocol": "TCP"}]
    gateway = {
        "apiVersion": KUBERNETES_GATEWAYS.api_version,
        "kind": "Gateway",
        "metadata": {"name": "gateway", "namespace": "default"},
        "spec": {"gatewayClassName": "istio", "listeners": listeners},
    }
    owner = await client.create(KUBERNETES_GATEWAYS, gateway)
    await client.create(CONFIG_MAPS, config_map("made", owner))
    await until(lambda: "made" in names(controllers, CONFIG_MAPS), "what is made")
    await client.delete(KUBERNETES_GATEWAYS, "gateway", "default")
    await until(lambda: "made" not in names(controllers, CONFIG_MAPS), "it to go")


async def test_one_owner_left_is_enough(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    first = await client.create(CONFIG_MAPS, config_map("first"))
    second = await client.create(CONFIG_MAPS, config_map("second"))
    await client.create(CONFIG_MAPS, config_map("child", first, second))
    await until(lambda: "child" in names(controllers, CONFIG_MAPS), "the child")
    await client.delete(CONFIG_MAPS, "first", "default")

    async def owners() -> bool:
        child = await client.get(CONFIG_MAPS, "child", "default")
        return [entry["name"] for entry in child["metadata"]["ownerReferences"]] == ["second"]

    await until(owners, "the dangling reference to go")


async def test_a_child_born_after_its_owner_died_goes(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    owner = await client.create(CONFIG_MAPS, config_map("owner"))
    await client.delete(CONFIG_MAPS, "owner", "default")
    seen: list[str] = []
    controllers.context.informer(CONFIG_MAPS).on_change(
        lambda event_type, obj: seen.append(event_type) if obj["metadata"]["name"] == "late" else None
    )
    await client.create(CONFIG_MAPS, config_map("late", owner))
    await until(lambda: seen == ["ADDED", "DELETED"], "the child to come and go")


async def test_an_owner_of_an_unknown_kind_is_left_alone(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    stranger = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "uid": "x"}}
    await client.create(CONFIG_MAPS, config_map("child", stranger))
    owner = await client.create(CONFIG_MAPS, config_map("owner"))
    await client.create(CONFIG_MAPS, config_map("other", owner))
    await client.delete(CONFIG_MAPS, "owner", "default")
    await until(lambda: names(controllers, CONFIG_MAPS) & {"other", "owner"} == set(), "the others to go")
    assert "child" in names(controllers, CONFIG_MAPS)


async def test_foreground_deletion_ends_with_the_owner(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    await client.create(DEPLOYMENTS, deployment())
    await until(lambda: len(names(controllers, PODS)) == 2, "two pods")
    order: list[str] = []
    for resource in (DEPLOYMENTS, REPLICA_SETS, PODS):
        controllers.context.informer(resource).on_change(
            lambda event_type, obj: order.append(obj["kind"]) if event_type == "DELETED" else None
        )
    await client.delete(DEPLOYMENTS, "a", "default", propagation_policy="Foreground")
    await until(lambda: len(order) == 4, "all four to go")
    assert order == ["Pod", "Pod", "ReplicaSet", "Deployment"]


async def test_orphans_stay_and_are_adopted_again(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    made = await client.create(DEPLOYMENTS, deployment())
    await until(lambda: len(names(controllers, PODS)) == 2, "two pods")
    (replica_set,) = names(controllers, REPLICA_SETS)
    await client.delete(DEPLOYMENTS, "a", "default", propagation_policy="Orphan")
    await until(lambda: not names(controllers, DEPLOYMENTS), "the owner to go")
    orphan = await client.get(REPLICA_SETS, replica_set, "default")
    assert not orphan["metadata"].get("ownerReferences")
    again = await client.create(DEPLOYMENTS, deployment())

    async def owner() -> str | None:
        found = await client.get(REPLICA_SETS, replica_set, "default")
        return next((entry["uid"] for entry in found["metadata"].get("ownerReferences") or []), None)

    async def adopted() -> bool:
        return await owner() == again["metadata"]["uid"] != made["metadata"]["uid"]

    await until(adopted, "the orphan to be adopted")
    assert names(controllers, REPLICA_SETS) == {replica_set}
