"""Bringing a configuration to one Envoy by files, and hearing whether Envoy took it.

Each file is written under another name and renamed into place: Envoy watches for the rename and never reads half a
file. Order matters: endpoints, then clusters, then listeners; where listeners refer to clusters that Envoy has not got,
its acceptance of the clusters is waited for first, and clusters that nothing needs any more go last.

Envoy says what it accepted at its admin socket: the accepted version, or a count of refusals that grew. An Envoy that is
not up yet is waited for. This module knows nothing of the API server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.envoy import Refusal
from tcpshift_helpers.sandbox.mesh import xds_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.envoy import Admin, UpdateState, XdsState
    from tcpshift_helpers.sandbox.mesh.configuration import Configuration

log = logging.getLogger("ads")

# Long enough for Envoy to read a file first: it answers questions on the very thread that would apply it.
_FIRST_POLL_SECONDS = 0.003
_LONGEST_POLL_SECONDS = 0.25
_NO_REASON = (
    "its admin interface keeps no reason where clusters are refused; kubectl logs of the proxy's pod has Envoy's words"
)
_SECOND_LOOK_SECONDS = 0.03
_WARMING_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """What Envoy did with a configuration.

    Attributes:
        refusals: the listeners and clusters it refused; empty if all is in force.
    """

    refusals: tuple[Refusal, ...] = ()


class _File:
    """One of the two files that list resources: what it holds, and what Envoy made of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = name.partition(".")[0].upper()
        self.resources: dict[str, Any] = {}
        self.version = ""
        # None while Envoy has yet to read it.
        self.taken: bool | None = True
        # Refusals counted so far: only more than these can concern this version.
        self.refusals_before = 0

    def update_of(self, state: XdsState) -> UpdateState:
        return state.listeners if self.name == xds_files.LISTENERS else state.clusters


