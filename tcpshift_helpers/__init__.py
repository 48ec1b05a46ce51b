"""Helpers for the notebooks on Istio's TCP traffic shifting: the learner's API and nothing else.

Names load on first use, so that the sandbox's processes, which live in the same package, never import pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcpshift_helpers import (
        analysis,
        course,
        distribution,
        drain,
        in_cluster,
        inside,
        istio,
        kubectl,
        manifests,
        netcat,
        plots,
        scaling,
        widgets,
    )
    from tcpshift_helpers.connection import Cluster, connect
    from tcpshift_helpers.open_connections import OpenConnections
    from tcpshift_helpers.rollout import Rollout

__all__ = [
    "Cluster",
    "OpenConnections",
    "Rollout",
    "analysis",
    "connect",
    "course",
    "distribution",
    "drain",
    "in_cluster",
    "inside",
    "istio",
    "kubectl",
    "manifests",
    "netcat",
    "plots",
    "scaling",
    "widgets",
]

# What is no module itself comes from one.
_HOMES = {
    "Cluster": "connection",
    "connect": "connection",
    "OpenConnections": "open_connections",
    "Rollout": "rollout",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
