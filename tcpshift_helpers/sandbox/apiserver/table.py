"""The columns and cells of `kubectl get`, for every kind.

Pure; it is told what time it is. All columns are always made, those of `-o wide` with priority 1: kubectl chooses.
Descriptions of columns, which kubectl does not show, are left empty; the objects of the rows are added by the caller.

Source: kube-apiserver 1.34, measured kind by kind; those of custom resources from their definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from tcpshift_helpers.sandbox.apiserver import json_path
from tcpshift_helpers.sandbox.apiserver.durations import age
from tcpshift_helpers.sandbox.apiserver.go_values import compact_json
from tcpshift_helpers.sandbox.apiserver.pod_summary import summarize
from tcpshift_helpers.sandbox.apiserver.resources import CustomVersion, ResourceType
from tcpshift_helpers.sandbox.apiserver.selectors import label_selector_from_object
from tcpshift_helpers.sandbox.apiserver.status import StatusError

Object = dict[str, Any]
Cells = list[Any]

_LIST_LENGTH = 3


def _column(name: str, kind: str = "string", *, wide: bool = False, is_name: bool = False) -> Object:
    return {
        "name": name,
        "type": kind,
        "format": "name" if is_name else "",
        "description": "",
        "priority": 1 if wide else 0,
    }


_NAME = _column("Name", is_name=True)
_AGE = _column("Age")


def _wide(*names: str) -> list[Object]:
    return [_column(name, wide=True) for name in names]


def _narrow(*names: str) -> list[Object]:
    return [_column(name) for name in names]


def _name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _or_none(text: Any) -> str:
    return str(text) if text else "<none>"


def _pod(pod: Object, now: datetime) -> Cells:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    summary = summarize(pod)
    addresses = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return [
        *(_name(pod), summary.ready_cell(), summary.status, summary.restarts_cell(now), _age(pod, now)),
        _or_none(addresses[0].get("ip")),
        _or_none(spec.get("nodeName")),
        _or_none(status.get("nominatedNodeName")),
        _readiness_gates(spec, status),
    ]


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return "<none>"
    conditions = {condition.get("type"): condition.get("status") for condition in status.get("conditions") or ()}
    return f"{sum(conditions.get(gate.get('conditionType')) == 'True' for gate in gates)}/{len(gates)}"


def _pod_conditions(pod: Object) -> list[Object]:
    phase = (pod.get("status") or {}).get("phase")
    messages = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
    if phase not in messages:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": messages[phase]}]


def _service(service: Object, now: datetime) -> Cells:
    spec = service.get("spec") or {}
    cluster_ips = spec.get("clusterIPs") or [spec.get("clusterIP")]
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    return [
        *(_name(service), spec.get("type", ""), _or_none(cluster_ips[0]), _external_ip(service)),
        *(_or_none(",".join(map(_port, spec.get("ports") or ()))), _age(service, now), _or_none(selector)),
    ]


def _port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _external_ip(service: Object) -> str:
    spec = service.get("spec") or {}
    kind, external = spec.get("type"), list(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        addresses = sorted({one.get("ip") or one.get("hostname") or "" for one in ingress} - {""})
        return ",".join([*addresses, *external]) or "<pending>"
    return _or_none(",".join(external))


def _node(node: Object, now: datetime) -> Cells:
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    addresses = {address.get("type"): address.get("address") for address in reversed(status.get("addresses") or ())}
    details = (info.get(key) or "<unknown>" for key in ("osImage", "kernelVersion", "containerRuntimeVersion"))
    return [
        *(_name(node), _node_status(node), _or_none(_roles(node)), _age(node, now), info.get("kubeletVersion", "")),
        *(_or_none(addresses.get("InternalIP")), _or_none(addresses.get("ExternalIP")), *details),
    ]


def _node_status(node: Object) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((condition.get("status") for condition in conditions if condition.get("type") == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}
    return ",".join(sorted((roles | {labels.get("kubernetes.io/role", "")}) - {""}))


def _event(event: Object, now: datetime) -> Cells:
    first = event.get("firstTimestamp") or event.get("eventTime")
    last, count = event.get("lastTimestamp") or first, event.get("count") or 1
    series = event.get("series")
    if series:
        last, count = series.get("lastObservedTime"), series.get("count")
    involved, source = event.get("involvedObject") or {}, event.get("source") or {}
    target = "/".join(filter(None, (str(involved.get("kind", "")).lower(), involved.get("name"))))
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return [
        *(age(last, now), event.get("type", ""), event.get("reason", ""), target, involved.get("fieldPath", "")),
        *(", ".join(filter(None, (component, host))), str(event.get("message", "")).strip()),
        *(age(first, now), count, _name(event)),
    ]


def _containers(workload: Object) -> tuple[str, str]:
    containers = ((workload["spec"].get("template") or {}).get("spec") or {}).get("containers") or ()
    names = ",".join(str(container.get("name", "")) for container in containers)
    return names, ",".join(str(container.get("image", "")) for container in containers)


def _selector(workload: Object) -> str:
    try:
        return str(label_selector_from_object(workload["spec"].get("selector")))
    except StatusError:
        return "<invalid>"


def _deployment(deployment: Object, now: datetime) -> Cells:
    status = deployment.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{deployment['spec'].get('replicas', 0)}"
    counts = (status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    wide = (*_containers(deployment), _selector(deployment))
    return [_name(deployment), ready, *counts, _age(deployment, now), *wide]


def _replica_set(replica_set: Object, now: datetime) -> Cells:
    status = replica_set.get("status") or {}
    counts = (replica_set["spec"].get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0))
    wide = (*_containers(replica_set), _or_none(_selector(replica_set)))
    return [_name(replica_set), *counts, _age(replica_set, now), *wide]


def _endpoint_slice(endpoint_slice: Object, now: datetime) -> Cells:
    ports = [str(port.get("port") or port.get("name") or "*") for port in endpoint_slice.get("ports") or ()]
    addresses = [
        address for endpoint in endpoint_slice.get("endpoints") or () for address in endpoint.get("addresses") or ()
    ]
    return [
        *(_name(endpoint_slice), endpoint_slice.get("addressType", "")),
        *(_few(ports), _few(addresses), _age(endpoint_slice, now)),
    ]


def _endpoints(endpoints: Object, now: datetime) -> Cells:
    addresses: list[str] = []
    for subset in endpoints.get("subsets") or ():
        listed = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        addresses += [f"{ip}:{port['port']}" for port in ports for ip in listed] if ports else listed
    shown = _few(addresses) if addresses else "<none>"
    return [_name(endpoints), shown, _age(endpoints, now)]


def _job(job: Object, now: datetime) -> Cells:
    spec, status = job["spec"], job.get("status") or {}
    parallelism, succeeded = spec.get("parallelism") or 0, status.get("succeeded", 0)
    wanted = f"1 of {parallelism}" if parallelism > 1 else "1"
    completions = f"{succeeded}/{spec.get('completions', wanted)}"
    wide = (*_containers(job), _selector(job))
    return [_name(job), _job_status(job), completions, _job_duration(status, now), _age(job, now), *wide]


def _job_status(job: Object) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    true = {condition.get("type") for condition in conditions if condition.get("status") == "True"}
    ended = next((kind for kind in ("Complete", "Failed") if kind in true), None)
    if ended is None and "deletionTimestamp" in job["metadata"]:
        return "Terminating"
    present = (kind for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if kind in true)
    return ended or next(present, "Running")


def _job_duration(status: Object, now: datetime) -> str:
    if not status.get("startTime"):
        return ""
    ended = status.get("completionTime")
    return age(status["startTime"], datetime.fromisoformat(ended) if ended else now)


def _lease(lease: Object, now: datetime) -> Cells:
    return [_name(lease), (lease.get("spec") or {}).get("holderIdentity") or "", _age(lease, now)]


def _few(items: Sequence[str]) -> str:
    more = f" + {len(items) - _LIST_LENGTH} more..." if len(items) > _LIST_LENGTH else ""
    return ",".join(items[:_LIST_LENGTH]) + more if items else "<unset>"


def _by_definition(definition: CustomVersion) -> tuple[list[Object], Callable[[Object, datetime], Cells]]:
    """Columns and cells as a custom resource definition has them."""
    columns = [_defined_column(column) for column in definition.columns]
    return [_NAME, *columns], lambda obj, now: [_name(obj), *(_cell(column, obj, now) for column in definition.columns)]


def _defined_column(column: Object) -> Object:
    default = f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": column.get("description") or default,
        "priority": column.get("priority", 0),
    }


def _cell(column: Object, obj: Object, now: datetime) -> Any:
    found = json_path.find(obj, column["jsonPath"])
    if not found or found[0] is None:
        return None
    value, kind = found[0], column["type"]
    if kind == "string":
        return value if isinstance(value, str) else compact_json(value)
    if kind == "date":
        return age(value, now) if isinstance(value, str) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if kind == "integer" else value


def _counted(kind: str) -> Callable[[Object, datetime], Cells]:
    """Kinds that show how much they hold."""
    keys = {"Secret": ("data",), "ConfigMap": ("data", "binaryData"), "ServiceAccount": ("secrets",)}[kind]
    shown: Callable[[Object], Iterable[Any]] = lambda obj: (obj.get("type", ""),) if kind == "Secret" else ()  # noqa: E731
    return lambda obj, now: [_name(obj), *shown(obj), sum(len(obj.get(key) or ()) for key in keys), _age(obj, now)]


def _namespace(namespace: Object, now: datetime) -> Cells:
    return [_name(namespace), (namespace.get("status") or {}).get("phase", ""), _age(namespace, now)]


_WORKLOAD_WIDE = _wide("Containers", "Images", "Selector")
_DATE = _column("Age", "date")

_KINDS: dict[tuple[str, str], tuple[list[Object], Callable[[Object, datetime], Cells]]] = {
    ("", "Pod"): (
        [
            *(_NAME, *_narrow("Ready", "Status", "Restarts", "Age")),
            *_wide("IP", "Node", "Nominated Node", "Readiness Gates"),
        ],
        _pod,
    ),
    ("", "Service"): (
        [_NAME, *_narrow("Type", "Cluster-IP", "External-IP", "Port(s)", "Age"), *_wide("Selector")],
        _service,
    ),
    ("", "Node"): (
        [
            *(_NAME, *_narrow("Status", "Roles", "Age", "Version")),
            *_wide("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
        ],
        _node,
    ),
    ("", "Event"): (
        [
            *(*_narrow("Last Seen", "Type", "Reason", "Object"), *_wide("Subobject", "Source")),
            *(*_narrow("Message"), *_wide("First Seen", "Count"), _column("Name", wide=True, is_name=True)),
        ],
        _event,
    ),
    ("", "Namespace"): ([_NAME, *_narrow("Status", "Age")], _namespace),
    ("", "Secret"): ([_NAME, *_narrow("Type", "Data", "Age")], _counted("Secret")),
    ("", "ConfigMap"): ([_NAME, *_narrow("Data", "Age")], _counted("ConfigMap")),
    ("", "ServiceAccount"): ([_NAME, *_narrow("Secrets", "Age")], _counted("ServiceAccount")),
    ("apps", "Deployment"): (
        [_NAME, *_narrow("Ready", "Up-to-date", "Available", "Age"), *_WORKLOAD_WIDE],
        _deployment,
    ),
    ("apps", "ReplicaSet"): (
        [_NAME, *(_column(name, "integer") for name in ("Desired", "Current", "Ready")), _AGE, *_WORKLOAD_WIDE],
        _replica_set,
    ),
    ("discovery.k8s.io", "EndpointSlice"): (
        [_NAME, *_narrow("AddressType", "Ports", "Endpoints", "Age")],
        _endpoint_slice,
    ),
    ("", "Endpoints"): ([_NAME, *_narrow("Endpoints", "Age")], _endpoints),
    ("batch", "Job"): ([_NAME, *_narrow("Status", "Completions", "Duration", "Age"), *_WORKLOAD_WIDE], _job),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        [_NAME, _column("Created At", "date")],
        lambda obj, now: [_name(obj), obj["metadata"].get("creationTimestamp")],
    ),
    ("coordination.k8s.io", "Lease"): ([_NAME, *_narrow("Holder", "Age")], _lease),
}
_OTHERS: tuple[list[Object], Callable[[Object, datetime], Cells]] = (
    [_NAME, _DATE],
    lambda obj, now: [_name(obj), _age(obj, now)],
)


def _columns_and_cells(resource_type: ResourceType) -> tuple[list[Object], Callable[[Object, datetime], Cells]]:
    if resource_type.definition is not None and resource_type.definition.columns:
        return _by_definition(resource_type.definition)
    if resource_type.definition is not None:
        return _OTHERS
    return _KINDS.get((resource_type.group, resource_type.kind), _OTHERS)


def columns(resource_type: ResourceType) -> list[Object]:
    """The kind's `metav1.TableColumnDefinition`s."""
    definitions, _ = _columns_and_cells(resource_type)
    return [dict(definition) for definition in definitions]


def table(resource_type: ResourceType, objs: Sequence[Object], now: datetime) -> Object:
    """`columnDefinitions` and one row an object, without the rows' `object`.

    Args:
        resource_type: the kind.
        objs: objects of it.
        now: the time that ages are counted to, with its zone.
    """
    _, cells = _columns_and_cells(resource_type)
    rows = []
    for obj in objs:
        row: Object = {"cells": cells(obj, now)}
        conditions = _pod_conditions(obj) if resource_type.kind == "Pod" else []
        if conditions:
            row["conditions"] = conditions
        rows.append(row)
    return {"columnDefinitions": columns(resource_type), "rows": rows}
