"""Reads the models of the Python client as text: which fields a model has, of which type, required or not.

Pure: source text in, `Model` out; nothing is imported or run. It understands both forms the client's generator has used:
classes with properties and setters (until 36), and pydantic classes (since 37).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

_PYDANTIC_HEAD_END = re.compile(r"\n    (?:@|def |__properties)")
_ATTRIBUTES_NOTE = re.compile(r"\n\s*Attributes:\n.*", re.DOTALL)
_GENERATOR_NOTE = re.compile(r"NOTE: This class is auto generated.*", re.DOTALL)
_FIELD_REFERENCE = re.compile(r"^(?:Gets|Sets) the .* of this \w+\.\s*#.*\n", re.MULTILINE)


@dataclass(frozen=True)
class Field:
    """One field of a model.

    Attributes:
        type: as the client writes it: `str`, `list[V1Container]`, `dict(str, str)`, `V1PodSpec` ...
        description: upstream's own words.
        required: the client refuses a model without it.
    """

    type: str
    description: str
    required: bool


@dataclass(frozen=True)
class Model:
    """One model: its description and its fields by their names in JSON."""

    name: str
    description: str
    fields: dict[str, Field]


def parse(source: str, name: str) -> Model:
    """Read the class `name` out of a module's source.

    Raises:
        ValueError: the class is not there, or has a form not known here.
    """
    if "(BaseModel)" in source:
        # The generated methods below the fields are ten times as long and say nothing new.
        head = source.find(f"class {name}(")
        end = _PYDANTIC_HEAD_END.search(source, head)
        source = source[: end.start()] if head >= 0 and end else source
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name]
    if not classes:
        raise ValueError(f"no class {name}")
    members = {target: value for target, value in map(_assignment, classes[0].body) if target}
    try:
        types, keys = ast.literal_eval(members["openapi_types"]), ast.literal_eval(members["attribute_map"])
    except KeyError as error:
        raise ValueError(f"class {name} has no {error}") from None
    documented = _pydantic_fields(classes[0]) or _property_fields(classes[0])
    unknown = ("", False)
    fields = {keys[attribute]: Field(kind, *documented.get(attribute, unknown)) for attribute, kind in types.items()}
    description = _ATTRIBUTES_NOTE.sub("", ast.get_docstring(classes[0]) or "")
    return Model(name, _GENERATOR_NOTE.sub("", description).strip(), fields)


def _assignment(node: ast.stmt) -> tuple[str, ast.expr]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return node.target.id, node.value
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    return "", ast.Constant(None)


def _pydantic_fields(definition: ast.ClassDef) -> dict[str, tuple[str, bool]]:
    """From `name: type = Field(default=None, description=...)`; models in fields have no description: `name: Model`."""
    found = {}
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if node.value is None:
            found[node.target.id] = ("", True)
        elif isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
            arguments = {keyword.arg: keyword.value for keyword in node.value.keywords}
            description = arguments.get("description")
            text = str(description.value) if isinstance(description, ast.Constant) else ""
            found[node.target.id] = (text, "default" not in arguments and "default_factory" not in arguments)
    return found


def _property_fields(definition: ast.ClassDef) -> dict[str, tuple[str, bool]]:
    """Description from the getter's docstring; a setter that refuses None makes the field required."""
    found: dict[str, tuple[str, bool]] = {}
    for node in definition.body:
        if not isinstance(node, ast.FunctionDef) or not node.decorator_list:
            continue
        decorator = node.decorator_list[0]
        if isinstance(decorator, ast.Name) and decorator.id == "property":
            lines = _FIELD_REFERENCE.sub("", ast.get_docstring(node) or "").split("\n\n:return:")[0]
            found[node.name] = (lines.partition(":return:")[0].partition("# noqa")[0].strip(), False)
        elif isinstance(decorator, ast.Attribute) and decorator.attr == "setter":
            refuses = any(
                isinstance(part, ast.Raise) and "must not be `None`" in ast.dump(part) for part in ast.walk(node)
            )
            found[node.name] = (found.get(node.name, ("", False))[0], refuses)
    return found
