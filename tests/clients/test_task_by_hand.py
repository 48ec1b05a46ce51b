"""The whole task as a learner types it in a terminal, with the real kubectl and nothing of ours but the manifests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

ROOT = Path(__file__).parents[2]
NAMESPACE = "istio-io-tcp-traffic-shifting"
KUBECTL = f"kubectl -n {NAMESPACE}"
PROBE = """kubectl exec "$CURL" -c curl -n $NS -- sh -c "(date; sleep 1) | nc $INGRESS_HOST $TCP_INGRESS_PORT\""""
INGRESS = """
NS=istio-io-tcp-traffic-shifting
CURL=$(kubectl get pod -l app=curl -n $NS -o jsonpath={.items..metadata.name})
INGRESS_HOST=$(kubectl -n istio-system get service istio-ingressgateway -o jsonpath='{.status.loadBalancer.ingress[0].ip}')
TCP_INGRESS_PORT=$(kubectl -n istio-system get service istio-ingressgateway -o jsonpath='{.spec.ports[?(@.name=="tcp")].port}')
export NS CURL INGRESS_HOST TCP_INGRESS_PORT
"""
GATEWAY_INGRESS = """
NS=istio-io-tcp-traffic-shifting
CURL=$(kubectl get pod -l app=curl -n $NS -o jsonpath={.items..metadata.name})
INGRESS_HOST=$(kubectl get gtw tcp-echo-gateway -n $NS -o jsonpath='{.status.addresses[0].value}')
TCP_INGRESS_PORT=$(kubectl get gtw tcp-echo-gateway -n $NS -o jsonpath='{.spec.listeners[?(@.name=="tcp-31400")].port}')
export NS CURL INGRESS_HOST TCP_INGRESS_PORT
"""
# All of 20 probes go to v1 where only v1 is routed to; of 50 at 20% none goes to v2 in one run of 70,000.
FIRST_LOOP, SECOND_LOOP = 20, 50

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
    pytest.mark.usefixtures("no_other_routes"),
]


