"""Informers live through `kill -9` of the API server: their copies are right in the end, and they have told each change once.

Each story is told once for all libraries, with a test for each: the supervisor lets a part that is killed often wait longer.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tcpshift_helpers.sandbox import record, supervisor
from tcpshift_helpers.sandbox.home import Home

from .informers import InformerOf, Kr8sAsync, Kr8sSync, LightkubeAsync, LightkubeSync, Official, OurOwn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .informers import Event, Informing, Object

LIBRARIES = (Official, Kr8sSync, Kr8sAsync, LightkubeSync, LightkubeAsync)
NAMES = [*(library.__name__ for library in LIBRARIES), OurOwn.__name__]
WRITES, KILLS = 90, (30, 60)
# More than the 32 MiB of history that the server keeps: each of these writes counts with the object before it, too.
LARGE_WRITES, LARGE = 30, base64.b64encode(bytes(650_000)).decode()
TOO_OLD = re.compile(r"too old resource version: (\d+) \((\d+)\)")

pytestmark = pytest.mark.sandbox


class Server:
    """The API server of a sandbox, and somebody who writes to it and does not give up."""

    def __init__(self, home: Home, api: Any, until: Callable[..., None]) -> None:
        self.home, self.api, self.until = home, api, until

    def kill(self) -> None:
        """As `kill -9`; the supervisor starts another."""
        state = record.read(self.home)
        assert state is not None
        psutil.Process(next(part["pid"] for part in state.parts if part["name"] == "apiserver")).kill()

    def write(self, method: str, path: str, body: object = None) -> None:
        """Until it is acknowledged, or it turns out that a write whose answer was lost has been kept."""
        self.until(lambda: self._is_written(method, path, body), f"{method} {path}")

    def _is_written(self, method: str, path: str, body: object) -> bool:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            answer = self.api.request(method, path, body, kind)
        except (OSError, http.client.HTTPException):
            return False
        assert answer.code in {200, 201, {"POST": 409, "DELETE": 404}.get(method)}, answer.text
        return True

    def forget(self) -> None:
        """Have the server forget all changes of ConfigMaps until now."""
        path = "/api/v1/namespaces/default/secrets"
        self.write("POST", path, {"metadata": {"name": "large"}, "data": {"large": LARGE}})
        for number in range(LARGE_WRITES):
            self.write("PATCH", f"{path}/large", {"stringData": {"number": str(number)}})


class Namespace:
    """ConfigMaps in a namespace of their own, and informers of them."""

    def __init__(self, server: Server, name: str, informers: dict[str, Informing]) -> None:
        self.server, self.informers = server, informers
        self.path = f"/api/v1/namespaces/{name}/configmaps"
        server.write("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for number in range(5):
            self.create(f"kept-{number}")
        # A controller's own, which may come late.
        server.until(
            lambda: server.api.get(f"{self.path}/kube-root-ca.crt").code == 200, "the namespace's own ConfigMap"
        )
        self.first = server.api.get(self.path).body
        for informer in informers.values():
            informer.start()
        self.until_all(lambda informer: informer.lists == 1, "the first list")

    def until_all(self, is_so: Callable[[Informing], object], what: str) -> None:
        """Wait until it is so for each informer."""
        for name, informer in self.informers.items():
            self.server.until(lambda informer=informer: is_so(informer) or informer.failure, f"{what} of {name}")
            assert informer.failure is None, name

    def create(self, name: str) -> None:
        self.server.write("POST", self.path, {"metadata": {"name": name}, "data": {"is": "new"}})

    def change(self, name: str, value: str) -> None:
        self.server.write("PATCH", f"{self.path}/{name}", {"data": {"is": value}})

    def delete(self, name: str) -> None:
        self.server.write("DELETE", f"{self.path}/{name}")

    def write(self, number: int) -> None:
        """One of a row of writes by which names come, change twice, go, and come again."""
        name = f"comes-{number % 7}"
        match number // 7 % 4:
            case 0:
                self.create(name)
            case 3:
                self.delete(name)
            case _:
                self.change(name, f"number {number}")

    def catch_up(self, name: str) -> None:
        """Create an object, and wait until every informer knows of it."""
        self.create(name)
        newest = version_of(self.server.api.get(f"{self.path}/{name}").body)
        self.until_all(lambda informer: informer.version >= newest, name)

    def end(self) -> Outcome:
        """What there is once every informer knows of the last write; they are stopped then."""
        self.catch_up("last")
        told = {name: Told.by(informer) for name, informer in self.informers.items()}
        listed = self.server.api.get(self.path).body["items"]
        version = self.first["metadata"]["resourceVersion"]
        changes = self.server.api.watch(self.path, resourceVersion=version)
        for informer in self.informers.values():
            informer.stop()
        self.create("end")
        for informer in self.informers.values():
            informer.join(30)
        for name, informer in self.informers.items():
            # Only now: kr8s shares one connection between threads, and closes it for all.
            told[name].fresh.update(informer.fresh())
            del told[name].fresh["end"]
        return Outcome(
            {obj["metadata"]["name"]: version_of(obj) for obj in listed},
            [("ADDED", obj["metadata"]["name"], version_of(obj)) for obj in self.first["items"]],
            [
                (event["type"], event["object"]["metadata"].get("name"), version_of(event["object"]))
                for event in changes
            ],
            told,
        )


@dataclass(frozen=True)
class Told:
    """One informer in the end.

    Attributes:
        goes_on: it goes on from the version it has seen when the server is lost.
        copy: its objects.
        events: what it has told, in order.
        lists: how often it has listed.
        away: how often it has lost the server.
        refusals: what the server said of versions that were too old.
        fresh: the same library's list, once the informer has ended.
    """

    goes_on: bool
    copy: dict[str, Object]
    events: list[Event]
    lists: int
    away: int
    refusals: list[str]
    fresh: dict[str, Object] = field(default_factory=dict)

    @classmethod
    def by(cls, informer: Informing) -> Told:
        events, refusals = list(informer.told), list(informer.refusals)
        return cls(informer.goes_on, informer.objects(), events, informer.lists, informer.away, refusals)


@dataclass(frozen=True)
class Outcome:
    """What the server says in the end, and each informer by its library's name.

    Attributes:
        versions: of each object that there is.
        first: the objects of the first list, as additions.
        history: every change since then, as far as the server remembers.
        informers: by name.
    """

    versions: dict[str, int]
    first: list[Event]
    history: list[Event]
    informers: dict[str, Told]


def version_of(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion", 0))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, client_of: Any, until: Callable[..., None]) -> Iterator[Server]:
    home = Home(tmp_path_factory.mktemp("informers") / "home")
    try:
        supervisor.start(home)
        with contextlib.closing(client_of(home.kubeconfig)) as api:
            yield Server(home, api, until)
    finally:
        supervisor.stop(home)


def informers(server: Server, namespace: str) -> dict[str, Informing]:
    """One of each library, and our own."""
    made: dict[str, Informing] = {
        library.__name__: InformerOf(library, server.home, namespace) for library in LIBRARIES
    }
    return {**made, OurOwn.__name__: OurOwn(server.home, namespace)}


@pytest.fixture(scope="module")
def through_restarts(server: Server) -> Outcome:
    """Somebody goes on writing while the server is killed twice."""
    namespace = Namespace(server, "restarts", informers(server, "restarts"))
    for number in range(WRITES):
        if number in KILLS:
            namespace.catch_up(f"before-{number}")  # who is still away loses the server only once
            server.kill()
        namespace.write(number)
    return namespace.end()


@pytest.fixture(scope="module")
def through_expiry(server: Server) -> Outcome:
    """The server is killed, and informers come back only when it has forgotten the changes that they have missed."""
    namespace = Namespace(server, "expiry", informers(server, "expiry"))
    for number in range(20):
        namespace.write(number)
    for informer in namespace.informers.values():
        informer.free.clear()
    server.kill()
    namespace.until_all(lambda informer: informer.waits.is_set(), "the turn")
    for number in range(20, 50):
        namespace.write(number)
    namespace.delete("kept-0")
    namespace.delete("kept-1")
    namespace.create("kept-1")
    server.forget()
    for informer in namespace.informers.values():
        informer.free.set()
    return namespace.end()


def assert_right(outcome: Outcome, name: str) -> Told:
    """The copy is what there is, and what was told leads to it, nothing of it twice."""
    told = outcome.informers[name]
    assert {key: version_of(obj) for key, obj in told.copy.items()} == outcome.versions
    assert {key: without_kind(obj) for key, obj in told.copy.items()} == {
        key: without_kind(obj) for key, obj in told.fresh.items()
    }
    replayed: dict[str, int] = {}
    for kind, key, version in told.events:
        assert (kind == "ADDED") == (key not in replayed), (kind, key, version)
        if kind == "DELETED":
            del replayed[key]
        else:
            assert version > replayed.get(key, 0), (kind, key, version)
            replayed[key] = version
    assert replayed == outcome.versions
    return told


def without_kind(obj: Object) -> Object:
    """Lists leave out what all their items have in common."""
    return {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}


@pytest.mark.parametrize("name", NAMES)
def test_restarts_while_somebody_writes(through_restarts: Outcome, name: str) -> None:
    told = assert_right(through_restarts, name)
    assert told.away >= len(KILLS)
    assert told.refusals == []
    if told.goes_on:
        assert told.lists == 1
        assert told.events == through_restarts.first + through_restarts.history


@pytest.mark.parametrize("name", NAMES)
def test_version_that_the_server_no_longer_knows(through_expiry: Outcome, name: str) -> None:
    told = assert_right(through_expiry, name)
    assert [kind for kind, _, _ in through_expiry.history] == ["ERROR"]
    if name.startswith("Kr8s"):
        assert (told.lists, told.refusals) == (2, [])  # it lists before it could be told
        return
    (refusal,) = told.refusals
    said = TOO_OLD.search(refusal)
    assert said, refusal
    assert int(said[1]) < int(said[2])
    assert told.lists == (2 if told.goes_on else 3)


def test_bookmarks_keep_a_quiet_watch_from_expiring(server: Server) -> None:
    informer = InformerOf(Official, server.home, "quiet")
    namespace = Namespace(server, "quiet", {"Official": informer})
    listed_at = informer.version
    server.forget()
    newest = version_of(server.api.get("/api/v1/namespaces/default/secrets/large").body)
    namespace.until_all(lambda informer: informer.version >= newest, "a bookmark")
    assert informer.told == [("ADDED", obj["metadata"]["name"], version_of(obj)) for obj in namespace.first["items"]]
    server.kill()
    namespace.until_all(lambda informer: informer.away, "the loss")
    outcome = namespace.end()
    told = assert_right(outcome, "Official")
    assert (told.lists, told.refusals) == (1, [])
    # Without bookmarks this version would have been the last that it knew of.
    assert listed_at == version_of(namespace.first)
    assert [kind for kind, _, _ in outcome.history] == ["ERROR"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kubectl_get_watch_ends_with_the_server_and_says_nothing(server: Server, tmp_path: Path) -> None:
    """It does not come back by itself; typed again it shows what it has missed.

    Source: kubectl pkg/cmd/get/get.go (the error by which the watch ends is dropped).
    """
    namespace = Namespace(server, "kubectl", {})
    arguments = ["--kubeconfig", str(server.home.kubeconfig), "--cache-dir", str(tmp_path), "--namespace=kubectl"]
    get = ["kubectl", *arguments, "get", "configmaps", "--watch", "--no-headers", "--output=name"]

    def read(process: subprocess.Popen[str], names: list[str]) -> None:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in names] == [f"configmap/{name}" for name in names]

    kept = [f"kept-{number}" for number in range(5)]
    with subprocess.Popen(get, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        read(first, [*kept, "kube-root-ca.crt"])
        namespace.create("while-it-watches")
        read(first, ["while-it-watches"])
        server.kill()
        assert first.communicate(timeout=60) == ("", "")
    assert first.returncode == 0
    namespace.delete("kept-0")
    with subprocess.Popen(get, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as second:
        read(second, [*kept[1:], "kube-root-ca.crt", "while-it-watches"])
        second.terminate()
