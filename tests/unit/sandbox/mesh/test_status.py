"""The condition `Reconciled`: when it is True, False, Unknown, or not touched yet."""

from __future__ import annotations

from typing import Any

import pytest

from tcpshift_helpers.sandbox.envoy import Refusal
from tcpshift_helpers.sandbox.mesh.configuration import Configuration
from tcpshift_helpers.sandbox.mesh.status import ProxyState, Verdict, event, explain, patch, verdict

KEY = ("VirtualService", "default", "tcp-echo")
IN_USE = "error adding listener '127.1.2.2_31400': cannot bind '127.1.2.2:31400': Address already in use"


def vs(generation: int = 2, **status: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "default",
        "name": "tcp-echo",
        "generation": generation,
        "uid": "u",
        "resourceVersion": "7",
    }
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "status": status}


def made_from(generation: int, uid: str = "u", **notes: list[str]) -> Configuration:
    return Configuration(
        concerns={KEY: (uid, generation)}, owners={"0.0.0.0_31400": {KEY}}, notes={KEY: notes["notes"]} if notes else {}
    )


def proxy(wanted: Configuration, answered: Configuration | None, *refusals: Refusal) -> ProxyState:
    return ProxyState("gw.istio-system", wanted, answered, refusals)


NEW, OLD, NAMESAKE = made_from(2), made_from(1), made_from(2, uid="deleted since")


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ([], ("Unknown", "NoProxy")),
        ([proxy(Configuration(), None)], ("Unknown", "NoProxy")),
        ([proxy(NEW, None)], None),
        ([proxy(NEW, OLD)], None),
        ([proxy(NEW, NAMESAKE)], None),
        ([proxy(NEW, NEW)], ("True", "Accepted")),
        ([proxy(NEW, NEW), proxy(NEW, OLD)], None),
        ([proxy(NEW, NEW), proxy(NEW, NEW)], ("True", "Accepted")),
        ([proxy(NEW, NEW, Refusal("0.0.0.0_31400", "no"))], ("False", "ConfigRejected")),
        ([proxy(NEW, NEW, Refusal("", "no"))], ("False", "ConfigRejected")),
        ([proxy(NEW, NEW, Refusal("0.0.0.0_31500", "no"))], ("True", "Accepted")),
        ([proxy(NEW, OLD, Refusal("0.0.0.0_31400", "no"))], None),
        ([proxy(NEW, OLD), proxy(NEW, NEW, Refusal("0.0.0.0_31400", "no"))], ("False", "ConfigRejected")),
        ([proxy(made_from(2, notes=["http is not served"]), NEW)], ("False", "NotServed")),
    ],
)
def test_verdict(proxies: list[ProxyState], expected: tuple[str, str] | None) -> None:
    found = verdict(vs(), proxies)
    assert (found and (found.status, found.reason)) == expected
    if found is not None:
        assert found.observed_generation == 2


def test_message_counts_proxies() -> None:
    found = verdict(vs(), [proxy(NEW, NEW), proxy(NEW, NEW)])
    assert found is not None
    assert found.message == "2/2 proxies up to date."


def test_a_taken_port_is_explained() -> None:
    text = explain("gw.istio-system", Refusal("127.1.2.2_31400", IN_USE))
    assert IN_USE in text
    assert "Another process holds port 31400 of 127.1.2.2" in text
    assert "ss -ltnp 'sport = :31400'" in text
    assert "Another process" not in explain("gw", Refusal("x", "weight must be greater than 0"))


def test_patch_only_what_changed_and_keeps_the_rest() -> None:
    wanted = Verdict("True", "Accepted", "1/1 proxies up to date.", 2)
    first = patch(vs(conditions=[{"type": "Other", "status": "True"}]), wanted, "2026-01-01T00:00:00Z")
    assert first is not None
    conditions = first["status"]["conditions"]
    assert [one["type"] for one in conditions] == ["Other", "Reconciled"]
    assert conditions[1]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert first["status"]["observedGeneration"] == 2
    assert patch(vs(**first["status"]), wanted, "2026-01-01T00:00:09Z") is None
    later = patch(vs(**first["status"]), Verdict("True", "Accepted", wanted.message, 3), "2026-01-01T00:00:09Z")
    assert later is not None
    assert later["status"]["conditions"][1]["lastTransitionTime"] == "2026-01-01T00:00:00Z"  # still True
    fall = patch(vs(**first["status"]), Verdict("False", "ConfigRejected", "no", 2), "2026-01-01T00:00:09Z")
    assert fall is not None
    assert fall["status"]["conditions"][1]["lastTransitionTime"] == "2026-01-01T00:00:09Z"


def test_event_is_about_the_object() -> None:
    made = event(vs(), Verdict("False", "ConfigRejected", "x" * 5000, 2), "2026-01-01T00:00:00Z", "1a2b")
    assert made["metadata"] == {"name": "tcp-echo.1a2b", "namespace": "default"}
    assert made["type"] == "Warning"
    assert made["reason"] == "ConfigRejected"
    assert made["involvedObject"]["kind"] == "VirtualService"
    assert len(made["message"]) == 1024
