"""What istiod tells about an object: its condition `Reconciled`, from what each proxy made of it. Pure.

The condition is the one Istio's own status writer used: `True` when every proxy concerned has taken the configuration
made from this generation of the object; here also `False` with Envoy's words when one refused it, or when a part of the
object is written but not served; `Unknown` when no proxy uses it. Between a write and Envoy's answer nothing changes.

Source: istio.io/api meta/v1alpha1 (IstioStatus, IstioCondition). istiod of the 1.31 line no longer writes `Reconciled`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.mesh.model import key_of, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcpshift_helpers.sandbox.envoy import Refusal
    from tcpshift_helpers.sandbox.mesh.configuration import Configuration

    Obj = Mapping[str, Any]

CONDITION = "Reconciled"
REJECTED = "ConfigRejected"
_ADDRESS_IN_USE = re.compile(r"'?(?P<address>[0-9.]+):(?P<port>[0-9]+)'?.*Address already in use")


@dataclass(frozen=True)
class ProxyState:
    """How far one proxy is.

    Attributes:
        name: `pod.namespace`.
        wanted: the configuration it is to have.
        answered: the last configuration Envoy answered to; None if it has not answered any.
        refusals: what Envoy refused of that one.
    """

    name: str
    wanted: Configuration
    answered: Configuration | None
    refusals: Sequence[Refusal]


@dataclass(frozen=True)
class Verdict:
    """The condition an object should have.

    Attributes:
        status: `True`, `False` or `Unknown`.
        reason: one CamelCase word.
        message: a sentence.
        observed_generation: the generation it is about.
    """

    status: str
    reason: str
    message: str
    observed_generation: int


def verdict(obj: Obj, proxies: Sequence[ProxyState]) -> Verdict | None:
    """The condition for an object, or None while proxies concerned have not answered yet."""
    key, version = key_of(obj), version_of(obj)
    generation = version[1]
    concerned = [proxy for proxy in proxies if key in proxy.wanted.concerns]
    if not concerned:
        return Verdict("Unknown", "NoProxy", _no_proxy(obj["kind"]), generation)
    current = [p for p in concerned if p.answered is not None and p.answered.concerns.get(key) == version]
    for proxy in current:
        owners = proxy.answered.owners if proxy.answered is not None else {}
        for refusal in proxy.refusals:
            if not refusal.name or key in owners.get(refusal.name, ()):
                return Verdict("False", REJECTED, explain(proxy.name, refusal), generation)
    if len(current) < len(concerned):
        return None
    notes = [note for proxy in current for note in proxy.wanted.notes.get(key, ())]
    if notes:
        return Verdict("False", "NotServed", "; ".join(dict.fromkeys(notes)), generation)
    total = len(concerned)
    return Verdict("True", "Accepted", f"{total}/{total} proxies up to date.", generation)


def explain(proxy: str, refusal: Refusal) -> str:
    """Envoy's words with what they mean and what to do, as far as that is known."""
    what = f"listener or cluster {refusal.name}" if refusal.name else "configuration"
    text = f"Envoy of {proxy} refused {what} and keeps what it had: {refusal.details}"
    taken = _ADDRESS_IN_USE.search(refusal.details)
    if taken:
        port = taken["port"]
        text += (
            f". Another process holds port {port} of {taken['address']}: find it with: ss -ltnp 'sport = :{port}', "
            "and stop it; the port is tried again every few seconds"
        )
    return text


def patch(obj: Obj, wanted: Verdict, now: str) -> dict[str, Any] | None:
    """The merge patch that gives an object this condition, or None if it has it already.

    Args:
        obj: the object as it is.
        wanted: the condition.
        now: RFC 3339 time for the transition.
    """
    status = obj.get("status") or {}
    conditions = status.get("conditions") or []
    old: dict[str, Any] = next((one for one in conditions if one.get("type") == CONDITION), {})
    new = {
        "type": CONDITION,
        "status": wanted.status,
        "reason": wanted.reason,
        "message": wanted.message,
        "observedGeneration": wanted.observed_generation,
    }
    if all(old.get(name) == value for name, value in new.items()):
        return None
    same = old.get("status") == wanted.status and old.get("lastTransitionTime")
    new |= {"lastProbeTime": now, "lastTransitionTime": old["lastTransitionTime"] if same else now}
    others = [one for one in conditions if one.get("type") != CONDITION]
    return {"status": {"conditions": [*others, new], "observedGeneration": wanted.observed_generation}}


def event(obj: Obj, wanted: Verdict, now: str, suffix: str) -> dict[str, Any]:
    """The Event that tells of a refusal.

    Args:
        obj: the object it is about.
        wanted: the condition that says so.
        now: RFC 3339 time.
        suffix: makes the Event's name one of its own, as client-go does with the time in nanoseconds.
    """
    metadata = obj["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{suffix}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": obj["apiVersion"],
            "kind": obj["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning",
        "reason": wanted.reason,
        "message": wanted.message[:1024],
        "source": {"component": "istiod"},
        "reportingComponent": "istiod",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _no_proxy(kind: str) -> str:
    why = {
        "Gateway": "its selector matches no gateway pod, or no VirtualService routes its ports",
        "VirtualService": "its gateways, hosts and match ports select no port that a gateway opens, "
        "or an older VirtualService has that port",
        "DestinationRule": "no route of a gateway leads to its host",
    }
    return f"No proxy uses this {kind}: {why.get(kind, 'nothing refers to it')}."
