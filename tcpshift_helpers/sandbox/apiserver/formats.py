"""Named formats of texts in schemas, such as `date-time` or `ipv4`.

Pure. A format that the server does not know is not judged.

Source: apiextensions-apiserver pkg/apiserver/validation/formats.go (which are known) and kube-openapi
pkg/validation/strfmt (what they are).
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable
from email.utils import parseaddr
from urllib.parse import urlsplit

from tcpshift_helpers.sandbox.apiserver import names

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SPOKEN_DURATION = re.compile(
    r"\d+\s*(?:nano|micro|milli|sec|min|hr|hour|day|d|wk|week|w)[a-zµ]*|\d+\s*(?:ns|us|µs|ms|s|m|h)\b", re.IGNORECASE
)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})")
_HOSTNAME = re.compile(r"(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*")


def _matching(pattern: str, flags: int = re.ASCII) -> Callable[[str], bool]:
    compiled = re.compile(pattern, flags)
    return lambda text: compiled.fullmatch(text) is not None


def _succeeding(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def succeeds(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return succeeds


def duration_seconds(text: str) -> float | None:
    """The length of a duration such as `1m30s`, as Go reads it; None if it is none."""
    unsigned = text[1:] if text[:1] in {"+", "-"} else text
    if unsigned == "0":
        return 0.0
    parts = _DURATION_PART.findall(unsigned)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) * (-1 if text.startswith("-") else 1)


def _is_uri(text: str) -> bool:
    try:
        return bool(text.startswith("/") or urlsplit(text).scheme) and " " not in text
    except ValueError:
        return False


def _is_date_time(text: str) -> bool:
    if not _DATE_TIME.fullmatch(text):
        return False
    return _succeeding(datetime.datetime.fromisoformat)(text.upper().replace("Z", "+00:00").partition(".")[0])


def _has_isbn_checksum(text: str) -> bool:
    digits = re.sub(r"[\s-]", "", text)
    if re.fullmatch(r"\d{9}[\dX]", digits):
        return sum((10 - place) * (10 if one == "X" else int(one)) for place, one in enumerate(digits)) % 11 == 0
    if re.fullmatch(r"\d{13}", digits):
        return sum((3 if place % 2 else 1) * int(one) for place, one in enumerate(digits)) % 10 == 0
    return False


def _has_card_checksum(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    if not 12 <= len(digits) <= 19:
        return False
    doubled = [int(one) * (2 if place % 2 else 1) for place, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


_HEX8 = r"[0-9a-f]{8}-?[0-9a-f]{4}-?"
_FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matching(r"[0-9a-fA-F]{24}"),
    "uri": _is_uri,
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(text)[1]) is not None,
    "hostname": lambda text: len(text) <= 255 and _HOSTNAME.fullmatch(text) is not None and "_" not in text,
    "ipv4": _succeeding(ipaddress.IPv4Address),
    "ipv6": _succeeding(ipaddress.IPv6Address),
    "cidr": lambda text: "/" in text and _succeeding(lambda one: ipaddress.ip_network(one, strict=False))(text),
    "mac": _matching(r"(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"),
    "uuid": _matching(_HEX8 + r"[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE),
    "uuid3": _matching(_HEX8 + r"3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE),
    "uuid4": _matching(_HEX8 + r"4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE),
    "uuid5": _matching(_HEX8 + r"5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE),
    "isbn": _has_isbn_checksum,
    "isbn10": lambda text: _has_isbn_checksum(text) and len(re.sub(r"[\s-]", "", text)) == 10,
    "isbn13": lambda text: _has_isbn_checksum(text) and len(re.sub(r"[\s-]", "", text)) == 13,
    "creditcard": _has_card_checksum,
    "ssn": _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matching(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matching(r"rgb\(\s*(?:(?:0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*[,)]\s*){3}"),
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "password": lambda text: True,
    "date": lambda text: len(text) == 10 and _succeeding(datetime.date.fromisoformat)(text),
    "duration": lambda text: duration_seconds(text) is not None or _SPOKEN_DURATION.search(text) is not None,
    "datetime": _is_date_time,
    "k8sshortname": lambda text: not names.dns_label(text),
    "k8slongname": lambda text: not names.dns_subdomain(text),
}


def is_known(name: str) -> bool:
    """Whether the server judges texts of this format."""
    return name.replace("-", "") in _FORMATS


def matches(name: str, text: str) -> bool:
    """Whether a text is of the format; true for a format that is not known."""
    check = _FORMATS.get(name.replace("-", ""))
    return check is None or check(text)
