"""Whether a custom resource definition may be stored.

Pure. Its schemas are judged in `schema_rules`. What several versions have in common, the real server's messages place above them:
`spec.validation` in place of `spec.versions[0].schema`.

Source: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go and v1/conversion.go, sentences as there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names, schema_rules
from tcpshift_helpers.sandbox.apiserver.definitions import is_true
from tcpshift_helpers.sandbox.apiserver.go_values import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError

Object = dict[str, Any]

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_MIXED_CASE = "may have mixed case, but should otherwise match: "
_APPROVAL = "api-approved.kubernetes.io"
_APPROVED = re.compile(r"unapproved|[a-z][a-z0-9+.-]*://[^/\s]+", re.IGNORECASE)
_ENHANCEMENT = "see https://github.com/kubernetes/enhancements/pull/1111"
_PRESERVE = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
_PER_VERSION = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def name_problems(definition: Object, name: str) -> list[str]:
    """What is wrong with a definition's own name."""
    spec = definition.get("spec") or {}
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"
    return [*names.dns_subdomain(name), *([] if name == wanted else ['must be spec.names.plural+"."+spec.group'])]


def validate(definition: Object) -> list[FieldError]:
    """All objections to a definition, but for those to its metadata."""
    spec = definition.get("spec") or {}
    found = [*_group_and_scope(spec), *_versions(spec), *_names(spec.get("names") or {}), *_common(spec)]
    found += _conversion(spec.get("conversion") or {})
    found += _stored_versions(definition)
    found += _approval(definition)
    if spec.get("preserveUnknownFields"):
        found.append(errors.invalid_value("spec.preserveUnknownFields", True, _PRESERVE))
    return found


def validate_change(definition: Object, old: Object) -> list[FieldError]:
    """Objections to what an update may not change."""
    spec, before = definition["spec"], old["spec"]
    found = []
    immutable = [("group",), ("names", "plural")]
    if is_true(old, "Established"):
        immutable = [("scope",), ("names", "kind"), *immutable]
    for path in immutable:
        value, known = _at(spec, path), _at(before, path)
        if value != known:
            found.append(errors.invalid_value(".".join(("spec", *path)), value, "field is immutable"))
    return found


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = (value or {}).get(name)
    return value or ""


