"""What may be a name, a label, a port name: the grammars of Kubernetes and the sentences that refuse.

Pure. Every function returns the list of objections, empty when the text is fine; where in an object the text stands is
the caller's business.

Source: the texts measured from kube-apiserver 1.34.
"""

from __future__ import annotations

import re

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_dns_label = re.compile(_DNS_LABEL)
_dns_subdomain = re.compile(_DNS_SUBDOMAIN)
_dns_1035 = re.compile(_DNS_1035)
_qualified = re.compile(_QUALIFIED)
_label_value = re.compile(_LABEL_VALUE)
_config_key = re.compile(_CONFIG_KEY)


def too_long(maximum: int) -> str:
    """The sentence for a text over `maximum` bytes."""
    return f"must be no more than {maximum} characters"


def _pattern(sentence: str, pattern: str, *examples: str) -> str:
    told = ",  or ".join(f"'{example}'" for example in examples)
    return f"{sentence} (e.g. {told}, regex used for validation is '{pattern}')"


def dns_label(text: str) -> list[str]:
    """RFC 1123 label: names of namespaces, containers, Services."""
    problems = []
    if len(text) > 63:
        problems.append(too_long(63))
    if not _dns_label.fullmatch(text):
        if _dns_subdomain.fullmatch(text):
            problems.append("must not contain dots")
        else:
            problems.append(
                _pattern(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                    "start and end with an alphanumeric character",
                    _DNS_LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return problems


def dns_subdomain(text: str) -> list[str]:
    """RFC 1123 subdomain: names of most objects."""
    problems = []
    if len(text) > 253:
        problems.append(too_long(253))
    if not _dns_subdomain.fullmatch(text):
        problems.append(
            _pattern(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
                "must start and end with an alphanumeric character",
                _DNS_SUBDOMAIN,
                "example.com",
            )
        )
    return problems


def dns_1035_label(text: str) -> list[str]:
    """RFC 1035 label: names of Services."""
    problems = []
    if len(text) > 63:
        problems.append(too_long(63))
    if not _dns_1035.fullmatch(text):
        problems.append(
            _pattern(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                "character, and end with an alphanumeric character",
                _DNS_1035,
                "my-name",
                "abc-123",
            )
        )
    return problems


def qualified_name(text: str) -> list[str]:
    """A label's or annotation's key: an optional DNS prefix, a slash and a name."""
    sentence = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    examples = ("MyName", "my.name", "123-abc")
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        whole = _pattern(f"a qualified name {sentence}", _QUALIFIED, *examples)
        return [f"{whole} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems.extend(f"prefix part {problem}" for problem in dns_subdomain(prefix))
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {too_long(63)}")
    if not _qualified.fullmatch(name):
        problems.append(_pattern(f"name part {sentence}", _QUALIFIED, *examples))
    return problems


def label_value(text: str) -> list[str]:
    """A label's value."""
    problems = []
    if len(text) > 63:
        problems.append(too_long(63))
    if not _label_value.fullmatch(text):
        problems.append(
            _pattern(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                "must start and end with an alphanumeric character",
                _LABEL_VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return problems


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap's or Secret's data."""
    problems = []
    if len(text) > 253:
        problems.append(too_long(253))
    if not _config_key.fullmatch(text):
        problems.append(
            _pattern(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                _CONFIG_KEY,
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    elif text in {".", ".."}:
        problems.append(f"must not be '{text}'")
    elif text.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def port_name(text: str) -> list[str]:
    """An IANA service name: a container port's name or a named target port."""
    problems = []
    if len(text) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", text):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text and (text.startswith("-") or text.endswith("-")):
        problems.append("must not begin or end with a hyphen")
    return problems


def port_number(port: int) -> list[str]:
    """A TCP or UDP port."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def env_name(text: str) -> list[str]:
    """An environment variable's name, in the relaxed form of 1.34: printable ASCII without `=`."""
    if not text:
        return ["environment variable name must be at least one character"]
    if all(0x20 <= ord(character) <= 0x7E and character != "=" for character in text):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
