"""What is allowed in `metadata`, and in labels and selectors wherever they stand.

Pure.

Source: kube-apiserver 1.34, sentences and their order measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tcpshift_helpers.sandbox.apiserver import field_errors as errors
from tcpshift_helpers.sandbox.apiserver import names
from tcpshift_helpers.sandbox.apiserver.field_errors import FieldError

Object = dict[str, Any]

_ANNOTATIONS_BYTES = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_SELECTOR_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


def bad_values(field: str, value: Any, problems: Iterable[str]) -> list[FieldError]:
    """One `Invalid value` per problem."""
    return [errors.invalid_value(field, value, problem) for problem in problems]


def negative(field: str, value: int | None) -> list[FieldError]:
    """Objects to a number below zero."""
    if value is None or value >= 0:
        return []
    return [errors.invalid_value(field, value, "must be greater than or equal to 0")]


def validate_metadata(metadata: Object, name_rule: Callable[[str], list[str]]) -> list[FieldError]:
    """All objections to an object's metadata."""
    found: list[FieldError] = []
    prefix, name = metadata.get("generateName"), metadata.get("name")
    if prefix:
        # A trailing hyphen is fine: characters follow it.
        found += bad_values(
            "metadata.generateName", prefix, name_rule(prefix.removesuffix("-") + ("a" * prefix.endswith("-")))
        )
    if not name:
        found.append(errors.required("metadata.name", "name or generateName is required"))
    else:
        found += bad_values("metadata.name", name, name_rule(name))
    found += validate_labels(metadata.get("labels"), "metadata.labels")
    found += validate_annotations(metadata.get("annotations"), "metadata.annotations")
    found += _owners(metadata.get("ownerReferences") or [])
    for index, finalizer in enumerate(metadata.get("finalizers") or []):
        found += _finalizer(f"metadata.finalizers[{index}]", finalizer)
    return found


def validate_metadata_update(metadata: Object, old: Object) -> list[FieldError]:
    """Objections to changes of what the system alone sets, and to finalizers that come too late."""
    added = sorted({*(metadata.get("finalizers") or [])} - {*(old.get("finalizers") or [])})
    found = []
    if added and "deletionTimestamp" in old:
        shown = ", ".join(json.dumps(name) for name in added)
        sentence = (
            f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
        )
        found.append(errors.forbidden("metadata.finalizers", sentence))
    return found + [
        errors.invalid_value(f"metadata.{field}", metadata[field], "field is immutable")
        for field in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")
        if field in metadata and metadata[field] != old.get(field)
    ]


def validate_labels(labels: Object | None, field: str) -> list[FieldError]:
    """Objections to keys and values of labels, in the order of the labels."""
    found = []
    for key, value in (labels or {}).items():
        found += bad_values(field, key, names.qualified_name(key))
        found += bad_values(field, value, names.label_value(value or ""))
    return found


def validate_annotations(annotations: Object | None, field: str) -> list[FieldError]:
    """Objections to the keys of annotations and to their size."""
    found = []
    for key in annotations or {}:
        found += bad_values(field, key, names.qualified_name(key.lower()))
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in (annotations or {}).items())
    if size > _ANNOTATIONS_BYTES:
        found.append(errors.too_long(field, "", _ANNOTATIONS_BYTES))
    return found


def _owners(owners: list[Object]) -> list[FieldError]:
    found = []
    controllers = []
    for owner in owners:
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                subject = "version " if key == "apiVersion" else ""
                found.append(errors.invalid_value(f"metadata.ownerReferences.{key}", "", f"{subject}must not be empty"))
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind', '')}/{owner.get('name', '')}")
    if len(controllers) > 1:
        sentence = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        found.append(errors.invalid_value("metadata.ownerReferences", owners, sentence))
    return found


def _finalizer(field: str, finalizer: str) -> list[FieldError]:
    problems = names.qualified_name(finalizer)
    if not problems and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        problems = ["name is neither a standard finalizer name nor is it fully qualified"]
    return bad_values(field, finalizer, problems)


def shown_selector(selector: Object | None) -> Object | None:
    """A selector as messages show it: fields in the order of their definition, labels sorted."""
    if selector is None:
        return None
    shown: Object = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        order = ("key", "operator", "values")
        shown["matchExpressions"] = [
            {key: one.get(key, "") for key in order if key != "values" or one.get(key)}
            for one in selector["matchExpressions"]
        ]
    return shown


def validate_selector(selector: Object, field: str) -> list[FieldError]:
    """Objections to a `metav1.LabelSelector`."""
    found = validate_labels(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        found += _expression(expression, f"{field}.matchExpressions[{index}]")
    return found


def _expression(expression: Object, field: str) -> Iterator[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    if operator in {"In", "NotIn"} and not values:
        yield errors.required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in {"Exists", "DoesNotExist"} and values:
        sentence = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield errors.forbidden(f"{field}.values", sentence)
    elif operator not in _SELECTOR_OPERATORS:
        yield errors.invalid_value(f"{field}.operator", operator, "not a valid selector operator")
    yield from bad_values(f"{field}.key", expression.get("key", ""), names.qualified_name(expression.get("key", "")))
    for index, value in enumerate(values):
        yield from bad_values(f"{field}.values[{index}]", value, names.label_value(value))
