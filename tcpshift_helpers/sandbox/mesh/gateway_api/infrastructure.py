"""What istiod makes for a Gateway: ServiceAccount, Deployment and Service, owned by it. Pure.

Names, labels, annotations, owners, selector and the Service are the real ones. The proxy's container is shorter: what
serves certificates, tokens and metrics is left out, as in the ingress gateway's Deployment, and it is asked for
readiness every second.

Source: istio.io/istio, 1.31 line: manifests/charts/istio-control/istio-discovery/files/kube-gateway.yaml,
gatewaycommon/deploymentcontroller.go; recorded in tests/unit/sandbox/mesh/recorded/gateway_api.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh.gateway_api.addresses import MANAGED, NAME_OVERRIDE, infrastructure_name
from tcpshift_helpers.sandbox.mesh.gateway_api.classes import API_VERSION, CONTROLLER, GROUP
from tcpshift_helpers.sandbox.mesh.injection import PROXY_CONTAINER, PROXY_IMAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    Obj = Mapping[str, Any]
    Made = dict[str, Any]

# The value of the label `MANAGED`.
MANAGED_BY = CONTROLLER.replace("/", "-")
_GATEWAY_NAME = f"{GROUP}/gateway-name"
_SERVICE_ACCOUNT = "gateway.istio.io/service-account"
_SERVICE_TYPE = "networking.istio.io/service-type"
_STATUS_PORT = 15021
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        NAME_OVERRIDE,
        _SERVICE_ACCOUNT,
        "gateway.istio.io/controller-version",
    }
)
_LONGEST_PORT_NAME = 63


def objects(gateway: Obj) -> list[Made]:
    """The three objects, in the order in which they are made."""
    name = infrastructure_name(gateway)
    account = str(_annotations(gateway).get(_SERVICE_ACCOUNT) or name)
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(gateway, account)},
        _deployment(gateway, name, account),
        _service(gateway, name),
    ]


def _annotations(gateway: Obj) -> Mapping[str, str]:
    return gateway["metadata"].get("annotations") or {}


def _copied(gateway: Obj, field: str) -> dict[str, str]:
    """Labels or annotations for all three: those of `infrastructure`, else the Gateway's own."""
    own = (gateway["spec"].get("infrastructure") or {}).get(field)
    if own is not None:
        return {key: value for key, value in own.items() if not key.startswith(f"{GROUP}/")}
    return dict(gateway["metadata"].get(field) or {})


def _labels(gateway: Obj) -> dict[str, str]:
    return {
        **_copied(gateway, "labels"),
        _GATEWAY_NAME: gateway["metadata"]["name"],
        f"{GROUP}/gateway-class-name": gateway["spec"]["gatewayClassName"],
        MANAGED: MANAGED_BY,
    }


def _shared_annotations(gateway: Obj) -> dict[str, str]:
    return {key: value for key, value in _copied(gateway, "annotations").items() if key not in _NOT_COPIED}


def _metadata(gateway: Obj, name: str) -> Made:
    owner = {
        "apiVersion": API_VERSION,
        "kind": "Gateway",
        "name": gateway["metadata"]["name"],
        "uid": gateway["metadata"]["uid"],
    }
    metadata: Made = {
        "name": name,
        "namespace": gateway["metadata"]["namespace"],
        "labels": _labels(gateway),
        "ownerReferences": [owner],
    }
    annotations = _shared_annotations(gateway)
    return {**metadata, "annotations": annotations} if annotations else metadata


def _selector(gateway: Obj) -> dict[str, str]:
    return {_GATEWAY_NAME: gateway["metadata"]["name"]}


def _deployment(gateway: Obj, name: str, account: str) -> Made:
    labels = {
        "sidecar.istio.io/inject": "false",
        "service.istio.io/canonical-name": name,
        "service.istio.io/canonical-revision": "latest",
        **_labels(gateway),
    }
    annotations = {
        **_shared_annotations(gateway),
        "istio.io/rev": "default",
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": "15020",
        "prometheus.io/scrape": "true",
    }
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 5,
            "containers": [_proxy()],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(gateway, name),
        "spec": {"selector": {"matchLabels": _selector(gateway)}, "template": template},
    }


def _proxy() -> Made:
    return {
        "name": PROXY_CONTAINER,
        "image": PROXY_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            *("proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local"),
            *("--proxyLogLevel", "warning", "--proxyComponentLogLevel", "misc:error"),
            *("--log_output_level", "default:info"),
        ],
        "ports": [
            {"name": "metrics", "containerPort": 15020, "protocol": "TCP"},
            {"name": "status-port", "containerPort": _STATUS_PORT, "protocol": "TCP"},
            {"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": _STATUS_PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 3,
            "failureThreshold": 30,
        },
    }


def _service(gateway: Obj, name: str) -> Made:
    kind = _annotations(gateway).get(_SERVICE_TYPE, "LoadBalancer")
    spec: Made = {
        "type": kind,
        "selector": _selector(gateway),
        "ports": _ports(gateway),
        "ipFamilyPolicy": "PreferDualStack",
    }
    addresses = gateway["spec"].get("addresses")
    if addresses and kind == "LoadBalancer":
        spec["loadBalancerIP"] = addresses[0]["value"]
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(gateway, name), "spec": spec}


def _ports(gateway: Obj) -> list[Made]:
    """The status port, and each port of a listener once, named after the first that has it."""
    ports = [{"name": "status-port", "port": _STATUS_PORT, "protocol": "TCP", "appProtocol": "tcp"}]
    numbers: set[int] = set()
    names = {"status-port"}
    for listener in gateway["spec"].get("listeners") or []:
        number = int(listener["port"])
        if number in numbers:
            continue
        numbers.add(number)
        name = _port_name(str(listener["name"]), number, names)
        names.add(name)
        ports.append(
            {"name": name, "port": number, "protocol": "TCP", "appProtocol": str(listener["protocol"]).lower()}
        )
    return ports


def _port_name(listener: str, number: int, taken: set[str]) -> str:
    name = listener.replace(".", "-")[:_LONGEST_PORT_NAME]
    candidate, suffix = name, f"-{number}"
    while candidate in taken:
        candidate = name[: _LONGEST_PORT_NAME - len(suffix)] + suffix
        suffix += "x"
    return candidate
