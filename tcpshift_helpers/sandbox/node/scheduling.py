"""Whether the one node takes a pod, and if not, why, in the scheduler's words. Pure.

It asks whether the node is cordoned, its taints and its labels; addresses are the kubelet's to give. Affinity and resources are not asked.

Source: kubernetes 1.34 pkg/scheduler/framework/plugins/{nodeunschedulable,tainttoleration,nodeaffinity}; component-helpers
scheduling/corev1 (which toleration tolerates which taint).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.controllers.selectors import labels_of, matches_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    Obj = Mapping[str, Any]

_CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def obstacle(pod: Obj, node: Obj) -> str | None:
    """What keeps the pod off the node; None if nothing does."""
    spec, of_node = pod["spec"], node.get("spec") or {}
    if of_node.get("unschedulable") and not _is_tolerated(_CORDONED, spec):
        return "1 node(s) were unschedulable"
    for taint in of_node.get("taints") or ():
        if taint["effect"] in ("NoSchedule", "NoExecute") and not _is_tolerated(taint, spec):
            return f"1 node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not matches_map(spec.get("nodeSelector") or {}, labels_of(node)):
        return "1 node(s) didn't match Pod's node affinity/selector"
    return None


def _is_tolerated(taint: Obj, spec: Obj) -> bool:
    return any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or ())


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    """An empty effect or key stands for all of them."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("value", "") == taint.get("value", ""))
