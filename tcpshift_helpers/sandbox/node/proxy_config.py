"""What a pod's annotation `proxy.istio.io/config` sets for its proxy: the drain time, and no other field.

Source: istio.io/istio, pilot/cmd/pilot-agent/config (the annotation wins over the mesh's defaults) and
pkg/config/validation/agent (ValidateDrainDuration).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from tcpshift_helpers.sandbox.envoy import DRAIN_TIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

ANNOTATION = "proxy.istio.io/config"
_DURATION = re.compile(r"(\d+)(\.\d+)?s")


class ProxyConfigError(Exception):
    """The annotation cannot be used; `str()` of it is what pilot-agent would say before it ends."""


def drain_time_seconds(annotations: Mapping[str, str]) -> int:
    """How long connections of a listener that was replaced stay open.

    Raises:
        ProxyConfigError: the annotation is not YAML, or its `drainDuration` is no whole number of seconds above 0.
    """
    text = annotations.get(ANNOTATION) or ""
    try:
        config = yaml.safe_load(text) or {}
        value = config.get("drainDuration")
    except (yaml.YAMLError, AttributeError) as error:
        raise ProxyConfigError(f"failed to unmarshal mesh config from annotation [{text}]: {error}") from error
    if value is None:
        return DRAIN_TIME_SECONDS
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ProxyConfigError(
            f"failed to unmarshal mesh config from annotation [{text}]: invalid google.protobuf.Duration value {value!r}"
        )
    if float(value[:-1]) < 0.001:
        raise ProxyConfigError("invalid drain duration: duration must be greater than 1ms")
    if float(value[:-1]) % 1:
        raise ProxyConfigError("drain time only supports durations to seconds precision")
    return int(found[1])
