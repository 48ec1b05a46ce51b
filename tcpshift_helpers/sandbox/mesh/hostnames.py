"""Host names as Istio reads them: full names, wildcards, and which names are valid. Pure.

Source: istio.io/istio, 1.31 line: pkg/config/host, pkg/config/labels, pkg/config/validation/agent, and
`ResolveShortnameToFQDN` in pilot/pkg/model/config.go.
"""

from __future__ import annotations

import ipaddress
import re

DOMAIN = "cluster.local"

_LABEL = r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?"
_DNS_LABEL = re.compile(rf"{_LABEL}\Z")
_WILDCARD_LABEL = re.compile(rf"(?:(?:\*|\*-)?(?:{_LABEL})|\*)\Z")
_LONGEST_LABEL = 63
_LONGEST_NAME = 255


def fully_qualified(host: str, namespace: str) -> str:
    """The name that a short one means to an object of this namespace; names with a dot, `*` and addresses stay."""
    if not host or host == "*" or "." in host or is_address(host):
        return host
    return f"{host}.{namespace}.svc.{DOMAIN}"


def service_host(name: str, namespace: str) -> str:
    """The full name of a Service."""
    return f"{name}.{namespace}.svc.{DOMAIN}"


def matches(one: str, other: str) -> bool:
    """Whether two names, either of which may begin with `*`, can mean the same host."""
    if one.startswith("*") and other.startswith("*"):
        return one[1:].endswith(other[1:]) or other[1:].endswith(one[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    if other.startswith("*"):
        return one.endswith(other[1:])
    return one == other


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_dns_label(text: str) -> bool:
    """Whether the text is one DNS label, as Istio checks it (capital letters pass)."""
    return len(text) <= _LONGEST_LABEL and bool(_DNS_LABEL.match(text))


def name_error(name: str) -> str | None:
    """What is wrong with a domain name, in Istio's words."""
    return _length_error(name) or _labels_error(name)


def wildcard_name_error(name: str) -> str | None:
    """What is wrong with a domain name that may begin with a wildcard label, in Istio's words."""
    error = _length_error(name)
    if error:
        return error
    first, dot, rest = name.partition(".")
    if len(first) > _LONGEST_LABEL or not _WILDCARD_LABEL.match(first):
        return f'domain name "{name}" invalid (label "{first}" invalid)'
    return _labels_error(rest) if dot else None


def _length_error(name: str) -> str | None:
    if len(name) > _LONGEST_NAME:
        return f'domain name "{name}" too long (max {_LONGEST_NAME})'
    return None if name else "empty domain name not allowed"


def _labels_error(name: str) -> str | None:
    labels = name.split(".")
    if re.fullmatch(r"[+-]?[0-9]+", labels[-1]):
        return f'domain name "{name}" invalid (top level domain "{labels[-1]}" cannot be all-numeric)'
    for position, label in enumerate(labels):
        if not label and position == len(labels) - 1:
            return None
        if not is_dns_label(label):
            return f'domain name "{name}" invalid (label "{label}" invalid)'
    return None
