"""Addresses of pods: handed out, remembered, taken back. Numbers come from `network` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.network import Subnet


class PodAddresses:
    """Which pod, by uid, holds which address of the subnet."""

    def __init__(self, subnet: Subnet) -> None:
        self._subnet = subnet
        self._holders: dict[str, str] = {}
        self._last = ""

    @property
    def capacity(self) -> int:
        """How many pods fit."""
        return len(list(self._subnet.pods()))

    def assign(self, uid: str, wished: str | None = None) -> str | None:
        """The pod's address: the one it holds, else the one wished for if that is free, else a free one.

        Addresses are taken in turn, so that one just freed is not at once another pod's.

        Returns:
            None if all are in use.
        """
        held = {holder: address for address, holder in self._holders.items()}
        if uid in held:
            return held[uid]
        every = list(self._subnet.pods())
        if wished in every and wished not in self._holders:
            address = wished
        else:
            start = every.index(self._last) + 1 if self._last in every else 0
            free = [candidate for candidate in every[start:] + every[:start] if candidate not in self._holders]
            if not free:
                return None
            address = self._last = free[0]
        self._holders[address] = uid
        return address

    def release(self, uid: str) -> None:
        """Take the pod's address back, if it has one."""
        self._holders = {address: holder for address, holder in self._holders.items() if holder != uid}
