"""The functions that Kubernetes adds to CEL, as far as rules of custom resource definitions use them.

Pure. Addresses, URLs and quantities are handed through CEL as maps: the runtime knows no types of ours. Semantic versions,
the authorizer, and the index of an item in a list are not here.

Source: kubernetes/apiserver pkg/cel/library (names, arguments and results).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cel_expr_python import cel

from tcpshift_helpers.sandbox.apiserver import formats, names, quantities

_T = cel.Type
_MAP = _T.Map(_T.STRING, _T.DYN)
_DYN_LIST = _T.List(_T.DYN)
_TEXT_LIST = _T.List(_T.STRING)

Declared = tuple[str, "cel.Type", list["cel.Type"], bool, Callable[..., Any]]


def declarations() -> list[cel.FunctionDecl]:
    """All of them, for a CEL environment."""
    overloads: dict[str, list[cel.Overload]] = {}
    every = (*_urls(), *_addresses(), *_quantities(), *_lists(), *_texts(), *_formats())
    for number, (name, result, parameters, is_member, function) in enumerate(every):
        identity = f"{name.replace('.', '_')}_{number}"
        overloads.setdefault(name, []).append(cel.Overload(identity, result, parameters, is_member, function))
    return [cel.FunctionDecl(name, found) for name, found in overloads.items()]


def _works(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def works(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return works


def _url(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f'parse "{text}": invalid URI for request')
    query = parse_qs(parts.query, keep_blank_values=True)
    return {
        "url": text,
        "scheme": parts.scheme,
        "host": parts.netloc.rpartition("@")[2],
        "hostname": parts.hostname or "",
        "port": str(parts.port or ""),
        "path": parts.path,
        "query": query,
    }


def _urls() -> Iterator[Declared]:
    yield "isURL", _T.BOOL, [_T.STRING], False, _works(_url)
    yield "url", _MAP, [_T.STRING], False, _url
    for method, key in (("getScheme", "scheme"), ("getHost", "host"), ("getHostname", "hostname"), ("getPort", "port")):
        yield method, _T.STRING, [_MAP], True, lambda url, key=key: url[key]
    yield "getEscapedPath", _T.STRING, [_MAP], True, lambda url: url["path"]
    yield "getQuery", _T.Map(_T.STRING, _TEXT_LIST), [_MAP], True, lambda url: url["query"]


def _ip(text: str) -> dict[str, Any]:
    address = ipaddress.ip_address(text)
    return {"ip": str(address), "family": address.version}


def _cidr(text: str) -> dict[str, Any]:
    network = ipaddress.ip_network(text, strict=False)
    return {"cidr": text, "ip": text.partition("/")[0], "prefix": network.prefixlen, "masked": str(network)}


def _contains(network: dict[str, Any], inner: str) -> bool:
    outer = ipaddress.ip_network(network["masked"])
    other = ipaddress.ip_network(inner, strict=False)
    return outer.version == other.version and int(outer[0]) <= int(other[0]) and int(other[-1]) <= int(outer[-1])


def _addresses() -> Iterator[Declared]:
    yield "isIP", _T.BOOL, [_T.STRING], False, _works(_ip)
    yield "ip", _MAP, [_T.STRING], False, _ip
    yield "ip.isCanonical", _T.BOOL, [_T.STRING], False, lambda text: str(ipaddress.ip_address(text)) == text
    yield "family", _T.INT, [_MAP], True, lambda ip: ip["family"]
    kinds = {
        "isUnspecified": "is_unspecified",
        "isLoopback": "is_loopback",
        "isLinkLocalMulticast": "is_multicast",
        "isLinkLocalUnicast": "is_link_local",
    }
    for method, attribute in kinds.items():
        yield (
            *(method, _T.BOOL, [_MAP], True),
            lambda ip, attribute=attribute: bool(getattr(ipaddress.ip_address(ip["ip"]), attribute)),
        )
    yield "isCIDR", _T.BOOL, [_T.STRING], False, lambda text: "/" in text and _works(_cidr)(text)
    yield "cidr", _MAP, [_T.STRING], False, _cidr
    yield "containsIP", _T.BOOL, [_MAP, _T.STRING], True, _contains
    yield "containsIP", _T.BOOL, [_MAP, _MAP], True, lambda network, ip: _contains(network, ip["ip"])
    yield "containsCIDR", _T.BOOL, [_MAP, _T.STRING], True, _contains
    yield "containsCIDR", _T.BOOL, [_MAP, _MAP], True, lambda network, inner: _contains(network, inner["cidr"])
    yield "prefixLength", _T.INT, [_MAP], True, lambda network: network["prefix"]
    yield "masked", _MAP, [_MAP], True, lambda network: _cidr(network["masked"])


def _quantity(text: str) -> dict[str, Any]:
    problem = quantities.problem(text)
    if problem:
        raise ValueError(problem)
    return {"quantity": text}


def _amount(quantity: dict[str, Any]) -> Fraction:
    return quantities.value(quantity["quantity"])


def _quantities() -> Iterator[Declared]:
    yield "isQuantity", _T.BOOL, [_T.STRING], False, _works(_quantity)
    yield "quantity", _MAP, [_T.STRING], False, _quantity
    yield "isLessThan", _T.BOOL, [_MAP, _MAP], True, lambda one, other: _amount(one) < _amount(other)
    yield "isGreaterThan", _T.BOOL, [_MAP, _MAP], True, lambda one, other: _amount(one) > _amount(other)
    yield (
        *("compareTo", _T.INT, [_MAP, _MAP], True),
        lambda one, other: (_amount(one) > _amount(other)) - (_amount(one) < _amount(other)),
    )
    yield "sign", _T.INT, [_MAP], True, lambda one: (_amount(one) > 0) - (_amount(one) < 0)
    yield "isInteger", _T.BOOL, [_MAP], True, lambda one: _amount(one) == int(_amount(one))
    yield "asInteger", _T.INT, [_MAP], True, lambda one: int(_amount(one))
    yield "asApproximateFloat", _T.DOUBLE, [_MAP], True, lambda one: float(_amount(one))


def _lists() -> Iterator[Declared]:
    yield "isSorted", _T.BOOL, [_DYN_LIST], True, lambda items: sorted(items) == items
    yield "sum", _T.DYN, [_DYN_LIST], True, sum
    yield "min", _T.DYN, [_DYN_LIST], True, min
    yield "max", _T.DYN, [_DYN_LIST], True, max
    yield "sets.contains", _T.BOOL, [_DYN_LIST, _DYN_LIST], False, lambda one, two: all(item in one for item in two)
    yield "sets.intersects", _T.BOOL, [_DYN_LIST, _DYN_LIST], False, lambda one, two: any(item in one for item in two)
    yield (
        *("sets.equivalent", _T.BOOL, [_DYN_LIST, _DYN_LIST], False),
        lambda one, two: all(item in one for item in two) and all(item in two for item in one),
    )


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.ASCII)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in re.finditer(pattern, text, re.ASCII)]
    return found if limit < 0 else found[:limit]


def _texts() -> Iterator[Declared]:
    yield "find", _T.STRING, [_T.STRING, _T.STRING], True, _find
    yield "findAll", _TEXT_LIST, [_T.STRING, _T.STRING], True, _find_all
    yield "findAll", _TEXT_LIST, [_T.STRING, _T.STRING, _T.INT], True, _find_all


def _format_problems(name: str, text: str) -> list[str]:
    return [] if formats.matches(name, text) else [f"invalid {name}"]


_FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.dns_label,
    "dns1123Subdomain": names.dns_subdomain,
    "dns1035Label": names.dns_1035_label,
    "qualifiedName": names.qualified_name,
    "labelValue": names.label_value,
    **{name: functools.partial(_format_problems, name) for name in ("uri", "uuid", "byte", "date", "datetime")},
}


def _formats() -> Iterator[Declared]:
    for name in _FORMATS:
        yield f"format.{name}", _MAP, [], False, lambda name=name: {"format": name}
    # No optionals from functions of ours: rules compare the result with null, or ask `has_value` of it, which is refused.
    yield "validate", _T.DYN, [_MAP, _T.STRING], True, lambda chosen, text: _FORMATS[chosen["format"]](text) or None
