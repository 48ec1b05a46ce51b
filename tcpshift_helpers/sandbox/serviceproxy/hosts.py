"""Names of Services, as a hosts file for each namespace.

A host has no way to give one process a DNS server of its own without privileges, so in place of cluster DNS each container
is told of a file (`POD_HOSTS_FILE`) that lists the names it would resolve, in the form of /etc/hosts: short names are
those of its own namespace. The stand-ins in containers (`nc`, `curl`: node/images/nc_and_curl.py) read it; programs of the host do not.
Not done: names of pods, SRV records, ExternalName.

Source: github.com/kubernetes/dns docs/specification.md (A records of Services with a cluster address and headless ones).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import ENDPOINT_SLICES, NAMESPACES, SERVICES
from tcpshift_helpers.sandbox.mesh.clusters import ready_addresses
from tcpshift_helpers.sandbox.mesh.hostnames import service_host
from tcpshift_helpers.sandbox.mesh.model import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tcpshift_helpers.sandbox.controllers.context import Context
    from tcpshift_helpers.sandbox.home import Home

    Obj = Mapping[str, Any]


def content(namespace: str, snapshot: Snapshot) -> str:
    """The hosts file of a namespace: a line an address, the full name first.

    Args:
        namespace: whose short names are meant.
        snapshot: Services, and EndpointSlices for headless ones.
    """
    lines = [
        f"{address} {' '.join(_names(service, namespace))}\n"
        for service in snapshot.services
        for address in _addresses(service, snapshot)
    ]
    return "".join(sorted(lines))


def _addresses(service: Obj, snapshot: Snapshot) -> Iterator[str]:
    if service["spec"].get("clusterIP") != "None":
        yield from service["spec"].get("clusterIPs") or []
        return
    ports = service["spec"].get("ports") or [{}]
    yield from sorted({address for port in ports for address, _ in ready_addresses(service, port, None, snapshot)})


def _names(service: Obj, namespace: str) -> list[str]:
    name, own = service["metadata"]["name"], service["metadata"]["namespace"]
    names = [service_host(name, own), f"{name}.{own}.svc", f"{name}.{own}"]
    return [*names, name] if own == namespace else names


class HostsFiles:
    """Keeps the hosts file of every namespace up to date."""

    def __init__(self, context: Context, home: Home) -> None:
        """Follow namespaces, Services and EndpointSlices from now on; nothing is written before `begin`."""
        self._context = context
        self._home = home
        self._written: dict[str, str] = {}
        self._begun = self._scheduled = False
        for resource in (NAMESPACES, SERVICES, ENDPOINT_SLICES):
            context.informer(resource).on_change(self._changed)

    def begin(self) -> None:
        """Write all files, now that everything has been listed, and drop those of namespaces that are gone."""
        self._home.hosts.mkdir(mode=0o700, exist_ok=True)
        for path in self._home.hosts.iterdir():
            path.unlink()
        self._begun = True
        self._write()

    def _changed(self, _event: str, _obj: dict[str, Any]) -> None:
        if self._begun and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._scheduled = False
        snapshot = Snapshot(
            services=list(self._context.informer(SERVICES).objects.values()),
            endpoint_slices=list(self._context.informer(ENDPOINT_SLICES).objects.values()),
        )
        namespaces = {name for _, name in self._context.informer(NAMESPACES).objects}
        for gone in self._written.keys() - namespaces:
            del self._written[gone]
            self._home.hosts_of(gone).unlink(missing_ok=True)
        for namespace in namespaces:
            text = content(namespace, snapshot)
            if self._written.get(namespace) != text:
                path = self._home.hosts_of(namespace)
                temporary = path.with_name(f".{namespace}.new")
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(path)
                self._written[namespace] = text
