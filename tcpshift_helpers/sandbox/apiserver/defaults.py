"""What the API server fills in when a manifest is silent.

Pure. One function a kind, and those of pods shared with pod templates. Fields that depend on other objects (addresses,
UIDs, times) are not defaults and belong to the registry. Those of a custom resource are its definition's; its metadata is
read as every kind's.

Source: kube-apiserver 1.34, measured by creating each kind with as little as it takes.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterable
from typing import Any

from tcpshift_helpers.sandbox.apiserver import quantities, structural
from tcpshift_helpers.sandbox.apiserver.go_structs import as_kept, metadata_as_kept
from tcpshift_helpers.sandbox.apiserver.resources import ResourceType
from tcpshift_helpers.sandbox.apiserver.service_addresses import is_externally_accessible

Object = dict[str, Any]


def apply_defaults(resource_type: ResourceType, obj: Object) -> Object:
    """A copy of the object with its kind's defaults filled in. Doing it twice changes nothing more."""
    if resource_type.definition is not None:
        obj = copy.deepcopy(obj)
        structural.fill_defaults(obj, resource_type.definition.schema)
        return {**obj, "metadata": metadata_as_kept(obj["metadata"])} if obj.get("metadata") else obj
    obj = as_kept(resource_type.api_version(resource_type.storage_version), resource_type.kind, obj)
    fill = _BY_KIND.get((resource_type.group, resource_type.kind))
    if fill is not None:
        fill(obj)
    return obj


def admit(resource_type: ResourceType, obj: Object) -> Object:
    """What the admission plug-ins Priority and DefaultTolerationSeconds, which are always on, add to a defaulted object.

    It comes after the fields' managers are noted, so nobody manages what is added here.
    """
    if (resource_type.group, resource_type.kind) == ("", "Pod"):
        _admit(obj["spec"])
    return obj


def _fill(target: Object, **defaults: Any) -> None:
    """Set what is missing; an empty text is as good as none where the default is a text."""
    for key, value in defaults.items():
        if target.get(key) is None or (target[key] == "" and isinstance(value, str)):
            target[key] = value


def _objects(target: Object, key: str) -> Iterable[Object]:
    return (item for item in target.get(key) or () if isinstance(item, dict))


def _child(target: Object, key: str) -> Object:
    """The object under `key`, made if it is not there."""
    if target.get(key) is None:
        target[key] = {}
    child: Object = target[key]
    return child


# Pods.


def _pod(pod: Object) -> None:
    spec = _child(pod, "spec")
    _fill(spec, enableServiceLinks=True)
    _pod_spec(spec)
    for container in (*_objects(spec, "containers"), *_objects(spec, "initContainers")):
        _requests_from_limits(container["resources"])
        if spec.get("hostNetwork"):
            for port in _objects(container, "ports"):
                _fill(port, hostPort=port.get("containerPort"))


def _admit(spec: Object) -> None:
    _fill(spec, priority=0, preemptionPolicy="PreemptLowerPriority")
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(toleration.get("key") in {key, None, ""} for toleration in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def _requests_from_limits(resources: Object) -> None:
    if resources.get("limits"):
        resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _pod_spec(spec: Object) -> None:
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in _objects(spec, "volumes"):
        _volume(volume)
    for container in (*_objects(spec, "initContainers"), *_objects(spec, "containers")):
        _container(container)


def _container(container: Object) -> None:
    image = container.get("image") or ""
    tag = image.rpartition("/")[2].partition(":")[2]
    latest = "@" not in image and tag in {"", "latest"}
    _fill(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="Always" if latest else "IfNotPresent",
    )
    for part in ("limits", "requests"):
        amounts = container["resources"].get(part)
        if amounts:
            container["resources"][part] = {name: quantities.canonical(str(text)) for name, text in amounts.items()}
    for port in _objects(container, "ports"):
        _fill(port, protocol="TCP")
    for variable in _objects(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name])
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _handler(handler)


def _probe(probe: Object) -> None:
    for key, number in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe[key] = probe.get(key) or number  # a zero is as good as none
    _handler(probe)
    if probe.get("grpc") is not None:
        _fill(probe["grpc"], service="")


def _handler(handler: Object) -> None:
    if handler.get("httpGet") is not None:
        _fill(handler["httpGet"], path="/", scheme="HTTP")