def _group_and_scope(spec: Object) -> Iterator[FieldError]:
    group, scope = spec.get("group") or "", spec.get("scope") or ""
    problems = names.dns_subdomain(group)
    if not group:
        yield errors.required("spec.group")
    elif problems:
        yield errors.invalid_value("spec.group", group, ",".join(problems))
    elif "." not in group:
        yield errors.invalid_value("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield errors.required("spec.scope")
    elif scope not in {"Cluster", "Namespaced"}:
        yield errors.not_supported("spec.scope", scope, ("Cluster", "Namespaced"))


def _shared(spec: Object) -> dict[str, Any]:
    """What all versions have in common, by the names of versions' fields."""
    versions = spec.get("versions") or [{}]
    first = versions[0]
    return {key: first.get(key) for key in _PER_VERSION if all(one.get(key) == first.get(key) for one in versions)}


def _versions(spec: Object) -> Iterator[FieldError]:
    versions, shared = spec.get("versions") or [], _shared(spec)
    for index, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None and not shared.get("schema"):
            yield errors.required(f"spec.versions[{index}].schema.openAPIV3Schema")
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        problems = names.dns_1035_label(version.get("name") or "")
        if problems:
            yield errors.invalid_value(f"{path}.name", version.get("name") or "", ",".join(problems))
        yield from _deprecation(version, path)
        own = {key: value for key, value in version.items() if key not in shared}
        yield from _version(own, path)
    shown = [_shown(version, shared) for version in versions]
    if len({version.get("name") for version in versions}) != len(versions):
        yield errors.invalid_value("spec.versions", shown, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        sentence = "must have exactly one version marked as storage version"
        yield errors.invalid_value("spec.versions", shown if versions else None, sentence)


def _shown(version: Object, shared: dict[str, Any]) -> Object:
    """A version as the real server prints it, with its own names of fields."""
    own = {key: None if key in shared else version.get(key) for key in _PER_VERSION}
    return {
        "Name": version.get("name", ""),
        "Served": version.get("served", False),
        "Storage": version.get("storage", False),
        "Deprecated": version.get("deprecated", False),
        "DeprecationWarning": version.get("deprecationWarning"),
        **{f"{key[0].upper()}{key[1:]}": value for key, value in own.items()},
    }


def _deprecation(version: Object, path: str) -> Iterator[FieldError]:
    warning = version.get("deprecationWarning")
    if warning is None:
        return
    where, sentences = f"{path}.deprecationWarning", []
    if not version.get("deprecated"):
        sentences = ["can only be set for deprecated versions"]
    elif len(warning.encode()) > 256:
        sentences = ["must be <= 256 characters long"]
    elif not warning:
        sentences = ["must not be an empty string"]
    yield from (errors.invalid_value(where, warning, sentence) for sentence in sentences)


def _version(version: Object, path: str, schema_name: str = "schema") -> Iterator[FieldError]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        yield from schema_rules.validate(schema, f"{path}.{schema_name}.openAPIV3Schema")
    yield from _scale((version.get("subresources") or {}).get("scale"), f"{path}.subresources")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")


def _common(spec: Object) -> Iterator[FieldError]:
    yield from _version(_shared(spec), "spec", "validation")


def _names(asked: Object) -> Iterator[FieldError]:
    for field in ("plural", "singular", "kind", "listKind"):
        if not asked.get(field):
            yield errors.required(f"spec.names.{field}")
    for field in ("plural", "singular", "kind", "listKind"):
        name, mixed = asked.get(field) or "", field in {"kind", "listKind"}
        problems = names.dns_1035_label(name.lower() if mixed else name)
        if name and problems:
            yield errors.invalid_value(f"spec.names.{field}", name, (_MIXED_CASE if mixed else "") + ",".join(problems))
    for field in ("shortNames", "categories"):
        if field == "categories" and asked.get("kind") and asked["kind"] == asked.get("listKind"):
            sentence = "kind and listKind may not be the same"
            yield errors.invalid_value("spec.names.listKind", asked["kind"], sentence)
        for index, name in enumerate(asked.get(field) or ()):
            problems = names.dns_1035_label(name)
            if problems:
                yield errors.invalid_value(f"spec.names.{field}[{index}]", name, ",".join(problems))


def _column(column: Object, path: str) -> Iterator[FieldError]:
    kinds = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not column.get("name"):
        yield errors.required(f"{path}.name")
    if not column.get("type"):
        yield errors.required(f"{path}.type", kinds)
    elif column["type"] not in _COLUMN_TYPES:
        yield errors.invalid_value(f"{path}.type", column["type"], kinds)
    if column.get("format") and column["format"] not in _COLUMN_FORMATS:
        yield errors.invalid_value(f"{path}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
    if not column.get("jsonPath"):
        yield errors.required(f"{path}.JSONPath")
    elif not column["jsonPath"].startswith("."):
        yield errors.invalid_value(f"{path}.JSONPath", column["jsonPath"], "must be a simple json path starting with .")


def _scale(scale: Object | None, path: str) -> Iterator[FieldError]:
    if scale is None:
        return
    for field, roots, where in (
        ("specReplicasPath", (".spec.",), "under .spec"),
        ("statusReplicasPath", (".status.",), "under .status"),
        ("labelSelectorPath", (".spec.", ".status."), "under either .spec or .status"),
    ):
        value, full = scale.get(field) or "", f"{path}.scale.{field}"
        if not value:
            if field != "labelSelectorPath":
                yield errors.required(full)
        elif not value.startswith("."):
            yield errors.invalid_value(full, value, "must be a simple json path starting with .")
        elif not value.startswith(roots):
            yield errors.invalid_value(full, value, f"should be a json path {where}")


def _conversion(conversion: Object) -> Iterator[FieldError]:
    strategy = conversion.get("strategy") or ""
    if not strategy:
        yield errors.required("spec.conversion.strategy")
    elif strategy == "Webhook":
        yield errors.not_supported("spec.conversion.strategy", strategy, ("None",))
    elif strategy != "None":
        yield errors.not_supported("spec.conversion.strategy", strategy, ("None", "Webhook"))
    if strategy != "Webhook" and conversion.get("webhook"):
        sentence = "should not be set when strategy is not set to Webhook"
        yield errors.forbidden("spec.conversion.webhookClientConfig", sentence)


def _stored_versions(definition: Object) -> Iterator[FieldError]:
    stored = (definition.get("status") or {}).get("storedVersions") or []
    versions = {version.get("name") for version in (definition.get("spec") or {}).get("versions") or ()}
    if not stored:
        yield errors.invalid_value("status.storedVersions", None, "must have at least one stored version")
    for index, version in enumerate(stored):
        if version not in versions:
            sentence = (
                f"missing from spec.versions; {version} was previously a storage version, and must remain in spec.versions "
                f"until a storage migration ensures no data remains persisted in {version} and removes {version} "
                "from status.storedVersions"
            )
            yield errors.invalid_value(f"status.storedVersions[{index}]", version, sentence)


def _approval(definition: Object) -> Iterator[FieldError]:
    """Groups of Kubernetes' own need a word of approval."""
    group = (definition.get("spec") or {}).get("group") or ""
    if not group.endswith((".k8s.io", ".kubernetes.io")) and group not in {"k8s.io", "kubernetes.io"}:
        return
    found = ((definition.get("metadata") or {}).get("annotations") or {}).get(_APPROVAL) or ""
    head = f"protected groups must have approval annotation {quoted(_APPROVAL)}"
    where = f"metadata.annotations[{_APPROVAL}]"
    if not found:
        yield errors.required(where, f"{head}, {_ENHANCEMENT}")
    elif not _APPROVED.match(found):
        sentence = f'{head} with either a URL or a reason starting with \\"unapproved\\", {_ENHANCEMENT}'
        yield errors.invalid_value(where, found, sentence.replace('\\"', '"'))
