"""The two ways to split connections that the course teaches: what each is made of, and what to type for it."""

from __future__ import annotations

from dataclasses import dataclass

from tcpshift_helpers.language import gettext as _


@dataclass(frozen=True)
class Way:
    """One of the two ways to split connections that the course teaches.

    Attributes:
        route: the route, as the helpers name it.
        all_v1: the manifest that sends everything to v1.
        shifted: the one that sends a fifth to v2.
        leans_on: kind and name of what the route needs besides.
    """

    route: str
    all_v1: str
    shifted: str
    leans_on: tuple[tuple[str, str], ...]

    @property
    def wait(self) -> str:
        """What to type to wait for it."""
        return "istio.wait_in_force(cluster)" if self is CLASSIC else f'istio.wait_in_force(cluster, "{self.route}")'


CLASSIC = Way(
    "tcp-echo",
    "tcp-echo-all-v1.yaml",
    "tcp-echo-20-v2.yaml",
    (
        ("gateways.networking.istio.io", "tcp-echo-gateway"),
        ("destinationrules.networking.istio.io", "tcp-echo-destination"),
    ),
)
GATEWAY_API = Way(
    "tcproute/tcp-echo",
    "gateway-api/tcp-echo-all-v1.yaml",
    "gateway-api/tcp-echo-20-v2.yaml",
    (
        ("gateways.gateway.networking.k8s.io", "tcp-echo-gateway"),
        ("services", "tcp-echo-v1"),
        ("services", "tcp-echo-v2"),
    ),
)
WAYS = (CLASSIC, GATEWAY_API)
ALL_TO_V1, A_FIFTH_TO_V2 = {"v1": 100}, {"v1": 80, "v2": 20}


def apply_command(manifest: str) -> str:
    """What to type to apply a manifest of the course."""
    return f'kubectl.apply(cluster, "{manifest}")'


def there_is_no(kind: str, name: str) -> str:
    """That an object is missing."""
    return _("there is no {kind} {name}").format(kind=kind, name=name)
