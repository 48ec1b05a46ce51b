"""2,000 probes at 80/20: do the counts lie in the band, and how many a second with 32 at once?"""

from __future__ import annotations

import time

from bar import Result, cluster, deploy_echo
from scipy.stats import binom

from tcpshift_helpers import istio, netcat

RUNS = 5
PROBES = 2000
SHARE = 0.2
# Central 99.99 % of the binomial: a correct split misses it once in 10,000 runs.
LOW, HIGH = (int(bound) for bound in binom.interval(0.9999, PROBES, SHARE))


def measure() -> list[Result]:
    rates, outside = [], []
    with cluster() as here:
        deploy_echo(here)
        istio.set_weights(here, "tcp-echo", {"v1": 80, "v2": 20})
        istio.wait_in_force(here, "tcp-echo")
        host, port = istio.ingress(here)
        for _ in range(RUNS):
            started = time.perf_counter()
            frame = netcat.probe(host, port, count=PROBES, at_once=32)
            rates.append(PROBES / (time.perf_counter() - started))
            counts = frame["answer"].value_counts()
            assert counts.sum() == PROBES, f"some probes failed: {frame['error'].value_counts().to_dict()}"
            outside.append(float(not LOW <= counts.get("two", 0) <= HIGH))
    return [
        Result("probes with 32 at once", rates, "1/s", 1000, at_least=True),
        Result(f"`two` in 2,000 probes at 80/20 outside {LOW}..{HIGH}", outside, "", 0, always=True),
    ]
