"""The live view: batches, words for what goes wrong, one at a time, and nothing left of it."""

from __future__ import annotations

import base64
import itertools
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers import connect, course, widgets
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.sandbox import supervisor
from tcpshift_helpers.widgets import live_view, probing

from .conftest import threads, until_no_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.sandbox.home import Home

    from ..tcp_server import Serve
    from .conftest import Page

# Where the gateway is comes from the environment in these tests, so that no cluster is asked.
NO_CLUSTER: Any = None


@pytest.fixture
def gateway(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers `one` and `two` in turn."""
    words = itertools.cycle(["one", "two"])

    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(f"{next(words)} again\n".encode())

    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", str(serve(answer)))


def counted(batch: dict[str, Any]) -> int:
    """How many connections a batch says there were."""
    return sum(batch["counts"].values())


@pytest.mark.usefixtures("gateway")
def test_every_connection_is_told_once_and_counted(page: Callable[..., Page]) -> None:
    shown = page(widgets.live(NO_CLUSTER, per_second=50))
    shown.say("hello")
    assert threads() == []
    assert not shown.told[-1]["running"]
    shown.say("start")
    shown.wait_for(lambda batch: counted(batch) >= 10)
    shown.say("pause")
    assert threads() == []
    last = shown.told[-1]
    assert not last["running"]
    told = [answer for batch in shown.told for answer in batch["answers"]]
    assert {word: told.count(word) for word in ("one", "two")} == last["counts"]
    assert None not in told
    one, two = last["counts"]["one"], last["counts"]["two"]
    assert last["said"] == f"Connections from the client through the gateway to v1 and v2: {one} one, {two} two."


@pytest.mark.usefixtures("gateway")
def test_it_goes_on_after_a_pause(page: Callable[..., Page]) -> None:
    shown = page(widgets.live(NO_CLUSTER, per_second=50))
    for least in (1, 8):
        shown.say("start")
        shown.wait_for(lambda batch, least=least: counted(batch) >= least)
        shown.say("pause")


@pytest.mark.sandbox
@pytest.mark.timeout(180)
def test_a_gateway_that_is_down_is_said_in_words_and_tried_again(
    page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch, sandbox: Cluster
) -> None:
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", "1")
    shown = page(widgets.live(sandbox))
    shown.say("start")
    failed = shown.wait_for(lambda batch: batch["failed"])
    assert failed["answers"] == [None]
    assert failed["trouble"] == "The gateway gives no answer (refused: nothing listens there). Trying again …"
    shown.wait_for(lambda batch: batch["failed"] >= 2)


@pytest.mark.sandbox
@pytest.mark.timeout(240)
def test_a_sandbox_that_is_stopped_under_it_is_said_with_what_to_do_and_ends_it(
    page: Callable[..., Page], home: Home
) -> None:
    supervisor.start(home)
    cluster = connect(kubeconfig=home.kubeconfig)
    course.begin(cluster, "03")
    shown = page(widgets.live(cluster))
    shown.say("start")
    shown.wait_for(lambda batch: batch["answers"])
    supervisor.stop(home)
    gone = shown.wait_for(lambda batch: not batch["running"])
    assert gone["trouble"] == (
        f"Nothing answers at {cluster.server} (connection refused).\n"
        "The sandbox is down: run connect() again, or tcpshift up in a terminal."
    )
    until_no_thread()
    shown.say("start")
    shown.wait_for(lambda batch: batch["running"] is False and batch["trouble"] == gone["trouble"])
    until_no_thread()
    supervisor.start(home)
    shown.say("start")
    shown.wait_for(lambda batch: batch["answers"] and set(batch["answers"]) == {"one"} and not batch["trouble"])


@pytest.mark.usefixtures("gateway")
def test_a_page_that_leaves_ends_the_probes_until_it_is_back(page: Callable[..., Page]) -> None:
    shown = page(widgets.live(NO_CLUSTER, per_second=50))
    shown.say("start")
    shown.wait_for(lambda batch: batch["answers"])
    shown.say("leave")
    assert threads() == []
    before = shown.told[-1]
    shown.say("hello")
    assert shown.wait_for(lambda batch: counted(batch) > counted(before))["running"]


@pytest.mark.usefixtures("gateway")
def test_a_page_that_is_not_heard_ends_the_probes_until_it_is(
    page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = page(widgets.live(NO_CLUSTER, per_second=50))
    shown.say("start")
    shown.wait_for(lambda batch: batch["answers"])
    with monkeypatch.context() as patched:
        patched.setattr(probing, "UNHEARD_SECONDS", 0.5)
        until_no_thread()
    before = shown.told[-1]
    shown.say("here")
    assert shown.wait_for(lambda batch: counted(batch) > counted(before))["running"]


def test_a_cluster_that_is_gone_is_said_in_words(page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", "none")
    shown = page(widgets.live(NO_CLUSTER))
    shown.say("start")
    told = shown.wait_for(lambda batch: batch["trouble"])
    assert told["trouble"] == "TCP_INGRESS_PORT='none' is no port number.\nTrying again …"


@pytest.mark.usefixtures("gateway")
def test_a_new_one_ends_the_old(page: Callable[..., Page]) -> None:
    old = page(widgets.live(NO_CLUSTER, per_second=50))
    old.say("start")
    old.wait_for(lambda batch: batch["answers"])
    new = page(widgets.live(NO_CLUSTER))
    assert threads() == []
    assert old.told[-1] == {"kind": "closed"}
    old.say("start")
    assert threads() == []
    assert old.told[-1] == {"kind": "closed"}
    assert new.told == []


def test_a_view_that_left_the_page_after_its_end_is_forgotten(page: Callable[..., Page]) -> None:
    old = page(widgets.live(NO_CLUSTER))
    old.widget.end()
    assert old.widget.comm is not None
    old.say("leave")
    assert old.widget.comm is None


@pytest.mark.usefixtures("gateway")
def test_where_nothing_can_be_clicked_it_is_a_picture_of_some_connections_with_words(
    page: Callable[..., Page], displayed: Callable[..., list[dict[str, Any]]]
) -> None:
    view = widgets.live(NO_CLUSTER)
    page(view)
    data, metadata = view._repr_mimebundle_()
    assert set(data) == {"text/plain", "image/png"}
    assert data["text/plain"] == "Connections from the client through the gateway to v1 and v2: 25 one, 25 two."
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert view._repr_mimebundle_() == (data, metadata)
    picture, words = displayed(view)
    assert picture["image/png"] == data["image/png"]
    assert data["text/plain"] in words["text/html"]
    assert threads() == []


def test_a_picture_of_a_gateway_that_is_not_there_has_no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRESS_HOST", "127.0.0.1")
    monkeypatch.setenv("TCP_INGRESS_PORT", "none")
    alt = "Connections from the client through the gateway to v1 and v2: no probes."
    assert widgets.live(NO_CLUSTER).still().alt == alt


def test_before_somebody_who_can_click_nothing_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_view, "is_wanted", lambda: True)
    assert "no probes" in widgets.live(NO_CLUSTER).still().alt


@pytest.mark.parametrize("rate", [0, -1, 51])
def test_a_rate_that_means_nothing_or_too_much_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="more than 0 and at most 50"):
        widgets.live(NO_CLUSTER, per_second=rate)
