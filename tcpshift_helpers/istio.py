"""Istio for the lesson: weights of a VirtualService, the ingress gateway's address, injection.

Whether a change is in force yet is asked in in_force.py and offered here. Nothing here talks to istiod: everything
goes through the Kubernetes API, so it works the same on every cluster.
"""

from __future__ import annotations

import copy
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tcpshift_helpers import kubectl
from tcpshift_helpers.api import JSON_PATCH, Object, Resource
from tcpshift_helpers.errors import NotFoundError, ProfileError, UsageError
from tcpshift_helpers.in_force import destination_rules, wait_in_force
from tcpshift_helpers.injection import kube_inject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.connection import Cluster

__all__ = [
    "Ingress",
    "ingress",
    "kube_inject",
    "label_namespace_for_injection",
    "set_weights",
    "wait_in_force",
    "weights",
]

SYSTEM_NAMESPACE = "istio-system"
INGRESS_SERVICE = "istio-ingressgateway"
TCP_PORT_NAME = "tcp"
TCP_PORT = 31400
_LABEL = "istio-injection"
_PORT_PATH = '{.spec.ports[?(@.name=="tcp")].'


class Ingress(NamedTuple):
    """Where the ingress gateway takes TCP connections. A notebook shows nothing for it, because it was printed."""

    host: str
    port: int

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


def weights(cluster: Cluster, name: str = "tcp-echo") -> dict[str, int]:
    """The weights a VirtualService sets, by subset; a lone destination without a weight counts as 100.

    Raises:
        NotFoundError: no such VirtualService.
        UsageError: it has no TCP route by subset.
    """
    return weights_of(_read(cluster, name))


def weights_of(virtual_service: Object) -> dict[str, int]:
    """`weights`, of an object that was read already."""
    name = virtual_service["metadata"]["name"]
    result: dict[str, int] = {}
    for destination in _first_route(virtual_service):
        subset = destination.get("destination", {}).get("subset")
        if not subset:
            raise UsageError(
                f"VirtualService {name} routes to {destination.get('destination', {}).get('host')} without a subset, so there are no weights by version."
            )
        result[subset] = result.get(subset, 0) + int(destination.get("weight", 0))
    if len(result) == 1 and not any(result.values()):
        return dict.fromkeys(result, 100)
    return result


def set_weights(cluster: Cluster, name: str, new: Mapping[str, int]) -> None:
    """State the whole split of a VirtualService's TCP route: subsets that are not named get nothing.

    Prints the `kubectl patch` it stands for. Sums other than 100 are valid, as in Istio: weights are proportions.

    Args:
        cluster: where.
        name: the VirtualService.
        new: subset to weight, such as `{"v1": 80, "v2": 20}`.

    Raises:
        UsageError: a weight is negative or no whole number, all are zero, or a subset does not exist; nothing is changed.
        NotFoundError: no such VirtualService.
    """
    _check_weights(new)
    virtual_service = _read(cluster, name)
    host = _first_route(virtual_service)[0]["destination"]["host"]
    patch = []
    for index, entry in enumerate(virtual_service["spec"]["tcp"]):
        route = entry.get("route") or []
        # A route of another port may lead to another service; its weights are not meant.
        if route and route[0]["destination"]["host"] == host:
            value = _split(cluster, route, new)
            patch.append({"op": "replace", "path": f"/spec/tcp/{index}/route", "value": value})
    print(
        f"$ kubectl -n {cluster.namespace} patch virtualservice {name} --type=json -p '{json.dumps(patch, separators=(',', ':'))}'"
    )
    resource = _virtual_services(cluster)
    cluster.patch(resource, name, patch, content_type=JSON_PATCH)
    print(f"{resource.word}/{name} patched")


