"""Write `protobuf_fields.json`: numbers, JSON names and types of the fields of built-in kinds, read from the Go types of a release.

    python tests/conformance/derive_protobuf_fields.py API_DIRECTORY APIMACHINERY_DIRECTORY > …/apiserver/protobuf_fields.json

The directories are those of the modules k8s.io/api and k8s.io/apimachinery. Only facts are taken: struct tags, no text. `kept` is said of
fields that are written even when they are empty.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOTS = {
    "v1": [
        *("Namespace", "Node", "Pod", "Service", "ConfigMap", "Secret", "ServiceAccount", "Event", "Binding"),
        *("DeleteOptions", "Endpoints"),
    ],
    "apps/v1": ["Deployment", "ReplicaSet"],
    "authentication.k8s.io/v1": ["SelfSubjectReview"],
    "authorization.k8s.io/v1": ["SelfSubjectAccessReview", "SelfSubjectRulesReview"],
    "batch/v1": ["Job"],
    "coordination.k8s.io/v1": ["Lease"],
    "discovery.k8s.io/v1": ["EndpointSlice"],
    "events.k8s.io/v1": ["Event"],
    "autoscaling/v1": ["Scale"],
    "policy/v1": ["Eviction"],
    "meta.k8s.io/v1": ["DeleteOptions"],
}
SOURCES = {
    "core": "core/v1",
    "apps": "apps/v1",
    "authentication": "authentication/v1",
    "authorization": "authorization/v1",
    "batch": "batch/v1",
    "coordination": "coordination/v1",
    "discovery": "discovery/v1",
    "events": "events/v1",
    "autoscaling": "autoscaling/v1",
    "policy": "policy/v1",
}
SPECIAL = {
    "meta.Time": "time",
    "meta.MicroTime": "micro-time",
    "resource.Quantity": "quantity",
    "intstr.IntOrString": "int-or-string",
    "meta.FieldsV1": "json",
    "types.UID": "string",
    "types.NodeName": "string",
    "authentication.ExtraValue": "bytes",  # in answers only
}
SCALARS = {
    "string": "string",
    "bool": "bool",
    "int": "int",
    "int32": "int",
    "int64": "int",
    "[]byte": "bytes",
    "float64": "double",
}
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
NAMED = re.compile(r"^type (\w+) ([\w\[\]\.]+)$", re.M)
FIELD = re.compile(r'^\s+(?:(\w+)\s+)?(\S+)\s+`json:"([^"]*)"(?:.*?)protobuf:"\w+,(\d+),[^"]*"', re.M)


class Reader:
    """Resolves Go types to codes."""

    def __init__(self, api: Path, machinery: Path) -> None:
        files = {package: api / folder / "types.go" for package, folder in SOURCES.items()}
        files["meta"] = machinery / "pkg/apis/meta/v1/types.go"
        texts = {package: file.read_text() for package, file in files.items()}
        self.structs = {f"{p}.{name}": body for p, text in texts.items() for name, body in STRUCT.findall(text)}
        self.named = {f"{p}.{name}": base for p, text in texts.items() for name, base in NAMED.findall(text)}
        self.messages: dict[str, dict[str, list[str]]] = {}

    def code(self, package: str, kind: str) -> str:
        kind = kind.removeprefix("*")
        if kind in SCALARS:
            return SCALARS[kind]
        if match := re.fullmatch(r"map\[([\w.]+)\](.+)", kind):
            return "map:" + self.code(package, match[2])
        prefix, _, name = kind.rpartition(".")
        owner = {"": package, "metav1": "meta", "v1": "core", "corev1": "core", "api": "core"}.get(prefix, prefix)
        full = f"{owner}.{name}"
        if full in SPECIAL:
            return SPECIAL[full]
        if full in self.structs:
            self.add(full)
            return full
        base = self.named[full]
        return self.code(owner, base)

    def add(self, full: str) -> None:
        if full in self.messages:
            return
        fields = self.messages[full] = {}
        package = full.partition(".")[0]
        for _, kind, tag, number in FIELD.findall(self.structs[full]):
            name, *options = tag.split(",")
            repeated = kind.startswith("[]") and kind != "[]byte"
            code = self.code(package, kind.removeprefix("[]") if repeated else kind)
            flags = ("repeated " if repeated else "") + ("pointer " if kind.startswith("*") else "")
            flags += "inline " if "inline" in options and not name else ""
            is_struct = code in ("time", "micro-time") and not repeated and not kind.startswith("*")
            flags += "kept" if name and "omitzero" not in options and (is_struct or "omitempty" not in options) else ""
            fields[number] = [name, code, *flags.split()]


def main() -> None:
    """Print the table."""
    reader = Reader(Path(sys.argv[1]), Path(sys.argv[2]))
    kinds = {}
    for api_version, names in ROOTS.items():
        group = api_version.rpartition("/")[0]
        for name in names:
            package = "meta" if name == "DeleteOptions" else group.removesuffix(".k8s.io") or "core"
            reader.add(f"{package}.{name}")
            kinds[f"{api_version}/{name}"] = f"{package}.{name}"
    print(json.dumps({"kinds": kinds, "messages": reader.messages}, separators=(",", ":")))


if __name__ == "__main__":
    main()
