"""Routes: objects that split TCP connections by weight. Two kinds, one interface; `named` is the way in.

A route is named as kubectl would: `tcproute/tcp-echo`, `virtualservice/tcp-echo`, and plain `tcp-echo` for the latter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers.errors import NotFoundError, ProfileError, UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.routes.base import Awaited, Route, Served, Told
from tcpshift_helpers.routes.tcp_route import TcpRoute
from tcpshift_helpers.routes.virtual_service import VirtualService

if TYPE_CHECKING:
    from tcpshift_helpers.api import Resource
    from tcpshift_helpers.connection import Cluster

__all__ = [
    "KINDS",
    "Awaited",
    "Route",
    "Served",
    "TcpRoute",
    "Told",
    "VirtualService",
    "kind_of",
    "named",
    "named_or_none",
    "resource_of",
]

KINDS: tuple[type[Route], ...] = (VirtualService, TcpRoute)


def kind_of(word: str) -> tuple[type[Route], str]:
    """The kind of route and the name that a word means.

    Raises:
        UsageError: it means no kind of route.
    """
    kind, _slash, name = word.rpartition("/")
    plain, _dot, group = kind.lower().partition(".")
    for each in KINDS:
        if (plain in each.NAMES and f"{each.GROUP}.".startswith(f"{group}." if group else "")) or not kind:
            return each, name
    raise UsageError(
        _(
            "{word} is no route of TCP connections. Write tcp-echo for a VirtualService, tcproute/tcp-echo for a TCPRoute."
        ).format(word=word)
    )


def resource_of(cluster: Cluster, kind: type[Route]) -> Resource:
    """The kind as the cluster serves it.

    Raises:
        ProfileError: it does not; the message says how to install it.
    """
    try:
        return cluster.api.resource_named(f"{kind.NAMES[0]}.{kind.GROUP}")
    except NotFoundError as error:
        raise ProfileError(kind.NOT_INSTALLED) from error


def named(cluster: Cluster, word: str) -> Route:
    """The route that a word means, as it is now.

    Raises:
        UsageError: the word means no kind of route.
        ProfileError: the cluster does not know that kind.
        NotFoundError: no such object.
    """
    kind, name = kind_of(word)
    resource = resource_of(cluster, kind)
    try:
        return kind(cluster, resource, cluster.read(resource, name))
    except NotFoundError as error:
        raise NotFoundError(error.code, error.reason, error.message, kind.NOT_APPLIED) from error


def named_or_none(cluster: Cluster, word: str) -> Route | None:
    """The route that a word means, or None when there is no such object."""
    try:
        return named(cluster, word)
    except NotFoundError:
        return None
