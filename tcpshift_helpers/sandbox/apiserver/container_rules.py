"""What is allowed in a container: name, image, ports, environment, mounts, resources, probes, hooks.

Pure; it expects defaults to be filled in.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names, quantities
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError
from tcpshift_helpers.sandbox.apiserver.metadata_rules import bad_values, negative

Object = dict[str, Any]

_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_USER_MAX = 2**31 - 1


def validate_container(
    container: Object, field: str, volumes: set[str], *, has_probes: bool = True
) -> list[FieldError]:
    """All objections to one container.

    Args:
        container: with defaults filled in.
        field: where it stands.
        volumes: names of the pod's volumes.
        has_probes: whether probes and hooks may be set, and are judged here.
    """
    found = list(_name_and_image(container, field))
    policy = container.get("terminationMessagePolicy")
    if policy not in _MESSAGE_POLICIES:
        found.append(errors.not_supported(f"{field}.terminationMessagePolicy", policy, _MESSAGE_POLICIES))
    found += _ports(container.get("ports") or [], f"{field}.ports")
    for index, variable in enumerate(container.get("env") or []):
        found += _environment(variable, f"{field}.env[{index}]")
    for source in container.get("envFrom") or []:
        if not source.get("configMapRef") and not source.get("secretRef"):
            sentence = "must specify one of: `configMapRef` or `secretRef`"
            found.append(errors.invalid_value(f"{field}.envFrom", "", sentence))
    found += _mounts(container.get("volumeMounts") or [], f"{field}.volumeMounts", volumes)
    policy = container.get("imagePullPolicy")
    if policy not in _PULL_POLICIES:
        found.append(errors.not_supported(f"{field}.imagePullPolicy", policy, _PULL_POLICIES))
    found += _resources(container.get("resources") or {}, f"{field}.resources")
    found += _security(container.get("securityContext") or {}, f"{field}.securityContext")
    return found + (list(_probes_and_hooks(container, field)) if has_probes else [])


def _probes_and_hooks(container: Object, field: str) -> Iterator[FieldError]:
    for key, hook in (container.get("lifecycle") or {}).items():
        if isinstance(hook, dict):
            yield from _handler(hook, f"{field}.lifecycle.{key}", _HOOK_HANDLERS)
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(key) is not None:
            yield from _probe(container[key], f"{field}.{key}", one_success=key != "readinessProbe")


def _name_and_image(container: Object, field: str) -> Iterator[FieldError]:
    name, image = container.get("name") or "", container.get("image") or ""
    if not name:
        yield errors.required(f"{field}.name")
    else:
        yield from bad_values(f"{field}.name", name, names.dns_label(name))
    if not image:
        yield errors.required(f"{field}.image")
    elif image.strip() != image:
        yield errors.invalid_value(f"{field}.image", image, "must not have leading or trailing whitespace")


def _ports(ports: list[Object], field: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place, name = f"{field}[{index}]", port.get("name")
        if name:
            problems = names.port_name(name)
            yield from bad_values(f"{place}.name", name, problems)
            if not problems:
                if name in seen:
                    yield errors.duplicate(f"{place}.name", name)
                seen.add(name)
        number = port.get("containerPort") or 0
        if not number:
            yield errors.required(f"{place}.containerPort")
        else:
            yield from bad_values(f"{place}.containerPort", number, names.port_number(number))
        if port.get("hostPort"):
            yield from bad_values(f"{place}.hostPort", port["hostPort"], names.port_number(port["hostPort"]))
        if port.get("protocol") not in PROTOCOLS:
            yield errors.not_supported(f"{place}.protocol", port.get("protocol"), PROTOCOLS)


def _environment(variable: Object, field: str) -> Iterator[FieldError]:
    name = variable.get("name") or ""
    if not name:
        yield errors.required(f"{field}.name")
    else:
        yield from bad_values(f"{field}.name", name, names.env_name(name))
    source = variable.get("valueFrom")
    if source is None:
        return
    field = f"{field}.valueFrom"
    given = [key for key in _ENV_SOURCES if source.get(key) is not None]
    for key in given:
        yield from _environment_source(key, source[key], f"{field}.{key}")
    if variable.get("value"):
        if given:
            yield errors.invalid_value(field, "", "may not be specified when `value` is not empty")
    elif not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield errors.invalid_value(field, "", f"must specify one of: {listed}")
    elif len(given) > 1:
        yield errors.invalid_value(field, "", "may not have more than one field specified at a time")


def _environment_source(kind: str, source: Object, field: str) -> Iterator[FieldError]:
    if kind == "fieldRef":
        path = source.get("fieldPath") or ""
        problem = _field_path_problem(path, source.get("apiVersion") or "v1")
        if not path:
            yield errors.required(f"{field}.fieldPath")
        elif problem:
            yield errors.invalid_value(f"{field}.fieldPath", path, problem)
    elif kind != "resourceFieldRef":
        name, key = source.get("name") or "", source.get("key") or ""
        yield from bad_values(f"{field}.name", name, names.dns_subdomain(name))
        if not key:
            yield errors.required(f"{field}.key")
        else:
            yield from bad_values(f"{field}.key", key, names.config_key(key))


def _field_path_problem(path: str, version: str) -> str | None:
    if version != "v1":
        return f"error converting fieldPath: unsupported pod version: {version}"
    plain = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"}
    addresses = {"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"}
    if path in plain | addresses or re.fullmatch(r"metadata\.(labels|annotations)\['[^']+'\]", path):
        return None
    return f"error converting fieldPath: field label not supported: {path}"


def _mounts(mounts: list[Object], field: str, volumes: set[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place, name, path = f"{field}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield errors.required(f"{place}.name")
        elif name not in volumes:
            yield errors.not_found(f"{place}.name", name)
        if not path:
            yield errors.required(f"{place}.mountPath")
        elif path in seen:
            yield errors.invalid_value(f"{place}.mountPath", path, "must be unique")
        seen.add(path)


def _resources(resources: Object, field: str) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            if quantities.value(str(text)) < 0:
                sentence = "must be greater than or equal to 0"
                yield errors.invalid_value(f"{field}.{part}[{name}]", str(text), sentence)
    for name, text in requests.items():
        if name in limits and quantities.value(str(text)) > quantities.value(str(limits[name])):
            sentence = f"must be less than or equal to {name} limit of {limits[name]}"
            yield errors.invalid_value(f"{field}.requests", str(text), sentence)


def _security(context: Object, field: str) -> Iterator[FieldError]:
    for key in ("runAsUser", "runAsGroup"):
        number = context.get(key)
        if number is not None and not 0 <= number <= _USER_MAX:
            yield errors.invalid_value(f"{field}.{key}", number, f"must be between 0 and {_USER_MAX}, inclusive")


def _probe(probe: Object, field: str, *, one_success: bool) -> Iterator[FieldError]:
    yield from _handler(probe, field, _PROBE_HANDLERS)
    for key in _PROBE_NUMBERS:
        yield from negative(f"{field}.{key}", probe.get(key))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and not one_success:
        sentence = "must not be set for readinessProbes"
        yield errors.invalid_value(f"{field}.terminationGracePeriodSeconds", grace, sentence)
    elif grace is not None and grace <= 0:
        yield errors.invalid_value(f"{field}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if one_success and probe.get("successThreshold") != 1:
        yield errors.invalid_value(f"{field}.successThreshold", probe.get("successThreshold"), "must be 1")


def _handler(handler: Object, field: str, kinds: tuple[str, ...]) -> Iterator[FieldError]:
    given = [kind for kind in kinds if handler.get(kind) is not None]
    if not given:
        yield errors.required(field, "must specify a handler type")
    for kind in given[:1]:
        yield from _handler_details(kind, handler[kind], f"{field}.{kind}")
    for kind in given[1:]:
        yield errors.forbidden(f"{field}.{kind}", "may not specify more than 1 handler type")


def _handler_details(kind: str, details: Object, field: str) -> Iterator[FieldError]:
    if kind == "exec" and not details.get("command"):
        yield errors.required(f"{field}.command")
    if kind in {"httpGet", "tcpSocket", "grpc"}:
        port = details.get("port", 0)
        problems = names.port_name(port) if isinstance(port, str) else names.port_number(port)
        yield from bad_values(f"{field}.port", port, problems)
    if kind == "httpGet":
        if not details.get("path"):
            yield errors.required(f"{field}.path")
        if details.get("scheme") not in {"HTTP", "HTTPS"}:
            yield errors.not_supported(f"{field}.scheme", details.get("scheme"), ("HTTP", "HTTPS"))
