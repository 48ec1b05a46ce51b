"""Who gets which load balancer address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import EVENTS, NAMESPACES, SERVICES

if TYPE_CHECKING:
    from .conftest import Controllers


def service(name: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False, **spec},
    }


def addresses(controllers: Controllers) -> dict[str, str]:
    return {
        name: (obj["status"]["loadBalancer"].get("ingress") or [{}])[0].get("ip", "")
        for (_, name), obj in controllers.context.informer(SERVICES).objects.items()
        if obj["spec"]["type"] == "LoadBalancer"
    }


async def test_the_gateway_has_the_first_address_whenever_it_comes(controllers: Controllers, until: Any) -> None:
    client, prefix = controllers.client, controllers.subnet.prefix
    await client.create(SERVICES, service("early"))
    await until(lambda: addresses(controllers) == {"early": f"{prefix}.3"}, "the early one")
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
    await client.create(SERVICES, service("istio-ingressgateway", "istio-system"))
    wished = {"early": f"{prefix}.3", "istio-ingressgateway": f"{prefix}.2"}
    await until(lambda: addresses(controllers) == wished, "the gateway")
    await controllers.recorder.drained()
    events, _ = await client.list(EVENTS, "default")
    assert [event["reason"] for event in events] == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]


async def test_one_too_many_waits_and_is_told(controllers: Controllers, until: Any) -> None:
    client, prefix = controllers.client, controllers.subnet.prefix
    for number in range(8):
        await client.create(SERVICES, service(f"s{number}"))
    await until(lambda: len(addresses(controllers)) == 8, "all Services")
    expected = {f"{prefix}.{number}" for number in range(3, 10)} | {""}
    await until(lambda: set(addresses(controllers).values()) == expected, "seven addresses")
    (waiting,) = [name for name, address in addresses(controllers).items() if not address]
    await controllers.recorder.drained()
    events, _ = await client.list(EVENTS, "default", field_selector=f"involvedObject.name={waiting}")
    assert "SyncLoadBalancerFailed" in {event["reason"] for event in events}
    freed = next(name for name, address in addresses(controllers).items() if address == f"{prefix}.5")
    await client.delete(SERVICES, freed, "default")
    await until(lambda: addresses(controllers).get(waiting) == f"{prefix}.5", "the freed address")


async def test_a_service_that_is_no_load_balancer_any_more_gives_it_back(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    await client.create(SERVICES, service("s"))
    await until(lambda: addresses(controllers).get("s"), "the address")
    await client.merge_patch(
        SERVICES, "s", "default", {"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None}}
    )

    async def given_back() -> bool:
        return not (await client.get(SERVICES, "s", "default"))["status"]["loadBalancer"].get("ingress")

    await until(given_back, "the address to be given back")


async def test_another_implementations_services_are_left_alone(controllers: Controllers, until: Any) -> None:
    client = controllers.client
    await client.create(SERVICES, service("theirs", loadBalancerClass="example.com/theirs"))
    await client.create(SERVICES, service("ours"))
    await until(lambda: addresses(controllers).get("ours"), "ours")
    assert addresses(controllers)["theirs"] == ""
