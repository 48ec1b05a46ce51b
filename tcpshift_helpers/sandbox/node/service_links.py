"""The variables by which a container finds Services: `<SERVICE>_SERVICE_HOST`, `<SERVICE>_SERVICE_PORT`, and Docker's old ones.

Pure. They are of the moment in which the container starts: a Service that is made later is not among them.

Source: kubernetes 1.34 pkg/kubelet/envvars, pkg/kubelet/kubelet_pods.go (getServiceEnvVarMap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Told to every container, whatever its namespace and whether it wants links or not.
_API_SERVER = ("default", "kubernetes")


def variables(services: Iterable[Mapping[str, Any]], namespace: str, *, enabled: bool) -> dict[str, str]:
    """What a container is told of Services.

    Args:
        services: of the whole cluster.
        namespace: of the container's pod.
        enabled: the pod's `enableServiceLinks`.
    """
    listed: dict[str, Mapping[str, Any]] = {}
    for service in services:
        key = service["metadata"]["namespace"], service["metadata"]["name"]
        if service["spec"].get("clusterIP") in (None, "", "None"):
            continue
        if enabled and key[0] == namespace:
            listed[key[1]] = service
        elif key == _API_SERVER:
            listed.setdefault(key[1], service)
    return {name: value for key in sorted(listed) for name, value in _of(listed[key])}


def _of(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    prefix, address, ports = _name(service["metadata"]["name"]), service["spec"]["clusterIP"], service["spec"]["ports"]
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{_name(port['name'])}", str(port["port"])
    for index, port in enumerate(ports):
        number, protocol = port["port"], port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield link, url
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", str(number)
        yield f"{link}_ADDR", address


def _name(text: str) -> str:
    return text.replace("-", "_").upper()
