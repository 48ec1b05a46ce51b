"""Types of the few bodies that are no stored objects: Scale, Binding, Eviction, DeleteOptions.

Pure. A wrong type is refused, never read as if the field were missing: a precondition that was not understood must not delete.

Source: kube-apiserver 1.34, measured (words of encoding/json; DeleteOptions alone is answered 500).
"""

from __future__ import annotations

from typing import Any

from tcpshift_helpers.sandbox.apiserver.go_values import json_type
from tcpshift_helpers.sandbox.apiserver.status import bad_request, internal_error

Object = dict[str, Any]

_METADATA = {
    "metadata": (dict, "v1.ObjectMeta"),
    "metadata.name": (str, "string"),
    "metadata.resourceVersion": (str, "string"),
    "metadata.annotations": (dict, "map[string]string"),
}
_SHAPES: dict[str, dict[str, tuple[type, str]]] = {
    "Scale": {**_METADATA, "spec": (dict, "v1.ScaleSpec"), "spec.replicas": (int, "int32")},
    "Binding": {**_METADATA, "target": (dict, "v1.ObjectReference"), "target.name": (str, "string")},
    "Eviction": {**_METADATA, "deleteOptions": (dict, "v1.DeleteOptions")},
    "DeleteOptions": {
        "gracePeriodSeconds": (int, "int64"),
        "preconditions": (dict, "v1.Preconditions"),
        "preconditions.uid": (str, "types.UID"),
        "preconditions.resourceVersion": (str, "string"),
        "orphanDependents": (bool, "bool"),
        "propagationPolicy": (str, "v1.DeletionPropagation"),
        "dryRun": (list, "[]string"),
    },
}


def check_shape(kind: str, obj: Object) -> None:
    """Refuse a body whose fields have other types than the kind's.

    Raises:
        StatusError: 400, or 500 for DeleteOptions.
    """
    shape = _SHAPES[kind]
    for path, (expected, go_type) in shape.items():
        parent, _, field = path.rpartition(".")
        value = (obj.get(parent) or {} if parent else obj).get(field)
        if value is None or (isinstance(value, expected) and isinstance(value, bool) == (expected is bool)):
            continue
        struct = shape[parent][1].rpartition(".")[2] if parent else kind
        why = f"json: cannot unmarshal {json_type(value)} into Go struct field {struct}.{path} of type {go_type}"
        if kind == "DeleteOptions":
            raise internal_error(why)
        raise bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {why}')
