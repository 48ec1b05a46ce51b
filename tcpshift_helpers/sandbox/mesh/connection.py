"""What one Envoy is to have, and how far it is: delivers, hears the answer, tries again what time may mend.

The newest wish wins: a delivery under way is given up for it. How a delivery goes is `delivery`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.mesh.status import ProxyState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tcpshift_helpers.sandbox.envoy import Refusal
    from tcpshift_helpers.sandbox.mesh.configuration import Configuration
    from tcpshift_helpers.sandbox.mesh.delivery import Delivery

log = logging.getLogger("ads")

_RETRY_REFUSED_SECONDS = (0.2, 0.5, 1.0, 2.0)


class Connection:
    """What one proxy is to have, and how far it is.

    Attributes:
        name: `pod.namespace`.
        address: the pod's address.
    """

    def __init__(self, name: str, address: str, delivery: Delivery, on_answer: Callable[[], None]) -> None:
        self.name = name
        self.address = address
        self._delivery = delivery
        self._on_answer = on_answer
        self._wanted: Configuration | None = None
        self._answered: Configuration | None = None
        self._refusals: tuple[Refusal, ...] = ()
        self._restarts = 0
        self._task: asyncio.Task[None] | None = None

    def state(self) -> ProxyState | None:
        """How far the proxy is; None before it was told anything."""
        if self._wanted is None:
            return None
        return ProxyState(self.name, self._wanted, self._answered, self._refusals)

    def want(self, configuration: Configuration, restarts: int) -> None:
        """Bring the proxy to this configuration; a delivery under way is given up for it."""
        if restarts != self._restarts:
            self._restarts = restarts
            self._delivery.restarted()
        elif configuration == self._wanted:
            return
        self._wanted = configuration
        before, self._task = self._task, asyncio.create_task(self._bring(self._task, configuration))
        if before is not None:
            before.cancel()

    def close(self) -> None:
        """Give up."""
        if self._task is not None:
            self._task.cancel()

    async def _bring(self, before: asyncio.Task[None] | None, configuration: Configuration) -> None:
        if before is not None:
            await asyncio.wait({before})
        for attempt in count():
            delay = _RETRY_REFUSED_SECONDS[min(attempt, len(_RETRY_REFUSED_SECONDS) - 1)]
            try:
                outcome = await self._delivery.deliver(configuration)
            except OSError as error:
                log.warning("cannot write the configuration of node:%s: %s", self.name, error)
            except Exception:
                log.exception("cannot deliver the configuration of node:%s", self.name)
            else:
                for refusal in set(outcome.refusals) - set(self._refusals):
                    log.warning("ADS: ACK ERROR %s %s: %s", self.name, refusal.name, refusal.details)
                self._answered, self._refusals = configuration, outcome.refusals
                self._on_answer()
                if not any(refusal.may_mend for refusal in outcome.refusals):
                    return
            await asyncio.sleep(delay)
            self._delivery.again()


def versions() -> Iterator[str]:
    """Versions of what is written: `2026-11-24T08:08:24Z/4`, time and a number that grows."""
    for number in count(1):
        yield f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}/{number}"
