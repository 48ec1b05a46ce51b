"""What is found wrong with a TCP route: the very lines of the real istioctl, about the same objects."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import analysis, kubectl, manifests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.connection import Cluster

NEEDS_ISTIOCTL = pytest.mark.skipif(
    shutil.which("istioctl") is None or "TCPSHIFT_TEST_KUBECONFIG" not in os.environ,
    reason="needs istioctl and a real API server, which TCPSHIFT_TEST_KUBECONFIG names; the lines below are what it said",
)
NAMESPACE = "lesson"
PORT_IS_NOT_EXPOSED = (
    f"Warning [IST0162] (Gateway {NAMESPACE}/tcp-echo-gateway) The gateway is listening on a target port (port 31499) that "
    "is not defined in the Service associated with its workload instances (Pod selector istio=ingressgateway). If you need "
    "to access the gateway port through the gateway Service, it will not be available."
)


def pod(name: str, namespace: str = NAMESPACE, *containers: str, **labels: str) -> Object:
    spec = {"containers": [{"name": each, "image": "an-image"} for each in containers]}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def lesson() -> list[Object]:
    """Everything as it should be after the rule that sends all to v1."""
    namespace = {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}}
    gateway_service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "istio-ingressgateway", "namespace": "istio-system"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "ports": [{"name": "tcp", "port": 31400, "targetPort": 31400, "protocol": "TCP"}],
        },
    }
    course = [*manifests.load("tcp-echo-services.yaml").objects, *manifests.load("tcp-echo-all-v1.yaml").objects]
    for obj in course:
        obj["metadata"]["namespace"] = NAMESPACE
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": namespace},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}},
        gateway_service,
        pod("istio-ingressgateway-1", "istio-system", "istio-proxy", istio="ingressgateway"),
        *course,
        *(pod(f"tcp-echo-{one}", NAMESPACE, "tcp-echo", "istio-proxy", app="tcp-echo", version=one) for one in ("v1", "v2")),
    ]  # fmt: skip


def of(objects: list[Object], kind: str, name: str = "") -> Object:
    return next(obj for obj in objects if obj["kind"] == kind and name in obj["metadata"]["name"])


def destination(objects: list[Object]) -> dict[str, Any]:
    found: dict[str, Any] = of(objects, "VirtualService")["spec"]["tcp"][0]["route"][0]["destination"]
    return found


def without(kind: str, name: str = "") -> Callable[[list[Object]], None]:
    return lambda objects: objects.remove(of(objects, kind, name))


def rival(objects: list[Object]) -> None:
    other = copy.deepcopy(of(objects, "Gateway"))
    other["metadata"] = {"name": "other", "namespace": "elsewhere"}
    labels = {"istio-injection": "disabled"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere", "labels": labels}}
    objects += [namespace, other]


def refused_by_envoy(objects: list[Object]) -> None:
    condition = {"type": "Reconciled", "status": "False", "reason": "Rejected", "message": "Envoy says no"}
    of(objects, "VirtualService")["status"] = {"conditions": [condition]}


VIRTUAL_SERVICE = f"(VirtualService {NAMESPACE}/tcp-echo)"
FAULTS: dict[str, tuple[Callable[[list[Object]], Any], list[str]]] = {
    "none": (lambda objects: None, []),
    "a subset that nobody defines": (
        lambda objects: destination(objects).update(subset="v3"),
        [f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host+subset in destinationrule not found: "tcp-echo+v3"'],
    ),
    "no DestinationRule": (
        without("DestinationRule"),
        [f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host+subset in destinationrule not found: "tcp-echo+v1"'],
    ),
    "a host that is not there": (
        lambda objects: destination(objects).update(host="tcp-ecko"),
        [
            f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host not found: "tcp-ecko"',
            f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host+subset in destinationrule not found: "tcp-ecko+v1"',
        ],
    ),
    "a host in full": (
        lambda objects: destination(objects).update(host=f"tcp-echo.{NAMESPACE}.svc.cluster.local"),
        [],
    ),
    "a port that the Service does not have": (
        lambda objects: destination(objects).update(port={"number": 9009}),
        [f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host:port not found: "tcp-echo:9009"'],
    ),
    "no port, where the Service has two": (
        lambda objects: destination(objects).pop("port"),
        [
            f'Error [IST0112] {VIRTUAL_SERVICE} This VirtualService routes to a service "tcp-echo" that exposes multiple ports '
            "[9000 9001]. Specifying a port in the destination is required to disambiguate."
        ],
    ),
    "a Gateway that is not there": (
        lambda objects: of(objects, "VirtualService")["spec"].update(gateways=["nobody"]),
        [
            f'Error [IST0101] {VIRTUAL_SERVICE} Referenced gateway not found: "nobody"',
            f"Warning [IST0132] {VIRTUAL_SERVICE} one or more host [*] defined in VirtualService {NAMESPACE}/tcp-echo not found "
            f"in Gateway {NAMESPACE}/nobody.",
        ],
    ),
    "hosts that the Gateway does not open": (
        lambda objects: (
            of(objects, "VirtualService")["spec"].update(hosts=["x.example"]),
            of(objects, "Gateway")["spec"]["servers"][0].update(hosts=["y.example"]),
        ),
        [
            f"Warning [IST0132] {VIRTUAL_SERVICE} one or more host [x.example] defined in VirtualService {NAMESPACE}/tcp-echo "
            f"not found in Gateway {NAMESPACE}/tcp-echo-gateway."
        ],
    ),
    "hosts that a wildcard opens": (
        lambda objects: (
            of(objects, "VirtualService")["spec"].update(hosts=["x.example"]),
            of(objects, "Gateway")["spec"]["servers"][0].update(hosts=["./*.example"]),
        ),
        [],
    ),
    "a match on a port that no Gateway opens": (
        lambda objects: of(objects, "VirtualService")["spec"]["tcp"][0].update(match=[{"port": 31401}]),
        [],
    ),
    "a Gateway that selects no pod": (
        lambda objects: of(objects, "Gateway")["spec"].update(selector={"istio": "nobody"}),
        [f'Error [IST0101] (Gateway {NAMESPACE}/tcp-echo-gateway) Referenced selector not found: "istio=nobody"'],
    ),
    "a port that the gateway's Service does not expose": (
        lambda objects: of(objects, "Gateway")["spec"]["servers"][0]["port"].update(number=31499),
        [PORT_IS_NOT_EXPOSED],
    ),
    "two Gateways at one port": (
        rival,
        [
            f"Error [IST0145] (Gateway elsewhere/other) Conflict with gateways {NAMESPACE}/tcp-echo-gateway (workload selector "
            "istio=ingressgateway, port 31400, hosts *).",
            f"Error [IST0145] (Gateway {NAMESPACE}/tcp-echo-gateway) Conflict with gateways elsewhere/other (workload selector "
            "istio=ingressgateway, port 31400, hosts *).",
        ],
    ),
    "no pod of v2": (
        without("Pod", "tcp-echo-v2"),
        [
            f"Error [IST0173] (DestinationRule {NAMESPACE}/tcp-echo-destination) The Subset v2 defined in the DestinationRule "
            "does not select any pods. Which may lead to 503 UH (NoHealthyUpstream)."
        ],
    ),
    "a DestinationRule for nobody": (
        lambda objects: of(objects, "DestinationRule")["spec"].update(host="nobody"),
        [
            f'Error [IST0101] {VIRTUAL_SERVICE} Referenced host+subset in destinationrule not found: "tcp-echo+v1"',
            f"Warning [IST0174] (DestinationRule {NAMESPACE}/tcp-echo-destination) The host nobody defined in the "
            "DestinationRule does not match any services in the mesh.",
        ],
    ),
    "no label for injection": (
        lambda objects: of(objects, "Namespace")["metadata"].pop("labels"),
        [
            f"Info [IST0102] (Namespace {NAMESPACE}) The namespace is not enabled for Istio injection. Run 'kubectl label "
            f"namespace {NAMESPACE} istio-injection=enabled' to enable it, or 'kubectl label namespace {NAMESPACE} "
            "istio-injection=disabled' to explicitly mark it as not needing injection."
        ],
    ),
    "a pod without its proxy": (
        lambda objects: of(objects, "Pod", "tcp-echo-v1")["spec"]["containers"].pop(),
        [
            f"Warning [IST0103] (Pod {NAMESPACE}/tcp-echo-v1) The pod {NAMESPACE}/tcp-echo-v1 is missing the Istio proxy. This can "
            "often be resolved by restarting or redeploying the workload."
        ],
    ),
}  # fmt: skip
faults = pytest.mark.parametrize(("mend", "lines"), FAULTS.values(), ids=FAULTS.keys())


def broken(change: Callable[[list[Object]], Any]) -> list[Object]:
    objects = copy.deepcopy(lesson())
    change(objects)
    return objects


def mesh(objects: list[Object]) -> analysis.Mesh:
    kinds = {obj["kind"] for obj in objects}
    return analysis.Mesh({kind: [obj for obj in objects if obj["kind"] == kind] for kind in kinds})


@faults
def test_finds_what_istioctl_finds(mend: Callable[[list[Object]], Any], lines: list[str]) -> None:
    assert [str(one) for one in analysis.find(mesh(broken(mend)))] == lines


@NEEDS_ISTIOCTL
@faults
def test_the_real_istioctl_says_so(
    cluster: Cluster, api_server: Path, mend: Callable[[list[Object]], Any], lines: list[str]
) -> None:
    objects = broken(mend)
    try:
        for obj in objects:
            kubectl.apply(cluster, obj)
        command = ["istioctl", "analyze", "--kubeconfig", str(api_server), "--all-namespaces"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        theirs = [line for line in (said.stdout + said.stderr).splitlines() if "[IST" in line and NAMESPACE in line]
        assert theirs == lines
    finally:
        for obj in objects:
            if obj["kind"] == "Namespace":
                continue  # it would wait for controllers, and there are none here
            where = obj["metadata"].get("namespace", cluster.namespace)
            kubectl.delete(cluster, obj["kind"], obj["metadata"]["name"], namespace=where)


def test_a_condition_that_says_no_is_told() -> None:
    assert [str(one) for one in analysis.find(mesh(broken(refused_by_envoy)))] == [
        f"Warning [IST0171] {VIRTUAL_SERVICE} A condition with a negative status is present: type=Reconciled, "
        "reason=Rejected, message=Envoy says no."
    ]


def test_of_a_cluster_it_tells_its_namespace_alone(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.label(cluster, "namespace", cluster.namespace, {"istio-injection": "disabled"})
    capsys.readouterr()
    assert analysis.analyze(cluster) == []
    command, nothing = capsys.readouterr().out.splitlines()
    assert command == f"$ istioctl analyze -n {cluster.namespace}"
    assert nothing == f"✔ No validation issues found when analyzing namespace: {cluster.namespace}."
    kubectl.apply(cluster, "tcp-echo-all-v1.yaml")
    capsys.readouterr()
    found = analysis.analyze(cluster)
    assert {(one.code, one.kind) for one in found} == {
        ("IST0101", "Gateway"),  # there is no ingress gateway's pod here
        ("IST0101", "VirtualService"),
        ("IST0174", "DestinationRule"),
    }
    assert capsys.readouterr().out.splitlines()[1:] == [str(one) for one in found]
