"""The validator answers as Istio's webhook does: every recorded case, word for word.

recorded/validation.json holds objects and the real answers (its header says of which version and how).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tcpshift_helpers.sandbox.apiserver.catalog import Catalog
from tcpshift_helpers.sandbox.apiserver.definitions import resource_type
from tcpshift_helpers.sandbox.apiserver.istio_schemas import definitions
from tcpshift_helpers.sandbox.mesh.validation import IstioValidator, duration_seconds, validate_object

RECORDED = json.loads((Path(__file__).parent / "recorded" / "validation.json").read_text(encoding="utf-8"))
# Refused by the schema or the decoder in the real server too, before the webhook is asked.
NOT_OURS = "error decoding configuration"
UNCHECKED = {
    "vs tls no match": "the inside of tls rules is not checked: the schema requires match",
}
ADVISED = "write a weight above 0"


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["case"])
def test_recorded_answers(case: dict[str, Any]) -> None:
    if case["case"] in UNCHECKED or (case["error"] or "").startswith(NOT_OURS):
        validate_object(case["object"]["kind"], case["object"])  # whatever it says, it must not crash
        return
    answer = validate_object(case["object"]["kind"], case["object"])
    if answer and ADVISED in answer:
        assert answer.startswith(case["error"])
        assert "total destination weight = 0" in case["error"]
    else:
        assert answer == case["error"]


def test_equal_weights_of_nothing_say_what_to_write() -> None:
    route = [{"destination": {"host": "a"}}, {"destination": {"host": "b"}}]
    vs = {"metadata": {"name": "x"}, "spec": {"hosts": ["*"], "gateways": ["g"], "tcp": [{"route": route}]}}
    answer = validate_object("VirtualService", vs)
    assert answer is not None
    assert answer.startswith("configuration is invalid: total destination weight = 0. spec.tcp[0].route ")
    assert "weight: 80 and weight: 20" in answer


@pytest.mark.parametrize(
    "spec",
    [None, [], "text", {"hosts": 3}, {"tcp": {"a": 1}}, {"tcp": [None, 3, {"route": [None, {"weight": "x"}]}]}],
)
def test_wrong_types_never_crash(spec: object) -> None:
    for kind in ("VirtualService", "Gateway", "DestinationRule"):
        validate_object(kind, {"metadata": {"name": "x"}, "spec": spec})


def test_plug_in_looks_only_at_istio_objects_being_written() -> None:
    types = {resource.kind: resource for resource in Catalog(map(resource_type, definitions()))}
    plug_in = IstioValidator()
    bad: dict[str, Any] = {"metadata": {"name": "x"}, "spec": {}}
    assert plug_in.name == "validation.istio.io"
    assert plug_in.validate("CREATE", types["Gateway"], bad, None)
    assert plug_in.validate("UPDATE", types["Gateway"], bad, bad)
    assert plug_in.validate("DELETE", types["Gateway"], bad, bad) is None
    assert plug_in.validate("CREATE", types["Pod"], bad, None) is None
    assert plug_in.mutate("CREATE", types["Gateway"], bad, {}) is bad


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("1m30s", 90.0), ("500ms", 0.5), ("1.5s", 1.5), ("s", None), ("", None), (3, None)],
)
def test_durations(text: object, seconds: float | None) -> None:
    assert duration_seconds(text) == seconds
