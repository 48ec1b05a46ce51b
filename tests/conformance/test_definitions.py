"""Istio's and the Gateway API's own definitions, as their releases have them, applied with kubectl.

They are read from the Go module cache, for they are too large to be kept here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .kubectl import Kubectl

SUFFIX = "customresourcedefinition.apiextensions.k8s.io/"


def module(name: str, where: str) -> Path:
    """A file or directory of the newest version of a Go module that is in the cache; the test is skipped where there is none."""
    if shutil.which("go"):
        cache = Path(subprocess.check_output(["go", "env", "GOMODCACHE"], text=True).strip())
        if found := sorted(cache.glob(f"{name}@*/{where}")):
            return found[-1]
    pytest.skip(f"needs {where} of {name} in the Go module cache")


@pytest.fixture
def kubectl(spare_kubeconfig, tmp_path):
    """Runs kubectl on a server whose definitions may be replaced."""
    return Kubectl(spare_kubeconfig, tmp_path / "cache", "default")


@pytest.fixture
def istio():
    """Istio's definitions."""
    return module("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml")


@pytest.fixture
def gateway_api():
    """The folder of the Gateway API's definitions."""
    return module("sigs.k8s.io/gateway-api", "config/crd/experimental")


def said(output: str) -> dict[str, str]:
    """What kubectl said of each definition."""
    lines = (line.rpartition(" ") for line in output.splitlines() if line.startswith(SUFFIX))
    return {name.removeprefix(SUFFIX): word for name, _, word in lines}


@pytest.mark.parity("kubectl apply of Istio's own definitions", "works")
def test_istio_s_definitions(kubectl, istio):
    names = re.findall(r"^  name: (\S+)$", istio.read_text(), re.MULTILINE)
    first = said(kubectl("apply", "-f", str(istio)))
    assert sorted(first) == sorted(names)
    assert {"virtualservices.networking.istio.io", "wasmplugins.extensions.istio.io"} < first.keys()
    assert set(first.values()) <= {"created", "configured", "unchanged"}
    assert set(said(kubectl("apply", "-f", str(istio))).values()) == {"unchanged"}
    kubectl("wait", "--for=condition=Established", "crd", *names)
    assert kubectl("get", "wasmplugins") == "No resources found in default namespace.\n"


@pytest.mark.parity("kubectl apply --server-side of Istio's own definitions", "works")
def test_istio_s_definitions_on_the_server_s_side(kubectl, istio):
    for _ in range(2):
        assert set(said(kubectl("apply", "--server-side", "-f", str(istio))).values()) == {"serverside-applied"}


@pytest.mark.parity("kubectl explain virtualservice.spec.tcp.route, from Istio's own definitions", "works")
def test_explain_from_istio_s_definitions(kubectl, istio):
    kubectl("apply", "--server-side", "-f", str(istio))
    lines = kubectl("explain", "virtualservice.spec.tcp.route").splitlines()
    assert lines[:5] == [
        "GROUP:      networking.istio.io",
        "KIND:       VirtualService",
        "VERSION:    v1",
        "",
        "FIELD: route <[]Object>",
    ]
    assert "    The destination to which the connection should be forwarded to." in lines
    assert lines[lines.index("FIELDS:") :][:3] == [
        "FIELDS:",
        "  destination\t<Object> -required-",
        "    Destination uniquely identifies the instances of a service to which the",
    ]


@pytest.mark.parity("kubectl apply of the Gateway API's own definitions", "works")
def test_the_gateway_api_s_definitions(kubectl, gateway_api):
    """HTTPRoute's is too long for the annotation that kubectl would write; so it is on any cluster."""
    files = [path for path in sorted(gateway_api.glob("*_*.yaml")) if not path.stem.endswith("vap_safeupgrades")]
    (too_long,) = (path for path in files if path.stem.endswith("_httproutes"))
    shorter = [word for path in files if path != too_long for word in ("-f", str(path))]
    first = said(kubectl("apply", *shorter))
    assert {"gateways.gateway.networking.k8s.io", "udproutes.gateway.networking.k8s.io"} < first.keys()
    assert set(said(kubectl("apply", *shorter)).values()) == {"unchanged"}
    for _ in range(2):
        on_the_server = said(kubectl("apply", "--server-side", *shorter, "-f", str(too_long)))
        assert on_the_server.keys() == {*first, "httproutes.gateway.networking.k8s.io"}
        assert set(on_the_server.values()) == {"serverside-applied"}
    assert "metadata.annotations: Too long: may not be more than 262144 bytes" in kubectl(
        "apply", "-f", str(too_long), code=1
    )


@pytest.mark.parity(
    "kubectl apply of the Gateway API's policy for safe upgrades",
    "known difference: the sandbox has no ValidatingAdmissionPolicy, and kubectl says so",
)
def test_the_gateway_api_s_policy(kubectl, gateway_api, peer_kubeconfig):
    (policy,) = gateway_api.glob("*_vap_safeupgrades.yaml")
    output = kubectl("apply", "--server-side", "-f", str(policy), code=0 if peer_kubeconfig else 1)
    words = 'no matches for kind "ValidatingAdmissionPolicy" in version "admissionregistration.k8s.io/v1"'
    assert (words in output) is not bool(peer_kubeconfig)
