"""The environment, command and arguments of a container, from its spec and the objects it refers to.

Not done: `resourceFieldRef` of limits.

Source: kubernetes 1.34 pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables), third_party/forked/golang/expansion.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, SECRETS, ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcpshift_helpers.sandbox.client import Client

# What a program needs of the host to run at all; nothing else of the agent's environment reaches a container.
_FROM_HOST = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")
_KEY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """A container refers to something that is not there; `str()` of it is the kubelet's message."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable of that name; unknown ones stay as written, `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return variables.get(match.group(2), match.group(0))

    return _REFERENCE.sub(value, text)


def expand_all(words: Sequence[str] | None, variables: Mapping[str, str]) -> list[str]:
    """Each word expanded; an empty list for None."""
    return [expand(word, variables) for word in words or []]


def from_host() -> dict[str, str]:
    """The few variables every container gets from the host."""
    return {name: os.environ[name] for name in _FROM_HOST if name in os.environ}


async def of_container(
    client: Client, pod: Mapping[str, Any], container: Mapping[str, Any], links: Mapping[str, str]
) -> dict[str, str]:
    """The variables that the container's `envFrom` and `env` ask for, and those of Services that they do not replace.

    Args:
        client: reads the objects that are referred to.
        pod: with its addresses.
        container: of the pod.
        links: variables of Services, see `service_links`.

    Raises:
        ConfigError: a ConfigMap, a Secret or a key in one is missing.
        ApiError, UnreachableError: they could not be read.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for resource, field in ((CONFIG_MAPS, "configMapRef"), (SECRETS, "secretRef")):
            if field in source:
                data = await _data(client, resource, pod, source[field])
                variables |= {source.get("prefix", "") + key: value for key, value in data.items()}
    for entry in container.get("env") or []:
        if "valueFrom" in entry:
            value = await _value_from(client, pod, entry["valueFrom"])
        else:
            value = expand(entry.get("value") or "", {**links, **variables})
        if value is not None:
            variables[entry["name"]] = value
    return {**links, **variables}


async def _value_from(client: Client, pod: Mapping[str, Any], source: Mapping[str, Any]) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"])
    for resource, field, kind in ((CONFIG_MAPS, "configMapKeyRef", "ConfigMap"), (SECRETS, "secretKeyRef", "Secret")):
        if field not in source:
            continue
        reference = source[field]
        data = await _data(client, resource, pod, reference)
        if reference["key"] in data:
            return data[reference["key"]]
        if reference.get("optional"):
            return None
        where = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {kind} {where}")
    return ""


async def _data(client: Client, resource: Any, pod: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, str]:
    try:
        obj = await client.get(resource, reference["name"], pod["metadata"]["namespace"])
    except ApiError as error:
        if error.code != 404:
            raise
        if reference.get("optional"):
            return {}
        raise ConfigError(
            error.message.removeprefix(f"{resource.plural} ").join((resource.plural[:-1] + " ", ""))
        ) from error
    data = dict(obj.get("data") or {})
    if resource is SECRETS:
        data = {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    return data


def field_value(pod: Mapping[str, Any], path: str) -> str:
    """A field of the pod, as `fieldRef` names it; empty if it is not set."""
    match = _KEY.fullmatch(path)
    if match:
        return str((pod["metadata"].get(match.group(1)) or {}).get(match.group(2), ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path == "status.podIPs":
        return ",".join(entry["ip"] for entry in value or [])
    return "" if value is None else str(value)
