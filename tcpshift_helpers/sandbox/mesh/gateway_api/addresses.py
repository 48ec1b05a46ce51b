"""Which Services a Gateway is reached by, and the addresses they have. Pure.

Source: istio.io/istio, 1.31 line: pilot/pkg/config/kube/gateway/conversion.go (`extractGatewayServices`),
gatewaycommon (context.go `ResolveGatewayInstances`, conversion.go `SetProgrammedCondition`, gateway_utils.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.selectors import labels_of
from tcpshift_helpers.sandbox.mesh import hostnames
from tcpshift_helpers.sandbox.mesh.clusters import ready_addresses
from tcpshift_helpers.sandbox.mesh.gateway_api.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tcpshift_helpers.sandbox.mesh.model import Snapshot

    Obj = Mapping[str, Any]

MANAGED = "gateway.istio.io/managed"
NAME_OVERRIDE = "gateway.istio.io/name-override"
_IP_ADDRESS, _HOSTNAME = "IPAddress", "Hostname"


def is_managed(gateway: Obj) -> bool:
    """Whether istiod makes the Deployment and Service of this Gateway: unless it names the address of others."""
    wanted = gateway["spec"].get("addresses") or []
    return not wanted or (len(wanted) == 1 and wanted[0].get("type", _IP_ADDRESS) == _IP_ADDRESS)


def infrastructure_name(gateway: Obj) -> str:
    """The name of the Deployment and Service that istiod makes."""
    default = f"{gateway['metadata']['name']}-{gateway['spec']['gatewayClassName']}"
    return str((gateway["metadata"].get("annotations") or {}).get(NAME_OVERRIDE) or default)


def service_hosts(gateway: Obj) -> tuple[list[str], tuple[str, str] | None]:
    """Full names of the Services that the Gateway is reached by, and what is wrong with its addresses."""
    namespace = gateway["metadata"]["namespace"]
    if is_managed(gateway):
        return [hostnames.service_host(infrastructure_name(gateway), namespace)], None
    wanted = gateway["spec"]["addresses"]
    hosts = [str(one["value"]) for one in wanted if one.get("type", _IP_ADDRESS) == _HOSTNAME]
    ignored = [str(one.get("value", "")) for one in wanted if one.get("type", _IP_ADDRESS) != _HOSTNAME]
    full = [host if "." in host else hostnames.service_host(host, namespace) for host in hosts]
    if ignored:
        return full, ("UnsupportedAddress", f"only Hostname is supported, ignoring [{' '.join(ignored)}]")
    return full, None


@dataclass(frozen=True)
class Reached:
    """What a Gateway's Services offer.

    Attributes:
        internal: `host:port` where a ready pod answers.
        external: addresses of load balancers.
        pending: hosts that wait for theirs.
        warnings: what is missing.
        usable: whether what is missing may come by itself.
    """

    internal: tuple[str, ...]
    external: tuple[str, ...]
    pending: tuple[str, ...]
    warnings: tuple[str, ...]
    usable: bool

    @property
    def addresses(self) -> list[dict[str, str]]:
        """For the Gateway's status: those of load balancers, else the Services' names."""
        hosts = (place.rpartition(":")[0] for place in self.internal)
        found = self.external or tuple(dict.fromkeys(host for host in hosts if host not in self.pending))
        return [{"type": _IP_ADDRESS if hostnames.is_address(one) else _HOSTNAME, "value": one} for one in found]

    def programmed(self, hosts: Sequence[str]) -> Condition:
        """The condition `Programmed`.

        Args:
            hosts: names of the Services it is to be reached by.
        """
        joined, missing = _joined(self.internal), "; ".join(self.warnings)
        if not hosts:
            return Condition("False", "UnsupportedAddress", "Failed to assign to any requested addresses")
        if self.warnings:
            reason = "AddressNotAssigned" if self.usable else "AddressNotUsable"
            failed = f"ailed to assign to {'all' if joined else 'any'} requested addresses: {missing}"
            return Condition(
                "False", reason, f"Assigned to service(s) {joined}, but f{failed}" if joined else f"F{failed}"
            )
        assigned = f", assigned to service(s) {joined}" if joined else ""
        return Condition("True", "Programmed", f"Resource programmed{assigned}")


def reach(namespace: str, hosts: Iterable[str], ports: Iterable[int], snapshot: Snapshot) -> Reached:
    """Look up Services.

    Args:
        namespace: of the Gateway; Services of others do not count.
        hosts: full names of the Services.
        ports: of the Gateway's listeners.
        snapshot: Services and their endpoints.
    """
    internal, external, pending, warnings = set(), set(), set(), []
    wanted, usable = sorted(set(ports)), True
    for host in hosts:
        service = snapshot.services_by_host.get(host)
        if service is None or service["metadata"]["namespace"] != namespace:
            where = service and f' in namespace "{namespace}", but it was found in namespace(s) "{_namespace(service)}"'
            warnings.append(f'hostname "{host}" not found{where or ""}')
            usable = False
            continue
        served = {
            int(port["port"]): ready_addresses(service, port, None, snapshot)
            for port in service["spec"].get("ports") or []
        }
        for port in wanted:
            if not served.get(port):
                warning, may_come = _missing(host, port, service, served)
                warnings += [warning] if warning else []
                usable = usable and may_come
                continue
            internal.add(f"{host}:{port}")
            balanced = _external(service)
            external.update(balanced)
            if not balanced and service["spec"].get("type") == "LoadBalancer" and host not in pending:
                pending.add(host)
                warnings.append(f'address pending for hostname "{host}"')
    return Reached(
        tuple(sorted(internal)), tuple(sorted(external)), tuple(sorted(pending)), tuple(sorted(warnings)), usable
    )


def _missing(host: str, port: int, service: Obj, served: Mapping[int, Sequence[tuple[str, int]]]) -> tuple[str, bool]:
    """What to say of a port without endpoints, and whether they may come by themselves."""
    if not any(served.values()):
        return f'no instances found for hostname "{host}"', True
    hints = sorted({str(number) for number, found in served.items() for _, target in found if target == port})
    if hints:
        hint = f"the service port should be specified, not the workload port. Did you mean one of these ports: [{' '.join(hints)}]?"
        return f'port {port} not found for hostname "{host}" (hint: {hint})', False
    if MANAGED in labels_of(service) and port in served:
        return "", True
    return f'port {port} not found for hostname "{host}"', False


def _external(service: Obj) -> list[str]:
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    balanced = [str(one.get("ip") or one.get("hostname")) for one in ingress]
    return balanced + [str(one) for one in service["spec"].get("externalIPs") or []]


def _namespace(service: Obj) -> str:
    return str(service["metadata"]["namespace"])


def _joined(words: Sequence[str]) -> str:
    if len(words) <= 2:
        return " and ".join(words)
    return f"{', '.join(words[:-1])}, and {words[-1]}"
