"""From applying services and routes on an empty sandbox to the first `one` through the gateway."""

from __future__ import annotations

import time

from bar import Result, cluster

from tcpshift_helpers import istio, kubectl, netcat

RUNS = 7


def measure() -> list[Result]:
    seconds = []
    for _ in range(RUNS):
        with cluster() as here:
            kubectl.create_namespace(here, here.namespace)
            host, port = istio.ingress(here)
            started = time.perf_counter()
            kubectl.apply(here, "tcp-echo-services.yaml")
            kubectl.apply(here, "tcp-echo-all-v1.yaml")
            while not _answers_one(host, port):
                assert time.perf_counter() - started < 30, "no answer after 30 s"
            seconds.append(time.perf_counter() - started)
    return [Result("apply on an empty sandbox to the first `one`", seconds, "s", 1.0)]


def _answers_one(host: str, port: int) -> bool:
    frame = netcat.probe(host, port, count=1, timeout_seconds=1.0)
    # Not `(… == "one").all()`: that passes over missing answers.
    return int(frame["answer"].eq("one").sum()) == 1
