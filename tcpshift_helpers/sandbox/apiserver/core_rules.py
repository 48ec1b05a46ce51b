"""What is allowed in ConfigMaps, Secrets, Nodes, Events and Leases, and in a pod's status.

Pure; it expects defaults to be filled in.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import bad_values, negative

Object = dict[str, Any]

_DATA_BYTES = 1024 * 1024
_TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def validate_config_map(config_map: Object) -> list[FieldError]:
    """Keys, their uniqueness over both maps, and the size of all."""
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    found: list[FieldError] = []
    for key in data:
        found += bad_values(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            found.append(errors.invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in binary:
        found += bad_values(f"binaryData[{key}]", key, names.config_key(key))
    size = sum(len(value.encode()) for value in data.values()) + sum(
        _decoded_length(value) for value in binary.values()
    )
    if size > _DATA_BYTES:
        found.append(errors.too_long("[]", "", _DATA_BYTES))
    return found


def _decoded_length(text: str) -> int:
    return len(text.rstrip("=")) * 3 // 4


def validate_secret(secret: Object) -> list[FieldError]:
    """Keys, size, and what the Secret's type demands."""
    data, kind = secret.get("data") or {}, secret.get("type") or ""
    found: list[FieldError] = []
    for key in data:
        found += bad_values(f"data[{key}]", key, names.config_key(key))
    if sum(_decoded_length(value) for value in data.values()) > _DATA_BYTES:
        found.append(errors.too_long("data", "", _DATA_BYTES))
    found += [errors.required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        found += [errors.required("data[username]"), errors.required("data[password]")]
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not (secret["metadata"].get("annotations") or {}).get(annotation):
            found.append(errors.required(f"metadata.annotations[{annotation}]"))
    return found


def validate_immutable_data(obj: Object, old: Object) -> list[FieldError]:
    """What `immutable: true` and a Secret's type forbid to change."""
    found = []
    if "type" in old and obj.get("type") != old.get("type"):
        found.append(errors.invalid_value("type", obj.get("type"), "field is immutable"))
    if old.get("immutable"):
        sentence = "field is immutable when `immutable` is set"
        if not obj.get("immutable"):
            found.append(errors.forbidden("immutable", sentence))
        changed = (key for key in ("data", "binaryData") if (obj.get(key) or {}) != (old.get(key) or {}))
        found += [errors.forbidden(key, sentence) for key in changed]
    return found


def validate_node(node: Object) -> list[FieldError]:
    """Taints and address ranges."""
    spec = node.get("spec") or {}
    found: list[FieldError] = []
    for index, taint in enumerate(spec.get("taints") or []):
        field, key, effect = f"metadata.taints[{index}]", taint.get("key") or "", taint.get("effect") or ""
        found += bad_values(f"{field}.key", key, names.qualified_name(key))
        if effect not in _TAINT_EFFECTS:
            found.append(errors.not_supported(f"{field}.effect", effect, _TAINT_EFFECTS))
    ranges = spec.get("podCIDRs") or [text for text in [spec.get("podCIDR")] if text]
    for index, text in enumerate(ranges):
        if not _is_network(text):
            sentence = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            found.append(errors.invalid_value(f"spec.podCIDRs[{index}]", text, sentence))
    return found


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def validate_event(event: Object) -> list[FieldError]:
    """An Event lives where the object it is about lives; new-style ones (with `eventTime`) say who saw it."""
    involved = event.get("involvedObject") or {}
    found: list[FieldError] = []
    if event.get("eventTime"):
        found += _new_style_event(event)
    if involved.get("namespace") and involved["namespace"] != event["metadata"].get("namespace"):
        sentence = "does not match event.namespace"
        found.append(errors.invalid_value("involvedObject.namespace", involved["namespace"], sentence))
    return found


def _new_style_event(event: Object) -> Iterator[FieldError]:
    component = event.get("reportingComponent") or ""
    if not component:
        yield errors.required("reportingComponent")
    yield from bad_values("reportingComponent", component, names.qualified_name(component))
    for key in ("reportingInstance", "action", "reason"):
        if not event.get(key):
            yield errors.required(key)


def validate_lease(lease: Object) -> list[FieldError]:
    """A lease lasts some time."""
    spec = lease.get("spec") or {}
    found: list[FieldError] = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        found.append(errors.invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    return found + negative("spec.leaseTransitions", spec.get("leaseTransitions"))


def validate_pod_status(status: Object) -> list[FieldError]:
    """Addresses of a pod are addresses."""
    addresses = status.get("podIPs") or [{"ip": text} for text in [status.get("podIP")] if text]
    return [
        errors.invalid_value(
            f"status.podIPs[{index}]",
            one.get("ip", ""),
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        )
        for index, one in enumerate(addresses)
        if not _is_address(one.get("ip", ""))
    ]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
