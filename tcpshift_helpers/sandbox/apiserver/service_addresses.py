"""ClusterIPs and node ports of Services: given at creation, freed with the Service.

Pure: which are taken is read from the Services themselves, so nothing can leak. LoadBalancer addresses are given by a controller.

Source: kubernetes pkg/registry/core/service/storage/alloc.go; messages as kube-apiserver 1.34 answers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Iterable

Object = dict[str, Any]

_NODE_PORTS = range(30000, 32768)
_NEED_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")
_NEED_NODE_PORTS = ("NodePort", "LoadBalancer")


def allocate(service: Object, others: Iterable[Object], addresses: Iterable[str]) -> None:
    """Give a Service its ClusterIP and node ports, in place.

    Args:
        service: defaulted Service; what it already has is kept.
        others: all other Services.
        addresses: ClusterIPs there are, in order.

    Raises:
        StatusError: 422, the address asked for is not in the range or taken; 500, none is left.
    """
    spec = service["spec"]
    kind = spec.get("type", "ClusterIP")
    if kind not in _NEED_ADDRESS:
        _release(spec)
        return
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    rest = list(others)
    _allocate_address(service, {_cluster_ip(other) for other in rest}, list(addresses))
    if kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)):
        _allocate_node_ports(service, rest)


def keep_allocated(service: Object, old: Object) -> None:
    """Carry over what an update left out, and drop what its new type has no use for, in place.

    What an update changes by itself stays as it is, for validation to refuse.
    """
    spec, old_spec = service["spec"], old["spec"]
    kind, old_kind = spec.get("type", "ClusterIP"), old_spec.get("type", "ClusterIP")
    if kind in _NEED_ADDRESS and old_kind in _NEED_ADDRESS:
        _keep_cluster_ip(spec, old_spec)
    elif old_kind in _NEED_ADDRESS and spec.get("clusterIP") in (None, "", old_spec.get("clusterIP")):
        _release(spec)
    if kind in _NEED_NODE_PORTS and old_kind in _NEED_NODE_PORTS:
        _keep_node_ports(spec, old_spec)
    elif old_kind in _NEED_NODE_PORTS:
        _drop_node_ports(spec, old_spec)
    if is_externally_accessible(old_spec) and not is_externally_accessible(spec):
        _drop_if_unchanged(spec, old_spec, "externalTrafficPolicy")
    if old_kind == "LoadBalancer" and kind != old_kind:
        _drop_if_unchanged(spec, old_spec, "allocateLoadBalancerNodePorts")
        _drop_if_unchanged(spec, old_spec, "loadBalancerClass")
        service["status"] = {"loadBalancer": {}}


def is_externally_accessible(spec: Object) -> bool:
    """Whether the Service is reached from outside the cluster, so that `externalTrafficPolicy` means something."""
    kind = spec.get("type", "ClusterIP")
    return kind in _NEED_NODE_PORTS or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _keep_cluster_ip(spec: Object, old_spec: Object) -> None:
    if not spec.get("clusterIP") and old_spec.get("clusterIP"):
        spec["clusterIP"] = old_spec["clusterIP"]
        spec["clusterIPs"] = list(old_spec.get("clusterIPs") or [old_spec["clusterIP"]])
    elif spec.get("clusterIP") != old_spec.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _keep_node_ports(spec: Object, old_spec: Object) -> None:
    known = {_port_key(port): port.get("nodePort") for port in old_spec.get("ports") or []}
    for port in spec.get("ports") or []:
        if known.get(_port_key(port)) and not port.get("nodePort"):
            port["nodePort"] = known[_port_key(port)]


def _drop_node_ports(spec: Object, old_spec: Object) -> None:
    known = {port.get("nodePort") for port in old_spec.get("ports") or []}
    for port in spec.get("ports") or []:
        if port.get("nodePort") in known:
            port.pop("nodePort", None)


def _drop_if_unchanged(spec: Object, old_spec: Object, field: str) -> None:
    if spec.get(field) == old_spec.get(field):
        spec.pop(field, None)


def _port_key(port: Object) -> tuple[str, int]:
    return port.get("protocol", "TCP"), port.get("port", 0)


def _release(spec: Object) -> None:
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
        spec.pop(field, None)


def _cluster_ip(service: Object) -> str:
    return str((service.get("spec") or {}).get("clusterIP", ""))


def _allocate_address(service: Object, taken: set[str], addresses: list[str]) -> None:
    spec = service["spec"]
    asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or []), None)
    if asked == "None":
        spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
        return
    if asked:
        if asked not in addresses:
            raise _refused(service, asked, "the provided network does not match the current range")
        if asked in taken:
            raise _refused(service, asked, "provided IP is already allocated")
        chosen = asked
    else:
        free = (address for address in addresses if address not in taken)
        chosen = next(free, "")
        if not chosen:
            message = "Internal error occurred: failed to allocate a serviceIP: range is full"
            raise StatusError(500, "InternalError", message, {"causes": [{"message": message.partition(": ")[2]}]})
    spec["clusterIP"], spec["clusterIPs"] = chosen, [chosen]


def _allocate_node_ports(service: Object, others: list[Object]) -> None:
    taken = {port["nodePort"] for other in others for port in other["spec"].get("ports") or [] if port.get("nodePort")}
    for index, port in enumerate(service["spec"].get("ports") or []):
        asked = port.get("nodePort")
        if asked and (asked not in _NODE_PORTS or asked in taken):
            why = (
                "provided port is already allocated"
                if asked in taken
                else "provided port is not in the valid range. The range of valid ports is 30000-32767"
            )
            raise _invalid(service, f"spec.ports[{index}].nodePort", f"Invalid value: {asked}: {why}")
        if not asked:
            port["nodePort"] = next(number for number in _NODE_PORTS if number not in taken)
        taken.add(port["nodePort"])


def _refused(service: Object, address: str, why: str) -> StatusError:
    return _invalid(service, "spec.clusterIPs", f'Invalid value: ["{address}"]: failed to allocate IP {address}: {why}')


def _invalid(service: Object, field: str, message: str) -> StatusError:
    name = service["metadata"].get("name", "")
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field}]
    details = {"name": name, "kind": "Service", "causes": causes}
    return StatusError(422, "Invalid", f'Service "{name}" is invalid: {field}: {message}', details)
