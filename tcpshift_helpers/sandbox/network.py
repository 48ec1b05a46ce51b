"""Addresses: the only module that hands out loopback numbers.

Each sandbox owns a /24 of 127.0.0.0/8, so that many learners share one machine with port 31400 each.
It does not open listening sockets for anybody; `choose_subnet` binds one for a moment to see whether it could.
Platforms with 127.0.0.1 alone (macOS without aliases) are told so clearly; they are not served yet.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpshift_helpers.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.home import Home

API_PORT = 6443
KUBELET_PORT = 10250
# Where Envoy is administered on a cluster. Here nobody listens: a port-forward to it leads to `Home.admin_socket`.
ENVOY_ADMIN_PORT = 15000
ENVOY_STATUS_PORT = 15021
GATEWAY_PORT = 31400

_LOAD_BALANCERS = range(2, 10)
_PODS = range(10, 100)
_BEHIND_SIDECAR = 100
_CLUSTER_IPS = range(200, 250)
_ATTEMPTS = 64


@dataclass(frozen=True)
class Subnet:
    """A loopback /24.

    Attributes:
        prefix: its first three numbers, such as `127.61.20`.
    """

    prefix: str

    @property
    def api_server(self) -> str:
        """Address of the API server and of the kubelet."""
        return f"{self.prefix}.1"

    @property
    def gateway(self) -> str:
        """Address of the first LoadBalancer Service: the ingress gateway."""
        return f"{self.prefix}.2"

    def load_balancers(self) -> Iterator[str]:
        """Addresses for LoadBalancer Services, in order."""
        return (f"{self.prefix}.{number}" for number in _LOAD_BALANCERS)

    def pods(self) -> Iterator[str]:
        """Addresses for pods, in order."""
        return (f"{self.prefix}.{number}" for number in _PODS)

    def cluster_ips(self) -> Iterator[str]:
        """Addresses for ClusterIP Services, in order."""
        return (f"{self.prefix}.{number}" for number in _CLUSTER_IPS)


def behind_sidecar(pod_address: str) -> str:
    """Where the application of a pod with a sidecar listens: the pod's address + 100."""
    prefix, _, last = pod_address.rpartition(".")
    return f"{prefix}.{int(last) + _BEHIND_SIDECAR}"


def load_subnet(home: Home) -> Subnet:
    """The subnet this state directory was given.

    Raises:
        FileNotFoundError: no sandbox was ever started from this directory.
    """
    return Subnet(json.loads(home.network.read_text(encoding="utf-8"))["prefix"])


def choose_subnet(home: Home) -> Subnet:
    """Keep this state directory's subnet, or give it one whose API port nobody holds, and remember it.

    Raises:
        SandboxError: this platform has no loopback address but 127.0.0.1, or no free subnet was found.
    """
    with contextlib.suppress(FileNotFoundError):
        remembered = load_subnet(home)
        if _is_free(remembered.api_server):
            return remembered
    # crc32 spreads well enough, and hashlib would bring 4 MB of OpenSSL into the supervisor.
    start = zlib.crc32(str(home.root).encode())
    for attempt in range(_ATTEMPTS):
        number = (start + attempt) % (253 * 254)
        subnet = Subnet(f"127.{number // 254 + 1}.{number % 254 + 1}")
        if _is_free(subnet.api_server):
            temporary = home.network.with_suffix(".new")
            temporary.write_text(json.dumps({"prefix": subnet.prefix}), encoding="utf-8")
            temporary.replace(home.network)
            return subnet
    raise SandboxError(
        f"No free loopback network was found in {_ATTEMPTS} tries: port {API_PORT} is taken on each. "
        f"Stop the program that listens on port {API_PORT} of all addresses (find it with: ss -ltnp 'sport = :{API_PORT}')."
    )


def _is_free(address: str) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, API_PORT))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise SandboxError(
                    f"This computer does not answer on {address}: the sandbox needs loopback addresses other than 127.0.0.1, "
                    "which Linux and Windows have and macOS lacks by default. "
                    "Use Linux (a virtual machine or a container will do), or point the course at a cluster: connect(context=…)."
                ) from error
            return False
    return True
