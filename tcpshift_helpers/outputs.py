"""What `kubectl get -o name|yaml|json|jsonpath=…` prints of objects. Pure.

Tables, which the server lays out, are in tables.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tcpshift_helpers import conditions, manifests
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _

if TYPE_CHECKING:
    from tcpshift_helpers.api import Object, Resource

_OUTPUTS = {"", "wide", "yaml", "json", "name"}
_JSONPATH_OUTPUT = "jsonpath="


def check(output: str) -> None:
    """Refuse an output that is not known.

    Raises:
        UsageError: with those there are.
    """
    if output not in _OUTPUTS and not output.startswith(_JSONPATH_OUTPUT):
        raise UsageError(
            _("output={output!r} is not one of wide, yaml, json, name, jsonpath=… (or nothing, for a table).").format(
                output=output
            )
        )


def text(resource: Resource, objects: list[Object], output: str, *, as_list: bool) -> str:
    """Objects as `kubectl get -o` prints them.

    Args:
        resource: their kind.
        objects: one, or any number.
        output: anything but a table.
        as_list: whether they were asked for as a list, even if there is one.

    Raises:
        UsageError: a jsonpath that is not understood.
    """
    if output == "name":
        return "".join(f"{resource.word}/{obj['metadata']['name']}\n" for obj in objects)
    clean = [_without_noise(obj) for obj in objects]
    shown = {"apiVersion": "v1", "kind": "List", "items": clean} if as_list else clean[0]
    if output == "yaml":
        return manifests.to_yaml(shown)
    if output == "json":
        return json.dumps(shown, indent=4, sort_keys=True) + "\n"
    return conditions.fill(output.removeprefix(_JSONPATH_OUTPUT), shown) + "\n"


def _without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
