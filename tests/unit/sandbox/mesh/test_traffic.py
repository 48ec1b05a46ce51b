"""What connections through a real Envoy see: each row of the measured table of Istio's behaviour."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tcpshift_helpers.sandbox.envoy import command_line
from tcpshift_helpers.sandbox.mesh.configuration import build
from tcpshift_helpers.sandbox.mesh.connection import Connection
from tcpshift_helpers.sandbox.mesh.status import ProxyState, verdict

from .conftest import DRAIN_TIME_SECONDS, Mesh
from .objects import with_objects

Istio = Callable[..., list[dict[str, Any]]]

ZERO = {"v1": 0, "v2": 0}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "all to v1": ({"weights": {"v1": None}}, "one"),
    "0/100: the zero is left out": ({"weights": {"v1": 0, "v2": 100}}, "two"),
    "single destination, weight 500": ({"weights": {"v2": 500}}, "two"),
    "single destination, weight -1": ({"weights": {"v2": -1}}, "two"),
    "subset of no DestinationRule": ({"weights": {"v9": None}}, "reset"),
    "unknown host": ({"weights": {"v1": None}, "host": "nobody"}, "reset"),
    "unknown port": ({"weights": {"v1": None}, "port": 31400, "subset": "v1", "host": "tcp-echo"}, "one"),
    "DestinationRule missing": ({"weights": {"v1": None}, "without": "DestinationRule"}, "reset"),
    "VirtualService missing": ({"weights": {"v1": None}, "without": "VirtualService"}, "refused"),
    "Gateway missing": ({"weights": {"v1": None}, "without": "Gateway"}, "refused"),
    "match port differs": ({"weights": {"v1": None}, "port": 31401}, "refused"),
}


@pytest.mark.parametrize(("arguments", "answer"), CASES.values(), ids=CASES.keys())
async def test_answers(mesh: Mesh, istio: Istio, arguments: dict[str, Any], answer: str) -> None:
    outcome = await mesh.apply(*istio(**arguments))
    assert not outcome.refusals
    assert [await mesh.probe() for _ in range(3)] == [answer] * 3
    assert await mesh.probe(mesh.address) == answer  # the pod's own address behaves the same


async def test_unknown_port_of_a_known_host_is_reset(mesh: Mesh, istio: Istio) -> None:
    objects = istio({"v1": None})
    objects[-1]["spec"]["tcp"][0]["route"][0]["destination"]["port"]["number"] = 9999
    await mesh.apply(*objects)
    assert await mesh.probe() == "reset"


async def test_weights_share_connections(mesh: Mesh, istio: Istio) -> None:
    await mesh.apply(*istio({"v1": 80, "v2": 20}))
    answers = await mesh.probes(400)
    assert set(answers) == {"one", "two"}
    # Binomial(400, 0.2): outside 49..114 with probability 9e-5.
    assert 49 <= answers["two"] <= 114


async def test_one_object_after_the_other(mesh: Mesh, istio: Istio) -> None:
    """The lesson's life: apply, shift, take the rule away, bring it back, delete."""
    await mesh.apply(*istio({"v1": None}))
    assert await mesh.probe() == "one"
    await mesh.apply(*istio({"v1": 0, "v2": 100}))
    assert await mesh.probe() == "two"
    await mesh.apply(*istio({"v2": 100}, without="DestinationRule"))
    assert await mesh.probe() == "reset"
    await mesh.apply(*istio({"v2": 100}))
    assert await mesh.probe() == "two"
    await mesh.apply()
    assert await mesh.probe() == "refused"
    assert not list(mesh.xds.glob("eds-*"))  # nothing of the deleted clusters is left


async def test_no_endpoint_left_resets(mesh: Mesh, istio: Istio) -> None:
    await mesh.apply(*istio({"v1": None}))
    assert await mesh.probe() == "one"
    mesh.without_endpoints_of("tcp-echo-v1")
    await mesh.apply(*istio({"v1": None}))
    # Endpoints are the one kind whose answer is not waited for: it changes no listener and no cluster.
    await _eventually(mesh, "reset")
    await mesh.apply(*istio({"v2": None}))
    assert await mesh.probe() == "two"


