"""Which container of a pod is meant where none is named, as kubectl chooses it and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def chosen(cluster: Cluster, pod: str, namespace: str) -> str:
    """The container that is meant; prints what kubectl would say about the choice.

    Raises:
        NotFoundError: there is no such pod.
    """
    name, said = default_container(cluster.read(cluster.api.resource_named("pods"), pod, namespace))
    if said:
        print(said)
    return name


def default_container(pod: Object) -> tuple[str, str]:
    """The container that kubectl means where none is named.

    Returns:
        Its name, and what kubectl says about that; nothing where there is no choice, or the pod itself names one.

    Source: kubectl 1.34 pkg/cmd/util/podcmd/podcmd.go (FindOrDefaultContainerByName, AllContainerNames).
    """
    names = [str(container["name"]) for container in pod["spec"]["containers"]]
    before = [str(container["name"]) for container in pod["spec"].get("initContainers") or []]
    named = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER)
    if named in (*names, *before):
        return str(named), ""
    every = [*names, *(f"{name} (init)" for name in before)]
    said = f'Defaulted container "{names[0]}" out of: {", ".join(every)}' if len(every) > 1 else ""
    return names[0], said
