"""What Istio's validating webhook refuses, for Gateway, VirtualService and DestinationRule, in its words. Pure.

The API server asks before it stores. Types, unknown fields and required fields are the schema's business
(`apiserver/istio_schemas.py`): values of a wrong type are passed over here, never a reason to crash.
Where the words alone do not say what to write (all weights zero), a sentence is added after them.

Not checked: the inside of `http` and `tls` routes except weights, other TLS settings of servers, outlier detection,
locality and consistent-hash settings. The sandbox does not serve these, and istiod's status says so.

Source: istio.io/istio, 1.31 line: pkg/config/validation/validation.go, pkg/webhooks/validation/server/server.go;
answers recorded in tests/unit/sandbox/mesh/recorded/validation.json.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh import hostnames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType

    Obj = Mapping[str, Any]

ISTIO_GROUP = "networking.istio.io"
MESH = "mesh"
PROTOCOLS = frozenset(
    {"tcp", "udp", "grpc", "grpc-web", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql"}
)
_HTTP = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
_TLS = frozenset({"https", "tls"})
_ALWAYS_REJECT = "internal.istio.io/webhook-always-reject"
_RESERVED_ANNOTATIONS = ("internal.istio.io/parent-namespace", "internal.istio.io/parents")

_QUALIFIED = r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_KEY = re.compile(rf"((?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9][-a-zA-Z0-9]*/)?({_QUALIFIED})\Z")
_LABEL_VALUE = re.compile(rf"({_QUALIFIED})?\Z")
_LONGEST_KEY = 63
_LONGEST_PREFIX = 253


@dataclass
class Findings:
    """Errors in the order found, and how Istio would print them.

    Attributes:
        errors: the messages.
        as_list: print even a single one as a list, as Istio does for some checks.
        advice: what to write instead, where the message alone does not say.
    """

    errors: list[str] = field(default_factory=list)
    as_list: bool = False
    advice: str = ""

    def add(self, *messages: str | None) -> None:
        """Note messages; None stands for "nothing wrong"."""
        self.errors += [message for message in messages if message]

    def listed(self, message: str) -> None:
        """Note a message of those that Istio prints as a list even when alone."""
        self.errors.append(message)
        self.as_list = True

    def text(self) -> str | None:
        """The whole as one message, or None."""
        if not self.errors:
            return None
        if len(self.errors) == 1 and not self.as_list:
            text = self.errors[0]
        else:
            count = f"{len(self.errors)} error{'s' if len(self.errors) > 1 else ''}"
            text = f"{count} occurred:\n\t* " + "\n\t* ".join(self.errors) + "\n\n"
        return f"configuration is invalid: {text}{self.advice}"


class IstioValidator:
    """Admission plug-in that refuses what Istio's webhook refuses."""

    name = "validation.istio.io"

    def mutate(
        self, operation: str, resource: ResourceType, obj: dict[str, Any], namespace_labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """Nothing is changed here."""
        return obj

    def validate(self, operation: str, resource: ResourceType, obj: Obj, old: Obj | None) -> str | None:
        """The webhook's message if it would refuse this object, else None."""
        if operation not in ("CREATE", "UPDATE") or resource.group != ISTIO_GROUP:
            return None
        return validate_object(resource.kind, obj)


def validate_object(kind: str, obj: Obj) -> str | None:
    """Check a Gateway, VirtualService or DestinationRule.

    Returns:
        What stands after "denied the request: " in the API server's answer, or None if the object is valid.
    """
    check = _CHECKS.get(kind)
    if check is None:
        return None
    found = Findings()
    _annotations(_map(obj, "metadata"), found)
    if not found.errors:
        check(_map(obj, "metadata"), _map(obj, "spec"), found)
    return found.text()


def _annotations(metadata: Obj, found: Findings) -> None:
    annotations = _map(metadata, "annotations")
    if "istio.io/dry-run" in annotations:
        name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        found.add(f"{name} has unsupported annotation istio.io/dry-run, please remove the annotation")
    elif _ALWAYS_REJECT in annotations:
        found.add(f'"{_ALWAYS_REJECT}" annotation found, rejecting')
    else:
        for reserved in _RESERVED_ANNOTATIONS:
            if reserved in annotations:
                found.add(f'"{reserved}" annotation found, this may not be set by users')
                return


def _virtual_service(metadata: Obj, spec: Obj, found: Findings) -> None:
    hosts, gateways, tcp = _texts(spec, "hosts"), _texts(spec, "gateways"), _maps(spec, "tcp")
    if not hosts:
        for fields, what in (("gateways", "gateways"), ("tls", "tls route"), ("tcp", "tcp route")):
            if spec.get(fields):
                found.add(f"delegate virtual service must have no {what} specified")
    _gateway_names(gateways, found)
    _virtual_service_hosts(hosts, for_mesh=not gateways or MESH in gateways, found=found)
    if not (spec.get("http") or tcp or spec.get("tls")):
        found.add("http, tcp or tls must be provided in virtual service")
    for kind in ("http", "tls"):
        for number, rule in enumerate(_maps(spec, kind)):
            _weights(_maps(rule, "route"), f"spec.{kind}[{number}].route", found, inside=False)
    for number, rule in enumerate(tcp):
        _tcp_rule(rule, f"spec.tcp[{number}].route", found)
    _export_to(metadata, spec, found, with_selector=False)


def _virtual_service_hosts(hosts: list[str], *, for_mesh: bool, found: Findings) -> None:
    valid = True
    for host in hosts:
        error = hostnames.wildcard_name_error(host)
        if error and not hostnames.is_address(host):
            found.add(error)
            valid = False
        elif not error and for_mesh and host == "*":
            found.add("wildcard host * is not allowed for virtual services bound to the mesh gateway")
            valid = False
    if valid:
        for number, host in enumerate(hosts):
            for other in hosts[number + 1 :]:
                if hostnames.matches(host, other):
                    found.add(f"duplicate hosts in virtual service: {host} & {other}")


def _gateway_names(names: list[str], found: Findings) -> None:
    for full_name in names:
        namespace, slash, name = full_name.partition("/")
        if not slash:
            found.add(hostnames.name_error(full_name))
            # As the real one: names after the first without a namespace are not looked at.
            return
        if not namespace or not name:
            found.add("config namespace and gateway name cannot be empty")
        if not hostnames.is_dns_label(namespace):
            found.add(f'invalid value for namespace: "{namespace}"')
        if not hostnames.is_dns_label(name):
            found.add(f'invalid value for gateway name: "{name}"')


def _tcp_rule(rule: Obj, path: str, found: Findings) -> None:
    for match in _maps(rule, "match"):
        for subnet in _texts(match, "destinationSubnets"):
            found.add(_subnet_error(subnet))
        if match.get("port"):
            found.add(_port_error(match["port"]))
        _labels(_map(match, "sourceLabels"), found)
        _gateway_names(_texts(match, "gateways"), found)
    route = _maps(rule, "route")
    if not route:
        found.add("TCP route is required")
    _weights(route, path, found, inside=True)


def _weights(route: list[Obj], path: str, found: Findings, *, inside: bool) -> None:
    total = 0
    for destination in route:
        if inside:
            _destination(destination, found)
        weight = destination.get("weight", 0)
        weight = weight if isinstance(weight, int) else 0
        if weight < 0:
            found.add(f"weight {weight} < 0")
        total += weight
    if len(route) > 1 and total == 0:
        found.add("total destination weight = 0")
        found.advice = (
            f". {path} shares connections among {len(route)} destinations, but the weights add up to nothing: "
            "write a weight above 0 at one of them at least, for example weight: 80 and weight: 20."
        )


def _destination(route: Obj, found: Findings) -> None:
    destination = route.get("destination")
    if not isinstance(destination, dict):
        found.listed("destination is required")
        return
    host = str(destination.get("host", ""))
    found.add(f"invalid destination host {host}" if host == "*" else hostnames.wildcard_name_error(host))
    if destination.get("subset"):
        found.add(_subset_name_error(str(destination["subset"])))
    if isinstance(destination.get("port"), dict):
        found.add(_port_error(destination["port"].get("number", 0)))


def _gateway(metadata: Obj, spec: Obj, found: Findings) -> None:
    name = str(metadata.get("name", ""))
    if not hostnames.is_dns_label(name):
        found.add(f'invalid gateway name: "{name}"')
    servers = _maps(spec, "servers")
    if not servers:
        found.add("gateway must have at least one server")
    for server in servers:
        _server(server, found)
    seen = set()
    for server in servers:
        if isinstance(server.get("port"), dict):
            port_name = server["port"].get("name", "")
            if port_name in seen:
                found.add(f"port names in servers must be unique: duplicate name {port_name}")
            seen.add(port_name)


def _server(server: Obj, found: Findings) -> None:
    hosts = _texts(server, "hosts")
    if not hosts:
        found.add("server config must contain at least one host")
    for host in hosts:
        _server_host(host, found)
    before = len(found.errors)
    port, bind = server.get("port"), str(server.get("bind", ""))
    if isinstance(port, dict):
        _server_port(port, found)
    else:
        found.add("port is required")
    port_is_valid = len(found.errors) == before
    if bind and not bind.startswith("unix://") and not hostnames.is_address(bind):
        found.add(f"{bind} is not a valid IP")
    _certificates(_map(server, "tls"), found)
    if port_is_valid and isinstance(port, dict):
        _server_tls(port, server.get("tls"), found)


def _server_host(host: str, found: Findings) -> None:
    namespace, slash, name = host.partition("/")
    if not slash:
        namespace, name = "*", host
    elif not namespace or not name:
        found.add("config namespace and dnsName in host entry cannot be empty")
    if namespace not in ("*", ".") and not hostnames.is_dns_label(namespace):
        found.add(f'invalid namespace value "{namespace}" in gateway')
    if name != "*" and "." not in name:
        found.add("short names (non FQDN) are not allowed")
    if not hostnames.is_address(name):
        found.add(hostnames.wildcard_name_error(name))
    if "*" in name and len(name) != 1 and not name.startswith("*."):
        found.add(f'partial wildcard "{name}" not allowed')


def _server_port(port: Obj, found: Findings) -> None:
    protocol, number, name = str(port.get("protocol", "")), port.get("number", 0), port.get("name", "")
    if protocol.lower() not in PROTOCOLS:
        supported = "HTTP, HTTP2, GRPC, GRPC-WEB, MONGO, REDIS, MYSQL, TCP"
        found.add(f'invalid protocol "{protocol}", supported protocols are {supported}')
    found.add(_port_error(number))
    if port.get("targetPort"):
        found.add("targetPort has no impact on Gateways")
    if not name:
        shown = [f"number:{number}"] if number else []
        shown += [f'protocol:"{protocol}"'] if protocol else []
        found.add(f"port name must be set: {'  '.join(shown)}")


def _certificates(tls: Obj, found: Findings) -> None:
    mode = tls.get("mode")
    if mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL") or tls.get("credentialName") or tls.get("credentialNames"):
        return
    kind = "SIMPLE TLS" if mode == "SIMPLE" else "MUTUAL TLS"
    if mode != "SIMPLE" and not tls.get("caCertificates"):
        found.add(f"{kind} requires a client CA bundle")
    for one in _maps(tls, "tlsCertificates") or [tls]:
        found.add(None if one.get("serverCertificate") else f"{kind} requires a server certificate")
        found.add(None if one.get("privateKey") else f"{kind} requires a private key")


def _server_tls(port: Obj, tls: object, found: Findings) -> None:
    protocol = str(port["protocol"]).lower()
    if protocol in _TLS:
        if tls is None:
            found.add("server must have TLS settings for HTTPS/TLS protocols")
    elif tls is not None and protocol not in _HTTP:
        found.add("server cannot have TLS settings for non HTTPS/TLS ports")


def _destination_rule(metadata: Obj, spec: Obj, found: Findings) -> None:
    found.add(hostnames.wildcard_name_error(str(spec.get("host", ""))))
    _traffic_policy(spec.get("trafficPolicy"), found)
    seen = set()
    for subset in _maps(spec, "subsets"):
        name = str(subset.get("name", ""))
        if name in seen:
            found.add(f"duplicate subset names: {name}")
        seen.add(name)
        found.add(_subset_name_error(name) if name else "subset name cannot be empty")
        _labels(_map(subset, "labels"), found)
        _traffic_policy(subset.get("trafficPolicy"), found)
    selector = spec.get("workloadSelector")
    _export_to(metadata, spec, found, with_selector=isinstance(selector, dict))
    for key, value in _map(_map(spec, "workloadSelector"), "matchLabels").items():
        if not key:
            found.add(f'empty key is not supported in selector: "{key}={value}"')
        if "*" in key or "*" in str(value):
            found.add(f'wildcard is not supported in selector: "{key}={value}"')


def _traffic_policy(policy: object, found: Findings) -> None:
    if not isinstance(policy, dict):
        return
    if not any(value is not None for value in policy.values()):
        found.add("traffic policy must have at least one field")
        return
    pool = policy.get("connectionPool")
    if isinstance(pool, dict):
        if pool.get("tcp") is None and pool.get("http") is None:
            found.add("connection pool must have at least one field")
        limit = _map(pool, "tcp").get("maxConnections", 0)
        if isinstance(limit, int) and limit < 0:
            found.add("max connections must be non-negative")
        timeout = _map(pool, "tcp").get("connectTimeout")
        if timeout is not None and (seconds := duration_seconds(timeout)) is not None and seconds < 0.001:
            found.add("duration must be greater than 1ms")


def _export_to(metadata: Obj, spec: Obj, found: Findings, *, with_selector: bool) -> None:
    namespace, exports = str(metadata.get("namespace", "")), _texts(spec, "exportTo")
    seen: set[str] = set()
    for export in exports:
        key = namespace if export == "." else export
        if key in seen:
            if key != export:
                found.add(f"duplicate entries in exportTo: . and current namespace {namespace}")
            else:
                found.add(f"duplicate entries in exportTo for entry {export}")
        elif key == "~":
            found.add("exportTo ~ (none) is not allowed for Istio configuration objects")
        elif key != "*" and not hostnames.is_dns_label(key):
            found.add("only .,*, or a valid DNS 1123 label is allowed as exportTo entry")
        else:
            seen.add(key)
    if with_selector and seen:
        if namespace not in seen:
            found.add("destination rule with workload selector cannot have exportTo beyond current namespace")
        elif len(seen) > 1:
            found.add("destination rule with workload selector cannot have multiple entries in exportTo")
    if "*" in seen and len(exports) > 1:
        found.add("cannot have both public (*) and non-public exportTo values for a resource")


def _labels(labels: Obj, found: Findings) -> None:
    for key, value in labels.items():
        match = _LABEL_KEY.match(key)
        if match is None:
            found.listed(f'invalid tag key: "{key}"')
        elif len(match[1] or "") - 1 > _LONGEST_PREFIX:
            found.listed(f'invalid tag key: "{key}" (DNS prefix is too long)')
        elif len(match[2]) > _LONGEST_KEY:
            found.listed(f'invalid tag key: "{key}" (name is too long)')
        if not _LABEL_VALUE.match(str(value)):
            found.listed(f'invalid tag value: "{value}"')


def _port_error(number: object) -> str | None:
    if not isinstance(number, int) or 1 <= number <= 65535:
        return None
    return f"port number {number} must be in the range 1..65535"


def _subset_name_error(name: str) -> str | None:
    return None if hostnames.is_dns_label(name) else f"subset name is invalid: {name}"


def _subnet_error(subnet: str) -> str | None:
    if subnet.count("/") != 1:
        return None if hostnames.is_address(subnet) else f"{subnet} is not a valid IP"
    try:
        ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return f"{subnet} is not a valid CIDR block"
    return None


_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|µs|ms|s|m|h)")


def duration_seconds(text: object) -> float | None:
    """Seconds of a duration such as `1m30s` or `500ms`; None if it cannot be read."""
    if not isinstance(text, str) or not re.fullmatch(rf"(?:{_DURATION_PART.pattern})+", text):
        return None
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def _map(obj: Obj, key: str) -> Obj:
    value = obj.get(key)
    return value if isinstance(value, dict) else {}


def _items(obj: Obj, key: str) -> Iterable[object]:
    value = obj.get(key)
    return value if isinstance(value, list) else ()


def _maps(obj: Obj, key: str) -> list[Obj]:
    return [item for item in _items(obj, key) if isinstance(item, dict)]


def _texts(obj: Obj, key: str) -> list[str]:
    return [item for item in _items(obj, key) if isinstance(item, str)]


_CHECKS: dict[str, Callable[[Obj, Obj, Findings], None]] = {
    "VirtualService": _virtual_service,
    "Gateway": _gateway,
    "DestinationRule": _destination_rule,
}
