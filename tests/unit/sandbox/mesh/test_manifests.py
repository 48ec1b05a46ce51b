"""The namespace istio-system as the add-on controller will create it, and the learner's manifests beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tcpshift_helpers.sandbox.mesh.validation import validate_object

LEARNERS = Path(__file__).parents[4] / "manifests"


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.fixture
def system() -> dict[tuple[str, str], dict[str, Any]]:
    text = files("tcpshift_helpers.sandbox.mesh").joinpath("manifests/istio-system.yaml").read_text(encoding="utf-8")
    return {(one["kind"], one["metadata"]["name"]): one for one in documents(text)}


def test_gateway_service_is_what_the_lesson_asks_for(system: dict[tuple[str, str], dict[str, Any]]) -> None:
    spec = system["Service", "istio-ingressgateway"]["spec"]
    assert spec["type"] == "LoadBalancer"
    assert spec["allocateLoadBalancerNodePorts"] is False
    assert {port["name"]: port["port"] for port in spec["ports"]} == {"tcp": 31400, "status-port": 15021}


def test_services_select_their_deployments(system: dict[tuple[str, str], dict[str, Any]]) -> None:
    for name in ("istiod", "istio-ingressgateway"):
        template = system["Deployment", name]["spec"]["template"]
        labels = template["metadata"]["labels"]
        assert system["Service", name]["spec"]["selector"].items() <= labels.items()
        assert system["Deployment", name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert template["spec"]["containers"][0]["readinessProbe"]["periodSeconds"] == 1
    gateway = system["Deployment", "istio-ingressgateway"]["spec"]["template"]
    assert gateway["metadata"]["labels"]["istio"] == "ingressgateway"
    assert gateway["spec"]["containers"][0]["name"] == "istio-proxy"
    assert gateway["spec"]["containers"][0]["args"][:2] == ["proxy", "router"]


def test_namespace_comes_first(system: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert next(iter(system)) == ("Namespace", "istio-system")
    assert {one["metadata"].get("namespace") for key, one in system.items() if key[0] != "Namespace"} == {
        "istio-system"
    }


@pytest.mark.parametrize("path", sorted(LEARNERS.glob("*.yaml")), ids=lambda path: path.name)
def test_learners_manifests_are_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")  # one line says what it is for
    for one in documents(text):
        assert validate_object(one["kind"], one) is None
        assert "namespace" not in one["metadata"]  # the lesson chooses it
