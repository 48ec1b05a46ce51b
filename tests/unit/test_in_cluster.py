"""Probes by the client pod: what is typed, and what becomes of its answers. The pod's part is stood in for here, and real in the lessons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import execution, in_cluster
from tcpshift_helpers.errors import UsageError

if TYPE_CHECKING:
    from tcpshift_helpers.connection import Cluster


def test_prints_the_command_and_counts_what_did_not_answer(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = execution.Finished(0, "one a\ntwo b\none c\n", "nc: can't connect to remote host (127.0.0.9): refused\n")
    ran: list[Any] = []
    monkeypatch.setattr(execution, "run", lambda _, pod, command, **__: ran.append((pod, command)) or done)
    monkeypatch.setattr(in_cluster, "pod_name", lambda *_: "curl-1")
    frame = in_cluster.probe(cluster, "tcp-echo", 9000, 11)
    script = "for lane in $(seq 10); do (for n in $(seq 2); do date | nc tcp-echo 9000; done) & done; wait"
    assert ran == [("curl-1", ["sh", "-c", script])]
    assert capsys.readouterr().out == (
        f"$ kubectl -n {cluster.namespace} exec deployment/curl -c curl -- sh -c '{script}'\n"
    )
    assert len(frame) == 20
    assert frame["answer"].value_counts().to_dict() == {"one": 2, "two": 1}
    assert set(frame["error"].dropna()) == {"nc: can't connect to remote host (127.0.0.9): refused"}
    assert frame["started_at"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "why"), [((" ", 9000), "host is empty"), (("a", 0), "no TCP port"), (("a", 9, 0), "count=0")]
)
def test_arguments_that_mean_nothing_are_refused(cluster: Cluster, arguments: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        in_cluster.probe(cluster, *arguments)
