"""Finds the installed `kubernetes` client's models, and keeps the schemas made from them in a file.

The client is never imported: that would cost more time and memory than the whole server may take. The cache is keyed by
the client's version and by the form of the cache; it is written to the side and renamed, so that no reader sees half.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tcpshift_helpers.errors import SandboxError
from tcpshift_helpers.sandbox.apiserver.model_sources import Model, parse
from tcpshift_helpers.sandbox.apiserver.schemas import derive

_FORM = 6  # to be raised whenever `derive` makes something else of the same models
_MODEL_IMPORT = re.compile(r"from kubernetes\.client\.models\.(\w+) import (\w+)")


def load_built_in(cache_dir: Path) -> dict[str, dict[str, Any]]:
    """Schemas of the built-in kinds by their full names.

    Raises:
        SandboxError: the client is not installed, or its models cannot be read.
    """
    package = _package()
    cache = cache_dir / f"schemas-{_FORM}-kubernetes-{_version(package)}.json"
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, dict[str, Any]] = json.loads(cache.read_bytes())
        return found
    definitions = _derive(package)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time at the next start, nothing else
        _write(cache, definitions)
    return definitions


def _package() -> Path:
    spec = find_spec("kubernetes")
    if spec is None or not spec.submodule_search_locations:
        raise SandboxError(
            "The Python package `kubernetes` is not installed, so the sandbox does not know the fields of "
            "Kubernetes' objects. Install it with: pip install kubernetes"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _version(package: Path) -> str:
    """From the package's own source: `importlib.metadata` takes longer than loading the cache."""
    match = re.search(r"__version__ = ['\"]([^'\"]+)", (package / "__init__.py").read_text(encoding="utf-8"))
    return match[1] if match else "unknown"


def _derive(package: Path) -> dict[str, dict[str, Any]]:
    models = package / "client" / "models"
    try:
        modules = {name: module for module, name in _MODEL_IMPORT.findall((models / "__init__.py").read_text("utf-8"))}

        def read_model(name: str) -> Model | None:
            module = modules.get(name)
            return parse((models / f"{module}.py").read_text("utf-8"), name) if module else None

        return derive(read_model)
    except (OSError, ValueError, LookupError) as error:
        raise SandboxError(
            f"The models of the installed `kubernetes` client ({_version(package)}) cannot be read: {error}. "
            "Install a version that the sandbox was tested with: pip install 'kubernetes>=34'"
        ) from error


def _write(cache: Path, definitions: dict[str, dict[str, Any]]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=cache.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        json.dump(definitions, file, ensure_ascii=False, separators=(",", ":"))
    Path(file.name).replace(cache)