def ingress(cluster: Cluster, *, namespace: str = SYSTEM_NAMESPACE, service: str = INGRESS_SERVICE) -> Ingress:
    """Host and port of the ingress gateway's port named `tcp`, found as the task does, each command printed.

    `INGRESS_HOST` and `TCP_INGRESS_PORT` in the environment win over what the cluster says. Without a LoadBalancer
    address the node port at a node's address is taken.

    Raises:
        ProfileError: there is no such service, port or address; the message says how to get it.
    """
    found, commands = find_ingress(cluster, namespace=namespace, service=service)
    for command, answer in commands:
        print(f"$ {command}\n{answer}")
    return found


def find_ingress(
    cluster: Cluster, *, namespace: str = SYSTEM_NAMESPACE, service: str = INGRESS_SERVICE
) -> tuple[Ingress, list[tuple[str, str]]]:
    """`ingress` without printing: the address, and each command with its answer.

    Raises:
        ProfileError: as `ingress`.
    """
    host, port = os.environ.get("INGRESS_HOST"), os.environ.get("TCP_INGRESS_PORT")
    if host and port:
        return Ingress(host, _port_number(port)), [("echo $INGRESS_HOST $TCP_INGRESS_PORT", f"{host} {port}")]
    resource = cluster.api.resource_named("services")
    gateway = cluster.read_or_none(resource, service, namespace)
    if gateway is None:
        raise ProfileError(
            f"There is no Service {namespace}/{service}: this Istio was installed without an ingress gateway (profile minimal or ambient).\n"
            "Add one, for instance with: istioctl install --set profile=demo"
        )
    entry = tcp_port(gateway)
    address = (gateway.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}])[0]
    if address:
        key = "ip" if address.get("ip") else "hostname"
        where = f"{{.status.loadBalancer.ingress[0].{key}}}"
        found = Ingress(host or address[key], _port_number(port or entry["port"]))
        return found, [
            _query(namespace, service, where, found.host),
            _query(namespace, service, _PORT_PATH + "port}", found.port),
        ]
    if not entry.get("nodePort"):
        raise ProfileError(
            f"Service {namespace}/{service} has no address yet (EXTERNAL-IP <pending>) and no node port.\n"
            "On kind or minikube start a load balancer (cloud-provider-kind, minikube tunnel), or set INGRESS_HOST and TCP_INGRESS_PORT. "
            "Others met this: istio/istio#27283, istio/istio#40324."
        )
    found = Ingress(host or _node_address(cluster, namespace, gateway), _port_number(port or entry["nodePort"]))
    return found, [
        ("kubectl get nodes -o wide", found.host),
        _query(namespace, service, _PORT_PATH + "nodePort}", found.port),
    ]


def tcp_port(gateway: Object) -> dict[str, Any]:
    """The port named `tcp` of a gateway's Service.

    Raises:
        ProfileError: there is none, with the way to add it.
    """
    ports = gateway["spec"].get("ports") or []
    for entry in ports:
        if entry.get("name") == TCP_PORT_NAME:
            return dict(entry)
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    there = ", ".join(f"{entry.get('name', '-')} {entry['port']}" for entry in ports)
    patch = [
        {
            "op": "add",
            "path": "/spec/ports/-",
            "value": {"name": TCP_PORT_NAME, "port": TCP_PORT, "targetPort": TCP_PORT, "protocol": "TCP"},
        }
    ]
    raise ProfileError(
        f'Service {namespace}/{name} has no port named "{TCP_PORT_NAME}"; it has {there or "none"}. '
        f"Only Istio's demo profile exposes {TCP_PORT}.\n"
        f"Add it with: kubectl -n {namespace} patch service {name} --type=json -p '{json.dumps(patch)}'\n"
        "Others met this: istio/istio.io#7270, istio/istio#19995, istio/istio#21471."
    )


def label_namespace_for_injection(cluster: Cluster, namespace: str | None = None) -> None:
    """Label a namespace so that new pods in it get a sidecar; pods there already stay as they are."""
    kubectl.label(cluster, "namespace", namespace or cluster.namespace, {_LABEL: "enabled"})


