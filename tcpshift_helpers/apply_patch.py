"""The three-way merge behind `kubectl apply`: last applied, wanted now, live.

It gives a JSON merge patch (RFC 7386): fields the manifest names are set, fields it named last time and no longer
names are removed, everything else (defaults, status, what controllers wrote) is left alone. A list is one value; but
a live list of objects that only carries more fields than the wanted one (defaults) counts as equal, and a wanted list
that must be sent takes over the live fields of the items it shares a merge key with, so that node ports and defaults stay.
Pure: no sockets, no files.
"""

from __future__ import annotations

import copy
import json
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Keys that kubectl's strategic merge uses for the lists of the kinds in this course, most telling first.
_MERGE_KEYS = ("name", "containerPort", "port", "mountPath", "ip", "uid", "key", "type")


def with_last_applied(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with kubectl's annotation that remembers it, in kubectl's own spelling (sorted keys, one line)."""
    wanted = copy.deepcopy(manifest)
    annotations = dict(wanted.get("metadata", {}).get("annotations") or {})
    annotations.pop(LAST_APPLIED, None)
    # kubectl writes an empty annotations object into what it remembers; the same words let both be mixed.
    remembered = copy.deepcopy(wanted)
    remembered.setdefault("metadata", {})["annotations"] = annotations
    text = json.dumps(remembered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    wanted.setdefault("metadata", {})["annotations"] = {**annotations, LAST_APPLIED: text + "\n"}
    return wanted


def last_applied(live: dict[str, Any]) -> dict[str, Any]:
    """What the live object's annotation remembers; empty when nothing was applied yet or it cannot be read."""
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED, "")
    try:
        remembered = json.loads(text)
    except ValueError:
        return {}
    return remembered if isinstance(remembered, dict) else {}


def three_way_merge_patch(manifest: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that brings `live` to `manifest`; empty when nothing has to change.

    Args:
        manifest: what is wanted, without the last-applied annotation.
        live: the object as the server has it, with its annotation.

    Returns:
        A merge patch; `null` removes a field. It never touches fields that neither manifest named.

    Source: k8s.io/kubectl pkg/util/apply and apimachinery pkg/util/jsonmergepatch; judged by `kubectl apply` itself.
    """
    before = last_applied(live)
    before.get("metadata", {}).get("annotations", {}).pop(LAST_APPLIED, None)
    return _merge(before, with_last_applied(manifest), live)


def _merge(before: Any, wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    before = before if isinstance(before, dict) else {}
    patch: dict[str, Any] = {key: None for key in before if wanted.get(key) is None and live.get(key) is not None}
    for key, value in wanted.items():
        there = live.get(key)
        if value is None:
            continue
        if isinstance(value, dict) and isinstance(there, dict):
            inner = _merge(before.get(key), value, there)
            if inner:
                patch[key] = inner
        elif isinstance(value, list) and isinstance(there, list):
            merged = _list(before.get(key), value, there)
            if merged != there:
                patch[key] = merged
        elif value != there and not (value in ({}, []) and there is None):
            patch[key] = copy.deepcopy(value)
    return patch


def _list(before: Any, wanted: list[Any], live: list[Any]) -> list[Any]:
    """The whole list to send: wanted items in their order, each with what the server added to it."""
    key = _merge_key(wanted, live)
    if key is None:
        same = len(wanted) == len(live) and all(isinstance(item, dict) for item in [*wanted, *live])
        if not same:
            return copy.deepcopy(wanted)
        remembered = before if isinstance(before, list) and len(before) == len(wanted) else [{}] * len(wanted)
        return [_overlaid(old, new, there) for old, new, there in zip(remembered, wanted, live, strict=True)]
    old = (
        {item[key]: item for item in before if isinstance(item, dict) and key in item}
        if isinstance(before, list)
        else {}
    )
    there = {item[key]: item for item in live}
    return [_overlaid(old.get(item[key], {}), item, there.get(item[key], {})) for item in wanted]


def _overlaid(before: Any, wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(live)
    _apply(result, _merge(before, wanted, live))
    return result


def _apply(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _apply(target[key], value)
        else:
            target[key] = value


def _merge_key(wanted: list[Any], live: list[Any]) -> str | None:
    items = [*wanted, *live]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for key in _MERGE_KEYS:
        if all(key in item and not isinstance(item[key], dict | list) for item in items):
            unique = [len({item[key] for item in side}) == len(side) for side in (wanted, live)]
            if all(unique):
                return key
    return None
