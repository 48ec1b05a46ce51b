"""The managers of an object's fields: `metadata.managedFields` as data.

Pure. An entry is known by who wrote, how (`Apply` or `Update`), through which subresource, and, for updates, in which version.
What a write does to them is in `field_manager`.

Source: kubernetes/apimachinery pkg/util/managedfields/internal/{managedfields,capmanagers}.go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tcpshift_helpers.sandbox.apiserver import field_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcpshift_helpers.sandbox.apiserver.field_sets import FieldSet

Object = dict[str, Any]

APPLY, UPDATE = "Apply", "Update"
MOST_UPDATERS = 10
_ANCIENT = "ancient-changes"
_FIELDS_TYPE = "FieldsV1"


class Manager(NamedTuple):
    """Who owns fields. `api_version` is empty for `Apply`: one who applies stays the same one in every version."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    def text(self) -> str:
        """As messages name it."""
        text = json.dumps(self.name, ensure_ascii=False)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True)
class Owned:
    """What a manager owns.

    Attributes:
        api_version: version in which `fields` are meant.
        fields: the fields.
        time: when that changed last, or None if that was never noted.
    """

    api_version: str
    fields: FieldSet
    time: str | None = None


Managers = dict[Manager, Owned]


def decode(entries: Iterable[Any], *, trusted: bool) -> Managers:
    """Read `metadata.managedFields`.

    Args:
        entries: the list.
        trusted: it was written by `encode`; if not, its sets of fields are read with care.

    Raises:
        ValueError: an entry is not as it has to be.
    """
    found: Managers = {}
    for entry in entries:
        operation, api_version = entry.get("operation"), entry.get("apiVersion")
        if operation not in (APPLY, UPDATE) or not api_version or entry.get("fieldsType") != _FIELDS_TYPE:
            raise ValueError("not an entry of managedFields")
        version = "" if operation == APPLY else api_version
        manager = Manager(entry.get("manager") or "", operation, version, entry.get("subresource") or "")
        fields = entry.get("fieldsV1") or {}
        found[manager] = Owned(api_version, fields if trusted else field_sets.read(fields), entry.get("time"))
    return found


def encode(managers: Managers) -> list[Object]:
    """Write `metadata.managedFields`."""
    ordered = sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time or "", *item[0]))
    return [_entry(manager, owned) for manager, owned in ordered]


def _entry(manager: Manager, owned: Owned) -> Object:
    entry: Object = {"manager": manager.name} if manager.name else {}
    entry |= {"operation": manager.operation, "apiVersion": owned.api_version}
    if owned.time:
        entry["time"] = owned.time
    entry |= {"fieldsType": _FIELDS_TYPE, "fieldsV1": owned.fields}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def stated(metadata: Object, entries: list[Object] | None) -> Object:
    """Metadata that states these managers, or none."""
    rest = {name: value for name, value in metadata.items() if name != "managedFields"}
    return {**rest, "managedFields": entries} if entries else rest


def without_times(entries: list[Object]) -> list[Object]:
    """The entries as they are compared when the question is whether anything changed."""
    return [{name: value for name, value in entry.items() if name != "time"} for entry in entries]


def cap(managers: Managers) -> Managers:
    """Join the oldest updates of each version into one entry, if there are too many."""
    updates = {manager: owned for manager, owned in managers.items() if manager.operation == UPDATE}
    surplus = len(updates) - MOST_UPDATERS
    if surplus <= 0:
        return managers
    capped = dict(managers)
    first: dict[str, Manager] = {}
    for manager, owned in sorted(updates.items(), key=lambda item: (item[1].time or "", identifier(item[0]))):
        if surplus <= 0:
            break
        earliest = first.setdefault(owned.api_version, manager)
        if earliest == manager:
            continue
        bucket = Manager(_ANCIENT, UPDATE, owned.api_version)
        joined = capped[bucket] if bucket in capped else capped.pop(earliest)
        del capped[manager]
        capped[bucket] = replace(owned, fields=field_sets.union(owned.fields, joined.fields))
        surplus -= 1
    return capped


def identifier(manager: Manager) -> str:
    """By what the real server sorts entries of one second."""
    named = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "subresource": manager.subresource,
    }
    return json.dumps({name: value for name, value in named.items() if value}, separators=(",", ":"))
