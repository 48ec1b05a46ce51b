"""What is allowed in a pod's spec, as pods and as templates of workloads.

Pure; it expects defaults to be filled in. Affinity, security contexts beyond user numbers, and volumes of clouds are not
judged: nothing in the sandbox acts on them.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.container_rules import validate_container
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import bad_values, validate_labels

Object = dict[str, Any]

_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_TOLERATION_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_INT32_MAX = 2**31 - 1


def validate_pod_spec(spec: Object, field: str) -> list[FieldError]:
    """All objections to a pod's spec that stands at `field`."""
    volumes = spec.get("volumes") or []
    found = list(_volumes(volumes, f"{field}.volumes"))
    volume_names = {volume.get("name", "") for volume in volumes}
    found += _containers(spec, field, volume_names)
    found += _policies(spec, field)
    found += validate_labels(spec.get("nodeSelector"), f"{field}.nodeSelector")
    for index, gate in enumerate(spec.get("readinessGates") or []):
        kind = gate.get("conditionType", "")
        found += bad_values(f"{field}.readinessGates[{index}].conditionType", kind, names.qualified_name(kind))
    for key in ("serviceAccountName", "nodeName"):
        if spec.get(key):
            found += bad_values(f"{field}.{key}", spec[key], names.dns_subdomain(spec[key]))
    found += _deadline(spec.get("activeDeadlineSeconds"), f"{field}.activeDeadlineSeconds")
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            found += bad_values(f"{field}.{key}", spec[key], names.dns_label(spec[key]))
    for index, toleration in enumerate(spec.get("tolerations") or []):
        found += _toleration(toleration, f"{field}.tolerations[{index}]")
    return found


def _containers(spec: Object, field: str, volumes: set[str]) -> Iterator[FieldError]:
    containers = spec.get("containers") or []
    if not containers:
        yield errors.required(f"{field}.containers")
    seen: set[str] = set()
    host_ports: set[tuple[str, str, int]] = set()
    for index, container in enumerate(containers):
        place = f"{field}.containers[{index}]"
        yield from validate_container(container, place, volumes)
        yield from _unique(container.get("name", ""), f"{place}.name", seen)
        yield from _host_ports(container, place, host_ports)
        if spec.get("hostNetwork"):
            yield from _host_network_ports(container, place)
    for index, container in enumerate(spec.get("initContainers") or []):
        place = f"{field}.initContainers[{index}]"
        is_sidecar = container.get("restartPolicy") == "Always"
        yield from validate_container(container, place, volumes, has_probes=is_sidecar)
        yield from _unique(container.get("name", ""), f"{place}.name", seen)
        if not is_sidecar:
            for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(key) is not None:
                    sentence = "may not be set for init containers without restartPolicy=Always"
                    yield errors.forbidden(f"{place}.{key}", sentence)


def _unique(name: str, field: str, seen: set[str]) -> Iterator[FieldError]:
    if name and name in seen:
        yield errors.duplicate(field, name)
    seen.add(name)


def _host_ports(container: Object, field: str, seen: set[tuple[str, str, int]]) -> Iterator[FieldError]:
    for index, port in enumerate(container.get("ports") or []):
        if not port.get("hostPort"):
            continue
        key = (port.get("protocol", ""), port.get("hostIP", ""), port["hostPort"])
        if key in seen:
            yield errors.duplicate(f"{field}.ports[{index}].hostPort", "/".join(map(str, key)))
        seen.add(key)


def _host_network_ports(container: Object, field: str) -> Iterator[FieldError]:
    for index, port in enumerate(container.get("ports") or []):
        if port.get("hostPort") != port.get("containerPort"):
            sentence = "must match `containerPort` when `hostNetwork` is true"
            yield errors.invalid_value(f"{field}.ports[{index}].hostPort", port.get("hostPort"), sentence)


def _policies(spec: Object, field: str) -> Iterator[FieldError]:
    supported = {
        "restartPolicy": ("Always", "OnFailure", "Never"),
        "dnsPolicy": ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"),
    }
    for key, values in supported.items():
        if spec.get(key) not in values:
            yield errors.not_supported(f"{field}.{key}", spec.get(key, ""), values)


def _deadline(seconds: int | None, field: str) -> list[FieldError]:
    if seconds is None or 1 <= seconds <= _INT32_MAX:
        return []
    return [errors.invalid_value(field, seconds, f"must be between 1 and {_INT32_MAX}, inclusive")]


def _volumes(volumes: list[Object], field: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        place, name = f"{field}[{index}]", volume.get("name") or ""
        sources = [key for key, value in volume.items() if key != "name" and value is not None]
        for source in sources[1:]:
            yield errors.forbidden(f"{place}.{source}", "may not specify more than 1 volume type")
        if not name:
            yield errors.required(f"{place}.name")
        else:
            yield from bad_values(f"{place}.name", name, names.dns_label(name))
        yield from _unique(name, f"{place}.name", seen)


def _toleration(toleration: Object, field: str) -> Iterator[FieldError]:
    key, operator, effect = (toleration.get(name) or "" for name in ("key", "operator", "effect"))
    if key:
        yield from bad_values(f"{field}.key", key, names.qualified_name(key))
    if not key and operator != "Exists":
        yield errors.invalid_value(
            f"{field}.operator",
            operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        yield errors.invalid_value(
            f"{field}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
        )
    if operator not in {"", "Equal", "Exists"}:
        yield errors.not_supported(f"{field}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and toleration.get("value"):
        yield errors.invalid_value(f"{field}.operator", toleration, "value must be empty when `operator` is 'Exists'")
    if effect and effect not in _TOLERATION_EFFECTS:
        yield errors.not_supported(f"{field}.effect", effect, _TOLERATION_EFFECTS)


def validate_pod_update(spec: Object, old: Object) -> list[FieldError]:
    """Objections to what a pod's update changes. The real server also prints a diff of its internal types; this does not."""
    for key in ("containers", "initContainers"):
        if len(spec.get(key) or ()) != len(old.get(key) or ()):
            return [errors.forbidden(f"spec.{key}", "pod updates may not add or remove containers")]
    if _fixed(spec) != _fixed(old) or not _only_added(spec.get("tolerations") or (), old.get("tolerations") or ()):
        return [errors.forbidden("spec", _CHANGEABLE)]
    new_deadline, old_deadline = spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if old_deadline is not None and (new_deadline is None or new_deadline > old_deadline):
        sentence = (
            "must be less than or equal to previous value"
            if new_deadline
            else "must not update from a positive integer to nil value"
        )
        return [errors.invalid_value("spec.activeDeadlineSeconds", new_deadline, sentence)]
    return []


def _fixed(spec: Object) -> Object:
    """The part of the spec that may not change."""
    fixed = {key: value for key, value in spec.items() if key not in {"activeDeadlineSeconds", "tolerations"}}
    if (grace := fixed.get("terminationGracePeriodSeconds")) is not None and grace < 0:
        fixed["terminationGracePeriodSeconds"] = 1
    for key in ("containers", "initContainers"):
        if key in fixed:
            fixed[key] = [{name: value for name, value in one.items() if name != "image"} for one in fixed[key] or ()]
    return fixed


def _only_added(tolerations: Iterable[Object], old: Iterable[Object]) -> bool:
    now = list(tolerations)
    return all(toleration in now for toleration in old)
