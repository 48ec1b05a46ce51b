"""Write `merge_rules.json`: how the fields of built-in kinds merge, read from the OpenAPI documents of a real API server.

    python tests/conformance/derive_merge_rules.py FILE... > …/apiserver/merge_rules.json

Each file is one group's document, as `kubectl get --raw /openapi/v3/apis/apps/v1` prints it. Only facts are taken: the extensions that
say which lists and maps merge, by which keys, and the defaults of those keys.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

PREFIX = "x-kubernetes-"
NOT_ABOUT_MERGING = ("x-kubernetes-group-version-kind", "x-kubernetes-unions")


def merge_extensions(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key.startswith(PREFIX) and key not in NOT_ABOUT_MERGING}


def element_name(schema: Schema) -> str:
    items = schema["items"]
    reference: str = items.get("$ref") or items["allOf"][0]["$ref"]
    return reference.rpartition("/")[2]


def rules_of(definitions: dict[str, Schema]) -> dict[str, dict[str, Schema]]:
    """Rules by full name of the schema, then by field; the rules of the whole type stand under an empty name."""
    found: dict[str, dict[str, Schema]] = {}
    for name, schema in definitions.items():
        fields = {"": schema, **schema.get("properties", {})}
        rules = {field: extensions for field, about in fields.items() if (extensions := merge_extensions(about))}
        if rules:
            found.setdefault(name, {}).update(rules)
        for field, extensions in rules.items():
            keys = extensions.get("x-kubernetes-list-map-keys", ())
            element = element_name(fields[field]) if keys else ""
            for key in keys:
                default = definitions[element]["properties"][key].get("default")
                if default is not None:
                    found.setdefault(element, {}).setdefault(key, {})["default"] = default
    return found


def main() -> None:
    definitions: dict[str, Schema] = {}
    for file in sys.argv[1:]:
        definitions.update(json.loads(Path(file).read_text(encoding="utf-8"))["components"]["schemas"])
    lines = (
        f"{json.dumps(name)}:{json.dumps(rules, sort_keys=True, separators=(',', ':'))}"
        for name, rules in sorted(rules_of(definitions).items())
    )
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
