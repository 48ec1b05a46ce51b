"""Manifests: from a file name, a text or a dict to objects, with errors that name file, line and remedy.

A name such as `tcp-echo-services.yaml` or `gateway-api/tcp-echo-all-v1.yaml` means the course's own file, if it has one;
any other path means itself. It does not know what any kind means: the API server judges that.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tcpshift_helpers.errors import ManifestError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tcpshift_helpers.api import Object

_PACKAGE = Path(__file__).parent
# Beside the package in a clone; inside it when installed from a wheel.
FOLDERS = (_PACKAGE.parent / "manifests", _PACKAGE / "_course" / "manifests")


@dataclass(frozen=True)
class Manifest:
    """Objects to apply, and the word `-f` would be followed by.

    Attributes:
        objects: the documents, in order.
        shown_as: file name as a person at the project's folder would type it, or `-` for text.
    """

    objects: tuple[Object, ...]
    shown_as: str


def load(source: str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> Manifest:
    """Read a manifest.

    Args:
        source: name of a course manifest, path of a file, YAML or JSON text (anything with a line break or a
            colon and a space), one object, or several objects.

    Raises:
        ManifestError: no such file (the message lists the course's own), malformed YAML (with file and line), or a
            document without apiVersion, kind or name.
    """
    if isinstance(source, Path) or (isinstance(source, str) and not _is_text(source)):
        path, shown_as = _find(Path(source))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(
                _("{path} cannot be read: {error}. Check its permissions, and that it is UTF-8 text.").format(
                    path=path, error=error
                )
            ) from error
        return Manifest(tuple(parse(text, shown_as)), shown_as)
    if isinstance(source, str):
        return Manifest(tuple(parse(source, _("the text"))), "-")
    objects = [source] if _is_object(source) else list(source)
    copies: list[Object] = [copy.deepcopy(dict(obj)) for obj in objects]  # type: ignore[arg-type]
    for number, obj in enumerate(copies, start=1):
        _require_identity(obj, _("object {number}").format(number=number))
    return Manifest(tuple(copies), "-")


def parse(text: str, name: str) -> list[Object]:
    """The documents of a YAML text; empty ones are skipped and a `List` gives its items.

    Raises:
        ManifestError: see `load`.
    """
    try:
        # SafeLoader only: a manifest must not be able to run anything.
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ManifestError(_explain(error, name)) from error
    objects: list[Object] = []
    # compose_all and load_all skip the same documents, so lines and documents go together.
    for node, document in zip(nodes, documents, strict=True):
        if document is None or node is None:
            continue
        where = _("{name}, line {line}").format(name=name, line=node.start_mark.line + 1)
        _refuse_duplicates(node, name)
        if not isinstance(document, dict):
            raise ManifestError(
                _("{where}: expected an object with apiVersion, kind and metadata, got {found}.").format(
                    where=where, found=_what(document)
                )
            )
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            objects.extend(document["items"])
            continue
        _require_identity(document, where)
        objects.append(document)
    if not objects:
        raise ManifestError(
            _(
                "{name}: no objects in it. A manifest needs at least one document with apiVersion, kind and metadata.name."
            ).format(name=name)
        )
    return json_values(objects, name)


def json_values(objects: list[Object], name: str) -> list[Object]:
    """The same objects after a trip through JSON, so that YAML dates and the like are refused early."""
    try:
        copied: list[Object] = json.loads(json.dumps(objects, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ManifestError(
            _("{name}: a value that JSON cannot carry ({error}). Put it in quotes.").format(name=name, error=error)
        ) from error
    return copied


def to_yaml(obj: Any) -> str:
    """YAML as kubectl prints it: sorted keys, block style, lists not indented, long texts as blocks."""
    text: str = yaml.dump(
        obj, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=1_000_000
    )
    return text


# Tags of texts that need no double quotes: strings, and "*" and "&", which get single ones.
_PLAIN = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:yaml")


class _Dumper(yaml.SafeDumper):
    """Quotes as Go's YAML does: double where a plain text would be read as something else, such as a time."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        resolved = self.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        style = "|" if "\n" in text else '"' if text and resolved not in _PLAIN else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


def _is_text(source: str) -> bool:
    return "\n" in source or ": " in source or source.lstrip().startswith(("{", "["))


def _is_object(source: object) -> bool:
    return hasattr(source, "keys")


def _find(path: Path) -> tuple[Path, str]:
    if not path.is_absolute() and ".." not in path.parts:
        for folder in FOLDERS:
            if (folder / path).is_file():
                return folder / path, f"manifests/{path}"
    if path.expanduser().is_file():
        return path.expanduser(), str(path)
    own = sorted(
        {
            file.relative_to(folder).as_posix()
            for folder in FOLDERS
            if folder.is_dir()
            for file in folder.rglob("*.yaml")
        }
    )
    raise ManifestError(
        _(
            "There is no file {path} (looked in {folder} and in the course's manifests).\nThe course has: {files}."
        ).format(path=path, folder=Path.cwd(), files=listed(own) or _("none"))
    )


def _require_identity(obj: Object, where: str) -> None:
    missing = [key for key in ("apiVersion", "kind") if not isinstance(obj.get(key), str) or not obj[key]]
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        missing.append("metadata.name")
    if missing:
        raise ManifestError(
            _("{where}: {fields} missing. Every object needs apiVersion, kind and metadata.name.").format(
                where=where, fields=_(" and ").join(missing)
            )
        )


def _explain(error: yaml.YAMLError, name: str) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _("{name}: not YAML: {error}").format(name=name, error=error)
    mark = error.problem_mark
    lines = [
        _("{name}, line {line}, column {column}: malformed YAML: {problem}.").format(
            name=name, line=mark.line + 1, column=mark.column + 1, problem=error.problem
        )
    ]
    snippet = mark.get_snippet(indent=4)
    if snippet:
        lines.append(snippet)
    if "\\t" in str(error.problem):
        lines.append(_("Indent with spaces: YAML does not allow tabs."))
    elif "mapping values are not allowed" in str(error.problem):
        lines.append(
            _(
                "Look at this line and the one above: a key is indented differently from its neighbours, or a value with ': ' lacks quotes."
            )
        )
    else:
        lines.append(
            _("Look at this line and the one above: indentation, a missing colon, an unclosed quote or bracket.")
        )
    return "\n".join(lines)


def _refuse_duplicates(node: yaml.Node, name: str) -> None:
    # YAML loaders keep the last of two equal keys in silence; the API server's strict decoding would not.
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                raise ManifestError(
                    _('{name}, line {line}: key "{key}" already set in map. Remove one of the two.').format(
                        name=name, line=line, key=key.value
                    )
                )
            seen.add(str(key.value))
            _refuse_duplicates(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, name)


def _what(value: object) -> str:
    if isinstance(value, list):
        return _("a list")
    return _("a single value") if len(str(value)) > 40 else repr(value)


class Injected(list["Object"]):
    """Objects with sidecars put in; a notebook shows nothing for it until it is printed."""

    def _ipython_display_(self) -> None:
        """Nothing: the YAML of a sidecar is long. `print` shows it."""

    def __str__(self) -> str:
        return "---\n".join(to_yaml(obj) for obj in self)
