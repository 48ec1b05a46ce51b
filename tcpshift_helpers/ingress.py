"""Where a route's gateway takes TCP connections: host and port, and the commands that find them.

For a VirtualService that is Istio's ingress gateway and its port named `tcp`, as in Istio's task; for a TCPRoute the
Gateway it names, once that is programmed, and the port of the listener.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tcpshift_helpers import conditions, public_threads, routes
from tcpshift_helpers.errors import ProfileError, UsageError, WaitTimeoutError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed
from tcpshift_helpers.routes import TcpRoute
from tcpshift_helpers.routes.tcp_route import programmed
from tcpshift_helpers.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

SYSTEM_NAMESPACE = "istio-system"
INGRESS_SERVICE = "istio-ingressgateway"
# Its pods, as Istio labels them.
INGRESS_PODS = "istio=ingressgateway"
TCP_PORT_NAME = "tcp"
TCP_PORT = 31400
_SERVICE_TYPE = "networking.istio.io/service-type"

# A command, and what it answered.
Step = tuple[str, str]


class Ingress(NamedTuple):
    """Where the gateway takes TCP connections. A notebook shows nothing for it, because it was printed."""

    host: str
    port: int

    def _ipython_display_(self) -> None:
        """Nothing: see the class."""


def find(
    cluster: Cluster,
    route: str = "tcp-echo",
    *,
    namespace: str = SYSTEM_NAMESPACE,
    service: str = INGRESS_SERVICE,
    timeout_seconds: float = 0.0,
) -> tuple[Ingress, list[Step]]:
    """The address, and each command with its answer; nothing is printed.

    `INGRESS_HOST` and `TCP_INGRESS_PORT` in the environment win over what the cluster says.

    Args:
        cluster: where.
        route: a VirtualService's name, or `tcproute/NAME`.
        namespace: of the ingress gateway's Service, for a VirtualService.
        service: its name.
        timeout_seconds: how long to wait for a Gateway of the Gateway API to be programmed.

    Raises:
        ProfileError: there is no such service, Gateway, port or address; the message says how to get it.
        NotFoundError: no such TCPRoute.
    """
    host, port = os.environ.get("INGRESS_HOST"), os.environ.get("TCP_INGRESS_PORT")
    if host and port:
        return Ingress(host, _port_number(port)), [("echo $INGRESS_HOST $TCP_INGRESS_PORT", f"{host} {port}")]
    if routes.kind_of(route)[0] is TcpRoute:
        found, steps = _of_tcp_route(cluster, route, timeout_seconds)
    else:
        found, steps = _of_service(cluster, namespace, service)
    chosen = Ingress(host or found.host, _port_number(port or found.port))
    # The last two answers are the host's and the port's.
    *before, (asked_host, _host), (asked_port, _port) = steps
    return chosen, [*before, (asked_host, chosen.host), (asked_port, str(chosen.port))]


def _service(cluster: Cluster, namespace: str, name: str) -> Object:
    service = cluster.read_or_none(cluster.api.resource_named("services"), name, namespace)
    if service is None:
        raise ProfileError(
            _(
                "There is no Service {name}: this Istio was installed without an ingress gateway (profile minimal or ambient).\n"
                "Add one, for instance with: istioctl install --set profile=demo"
            ).format(name=f"{namespace}/{name}")
        )
    return service


def _of_service(cluster: Cluster, namespace: str, name: str) -> tuple[Ingress, list[Step]]:
    """Of the ingress gateway's Service. Without a LoadBalancer's address it is the node port at a node's address."""
    service = _service(cluster, namespace, name)
    entry = tcp_port(service)
    path = f'{{.spec.ports[?(@.name=="{TCP_PORT_NAME}")].'
    address = (service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}])[0]
    if address:
        key = "ip" if address.get("ip") else "hostname"
        found = Ingress(address[key], entry["port"])
        return found, [
            _query(namespace, f"service {name}", f"{{.status.loadBalancer.ingress[0].{key}}}", found.host),
            _query(namespace, f"service {name}", path + "port}", found.port),
        ]
    if not entry.get("nodePort"):
        raise ProfileError(
            _(
                "Service {name} has no address yet (EXTERNAL-IP <pending>) and no node port.\n"
                "On kind or minikube start a load balancer (cloud-provider-kind, minikube tunnel), or set INGRESS_HOST and TCP_INGRESS_PORT.\n"
                "{threads}"
            ).format(name=f"{namespace}/{name}", threads=public_threads.sentence(public_threads.NO_ADDRESS))
        )
    return _node_port(cluster, service, entry, path)


