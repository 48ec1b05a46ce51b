"""What is allowed in Services, Endpoints and EndpointSlices.

Pure; it expects defaults to be filled in. One rule of the real server is left out on purpose: endpoints and external
addresses may be loopback addresses, because all of the sandbox's addresses are.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.container_rules import PROTOCOLS
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import bad_values, validate_labels

Object = dict[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_TRAFFIC_POLICIES = ("Cluster", "Local")
_EXTERNAL_TYPES = frozenset({"NodePort", "LoadBalancer"})
_NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_DAY_SECONDS = 86400


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def validate_service(service: Object) -> list[FieldError]:
    """All objections to a Service but those to its metadata."""
    spec = service["spec"]
    kind, ports = spec.get("type"), spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    found: list[FieldError] = []
    if not ports and not headless and kind != "ExternalName":
        found.append(errors.required("spec.ports"))
    if kind == "LoadBalancer" and headless:
        sentence = "may not be set to 'None' for LoadBalancer services"
        found.append(errors.invalid_value("spec.clusterIPs[0]", "None", sentence))
    if kind == "ExternalName":
        found += _external_name(spec)
    found += _ports(ports, spec)
    found += validate_labels(spec.get("selector"), "spec.selector")
    found += _session_affinity(spec)
    for index, text in enumerate(spec.get("externalIPs") or []):
        if _address(text) is None:
            found.append(errors.invalid_value(f"spec.externalIPs[{index}]", text, _NOT_AN_ADDRESS))
    if kind not in _TYPES:
        found.append(errors.not_supported("spec.type", kind, _TYPES))
    found += _cluster_ip(spec)
    found += _only_for_some_types(spec)
    found += _traffic_policies(spec)
    return found + list(_unique_ports(ports))


def _external_name(spec: Object) -> list[FieldError]:
    if spec.get("clusterIP"):
        return [errors.forbidden("spec.clusterIPs", "may not be set for ExternalName services")]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [errors.required("spec.externalName")]
    return bad_values("spec.externalName", name, names.dns_subdomain(name))


def _ports(ports: list[Object], spec: Object) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place, name = f"spec.ports[{index}]", port.get("name") or ""
        if not name and len(ports) > 1:
            yield errors.required(f"{place}.name")
        elif name:
            yield from bad_values(f"{place}.name", name, names.dns_label(name))
            if name in seen:
                yield errors.duplicate(f"{place}.name", name)
            seen.add(name)
        number, target = port.get("port") or 0, port.get("targetPort")
        yield from bad_values(f"{place}.port", number, names.port_number(number))
        if port.get("protocol") not in PROTOCOLS:
            yield errors.not_supported(f"{place}.protocol", port.get("protocol"), PROTOCOLS)
        target = number if target is None else target
        problems = names.port_name(target) if isinstance(target, str) else names.port_number(target)
        yield from bad_values(f"{place}.targetPort", target, problems)
        if port.get("nodePort") and spec.get("type") == "ClusterIP":
            yield errors.forbidden(f"{place}.nodePort", "may not be used when `type` is 'ClusterIP'")


def _unique_ports(ports: list[Object]) -> Iterator[FieldError]:
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            yield errors.duplicate(f"spec.ports[{index}]", shown)
        seen.add(key)


def _session_affinity(spec: Object) -> Iterator[FieldError]:
    affinity, supported = spec.get("sessionAffinity"), ("ClientIP", "None")
    if affinity not in supported:
        yield errors.not_supported("spec.sessionAffinity", affinity, supported)
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = client_ip.get("timeoutSeconds")
    if affinity == "ClientIP" and seconds is not None and not 0 < seconds <= _DAY_SECONDS:
        field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        yield errors.invalid_value(field, seconds, f"must be greater than 0 and less than {_DAY_SECONDS}")


def _cluster_ip(spec: Object) -> Iterator[FieldError]:
    text = spec.get("clusterIP") or ""
    if text not in {"", "None"} and _address(text) is None:
        yield errors.invalid_value("spec.clusterIPs[0]", text, _NOT_AN_ADDRESS)
    for index, family in enumerate(spec.get("ipFamilies") or []):
        if family != "IPv4":
            yield errors.invalid_value(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")


def _only_for_some_types(spec: Object) -> Iterator[FieldError]:
    if spec.get("type") != "LoadBalancer":
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(key) is not None:
                yield errors.forbidden(f"spec.{key}", "may only be used when `type` is 'LoadBalancer'")


def _traffic_policies(spec: Object) -> Iterator[FieldError]:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if external and spec.get("type") not in _EXTERNAL_TYPES and not spec.get("externalIPs"):
        sentence = "may only be set for externally-accessible services"
        yield errors.invalid_value("spec.externalTrafficPolicy", external, sentence)
    elif external and external not in _TRAFFIC_POLICIES:
        yield errors.not_supported("spec.externalTrafficPolicy", external, _TRAFFIC_POLICIES)
    if internal is not None and internal not in _TRAFFIC_POLICIES:
        yield errors.not_supported("spec.internalTrafficPolicy", internal, _TRAFFIC_POLICIES)


def validate_service_update(service: Object, old: Object) -> list[FieldError]:
    """A cluster IP stays, unless the Service becomes an ExternalName or was one."""
    now, before = service["spec"], old["spec"]
    if "ExternalName" in {now.get("type"), before.get("type")} or not before.get("clusterIP"):
        return []
    if now.get("clusterIP") in {before["clusterIP"], None, ""}:
        return []
    return [errors.invalid_value("spec.clusterIPs[0]", [now["clusterIP"]], "may not change once set")]


def validate_service_status(service: Object) -> list[FieldError]:
    """Only a LoadBalancer Service is entered from outside."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress and service["spec"].get("type") != "LoadBalancer":
        sentence = "may only be used when `spec.type` is 'LoadBalancer'"
        return [errors.forbidden("status.loadBalancer.ingress", sentence)]
    return [
        errors.invalid_value(f"status.loadBalancer.ingress[{index}].ip", one["ip"], _NOT_AN_ADDRESS)
        for index, one in enumerate(ingress)
        if one.get("ip") and _address(one["ip"]) is None
    ]