def _check_weights(new: Mapping[str, int]) -> None:
    if not new:
        raise UsageError('No weights were given. Write for instance {"v1": 80, "v2": 20}.')
    for subset, weight in new.items():
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise UsageError(
                f"The weight of {subset} is {weight!r}: weights are whole numbers, such as 80. Nothing was changed."
            )
        if weight < 0:
            raise UsageError(f"The weight of {subset} is {weight} < 0: weights are 0 or more. Nothing was changed.")
    if not any(new.values()):
        raise UsageError(
            "total destination weight = 0: give at least one subset a weight above 0. Nothing was changed."
        )


def _virtual_services(cluster: Cluster) -> Resource:
    try:
        return cluster.api.resource_named("virtualservices.networking.istio.io")
    except NotFoundError as error:
        raise ProfileError(
            "This cluster does not know VirtualService: Istio is not installed. See https://istio.io/latest/docs/setup/"
        ) from error


def _read(cluster: Cluster, name: str) -> Object:
    try:
        return cluster.read(_virtual_services(cluster), name)
    except NotFoundError as error:
        advice = 'Apply one first, for instance: kubectl.apply(cluster, "tcp-echo-all-v1.yaml")'
        raise NotFoundError(error.code, error.reason, error.message, advice) from error


def _split(cluster: Cluster, route: list[dict[str, Any]], new: Mapping[str, int]) -> list[dict[str, Any]]:
    """A route with these weights, to the destinations it had and, where a subset is new in it, to others like them."""
    first = route[0]["destination"]
    known = {one["destination"].get("subset"): one["destination"] for one in route}
    missing = [subset for subset in new if subset not in known]
    if missing:
        there = _subsets_of(cluster, first["host"])
        unknown = [subset for subset in missing if subset not in there]
        if unknown:
            raise UsageError(
                f"There is no subset {', '.join(unknown)} of {first['host']}. Subsets there are: {', '.join(there) or 'none'}. "
                "Add it to the DestinationRule first, or correct the name; nothing was changed."
            )
        known |= {subset: {**first, "subset": subset} for subset in missing}
    return [{"destination": known[subset], "weight": weight} for subset, weight in new.items()]


def _first_route(virtual_service: Object) -> list[dict[str, Any]]:
    for entry in virtual_service["spec"].get("tcp") or []:
        if entry.get("route"):
            return copy.deepcopy(list(entry["route"]))
    raise UsageError(
        f"VirtualService {virtual_service['metadata']['name']} has no TCP route, so there is no split of TCP connections to look at."
    )


def _subsets_of(cluster: Cluster, host: str) -> list[str]:
    return [
        subset["name"] for rule in destination_rules(cluster, [host]) for subset in rule["spec"].get("subsets") or []
    ]


def _node_address(cluster: Cluster, namespace: str, gateway: Object) -> str:
    selector = ",".join(f"{key}={value}" for key, value in (gateway["spec"].get("selector") or {}).items())
    pods = cluster.list(cluster.api.resource_named("pods"), namespace, selector=selector)
    hosting = {pod["spec"].get("nodeName") for pod in pods}
    nodes = cluster.list(cluster.api.resource_named("nodes"))
    nodes.sort(key=lambda node: (node["metadata"]["name"] not in hosting, node["metadata"]["name"]))
    for kind in ("ExternalIP", "InternalIP", "Hostname"):
        for node in nodes:
            for entry in node.get("status", {}).get("addresses") or []:
                if entry["type"] == kind:
                    return str(entry["address"])
    raise ProfileError("No node of this cluster has an address. Set INGRESS_HOST to one that reaches the gateway.")


def _port_number(text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise UsageError(f"TCP_INGRESS_PORT={text!r} is no port number.") from None


def _query(namespace: str, service: str, path: str, answer: object) -> tuple[str, str]:
    return f"kubectl -n {namespace} get service {service} -o jsonpath='{path}'", str(answer)
