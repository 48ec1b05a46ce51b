"""YAML as the API server reads it: YAML 1.1, the first document, keys made strings, complaints with line numbers.

Pure. It differs from PyYAML's own reading where the server's parser does: `y` and `n` are booleans, `1:30` is text, a
date stays text.

Source: kube-apiserver 1.34, measured.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentEndEvent, NodeEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tcpshift_helpers.sandbox import limits

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser's complaints are worded as the server's

_TRUE = frozenset({"y", "yes", "true", "on"})
_MOST_DIGITS = 308  # a number that no float64 can hold is text


class _Loader(_BASE):  # type: ignore[misc]  # the base is chosen at run time
    """Resolves plain scalars as the server's parser does."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the base's own shape


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def _cased(*words: str) -> str:
    return "|".join(form for word in words for form in (word, word.capitalize(), word.upper()))


_resolve("bool", f"^(?:{_cased('y', 'yes', 'true', 'on', 'n', 'no', 'false', 'off')})$", "yYtToOnNfF")
_resolve("null", f"^(?:~|{_cased('null')}|)$", "~nN\0")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_resolve("int", r"^[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]*|[0-9][0-9_]*)$", "-+0123456789")
_resolve("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789")
_resolve("merge", "^<<$", "<")


def _construct_bool(loader: Any, node: ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in _TRUE


def _construct_int(loader: Any, node: ScalarNode) -> int | str:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if len(digits) > _MOST_DIGITS:
        return str(node.value)
    if len(digits) > 1 and digits.startswith("0") and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _construct_float(loader: Any, node: ScalarNode) -> float | str:
    text = str(loader.construct_scalar(node))
    return text if math.isinf(float(text)) else float(text)


_Loader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def load_first(body: bytes) -> tuple[Any, list[str]]:
    """Read the first document.

    Returns:
        Its value, with text for keys, and at most one sentence that lists the keys set twice.

    Raises:
        ValueError: `yaml: line N: ...`.
    """
    loader = None
    try:
        _check_nodes(body)
        loader = _Loader(body)
        node = loader.get_node() if loader.check_node() else None
        if node is None:
            return None, []
        _expanded_size(node, {})
        value = _with_text_keys(loader.construct_document(node))
    except yaml.YAMLError as error:
        raise ValueError(f"yaml: {_complaint(error)}") from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise ValueError(f"yaml: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()
    duplicates = _duplicate_keys(node, set())
    told = ["\n  ".join(["yaml: unmarshal errors:", *duplicates])] if duplicates else []
    return value, told


def _check_nodes(body: bytes) -> None:
    """Refuse deep nesting before nodes are made of it, for libyaml's recursion would end the process; and aliases of nothing."""
    depth, anchors = 0, set()
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent):
            anchors.add(event.anchor)
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > limits.DEEPEST_NESTING:
                words = f"exceeded max depth of {limits.DEEPEST_NESTING}"
                raise yaml.scanner.ScannerError(None, None, words, event.start_mark)  # type: ignore[arg-type] # a mark of either parser
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        elif isinstance(event, AliasEvent) and event.anchor not in anchors:
            raise ValueError(f"unknown anchor '{event.anchor}' referenced")
        elif isinstance(event, DocumentEndEvent):
            return


def _expanded_size(node: Node, sizes: dict[int, int]) -> int:
    """How many nodes there are once aliases are written out.

    Raises:
        ValueError: too many, or an alias stands inside of what it names.
    """
    known = sizes.get(id(node))
    if known is not None:
        if known < 0:
            raise ValueError("anchor value contains itself")
        return known
    sizes[id(node)] = -1
    size = 1
    if isinstance(node, MappingNode):
        size += sum(_expanded_size(part, sizes) for pair in node.value for part in pair)
    elif isinstance(node, SequenceNode):
        size += sum(_expanded_size(item, sizes) for item in node.value)
    if size > limits.MOST_YAML_NODES:
        raise ValueError("document contains excessive aliasing")
    sizes[id(node)] = size
    return size


def _complaint(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return str(error.reason)
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    scanning = isinstance(error, yaml.scanner.ScannerError)
    for mark in (error.problem_mark, error.context_mark):
        if mark is not None and mark.line:
            return f"line {mark.line + (1 if scanning else 0)}: {error.problem}"
    return str(error.problem)


def _duplicate_keys(node: Node, visited: set[int]) -> list[str]:
    """Sentences for keys set twice, in the order of the text. Aliased nodes are looked at once."""
    if id(node) in visited:
        return []
    visited.add(id(node))
    found = []
    if isinstance(node, MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                seen.add(key.value)
            found.extend(_duplicate_keys(value, visited))
    elif isinstance(node, SequenceNode):
        for item in node.value:
            found.extend(_duplicate_keys(item, visited))
    return found


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text_key(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value


def _text_key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
