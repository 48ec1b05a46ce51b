"""`tcpshift up` until the API, the controllers and the gateway are ready, warm; and again when all is up."""

from __future__ import annotations

from bar import Result, state_directory, tcpshift

RUNS = 7


def measure() -> list[Result]:
    cold: list[float] = []
    warm: list[float] = []
    again: list[float] = []
    with state_directory():
        # The first start makes certificates and caches; it is shown, with no bar of its own.
        cold.append(tcpshift("up"))
        for _ in range(RUNS):
            tcpshift("down")
            warm.append(tcpshift("up"))
            again.append(tcpshift("up"))
    return [
        Result("tcpshift up to ready, warm", warm, "s", 2.5),
        Result("tcpshift up, first start of an empty directory", cold, "s", float("inf")),
        Result("tcpshift up when it is up", again, "s", 0.4),
    ]
