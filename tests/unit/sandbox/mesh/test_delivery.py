"""The order of files, and whose refusal is whose: with an Envoy that is played by the test."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from tcpshift_helpers.sandbox.envoy import Refusal, UpdateState, XdsState
from tcpshift_helpers.sandbox.mesh.configuration import Configuration
from tcpshift_helpers.sandbox.mesh.delivery import Delivery


class PlayedEnvoy:
    """Answers as Envoy would through its admin socket; reads the files only when told to."""

    def __init__(self, xds: Path) -> None:
        self.xds = xds
        self.accepted = {"lds": "0", "cds": "0"}
        self.rejected = {"lds": 0, "cds": 0}
        self.refuses: set[str] = set()
        self.reads_at_once = True
        self.warming = 0
        self.asked = asyncio.Event()
        self._read: dict[str, str] = {}

    def read(self) -> None:
        for kind in ("cds", "lds"):
            path = self.xds / f"{kind}.json"
            version = json.loads(path.read_text())["version_info"] if path.exists() else "0"
            if self._read.get(kind) != version:
                self._read[kind] = version
                if kind in self.refuses:
                    self.rejected[kind] += 1
                else:
                    self.accepted[kind] = version

    def restart(self) -> None:
        self.accepted = {"lds": "", "cds": ""}
        self.rejected = {"lds": 0, "cds": 0}
        self._read = {}

    async def xds_state(self) -> XdsState:
        self.asked.set()
        if self.reads_at_once:
            self.read()
        lds, cds = (UpdateState(self.accepted[kind], self.rejected[kind]) for kind in ("lds", "cds"))
        return XdsState(lds, cds, self.warming)

    async def refusals(self) -> list[Refusal]:
        return [Refusal("l", "no")] if self.refuses else []


@pytest.fixture
def played(tmp_path: Path) -> tuple[PlayedEnvoy, Delivery]:
    envoy, versions = PlayedEnvoy(tmp_path), itertools.count(1)
    return envoy, Delivery("p.n", tmp_path, envoy, lambda: str(next(versions)))  # type: ignore[arg-type]


def made(*clusters: str, to: str = "") -> Configuration:
    """A listener that leads to one cluster, and clusters with endpoints."""
    chain = {"filters": [{"typed_config": {"cluster": to}}]}
    return Configuration(
        listeners={"l": {"name": "l", "filter_chains": [chain]}} if to else {},
        clusters={name: {"name": name} for name in clusters},
        endpoints={name: {"cluster_name": name} for name in clusters},
    )


def names(path: Path) -> list[str]:
    return sorted(one["name"] for one in json.loads(path.read_text())["resources"])


def content(xds: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in xds.iterdir()}


def target(xds: Path) -> str:
    (listener,) = json.loads((xds / "lds.json").read_text())["resources"]
    return str(listener["filter_chains"][0]["filters"][0]["typed_config"]["cluster"])


async def test_listeners_wait_for_new_clusters_and_their_endpoints(
    played: tuple[PlayedEnvoy, Delivery], tmp_path: Path
) -> None:
    envoy, delivery = played
    envoy.reads_at_once, envoy.warming = False, 1
    delivering = asyncio.create_task(delivery.deliver(made("a", to="a")))
    await _asked_again(envoy)
    assert names(tmp_path / "cds.json") == ["a"]
    assert (tmp_path / "eds-a.json").exists()
    assert not (tmp_path / "lds.json").exists()
    envoy.reads_at_once = True
    await _asked_again(envoy)
    assert not (tmp_path / "lds.json").exists()  # taken, but warming
    envoy.warming = 0
    assert not (await delivering).refusals
    assert target(tmp_path) == "a"


async def test_listeners_do_not_wait_when_clusters_are_there(
    played: tuple[PlayedEnvoy, Delivery], tmp_path: Path
) -> None:
    envoy, delivery = played
    await delivery.deliver(made("a", "b", to="a"))
    envoy.reads_at_once = False
    delivering = asyncio.create_task(delivery.deliver(made("a", "b", to="b")))
    await asyncio.sleep(0)
    assert target(tmp_path) == "b"  # before Envoy was even asked
    envoy.reads_at_once = True
    await delivering


async def test_clusters_go_after_the_listeners_that_needed_them(
    played: tuple[PlayedEnvoy, Delivery], tmp_path: Path
) -> None:
    envoy, delivery = played
    await delivery.deliver(made("a", to="a"))
    envoy.reads_at_once = False
    delivering = asyncio.create_task(delivery.deliver(made()))
    await _asked_again(envoy)
    assert names(tmp_path / "lds.json") == []
    assert names(tmp_path / "cds.json") == ["a"]
    envoy.reads_at_once = True
    await delivering
    assert names(tmp_path / "cds.json") == []
    assert not (tmp_path / "eds-a.json").exists()


async def test_a_refused_listener_keeps_the_clusters_of_the_old_one(
    played: tuple[PlayedEnvoy, Delivery], tmp_path: Path
) -> None:
    envoy, delivery = played
    await delivery.deliver(made("a", to="a"))
    envoy.refuses = {"lds"}
    assert (await delivery.deliver(made("b", to="b"))).refusals == (Refusal("l", "no"),)
    assert (await delivery.deliver(made("b", to="b"))).refusals
    assert names(tmp_path / "cds.json") == ["a", "b"]
    assert (tmp_path / "eds-a.json").exists()
    envoy.refuses = set()
    delivery.again()
    assert not (await delivery.deliver(made("b", to="b"))).refusals
    assert names(tmp_path / "cds.json") == ["b"]
    assert not (tmp_path / "eds-a.json").exists()


async def test_a_late_refusal_of_an_overtaken_version_is_not_the_new_ones(
    played: tuple[PlayedEnvoy, Delivery],
) -> None:
    envoy, delivery = played
    await delivery.deliver(made("a", "b", to="a"))
    envoy.reads_at_once, envoy.refuses = False, {"lds"}
    overtaken = asyncio.create_task(delivery.deliver(made("a", "b", to="no")))
    await _asked_again(envoy)
    overtaken.cancel()
    await asyncio.wait({overtaken})
    envoy.read()  # refuses the overtaken version, while the new one is written
    newer = asyncio.create_task(delivery.deliver(made("a", "b", to="b")))
    await _asked_again(envoy, times=1)
    envoy.reads_at_once, envoy.refuses = True, set()
    assert not (await asyncio.wait_for(newer, 20)).refusals


@pytest.mark.parametrize("refused_before", [0, 1, 3])
async def test_an_envoy_that_started_anew_counts_anew(
    played: tuple[PlayedEnvoy, Delivery], refused_before: int
) -> None:
    envoy, delivery = played
    envoy.rejected["lds"] = refused_before
    await delivery.deliver(made("a", to="a"))
    envoy.restart()
    envoy.reads_at_once, envoy.refuses = False, {"lds"}
    delivery.restarted()
    delivering = asyncio.create_task(delivery.deliver(made("a", to="a")))
    await _asked_again(envoy)
    envoy.reads_at_once = True
    assert (await asyncio.wait_for(delivering, 20)).refusals


async def test_a_smaller_count_is_another_envoys(played: tuple[PlayedEnvoy, Delivery]) -> None:
    envoy, delivery = played
    envoy.rejected["lds"] = 3
    await delivery.deliver(made("a", "b", to="a"))
    envoy.restart()
    envoy.refuses = {"lds"}
    # Nobody said that it started anew; it counts 1 by now, and knew 3.
    assert (await asyncio.wait_for(delivery.deliver(made("a", "b", to="b")), 20)).refusals


async def test_nothing_is_written_when_nothing_changed(played: tuple[PlayedEnvoy, Delivery], tmp_path: Path) -> None:
    _, delivery = played
    await delivery.deliver(made("a", to="a"))
    before = content(tmp_path)
    await delivery.deliver(made("a", to="a"))
    assert content(tmp_path) == before


async def _asked_again(envoy: PlayedEnvoy, times: int = 2) -> None:
    """Wait until Envoy was asked again: what comes before the questions is done."""
    for _ in range(times):
        envoy.asked.clear()
        await asyncio.wait_for(envoy.asked.wait(), 20)
