"""The files through which Envoy gets its configuration: their names, and their shape. Pure; it writes none of them.

One directory a proxy: `lds.json` lists listeners, `cds.json` clusters, and each cluster's endpoints are in a file of
their own, as Envoy wants it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LISTENERS = "lds.json"
CLUSTERS = "cds.json"
ANY_ENDPOINTS = "eds-*.json"
_LONGEST_NAME = 200


def endpoints(cluster: str) -> str:
    """The name of the file with a cluster's endpoints."""
    name = cluster.replace("|", "_")
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"eds-{name}.json"


def source(path: Path) -> dict[str, Any]:
    """A ConfigSource: Envoy watches the file's directory and reads the file whenever one is renamed to that name."""
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}, "initial_fetch_timeout": "0s"}


def content(version: str, resources: Sequence[Any]) -> str:
    """A DiscoveryResponse as JSON."""
    return json.dumps({"version_info": version, "resources": resources}, separators=(",", ":"))