def _volume(volume: Object) -> None:
    sources = [key for key in volume if key != "name" and volume[key] is not None]
    if not sources:
        volume["emptyDir"] = {}
    for kind in ("configMap", "secret", "downwardAPI", "projected"):
        if volume.get(kind) is not None:
            _fill(volume[kind], defaultMode=420)
    if volume.get("hostPath") is not None:
        _fill(volume["hostPath"], type="")
    for downward in _downward_sources(volume):
        for item in _objects(downward, "items"):
            if item.get("fieldRef") is not None:
                _fill(item["fieldRef"], apiVersion="v1")
    for source in _objects(volume.get("projected") or {}, "sources"):
        if source.get("serviceAccountToken") is not None:
            _fill(source["serviceAccountToken"], expirationSeconds=3600)


def _downward_sources(volume: Object) -> Iterable[Object]:
    projected = _objects(volume.get("projected") or {}, "sources")
    return (holder["downwardAPI"] for holder in (volume, *projected) if holder.get("downwardAPI") is not None)


# Workloads.


def _template(spec: Object) -> None:
    template = _child(spec, "template")
    _child(template, "metadata")
    _pod_spec(_child(template, "spec"))


def _deployment(deployment: Object) -> None:
    spec = _child(deployment, "spec")
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _child(spec, "strategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        _fill(_child(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _replica_set(replica_set: Object) -> None:
    spec = _child(replica_set, "spec")
    _fill(spec, replicas=1)
    _template(spec)


def _job(job: Object) -> None:
    spec = _child(job, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    _fill(spec, podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed")
    _template(spec)


# Services and their endpoints.


def _service(service: Object) -> None:
    spec = _child(service, "spec")
    if not spec.get("selector"):
        spec.pop("selector", None)
    _fill(spec, type="ClusterIP", sessionAffinity="None")
    for port in _objects(spec, "ports"):
        _fill(port, protocol="TCP", targetPort=port.get("port"))
        if port["targetPort"] in {0, ""}:
            port["targetPort"] = port.get("port")
    if spec["sessionAffinity"] == "ClientIP":
        client_ip = _child(_child(spec, "sessionAffinityConfig"), "clientIP")
        _fill(client_ip, timeoutSeconds=10800)
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    if is_externally_accessible(spec):
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)
    if spec["type"] != "ExternalName" and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"


def _endpoints(endpoints: Object) -> None:
    for subset in _objects(endpoints, "subsets"):
        for port in _objects(subset, "ports"):
            _fill(port, protocol="TCP")


def _endpoint_slice(endpoint_slice: Object) -> None:
    for port in _objects(endpoint_slice, "ports"):
        _fill(port, name="", protocol="TCP")


# The rest of the core group.


def _namespace(namespace: Object) -> None:
    _child(namespace, "spec")
    _fill(_child(namespace, "status"), phase="Active")
    name = (namespace.get("metadata") or {}).get("name")
    if name:
        labels = _child(namespace["metadata"], "labels")
        labels["kubernetes.io/metadata.name"] = name


def _node(node: Object) -> None:
    _child(node, "spec")
    status = _child(node, "status")
    for part in ("capacity", "allocatable"):
        if status.get(part):
            status[part] = {name: quantities.canonical(str(text)) for name, text in status[part].items()}
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def _secret(secret: Object) -> None:
    for key, text in (secret.pop("stringData", None) or {}).items():
        _child(secret, "data")[key] = base64.b64encode(str(text).encode()).decode()
    _fill(secret, type="Opaque")


# Custom resource definitions.


def _definition(definition: Object) -> None:
    for part in list(definition):
        definition[part] = _without_empty_lists(definition[part], part)
    spec = _child(definition, "spec")
    names = _child(spec, "names")
    kind = names.get("kind") or ""
    if kind:
        _fill(names, singular=kind.lower(), listKind=f"{kind}List")
    _fill(spec, conversion={"strategy": "None"})


def _without_empty_lists(value: Any, key: str) -> Any:
    """What Go leaves out of a definition, but not of a schema: there, an empty list can be a default."""
    if key == "metadata":
        return metadata_as_kept(value)
    if isinstance(value, list):
        return [_without_empty_lists(item, key) for item in value]
    if not isinstance(value, dict) or key == "openAPIV3Schema":
        return value
    return {name: _without_empty_lists(item, name) for name, item in value.items() if item != []}


_BY_KIND: dict[tuple[str, str], Callable[[Object], None]] = {
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
    ("", "Node"): _node,
    ("", "Secret"): _secret,
    ("", "Endpoints"): _endpoints,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
}
