"""A proxy's Envoy as its pod wants it: its bootstrap, its first files, and its command line.

Of the annotation `proxy.istio.io/config` the drain time is known, and no other field.
Source: istio.io/istio, pilot/cmd/pilot-agent/config (the annotation wins over the mesh's defaults) and
pkg/config/validation/agent (ValidateDrainDuration).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml

from tcpshift_helpers.sandbox import envoy
from tcpshift_helpers.sandbox.envoy import DRAIN_TIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.node.images import Image

ANNOTATION = "proxy.istio.io/config"
_DURATION = re.compile(r"(\d+)(\.\d+)?s")


class ConfigError(Exception):
    """The annotation cannot be used; `str()` of it is what pilot-agent would say before it ends."""


def command_line(
    image: Image, pod: dict[str, Any], directory: Path, address: str, admin_socket: str, *, is_router: bool
) -> list[str]:
    """Write what Envoy starts with, and say how to start it.

    Args:
        image: `kube-proxy`, or a proxy of the mesh.
        pod: the pod it runs in.
        directory: the pod's own; `envoy.json` and `xds/` are made in it.
        address: the pod's.
        admin_socket: the pod's, relative to where Envoy runs.
        is_router: whether a proxy of the mesh is a gateway and no sidecar.

    Raises:
        ConfigError: the pod's annotation cannot be used.
        SandboxError: Envoy is missing.
    """
    metadata = pod["metadata"]
    drain_time = drain_time_seconds(metadata.get("annotations") or {})
    xds = directory / "xds"
    xds.mkdir(mode=0o700, exist_ok=True)
    envoy.write_first_files(xds)
    bootstrap = envoy.bootstrap(
        name=metadata["name"],
        namespace=metadata["namespace"],
        address=address,
        admin_socket=admin_socket,
        xds=xds,
        kind=image.name if image.name == "kube-proxy" else "router" if is_router else "sidecar",
        labels=metadata.get("labels") or {},
    )
    path = directory / "envoy.json"
    path.write_text(json.dumps(bootstrap), encoding="utf-8")
    return envoy.command_line(path, drain_time_seconds=drain_time)


def drain_time_seconds(annotations: Mapping[str, str]) -> int:
    """How long connections of a listener that was replaced stay open.

    Raises:
        ConfigError: the annotation is not YAML, or its `drainDuration` is no whole number of seconds above 0.
    """
    text = annotations.get(ANNOTATION) or ""
    try:
        config = yaml.safe_load(text) or {}
        value = config.get("drainDuration")
    except (yaml.YAMLError, AttributeError) as error:
        raise ConfigError(f"failed to unmarshal mesh config from annotation [{text}]: {error}") from error
    if value is None:
        return DRAIN_TIME_SECONDS
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(
            f"failed to unmarshal mesh config from annotation [{text}]: invalid google.protobuf.Duration value {value!r}"
        )
    if float(value[:-1]) < 0.001:
        raise ConfigError("invalid drain duration: duration must be greater than 1ms")
    if float(value[:-1]) % 1:
        raise ConfigError("drain time only supports durations to seconds precision")
    return int(found[1])