@pytest.fixture
def typed(sandbox_home: Any, tmp_path: Path) -> Callable[[str], list[str]]:
    """Types a command in a shell of the repository; it must exit with 0. Gives the lines of its output."""
    environment = {**os.environ, "KUBECONFIG": str(sandbox_home.kubeconfig), "KUBECACHEDIR": str(tmp_path / "cache")}

    def run(command: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-ec", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout.splitlines()

    return run


def probes(count: int, ingress: str = INGRESS) -> str:
    """The task's own line, many times, ten at once: each waits a second."""
    return f"{ingress}\nseq {count} | xargs -P 10 -I '{{}}' sh -c '{PROBE}'"


def in_force(cluster: Cluster, typed: Callable[[str], list[str]]) -> None:
    """As a learner without our helpers can wait: for the status that Istio writes."""
    generation = typed(f"{KUBECTL} get virtualservice tcp-echo -o jsonpath={{.metadata.generation}}")[0]
    path = "{.status.conditions[?(@.type=='Reconciled')].observedGeneration}"
    typed(f'{KUBECTL} wait virtualservice/tcp-echo --for=jsonpath="{path}"={generation} --timeout=30s')
    typed(f"{KUBECTL} wait virtualservice/tcp-echo --for=condition=Reconciled --timeout=30s")


@pytest.mark.parity("kubectl: Istio's task on TCP traffic shifting, typed by hand (classic API)", "works")
def test_the_task_typed_by_hand(typed: Callable[[str], list[str]], sandbox: Cluster) -> None:
    typed(f"kubectl create namespace {NAMESPACE}")
    typed(f"kubectl label namespace {NAMESPACE} istio-injection=enabled")
    typed(f"{KUBECTL} apply -f manifests/curl.yaml")
    typed(f"{KUBECTL} apply -f manifests/tcp-echo-services.yaml")
    typed(f"{KUBECTL} wait --for=condition=available deployment --all --timeout=60s")
    typed(f"{KUBECTL} apply -f manifests/tcp-echo-all-v1.yaml")
    in_force(sandbox, typed)
    answers = typed(probes(FIRST_LOOP))
    assert [line.split()[0] for line in answers] == ["one"] * FIRST_LOOP

    typed(f"{KUBECTL} apply -f manifests/tcp-echo-20-v2.yaml")
    in_force(sandbox, typed)
    confirmed = json.loads("\n".join(typed(f"{KUBECTL} get virtualservice tcp-echo -o json")))
    assert [entry["weight"] for entry in confirmed["spec"]["tcp"][0]["route"]] == [80, 20]
    answers = typed(probes(SECOND_LOOP))
    assert len(answers) == SECOND_LOOP
    assert {line.split()[0] for line in answers} == {"one", "two"}

    files = "-f manifests/tcp-echo-all-v1.yaml -f manifests/tcp-echo-services.yaml -f manifests/curl.yaml"
    typed(f"{KUBECTL} delete {files}")
    kinds = "gateways.networking.istio.io,virtualservices,destinationrules,deployments,services,pods"
    typed(f"{KUBECTL} wait --for=delete pod --all --timeout=60s")
    assert typed(f"{KUBECTL} get {kinds} -o name") == []
    typed(f"kubectl delete namespace {NAMESPACE}")
    typed(f"{KUBECTL} delete --ignore-not-found {files}")
    typed(f"kubectl delete --ignore-not-found namespace {NAMESPACE}")


def answered(word: str) -> str:
    """Probe until a version answers: a TCPRoute's status does not tell when Envoy has it."""
    probe = 'kubectl exec "$CURL" -c curl -n $NS -- sh -c "date | nc $INGRESS_HOST $TCP_INGRESS_PORT"'
    return f"{GATEWAY_INGRESS}\nuntil {probe} | grep -q ^{word}; do :; done"


@pytest.mark.parity("kubectl: Istio's task on TCP traffic shifting, typed by hand (Gateway API)", "works")
def test_the_task_typed_by_hand_with_the_gateway_api(typed: Callable[[str], list[str]]) -> None:
    typed(f"kubectl create namespace {NAMESPACE}")
    typed(f"kubectl label namespace {NAMESPACE} istio-injection=enabled")
    typed(f"{KUBECTL} apply -f manifests/curl.yaml -f manifests/tcp-echo-services.yaml")
    typed(f"{KUBECTL} wait --for=condition=available deployment --all --timeout=60s")
    typed(f"{KUBECTL} apply -f manifests/gateway-api/tcp-echo-all-v1.yaml")
    typed(f"{KUBECTL} wait --for=condition=programmed gtw tcp-echo-gateway --timeout=60s")
    typed(answered("one"))
    answers = typed(probes(FIRST_LOOP, GATEWAY_INGRESS))
    assert [line.split()[0] for line in answers] == ["one"] * FIRST_LOOP

    typed(f"{KUBECTL} apply -f manifests/gateway-api/tcp-echo-20-v2.yaml")
    confirmed = json.loads("\n".join(typed(f"{KUBECTL} get tcproute tcp-echo -o json")))
    assert [backend["weight"] for backend in confirmed["spec"]["rules"][0]["backendRefs"]] == [80, 20]
    typed(answered("two"))
    answers = typed(probes(SECOND_LOOP, GATEWAY_INGRESS))
    assert len(answers) == SECOND_LOOP
    assert {line.split()[0] for line in answers} == {"one", "two"}

    files = "-f manifests/gateway-api -f manifests/tcp-echo-services.yaml -f manifests/curl.yaml"
    typed(f"{KUBECTL} delete --ignore-not-found {files}")
    typed(f"{KUBECTL} wait --for=delete deployment,service,pod --all --timeout=60s")
    kinds = "gateways.gateway.networking.k8s.io,tcproutes,deployments,services,pods"
    assert typed(f"{KUBECTL} get {kinds} -o name") == []
    typed(f"kubectl delete namespace {NAMESPACE}")
    typed(f"kubectl delete --ignore-not-found namespace {NAMESPACE}")