class Delivery:
    """The way to one Envoy. One `deliver` at a time."""

    def __init__(self, name: str, xds: Path, admin: Admin, next_version: Callable[[], str]) -> None:
        """Nothing is written yet.

        Args:
            name: of the proxy, for the log.
            xds: its directory; made if missing.
            admin: its admin socket.
            next_version: gives each file written a version of its own.
        """
        self._name = name
        self._xds = xds
        self._admin = admin
        self._next_version = next_version
        self._listeners = _File(xds_files.LISTENERS)
        self._clusters = _File(xds_files.CLUSTERS)
        self._endpoints: dict[str, Any] = {}
        self._started = False
        self._anew = True

    async def deliver(self, wanted: Configuration) -> Outcome:
        """Bring Envoy to this configuration; returns when it has taken or refused all of it.

        Cancelling is safe at any point: the files are complete, and the next call goes on from them.
        """
        if not self._started:
            await self._start()
        anew, self._anew = self._anew, False
        self._write_endpoints(wanted.endpoints)
        if anew or wanted.listeners != self._listeners.resources:
            both = {**self._clusters.resources, **wanted.clusters}
            if anew or both != self._clusters.resources:
                added = both.keys() - self._clusters.resources.keys()
                self._write(self._clusters, both)
                # An Envoy that has yet to start reads clusters first by itself.
                if added & set(_referred_clusters(wanted.listeners.values())) and await self._state() is not None:
                    await self._clusters_taken()
            self._write(self._listeners, wanted.listeners)
        if wanted.clusters != self._clusters.resources and await self._settled(self._listeners):
            # Only now: a listener that Envoy refuses leaves an old one in force, which needs its clusters.
            self._write(self._clusters, wanted.clusters)
        states = [await self._settled(file) for file in (self._clusters, self._listeners)]
        self._drop_endpoints(wanted.endpoints)
        return Outcome() if all(states) else Outcome(tuple(await self._reasons()))

    def again(self) -> None:
        """Have the next `deliver` write everything anew: after a refusal that time may mend."""
        self._anew = True

    def restarted(self) -> None:
        """Envoy is another process now: have the next `deliver` hear what that one says."""
        self._anew = True
        for file in (self._listeners, self._clusters):
            file.refusals_before = 0

    async def _start(self) -> None:
        """Note how many refusals a running Envoy counts already (istiod may be younger than it)."""
        self._xds.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError, TimeoutError):
            state = await self._admin.xds_state()
            for file in (self._listeners, self._clusters):
                file.refusals_before = file.update_of(state).rejected
        self._started = True

    def _write_endpoints(self, wanted: Mapping[str, Any]) -> None:
        changed = [name for name, one in wanted.items() if self._endpoints.get(name) != one]
        for name in changed:
            self._put(xds_files.endpoints(name), self._next_version(), [wanted[name]])
            self._endpoints[name] = wanted[name]
        if changed:
            log.info("EDS: PUSH for node:%s resources:%d", self._name, len(changed))

    def _drop_endpoints(self, wanted: Mapping[str, Any]) -> None:
        """Remove files of clusters that Envoy no longer has, those of an earlier istiod included."""
        self._endpoints = {name: one for name, one in self._endpoints.items() if name in self._clusters.resources}
        keep = {xds_files.endpoints(name) for name in [*wanted, *self._endpoints]}
        for path in self._xds.glob(xds_files.ANY_ENDPOINTS):
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _write(self, file: _File, resources: Mapping[str, Any]) -> None:
        file.version = self._next_version()
        file.taken = None
        file.resources = dict(resources)
        size = self._put(file.name, file.version, list(resources.values()))
        log.info("%s: PUSH for node:%s resources:%d size:%.1fkB", file.label, self._name, len(resources), size / 1000)

    def _put(self, name: str, version: str, resources: list[Any]) -> int:
        text = xds_files.content(version, resources)
        temporary = self._xds / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(self._xds / name)
        return len(text)

    async def _settled(self, file: _File) -> bool:
        """Wait until Envoy has read the file; True if it took it.

        An Envoy that is not there is waited for without end: the caller cancels when the pod is gone.
        """
        delay, suspected = _FIRST_POLL_SECONDS, False
        while file.taken is None:
            await asyncio.sleep(delay)
            delay = min(delay * 1.5, _LONGEST_POLL_SECONDS)
            state = await self._state()
            if state is not None:
                update = file.update_of(state)
                if update.rejected < file.refusals_before:
                    # Another Envoy process: it counts from zero.
                    file.refusals_before = 0
                if update.version == file.version:
                    file.taken = True
                elif update.rejected > file.refusals_before and suspected:
                    file.taken = False
                elif update.rejected > file.refusals_before:
                    # It may have been the version before this one: Envoy may be about to read the new one.
                    suspected, delay = True, _SECOND_LOOK_SECONDS
                if file.taken is not None:
                    file.refusals_before = update.rejected
                    return file.taken
        return file.taken

    async def _clusters_taken(self) -> None:
        """Wait until Envoy has the clusters and their first endpoints."""
        if not await self._settled(self._clusters):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WARMING_SECONDS):
                # Polled: Envoy has no event to wait for.
                while (state := await self._state()) is not None and state.warming_clusters:  # noqa: ASYNC110
                    await asyncio.sleep(_FIRST_POLL_SECONDS)

    async def _state(self) -> XdsState | None:
        try:
            return await self._admin.xds_state()
        except (OSError, TimeoutError):
            return None

    async def _reasons(self) -> list[Refusal]:
        try:
            return await self._admin.refusals() or [Refusal("", _NO_REASON)]
        except (OSError, TimeoutError) as error:
            return [Refusal("", f"Envoy refused the configuration, and its reason could not be read: {error}")]


def _referred_clusters(listeners: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for listener in listeners:
        for chain in listener["filter_chains"]:
            for network_filter in chain["filters"]:
                config = network_filter["typed_config"]
                if "cluster" in config:
                    yield config["cluster"]
                yield from (one["name"] for one in config.get("weighted_clusters", {}).get("clusters", []))