def validate_endpoint_slice(endpoint_slice: Object) -> list[FieldError]:
    """All objections to an EndpointSlice but those to its metadata."""
    kind = endpoint_slice.get("addressType") or ""
    found: list[FieldError] = []
    if not kind:
        found.append(errors.required("addressType"))
    elif kind not in _ADDRESS_TYPES:
        found.append(errors.not_supported("addressType", kind, _ADDRESS_TYPES))
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or []):
        found += _endpoint(endpoint, f"endpoints[{index}]", kind)
    return found + list(_endpoint_ports(endpoint_slice.get("ports") or []))


def _endpoint(endpoint: Object, field: str, kind: str) -> Iterator[FieldError]:
    addresses = endpoint.get("addresses") or []
    if not addresses:
        yield errors.required(f"{field}.addresses", "must contain at least 1 address")
    for index, text in enumerate(addresses if kind in _ADDRESS_TYPES else ()):
        place = f"{field}.addresses[{index}]"
        if kind == "FQDN":
            yield from bad_values(place, text, names.dns_subdomain(text))
            continue
        address = _address(text)
        if address is None:
            yield errors.invalid_value(place, text, _NOT_AN_ADDRESS)
            continue
        if f"IPv{address.version}" != kind:
            yield errors.invalid_value(f"{field}.addresses", text, f"must be an {kind} address")
        yield from _special_address(address, text, place)
    if endpoint.get("nodeName") is not None:
        yield from bad_values(f"{field}.nodeName", endpoint["nodeName"], names.dns_subdomain(endpoint["nodeName"]))
    if endpoint.get("hostname"):
        yield from bad_values(f"{field}.hostname", endpoint["hostname"], names.dns_label(endpoint["hostname"]))


def _special_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str, field: str
) -> Iterator[FieldError]:
    if address.is_unspecified:
        yield errors.invalid_value(field, text, f"may not be unspecified ({text})")
    elif address.is_link_local:
        yield errors.invalid_value(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    elif address in ipaddress.ip_network("224.0.0.0/24") or address in ipaddress.ip_network("ff02::/10", strict=False):
        sentence = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        yield errors.invalid_value(field, text, sentence)


def _endpoint_ports(ports: list[Object]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            yield from bad_values(f"ports[{index}].name", name, names.dns_label(name))
        if name in seen:
            yield errors.duplicate(f"ports[{index}].name", name)
        seen.add(name)
        if port.get("protocol") not in PROTOCOLS:
            yield errors.not_supported(f"ports[{index}].protocol", port.get("protocol"), PROTOCOLS)


def validate_endpoints(endpoints: Object) -> list[FieldError]:
    """All objections to an Endpoints object but those to its metadata."""
    found: list[FieldError] = []
    for index, subset in enumerate(endpoints.get("subsets") or []):
        place = f"subsets[{index}]"
        addresses, others = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
        if not addresses and not others:
            found.append(errors.required(place, "must specify `addresses` or `notReadyAddresses`"))
        for key, listed in (("addresses", addresses), ("notReadyAddresses", others)):
            for number, address in enumerate(listed):
                found += _endpoint_address(address, f"{place}.{key}[{number}]")
        found += _subset_ports(subset.get("ports") or [], f"{place}.ports")
    return found


def _endpoint_address(entry: Object, field: str) -> Iterator[FieldError]:
    text, hostname, node = entry.get("ip") or "", entry.get("hostname"), entry.get("nodeName")
    address = _address(text)
    if address is None:
        yield errors.invalid_value(f"{field}.ip", text, _NOT_AN_ADDRESS)
    if hostname:
        yield from bad_values(f"{field}.hostname", hostname, names.dns_label(hostname))
    if node is not None:
        yield from bad_values(f"{field}.nodeName", node, names.dns_subdomain(node))
    if address is None:
        yield errors.invalid_value(f"{field}.ip", text, "must be a valid IP address")
    else:
        yield from _special_address(address, text, f"{field}.ip")


def _subset_ports(ports: list[Object], field: str) -> Iterator[FieldError]:
    for index, port in enumerate(ports):
        place, name, number = f"{field}[{index}]", port.get("name") or "", port.get("port") or 0
        if not name and len(ports) > 1:
            yield errors.required(f"{place}.name")
        elif name:
            yield from bad_values(f"{place}.name", name, names.dns_label(name))
        yield from bad_values(f"{place}.port", number, names.port_number(number))
        if port.get("protocol") not in PROTOCOLS:
            yield errors.not_supported(f"{place}.protocol", port.get("protocol"), PROTOCOLS)
