"""Sidecar injection: what Istio's mutating webhook does to a new Pod, as a pure admission plug-in.

The namespace's and the pod's labels decide; the pod gets a container `istio-proxy`, labels and annotations.
It does not redirect traffic: there is no iptables here, so no init container and no volumes are added. In its place
the node lets the application of such a pod listen on another address (`network.behind_sidecar`), and the sidecar's
Envoy takes the pod's own.

Source: istio.io/istio, 1.31 line: pkg/kube/inject/inject.go (`injectRequired`), webhook selectors and sidecar template
of manifests/charts/istio-control/istio-discovery.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

    Obj = dict[str, Any]

PROXY_CONTAINER = "istio-proxy"
PROXY_IMAGE = "docker.io/istio/proxyv2:1.31.0"
STATUS_ANNOTATION = "sidecar.istio.io/status"
INJECT = "sidecar.istio.io/inject"
REVISION = "istio.io/rev"
DEFAULT_REVISION = "default"
IGNORED_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})

_PROXY_ARGS = (
    "proxy",
    "sidecar",
    "--domain",
    "$(POD_NAMESPACE).svc.cluster.local",
    "--proxyLogLevel=warning",
    "--proxyComponentLogLevel=misc:error",
    "--log_output_level=default:info",
)
_LONGEST_LABEL = 63


class SidecarInjector:
    """Admission plug-in that adds the sidecar to Pods on creation."""

    name = "sidecar-injector.istio.io"

    def mutate(self, operation: str, resource: ResourceType, obj: Obj, namespace_labels: Mapping[str, str]) -> Obj:
        """The pod with a sidecar if its labels and its namespace's ask for one; anything else unchanged."""
        if operation != "CREATE" or resource.group or resource.plural != "pods":
            return obj
        return inject(obj) if wants_sidecar(obj, namespace_labels) else obj

    def validate(self, operation: str, resource: ResourceType, obj: Obj, old: Obj | None) -> str | None:
        """Nothing is refused here."""
        return None


def wants_sidecar(pod: Obj, namespace_labels: Mapping[str, str]) -> bool:
    """Whether Istio's webhooks would inject this pod.

    The pod's label `sidecar.istio.io/inject` wins over its annotation; a namespace label `istio-injection` wins over
    `istio.io/rev`; with neither on the namespace the pod has to ask for itself.
    """
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if spec.get("hostNetwork") or metadata.get("namespace") in IGNORED_NAMESPACES or has_sidecar(pod):
        return False
    labels = metadata.get("labels") or {}
    if not _selected(labels, namespace_labels):
        return False
    return (labels.get(INJECT) or (metadata.get("annotations") or {}).get(INJECT)) != "false"


def _selected(labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
    """Whether one of the webhooks' selectors matches: for namespaces and for single pods, by label or by revision."""
    asked, refused = labels.get(INJECT) == "true", labels.get(INJECT) == "false"
    if "istio-injection" in namespace_labels:
        return namespace_labels["istio-injection"] == "enabled" and not refused
    if REVISION in namespace_labels:
        return namespace_labels[REVISION] == DEFAULT_REVISION and not refused
    if REVISION in labels:
        return labels[REVISION] == DEFAULT_REVISION and not refused
    return asked


def has_sidecar(pod: Obj) -> bool:
    """Whether the pod already has a proxy container (injected by hand, or a gateway)."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    return any(container.get("name") == PROXY_CONTAINER for container in containers)


def inject(pod: Obj) -> Obj:
    """A copy of the pod (or pod template: anything with metadata and spec) with the sidecar added.

    The proxy comes last, so that `kubectl exec` and `logs` still mean the application's container.
    """
    injected = copy.deepcopy(pod)
    metadata, spec = injected.setdefault("metadata", {}), injected.setdefault("spec", {})
    containers = spec.setdefault("containers", [])
    applications = [container.get("name", "") for container in containers]
    workload = _workload_name(metadata)
    labels = metadata["labels"] = dict(metadata.get("labels") or {})
    labels.setdefault("security.istio.io/tlsMode", "istio")
    labels.setdefault("service.istio.io/canonical-name", _canonical_name(labels, workload))
    revision = labels.get("app.kubernetes.io/version") or labels.get("version") or "latest"
    labels.setdefault("service.istio.io/canonical-revision", revision)
    annotations = metadata["annotations"] = dict(metadata.get("annotations") or {})
    annotations[REVISION] = DEFAULT_REVISION
    if applications:
        annotations.setdefault("kubectl.kubernetes.io/default-container", applications[0])
        annotations.setdefault("kubectl.kubernetes.io/default-logs-container", applications[0])
    annotations[STATUS_ANNOTATION] = _status()
    containers.append(_proxy_container(annotations, spec, applications, workload))
    return injected


def _status() -> str:
    """Istio's record of what was added."""
    record = {
        "initContainers": None,
        "containers": [PROXY_CONTAINER],
        "volumes": None,
        "imagePullSecrets": None,
        "revision": DEFAULT_REVISION,
    }
    return json.dumps(record, separators=(",", ":"))


def _canonical_name(labels: Mapping[str, str], workload: str) -> str:
    name = labels.get("app.kubernetes.io/name") or labels.get("app") or workload
    return name[:_LONGEST_LABEL].strip("-_.")


def _workload_name(metadata: Mapping[str, Any]) -> str:
    """The Deployment's name where a ReplicaSet owns the pod, else the owner's, else the pod's own."""
    owner = next((owner for owner in metadata.get("ownerReferences") or [] if owner.get("controller")), None)
    if owner is None:
        return str(metadata.get("name") or metadata.get("generateName", "").rstrip("-"))
    pod_hash = (metadata.get("labels") or {}).get("pod-template-hash")
    name = str(owner["name"])
    return name.removesuffix(f"-{pod_hash}") if owner.get("kind") == "ReplicaSet" and pod_hash else name


def _proxy_container(
    annotations: Mapping[str, str], spec: Mapping[str, Any], applications: list[str], workload: str
) -> Obj:
    ports = [port for container in spec["containers"] for port in container.get("ports") or []]
    return {
        "name": PROXY_CONTAINER,
        "image": annotations.get("sidecar.istio.io/proxyImage", PROXY_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "args": list(_PROXY_ARGS),
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090, "protocol": "TCP"}],
        "env": [
            {"name": "ISTIO_META_CLUSTER_ID", "value": "Kubernetes"},
            {"name": "ISTIO_META_APP_CONTAINERS", "value": ",".join(applications)},
            {"name": "ISTIO_META_POD_PORTS", "value": json.dumps(ports, separators=(",", ":"))},
            # Not REDIRECT: nothing rewrites packets in the sandbox.
            {"name": "ISTIO_META_INTERCEPTION_MODE", "value": "NONE"},
            {"name": "ISTIO_META_WORKLOAD_NAME", "value": workload},
            {"name": "ISTIO_META_MESH_ID", "value": "cluster.local"},
            {"name": "TRUST_DOMAIN", "value": "cluster.local"},
        ],
        "resources": {
            "limits": {"cpu": "2", "memory": "1Gi"},
            "requests": {"cpu": "100m", "memory": "128Mi"},
        },
        # Every second: the real one asks every second at start-up and every 15 s later, with two probes.
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 1,
            "timeoutSeconds": 3,
            "failureThreshold": 4,
        },
    }
