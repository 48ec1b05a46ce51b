"""Add-ons: what a fresh cluster of this kind has installed. Each object is created at start if it is not there.

Objects that exist are left as they are: a learner may have changed them.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import resources
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    ApiError,
    Client,
    Resource,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

_MANIFESTS = (
    ("tcpshift_helpers.sandbox.mesh", "manifests/istio-system.yaml"),
    ("tcpshift_helpers.sandbox.serviceproxy", "manifests/kube-system.yaml"),
)
_KINDS: dict[str, Resource] = {
    "Namespace": NAMESPACES,
    "ConfigMap": CONFIG_MAPS,
    "Secret": SECRETS,
    "Service": SERVICES,
    "ServiceAccount": SERVICE_ACCOUNTS,
    "Deployment": DEPLOYMENTS,
}


def load() -> list[dict[str, Any]]:
    """The objects of all manifests, in order."""
    import yaml  # noqa: PLC0415  (only needed once; keeps start-up of everything else lean)

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    texts = (resources.files(package).joinpath(name).read_text(encoding="utf-8") for package, name in _MANIFESTS)
    return [document for text in texts for document in yaml.load_all(text, Loader=loader) if document]


async def apply(client: Client, objects: Iterable[dict[str, Any]]) -> None:
    """Create each object that does not exist: namespaces first, then all others side by side.

    Raises:
        ApiError: the server refused an object for another reason than its existence.
        UnreachableError: the server is away.
    """
    listed = list(objects)
    for first in (True, False):
        batch = [obj for obj in listed if (obj["kind"] == "Namespace") is first]
        await asyncio.gather(*(_create_if_absent(client, obj) for obj in batch))


async def _create_if_absent(client: Client, obj: dict[str, Any]) -> None:
    resource = _KINDS.get(obj["kind"])
    if resource is None:
        log.error("add-on %s %s was left out: kind not known here", obj["kind"], obj["metadata"]["name"])
        return
    try:
        await client.create(resource, obj)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