async def test_only_exposed_ports_are_bound_on_the_load_balancer_address(mesh: Mesh, istio: Istio) -> None:
    gateway, rule, virtual_service = istio({"v1": None})
    gateway["spec"]["servers"].append({"port": {"number": 31500, "name": "more", "protocol": "TCP"}, "hosts": ["*"]})
    virtual_service["spec"]["tcp"][0]["match"] = []
    await mesh.apply(gateway, rule, virtual_service)
    assert await mesh.probe(mesh.address, 31500) == "one"
    assert await mesh.probe(mesh.load_balancer, 31500) == "refused"
    assert await mesh.probe(mesh.load_balancer, 31400) == "one"


async def test_an_envoy_that_starts_later_has_it_all(mesh: Mesh, istio: Istio) -> None:
    await mesh.stop_envoy()
    delivering = asyncio.create_task(mesh.apply(*istio({"v1": 80, "v2": 20})))
    await asyncio.sleep(0.05)
    assert not delivering.done()
    await mesh.start_envoy()
    assert not (await asyncio.wait_for(delivering, 20)).refusals
    assert await mesh.probe() in ("one", "two")


async def test_a_new_istiod_takes_over_a_running_envoy(mesh: Mesh, istio: Istio) -> None:
    assert (await mesh.apply(*istio(ZERO))).refusals  # a refusal that Envoy goes on counting
    mesh.delivery = mesh.new_delivery()
    assert not (await mesh.apply(*istio({"v2": 1}))).refusals
    assert await mesh.probe() == "two"


async def test_refused_configuration_leaves_the_old_one_in_force(mesh: Mesh, istio: Istio) -> None:
    """All weights zero: no webhook would let it in, and istiod would panic; here Envoy says no."""
    await mesh.apply(*istio({"v1": None}))
    objects = istio(ZERO)
    outcome = await mesh.apply(*objects)
    assert {refusal.name for refusal in outcome.refusals} == {"0.0.0.0_31400", f"{mesh.load_balancer}_31400"}
    assert "weight" in outcome.refusals[0].details.lower()
    assert not any(refusal.may_mend for refusal in outcome.refusals)
    assert await mesh.probe() == "one"
    again = await mesh.apply(*objects)
    assert again == outcome  # still refused, though nothing was sent
    assert not (await mesh.apply(*istio({"v2": None}))).refusals
    assert await mesh.probe() == "two"


async def test_refused_clusters_are_everybodys_concern(mesh: Mesh, istio: Istio) -> None:
    """Envoy names no culprit for clusters: all objects of the proxy are told."""
    await mesh.apply(*istio({"v1": None}))
    objects = istio({"v1": 80, "v2": 20})
    objects[1]["spec"]["trafficPolicy"] = {"connectionPool": {"tcp": {"connectTimeout": "0s"}}}
    (refusal,) = (await mesh.apply(*objects)).refusals
    assert refusal.name == ""
    assert "kubectl logs" in refusal.details
    assert set(await mesh.probes(20)) <= {"one", "two"}
    assert not (await mesh.apply(*istio({"v1": None}))).refusals


async def test_a_taken_port_is_refused_loudly_and_tried_again(mesh: Mesh, istio: Istio) -> None:
    squatter = await asyncio.start_server(lambda _r, w: w.close(), mesh.load_balancer, 31400)
    answers: asyncio.Queue[ProxyState] = asyncio.Queue()
    connection = Connection(
        "gw.istio-system", mesh.address, mesh.delivery, lambda: answers.put_nowait(_state(connection))
    )
    snapshot = with_objects(mesh.snapshot, istio({"v1": None}))
    (virtual_service,) = snapshot.virtual_services
    configuration = build(mesh.proxy, snapshot, mesh.xds)
    try:
        connection.want(configuration, 0)
        state = await asyncio.wait_for(answers.get(), 20)
        (refusal,) = state.refusals
        assert refusal.name == f"{mesh.load_balancer}_31400"
        found = verdict(virtual_service, [state])
        assert found is not None
        assert (found.status, found.reason, found.observed_generation) == ("False", "ConfigRejected", 1)
        assert "Address already in use" in found.message
        assert "Another process holds port 31400" in found.message
        assert "ss -ltnp 'sport = :31400'" in found.message
        # The pod's own address is another listener, and in force.
        assert await mesh.probe(mesh.address) == "one"
        squatter.close()
        await squatter.wait_closed()
        while state.refusals:
            state = await asyncio.wait_for(answers.get(), 20)
        assert await mesh.probe() == "one"
        found = verdict(virtual_service, [state])
        assert found is not None
        assert (found.status, found.message) == ("True", "1/1 proxies up to date.")
    finally:
        connection.close()
        squatter.close()