def _of_tcp_route(cluster: Cluster, word: str, timeout_seconds: float) -> tuple[Ingress, list[Step]]:
    """Of the Gateway that a TCPRoute names first; a node port where its address is one within the cluster alone."""
    route = routes.named(cluster, word)
    assert isinstance(route, TcpRoute)  # noqa: S101 - kind_of said so
    attached = route.attached()
    if not attached:
        gateways = listed(gateway["metadata"]["name"] for gateway in route.gateways())
        raise ProfileError(
            _(
                "Gateway {gateways} has no TCP listener of the section or port that TCPRoute {route} names in spec.parentRefs. "
                "Correct the name there, or add the listener."
            ).format(gateways=gateways, route=route.name)
        )
    gateway, listener = attached[0]
    gateway, waited = _programmed(cluster, gateway, timeout_seconds)
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    address = str(gateway["status"]["addresses"][0]["value"])
    if ".svc." in address:
        service_name, _dot, rest = address.partition(".")
        service = cluster.read(cluster.api.resource_named("services"), service_name, rest.partition(".")[0])
        entry: Mapping[str, Any] = next(
            (one for one in service["spec"]["ports"] if one["port"] == listener["port"]), {}
        )
        if not entry.get("nodePort"):
            raise ProfileError(
                _(
                    "Gateway {name} has an address within the cluster alone: {address}.\n"
                    "Reach it from here with kubectl -n {namespace} port-forward service/{service} {port}, and set INGRESS_HOST and TCP_INGRESS_PORT."
                ).format(name=name, address=address, namespace=namespace, service=service_name, port=listener["port"])
            )
        found, steps = _node_port(cluster, service, entry, f"{{.spec.ports[?(@.port=={listener['port']})].")
        return found, [waited, *steps]
    found = Ingress(address, int(listener["port"]))
    path = f'{{.spec.listeners[?(@.name=="{listener["name"]}")].port}}'
    return found, [
        waited,
        _query(namespace, f"gtw {name}", "{.status.addresses[0].value}", found.host),
        _query(namespace, f"gtw {name}", path, found.port),
    ]


def _programmed(cluster: Cluster, gateway: Object, timeout_seconds: float) -> tuple[Object, Step]:
    """The Gateway when it is programmed and has an address, and the command that waits for it."""
    resource = cluster.api.resource_for_kind(gateway["apiVersion"], gateway["kind"])
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    wanted, deadline = conditions.Wanted("condition=programmed"), time.monotonic() + timeout_seconds
    try:
        seen = wait_until(cluster, resource, name, wanted, namespace=namespace, deadline=deadline) or {}
    except WaitTimeoutError as error:
        raise ProfileError(_why_not_programmed(cluster.read(resource, name, namespace))) from error
    command = f"kubectl -n {namespace} wait --for=condition=programmed gtw {name} --timeout={timeout_seconds:g}s"
    return seen, (command, f"{resource.word}/{name} condition met")


def _why_not_programmed(gateway: Object) -> str:
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    told = programmed(gateway)
    if told.reason in {"", "Pending", "Programmed"}:
        return _(
            "No controller has looked at Gateway {name} of class {class_name} as it is now.\n"
            "Is istiod running, and is there such a class? kubectl get gatewayclass"
        ).format(name=name, class_name=gateway["spec"]["gatewayClassName"])
    return _(
        "Gateway {name} is not programmed ({reason}): {message}\n"
        "Its pod may need another moment: kubectl -n {namespace} get pods. If its address stays pending: "
        "On kind or minikube start a load balancer (cloud-provider-kind, minikube tunnel); "
        "or use a node port (kubectl -n {namespace} annotate gtw {name} {annotation}=NodePort); "
        "or set INGRESS_HOST and TCP_INGRESS_PORT."
    ).format(name=name, reason=told.reason, message=told.message, namespace=namespace, annotation=_SERVICE_TYPE)


