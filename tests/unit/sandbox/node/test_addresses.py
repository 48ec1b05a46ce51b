"""Pod addresses, handed out and taken back."""

from __future__ import annotations

from tcpshift_helpers.sandbox.network import Subnet
from tcpshift_helpers.sandbox.node.addresses import PodAddresses


def test_each_pod_has_its_own_until_it_is_given_back() -> None:
    addresses = PodAddresses(Subnet("127.1.1"))
    given = [addresses.assign(f"uid {number}") for number in range(addresses.capacity)]
    assert given[0] == "127.1.1.10"
    assert len(set(given)) == addresses.capacity == 90
    assert addresses.assign("one too many") is None
    assert addresses.assign("uid 3") == given[3]
    addresses.release("uid 3")
    assert addresses.assign("one too many") == given[3]


def test_an_address_just_freed_is_not_at_once_anothers() -> None:
    addresses = PodAddresses(Subnet("127.1.1"))
    first = addresses.assign("a")
    addresses.release("a")
    assert addresses.assign("b") != first


def test_a_pod_gets_back_what_it_had_if_that_is_free() -> None:
    addresses = PodAddresses(Subnet("127.1.1"))
    assert addresses.assign("a", "127.1.1.50") == "127.1.1.50"
    assert addresses.assign("b", "127.1.1.50") == "127.1.1.10"
    assert addresses.assign("c", "10.0.0.1") == "127.1.1.11"
