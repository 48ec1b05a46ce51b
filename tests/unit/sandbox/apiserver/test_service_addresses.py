"""ClusterIPs and node ports: given once, freed with their Service."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.service_addresses import allocate, keep_allocated
from tcpshift_helpers.sandbox.apiserver.status import StatusError

ADDRESSES = ["127.0.0.200", "127.0.0.201"]


def service(name="s", **spec):
    return {"metadata": {"name": name}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


def allocated(wished, others=()):
    allocate(wished, others, ADDRESSES)
    return wished["spec"]


def test_the_first_free_address():
    assert allocated(service())["clusterIP"] == ADDRESSES[0]
    assert allocated(service(), [service(clusterIP=ADDRESSES[0])])["clusterIPs"] == [ADDRESSES[1]]


def test_none_left():
    others = [service(clusterIP=address) for address in ADDRESSES]
    with pytest.raises(StatusError, match="range is full") as full:
        allocated(service(), others)
    assert full.value.code == 500


def test_asked_for():
    assert allocated(service(clusterIP=ADDRESSES[1]))["clusterIPs"] == [ADDRESSES[1]]
    assert allocated(service(clusterIP="None"))["clusterIPs"] == ["None"]
    with pytest.raises(StatusError, match="does not match the current range"):
        allocated(service(clusterIP="10.0.0.1"))
    with pytest.raises(StatusError, match="already allocated"):
        allocated(service(clusterIP=ADDRESSES[0]), [service(clusterIP=ADDRESSES[0])])


def test_node_ports():
    first = allocated(service(type="NodePort", ports=[{"port": 80}, {"port": 81}]))
    assert [port["nodePort"] for port in first["ports"]] == [30000, 30001]
    second = allocated(service(type="LoadBalancer"), [{"metadata": {}, "spec": first}])
    assert second["ports"][0]["nodePort"] == 30002
    assert "nodePort" not in allocated(service(type="LoadBalancer", allocateLoadBalancerNodePorts=False))["ports"][0]
    with pytest.raises(StatusError, match="not in the valid range"):
        allocated(service(type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    with pytest.raises(StatusError, match="already allocated"):
        allocated(service(type="NodePort", ports=[{"port": 80, "nodePort": 30000}]), [{"metadata": {}, "spec": first}])


def test_external_name_has_none():
    assert "clusterIP" not in allocated(service(type="ExternalName"))


def test_update_keeps_what_it_leaves_out():
    old = service(
        clusterIP=ADDRESSES[0], clusterIPs=[ADDRESSES[0]], type="NodePort", ports=[{"port": 80, "nodePort": 30005}]
    )
    new = service(type="NodePort")
    keep_allocated(new, old)
    assert (new["spec"]["clusterIP"], new["spec"]["ports"][0]["nodePort"]) == (ADDRESSES[0], 30005)
    changed = service(clusterIP=ADDRESSES[1])
    keep_allocated(changed, old)
    assert changed["spec"]["clusterIPs"] == [ADDRESSES[1]], "for validation to refuse"


def test_update_to_external_name_gives_the_address_back():
    old = service(clusterIP=ADDRESSES[0], clusterIPs=[ADDRESSES[0]])
    new = service(type="ExternalName", clusterIP=ADDRESSES[0], clusterIPs=[ADDRESSES[0]])
    keep_allocated(new, old)
    assert "clusterIP" not in new["spec"]