def require_tcp_port(cluster: Cluster) -> None:
    """See that the ingress gateway's Service has the port that the lessons need, unless the environment names another way in.

    Raises:
        ProfileError: there is no such Service or port; the message says how to get it.
    """
    if not (os.environ.get("INGRESS_HOST") and os.environ.get("TCP_INGRESS_PORT")):
        tcp_port(_service(cluster, SYSTEM_NAMESPACE, INGRESS_SERVICE))


def tcp_port(gateway: Object) -> dict[str, Any]:
    """The port named `tcp` of a gateway's Service.

    Raises:
        ProfileError: there is none, or it leads to another port of the gateway, with the way to mend it.
    """
    ports = gateway["spec"].get("ports") or []
    namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
    for index, entry in enumerate(ports):
        if entry.get("name") == TCP_PORT_NAME:
            leads_to = entry.get("targetPort", entry["port"])
            if isinstance(leads_to, int) and leads_to != TCP_PORT:
                raise _leads_elsewhere(f"{namespace}/{name}", index, leads_to)
            return dict(entry)
    there = listed(f"{entry.get('name', '-')} {entry['port']}" for entry in ports)
    patch = [
        {
            "op": "add",
            "path": "/spec/ports/-",
            "value": {"name": TCP_PORT_NAME, "port": TCP_PORT, "targetPort": TCP_PORT, "protocol": "TCP"},
        }
    ]
    raise ProfileError(
        _(
            'Service {service} has no port named "{wanted}"; it has {ports}. Only Istio\'s demo profile exposes {port}.\n'
            "Add it with: {command}\n"
            "{threads}"
        ).format(
            service=f"{namespace}/{name}",
            wanted=TCP_PORT_NAME,
            ports=there or _("none"),
            port=TCP_PORT,
            threads=public_threads.sentence(public_threads.NO_TCP_PORT),
            command=f"kubectl -n {namespace} patch service {name} --type=json -p '{json.dumps(patch)}'",
        )
    )


def _leads_elsewhere(service: str, index: int, leads_to: int) -> ProfileError:
    patch = [{"op": "replace", "path": f"/spec/ports/{index}/targetPort", "value": TCP_PORT}]
    namespace, _slash, name = service.partition("/")
    return ProfileError(
        _(
            'The port named "{wanted}" of Service {service} leads to port {there} of the gateway; the lessons open {port}.\n'
            "Correct it with: {command}"
        ).format(
            wanted=TCP_PORT_NAME,
            service=service,
            there=leads_to,
            port=TCP_PORT,
            command=f"kubectl -n {namespace} patch service {name} --type=json -p '{json.dumps(patch)}'",
        )
    )


def _node_port(cluster: Cluster, service: Object, entry: Mapping[str, Any], path: str) -> tuple[Ingress, list[Step]]:
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    found = Ingress(_node_address(cluster, service), int(entry["nodePort"]))
    return found, [
        ("kubectl get nodes -o wide", found.host),
        _query(namespace, f"service {name}", path + "nodePort}", found.port),
    ]


def _node_address(cluster: Cluster, service: Object) -> str:
    selector = ",".join(f"{key}={value}" for key, value in (service["spec"].get("selector") or {}).items())
    pods = cluster.list(cluster.api.resource_named("pods"), service["metadata"]["namespace"], selector=selector)
    hosting = {pod["spec"].get("nodeName") for pod in pods}
    nodes = cluster.list(cluster.api.resource_named("nodes"))
    nodes.sort(key=lambda node: (node["metadata"]["name"] not in hosting, node["metadata"]["name"]))
    for kind in ("ExternalIP", "InternalIP", "Hostname"):
        for node in nodes:
            for entry in node.get("status", {}).get("addresses") or []:
                if entry["type"] == kind:
                    return str(entry["address"])
    raise ProfileError(_("No node of this cluster has an address. Set INGRESS_HOST to one that reaches the gateway."))


def _port_number(text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise UsageError(_("TCP_INGRESS_PORT={text!r} is no port number.").format(text=text)) from None


def _query(namespace: str, what: str, path: str, answer: object) -> Step:
    return f"kubectl -n {namespace} get {what} -o jsonpath='{path}'", str(answer)