async def test_open_connections_drain_on_a_weight_change(mesh: Mesh, istio: Istio) -> None:
    """They stay on their version and are closed when the drain time ends; new ones see the new weights."""
    await mesh.apply(*istio({"v1": None}))
    reader, writer = await asyncio.open_connection(mesh.load_balancer, 31400)
    writer.write(b"first\n")
    assert await reader.readline() == b"one first\n"
    await mesh.apply(*istio({"v1": 0, "v2": 100}))
    began = time.monotonic()
    assert await mesh.probe() == "two"
    writer.write(b"second\n")
    assert await reader.readline() == b"one second\n"
    assert await asyncio.wait_for(reader.read(), DRAIN_TIME_SECONDS + 20) == b""
    assert time.monotonic() - began > DRAIN_TIME_SECONDS - 0.5
    writer.close()


async def test_a_newer_configuration_overtakes(mesh: Mesh, istio: Istio) -> None:
    answered = asyncio.Event()
    connection = Connection("gw.istio-system", mesh.address, mesh.delivery, answered.set)
    try:
        for weights in ({"v1": None}, {"v2": None}, ZERO, {"v1": 0, "v2": 100}):
            connection.want(mesh.build(*istio(weights)), 0)
        await asyncio.wait_for(answered.wait(), 20)
        assert not _state(connection).refusals
        assert await mesh.probe() == "two"
    finally:
        connection.close()


async def test_sidecar_stands_in_front_of_the_application(mesh: Mesh) -> None:
    await mesh.start_echo(110, "behind")
    await mesh.start_echo(110, "unlisted", 9002)
    app = {"name": "app", "image": "x", "ports": [{"containerPort": 9000}]}
    sidecar = {
        **mesh.snapshot.pods[0],
        "spec": {"containers": [app, {"name": "istio-proxy", "image": "x", "args": ["proxy", "sidecar"]}]},
    }
    sidecar["metadata"] = {**sidecar["metadata"], "annotations": {"sidecar.istio.io/status": "{}"}}
    mesh.snapshot = replace(mesh.snapshot, pods=[sidecar], services=[], endpoint_slices=[])
    assert not (await mesh.apply()).refusals
    assert await mesh.probe(mesh.address, 9000) == "behind"
    assert await mesh.probe(mesh.address, 9002) == "refused"  # known difference: only declared ports


async def test_ready_says_that_configuration_is_there(mesh: Mesh, istio: Istio) -> None:
    assert await mesh.probe(mesh.address, 15021) == "refused"
    await mesh.apply(*istio({"v1": None}))
    for address in (mesh.address, mesh.load_balancer):
        reader, writer = await asyncio.open_connection(address, 15021)
        writer.write(b"GET /healthz/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_files_are_whole_at_any_time(mesh: Mesh, istio: Istio) -> None:
    await mesh.apply(*istio({"v1": 80, "v2": 20}))
    names = {path.name for path in mesh.xds.iterdir()}
    assert not [name for name in names if name.startswith(".")]
    assert {"lds.json", "cds.json", "eds-outbound_9000_v1_tcp-echo.default.svc.cluster.local.json"} <= names
    for path in mesh.xds.iterdir():
        assert json.loads(path.read_text())["resources"]


def test_command_line_is_istios(tmp_path: Any) -> None:
    command = command_line(tmp_path / "envoy.json")
    assert command[command.index("--concurrency") + 1] == "1"
    assert command[command.index("--drain-time-s") + 1] == "45"


def _state(connection: Connection) -> ProxyState:
    state = connection.state()
    assert state is not None
    return state


async def _eventually(mesh: Mesh, answer: str) -> None:
    async with asyncio.timeout(20):
        while await mesh.probe() != answer:  # noqa: ASYNC110 (nothing tells when Envoy has read an endpoint)
            await asyncio.sleep(0.005)
