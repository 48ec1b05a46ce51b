"""What is allowed but unwise in an object that is written: warnings that go with the answer and refuse nothing.

Pure. Of pods and their templates: names, containers, ports and selectors of nodes. Of Services: fields that mean nothing there. Not of
affinity, volumes, annotations of security, nor of other ways to write an address.

Source: kubernetes 1.34 pkg/api/{pod,service}/warnings.go, pkg/api/node/util.go, and WarningsOnCreate and WarningsOnUpdate in pkg/registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.quantities import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

Object = dict[str, Any]

_TEMPLATES = frozenset({"deployments.apps", "replicasets.apps", "jobs.batch"})
_LABEL_IS_BETTER = "which can result in surprising behavior; a DNS label is recommended"
_OLD_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def warnings_of(resource: ResourceType, obj: Object, old: Object | None = None) -> list[str]:
    """One sentence for each thing that is unwise.

    Args:
        resource: its kind.
        obj: the object, valid, with its defaults.
        old: what it was before; None if it is new.
    """
    return list(_found(resource.group_resource, obj, old))


def _found(kind: str, obj: Object, old: Object | None) -> Iterator[str]:
    if kind == "services":
        yield from _service(obj["spec"])
    elif kind == "pods" and old is None:  # people seldom change pods
        yield from _name(obj, "the Pod's hostname")
        yield from _pod(obj["spec"], "spec")
    elif kind in _TEMPLATES:
        if old is None:
            yield from _name(obj, "Pod names and hostnames")
        if old is None or obj["metadata"].get("generation") != old["metadata"].get("generation"):
            yield from _pod(obj["spec"]["template"]["spec"], "spec.template.spec")


def _name(obj: Object, used: str) -> Iterator[str]:
    problems = names.dns_label(obj["metadata"]["name"])
    if problems:
        yield f"metadata.name: this is used in {used}, {_LABEL_IS_BETTER}: [{' '.join(problems)}]"


def _pod(spec: Object, path: str) -> Iterator[str]:
    for label in sorted((spec.get("nodeSelector") or {}).keys() & _OLD_NODE_LABELS):
        yield f"{path}.nodeSelector[{label}]: {_OLD_NODE_LABELS[label]}"
    yield from _twice(spec, path, "hostAliases", "ip")
    secrets = spec.get("imagePullSecrets") or ()
    yield from _twice(spec, path, "imagePullSecrets", "name")
    for index, secret in enumerate(secrets):
        if not secret.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    containers = [
        (f"{path}.{part}[{index}]", container)
        for part in ("initContainers", "containers")
        for index, container in enumerate(spec.get(part) or ())
    ]
    for where, container in containers:
        yield from _amounts(container.get("resources") or {}, where)
        yield from _variables(container.get("env") or (), where)
    ports = [
        (f"{where}.ports[{index}]", port)
        for where, container in containers
        for index, port in enumerate(container.get("ports") or ())
    ]
    yield from _ports(ports)
    yield from _port_names(ports)


def _twice(spec: Object, path: str, part: str, key: str) -> Iterator[str]:
    seen = set()
    for index, item in enumerate(spec.get(part) or ()):
        value = item.get(key) or ""
        if value in seen:
            yield f"{path}.{part}[{index}].{key}: duplicate {key} {quoted(value)}"
        seen.add(value)


def _amounts(resources: Mapping[str, Any], where: str) -> Iterator[str]:
    for part, name in (
        ("limits", "memory"),
        ("requests", "memory"),
        ("limits", "ephemeral-storage"),
        ("requests", "ephemeral-storage"),
    ):
        amount = (resources.get(part) or {}).get(name)
        text = "" if amount is None else canonical(str(amount))
        if text.endswith(("m", "u", "n")):
            yield f"{where}.resources.{part}[{name}]: fractional byte value {quoted(text)} is invalid, must be an integer"


def _variables(variables: Iterable[Mapping[str, Any]], where: str) -> Iterator[str]:
    seen = set()
    for index, variable in enumerate(variables):
        name, value = variable["name"], variable.get("value") or ""
        old = f"$({name})"  # how a value makes use of the one before
        if name in seen and (variable.get("valueFrom") or value == old or old not in value):
            hides = f"hides previous definition of {quoted(name)}, which may be dropped when using apply"
            yield f"{where}.env[{index}]: {hides}"
        seen.add(name)


def _ports(ports: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Of ports of one number and protocol, in all containers: which are in each other's way."""
    known: dict[tuple[int, str], list[tuple[str, Mapping[str, Any]]]] = {}
    for where, port in ports:
        same = known.setdefault((port["containerPort"], port.get("protocol") or "TCP"), [])
        for other_place, other in same:
            how = _clash(port, other)
            if how:
                yield f"{where}: {how} port definition with {other_place}"
        same.append((where, port))


def _clash(port: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    address, number = port.get("hostIP") or "", port.get("hostPort") or 0
    other_address, other_number = other.get("hostIP") or "", other.get("hostPort") or 0
    if (address, number) == (other_address, other_number):
        return "duplicate"
    if not number or not other_number:
        return "overlapping"
    return "dangerously ambiguous" if number == other_number and bool(address) != bool(other_address) else ""


def _port_names(ports: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    known: dict[str, str] = {}
    for where, port in ports:
        name = port.get("name")
        if name and name in known:
            first = known[name]
            used = f"services and probes that select ports by name will use {first}"
            yield f"{where}: duplicate port name {quoted(name)} with {first}, {used}"
        elif name:
            known[name] = where


def _service(spec: Object) -> Iterator[str]:
    if spec["type"] == "ClusterIP" and spec.get("clusterIP") == "None":
        for field, name in (
            ("loadBalancerIP", "loadBalancerIP"),
            ("externalIPs", "externalIPs"),
            ("sessionAffinity", "SessionAffinity"),
        ):
            if spec.get(field):
                yield f"spec.{name} is ignored for headless services"
    if spec["type"] == "ExternalName" and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec["type"] != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
