"""Where in the kubelet the logs of a container, and streams into it, are.

Pure.

Source: kubernetes 1.34 pkg/registry/core/pod/strategy.go (validateContainer, streamLocation, PortForwardLocation, streamParams).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tcpshift_helpers.sandbox.apiserver.request import truthy, unsigned
from tcpshift_helpers.sandbox.apiserver.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Object = dict[str, Any]

CONNECTED = frozenset({"exec", "attach", "portforward"})
_PARAMETERS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
_PORT_BITS = 16


def container_of(pod: Object, asked: str) -> str:
    """The container that is meant.

    Raises:
        StatusError: 400, there is no such container, or there are several and none was named.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    main = [container["name"] for container in spec.get("containers") or []]
    every = [*(container["name"] for container in spec.get("initContainers") or []), *main]
    if asked:
        if asked not in every:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(main) == 1:
        return str(main[0])
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(every)}]")


def stream_path(pod: Object, subresource: str, query: Mapping[str, str], commands: Sequence[str]) -> str:
    """The kubelet's path for `exec` or `attach`.

    Raises:
        StatusError: 400, as `container_of`, or the pod is on no node.
    """
    container = container_of(pod, query.get("container", ""))
    _check_node(pod)
    asked = [(kubelet_name, "1") for name, kubelet_name in _PARAMETERS.items() if truthy(query.get(name))]
    asked += [("command", word) for word in (commands if subresource == "exec" else ())]
    metadata = pod["metadata"]
    path = f"/{subresource}/{quote(metadata['namespace'])}/{quote(metadata['name'])}/{quote(container)}"
    return f"{path}?{urlencode(asked)}"


def port_forward_path(pod: Object, ports: Sequence[str]) -> str:
    """The kubelet's path for a port-forward.

    Raises:
        StatusError: 400, a port is no number, or the pod is on no node.
    """
    numbers = [_number(part) for text in ports for part in text.split(",")]
    _check_node(pod)
    metadata = pod["metadata"]
    path = f"/portForward/{quote(metadata['namespace'])}/{quote(metadata['name'])}"
    return f"{path}?{urlencode({'port': ','.join(map(str, numbers))})}" if numbers else path


def _check_node(pod: Object) -> None:
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")


def _number(text: str) -> int:
    try:
        return unsigned(text, _PORT_BITS)
    except ValueError as error:
        raise bad_request(f"cannot convert to []int32: {error}") from None
