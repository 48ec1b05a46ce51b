"""What a custom resource definition makes: a kind that is served like any other, under names that nobody else has.

Pure. Whether a definition is right is asked elsewhere (`definition_rules`); so is when names are settled (`established`).

Source: apiextensions-apiserver pkg/apiserver/customresource_handler.go, pkg/controller/status/naming_controller.go; order of
versions: apimachinery pkg/version/helpers.go.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.go_values import quoted
from tcpshift_helpers.sandbox.apiserver.resources import CustomVersion, ResourceType, ScalePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Object = dict[str, Any]
Schema = dict[str, Any]

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {"alpha": 0, "beta": 1, None: 2}


def schema_of(definition: Object, version: str) -> Schema:
    """A version's `openAPIV3Schema`."""
    found: Object = next(one for one in definition["spec"]["versions"] if one["name"] == version)
    schema: Schema = found["schema"]["openAPIV3Schema"]
    return schema


def resource_type(definition: Object, load: Callable[[str], Schema] | None = None) -> ResourceType:
    """The kind that a definition describes, with all its served versions.

    Args:
        definition: a valid `CustomResourceDefinition`.
        load: fetches the schema of a version when it is needed; without, the definition is kept for it.
    """
    spec = definition["spec"]
    load = load or functools.partial(schema_of, definition)
    names = accepted_names(definition) or spec["names"]
    custom = {one["name"]: _version(spec, one, load) for one in spec["versions"] if one["served"]}
    return ResourceType(
        group=spec["group"],
        versions=tuple(by_priority(custom)),
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset[str]().union(*(version.subresources for version in custom.values())),
        custom=custom,
        given_singular=names.get("singular", ""),
        given_list_kind=names.get("listKind", ""),
        given_storage_version=next(one["name"] for one in spec["versions"] if one["storage"]),
    )


def _version(spec: Object, version: Object, load: Callable[[str], Schema]) -> CustomVersion:
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    warning = ""
    if version.get("deprecated"):
        warning = version.get("deprecationWarning") or (
            f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
        )
    return CustomVersion(
        load_schema=functools.partial(load, version["name"]),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        subresources=frozenset(subresources),
        scale=scale
        and ScalePaths(scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or ""),
        selectable_fields=tuple(one["jsonPath"] for one in version.get("selectableFields") or ()),
        deprecation_warning=warning,
    )


def by_priority(versions: Iterable[str]) -> list[str]:
    """Versions in the order in which clients prefer them: v10, v2, v1, v2beta1, v1alpha3, then all else by name."""
    return sorted(versions, key=_priority)


def _priority(version: str) -> tuple[int, int, int, int, str]:
    match = _VERSION.fullmatch(version)
    if match is None:
        return (1, 0, 0, 0, version)
    return (0, -_STAGES[match[2]], -int(match[1]), -int(match[3] or 0), "")


def accepted_names(definition: Object) -> Object:
    """`status.acceptedNames`, empty as long as none are."""
    names = (definition.get("status") or {}).get("acceptedNames") or {}
    return names if names.get("plural") else {}


def condition(definition: Object, kind: str) -> Object | None:
    """The condition of this type, or None."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(definition: Object, kind: str) -> bool:
    """Whether the condition of this type is there and true."""
    found = condition(definition, kind)
    return found is not None and found["status"] == "True"


def with_condition(  # noqa: PLR0917 - the fields of a condition, in their order
    definition: Object, now: str, kind: str, status: str, reason: str, message: str
) -> Object:
    """A copy with this condition; its time stays if its status does."""
    known = condition(definition, kind)
    since = known["lastTransitionTime"] if known and known["status"] == status else now
    new = {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
    conditions = [new if one is known else one for one in (definition.get("status") or {}).get("conditions") or ()]
    if known is None:
        conditions.append(new)
    return {**definition, "status": {**(definition.get("status") or {}), "conditions": conditions}}


def settle_names(definition: Object, others: Iterable[Object], now: str) -> Object:
    """A copy of the definition with the names it may have, and conditions that say so; the same if nothing changes.

    Args:
        definition: the definition.
        others: the other definitions of its group, whose accepted names are taken.
        now: the time of conditions that change.
    """
    asked, had = definition["spec"]["names"], accepted_names(definition)
    if asked == had:
        return definition
    taken = [accepted_names(other) for other in others]
    resources = {name for names in taken for name in (names.get("plural"), names.get("singular"))}
    resources |= {name for names in taken for name in names.get("shortNames") or ()}
    kinds = {name for names in taken for name in (names.get("kind"), names.get("listKind"))}
    names, conflict = dict(had), ("", "")
    for field, used in (
        ("plural", resources),
        ("singular", resources),
        ("shortNames", resources),
        ("kind", kinds),
        ("listKind", kinds),
    ):
        refused = _conflicts(asked, had, field, used)
        if refused:
            conflict = (f"{field[0].upper()}{field[1:]}Conflict", refused)
        elif field in asked:
            names[field] = asked[field]
        else:
            names.pop(field, None)
    names.pop("categories", None)
    if asked.get("categories"):
        names["categories"] = asked["categories"]
    return _with_names(definition, names, conflict, now)


def _conflicts(asked: Mapping[str, Any], had: Mapping[str, Any], field: str, used: set[Any]) -> str:
    mine = had.get(field)
    wanted, mine = (asked.get(field) or [], mine or []) if field == "shortNames" else ([asked.get(field, "")], [mine])
    refused = [f"{quoted(name)} is already in use" for name in wanted if name not in mine and name in used]
    return refused[0] if len(refused) == 1 else f"[{', '.join(refused)}]" if refused else ""


def _with_names(definition: Object, names: Object, conflict: tuple[str, str], now: str) -> Object:
    order = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
    names = {"plural": "", "kind": "", **{field: names[field] for field in order if field in names}}
    named = {**definition, "status": {**(definition.get("status") or {}), "acceptedNames": names}}
    reason, message = conflict
    if reason:
        named = with_condition(named, now, "NamesAccepted", "False", reason, message)
        if condition(definition, "Established") is None:
            named = with_condition(named, now, "Established", "False", "NotAccepted", "not all names are accepted")
        return named
    named = with_condition(named, now, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
    if not is_true(definition, "Established"):
        why = "the initial names have been accepted"
        named = with_condition(named, now, "Established", "False", "Installing", why)
    return named
