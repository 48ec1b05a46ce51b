"""Helpers for the notebooks on Istio's TCP traffic shifting: the learner's API and nothing else.

Names load on first use, so that the sandbox's processes, which live in the same package, never import pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcpshift_helpers import course, distribution, istio, kubectl, netcat, plots
    from tcpshift_helpers.connection import Cluster, connect

__all__ = ["Cluster", "connect", "course", "distribution", "istio", "kubectl", "netcat", "plots"]

_MODULES = {"course", "distribution", "istio", "kubectl", "netcat", "plots"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in __all__:
        return getattr(import_module(f"{__name__}.connection"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
