"""Random sequences of requests to the API server, every answer and every event of every watch held against a model (`model.py`).

The default run makes some hundreds of steps; the bar is 10,000:

    .venv/bin/pytest tests/fuzz/test_model.py --steps 10000

Each run is another one (`--hypothesis-seed N` makes it the same); a failure prints the shortest sequence that Hypothesis finds, and the blob
with which it can be had again. With `--server peer` a real server is asked, so it is known that the model tells the truth.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ..conftest import Answer, Api
from ..server_process import ServerProcess
from . import model
from .model import APPLIER, CONFIG_MAP, DEPLOYMENT, KINDS, UPDATER, Kind, Model, Object, Outcome

pytestmark = pytest.mark.timeout(3600)  # a longer run, or a failure that is being made short

STEPS_OF_A_SEQUENCE = 50
MOST_WATCHES = 4
PATIENCE_SECONDS = 10.0
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"

kinds = st.sampled_from(KINDS)
names = st.sampled_from(("a", "b", "c"))
values = st.integers(1, 3)
labels = st.dictionaries(st.sampled_from(("l", "m")), st.sampled_from(("x", "y")), max_size=2)
finalizers = st.lists(st.sampled_from(("example.com/a", "example.com/b")), max_size=2, unique=True)
few_finalizers = st.just([]) | st.just([]) | finalizers
versions = st.sampled_from(("none", "right", "stale"))
policies = st.sampled_from((None, None, None, "Background", "Foreground", "Orphan"))
selectors = st.sampled_from(("", "", "l=x", "l!=x", "m", "!m,l"))
fields = st.sampled_from(("", "", "metadata.name=a", "metadata.name!=b"))
rarely = st.integers(0, 5).map(lambda number: number == 0)


def matcher(selector: str, field: str = "") -> Callable[[Object], bool]:
    """The few selectors that are asked with."""

    def matches(obj: Object) -> bool:
        have, name = obj["metadata"].get("labels", {}), obj["metadata"]["name"]
        by_label = {
            "": True,
            "l=x": have.get("l") == "x",
            "l!=x": have.get("l") != "x",
            "m": "m" in have,
            "!m,l": "m" not in have and "l" in have,
        }
        return by_label[selector] and {"": True, "metadata.name=a": name == "a", "metadata.name!=b": name != "b"}[field]

    return matches


@dataclass
class Watch:
    """A watch that is open, and how much of the log it has told."""

    kind: Kind
    selector: str
    connection: http.client.HTTPSConnection
    response: http.client.HTTPResponse
    told: int

    def next(self) -> tuple[str, Object]:
        line = json.loads(self.response.readline() or "{}")
        assert line, "the watch has ended"
        return line["type"], line["object"]

    def close(self) -> None:
        self.response.close()
        self.connection.close()


class ServerAgainstModel(RuleBasedStateMachine):
    """One sequence of requests in a namespace that is empty before and after."""

    api: Api
    namespace: str
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.watches: list[Watch] = []
        version = int(self.api.get(CONFIG_MAP.path(self.namespace)).body["metadata"]["resourceVersion"])
        self.model = Model(version)
        self.start = version

    # Writes.

    @rule(kind=kinds, name=names, value=values, labels=labels, finalizers=few_finalizers, dry_run=rarely)
    def create(
        self, *, kind: Kind, name: str, value: int, labels: Object, finalizers: list[str], dry_run: bool
    ) -> None:
        body = kind.body(name, value, labels, finalizers)
        answer = self.ask("POST", kind, "", body, dry_run=dry_run, fieldManager=UPDATER)
        self.judge(kind, name, self.model.create(kind, body), answer, dry_run=dry_run)

    @rule(
        kind=kinds, name=names, value=values, labels=labels, finalizers=few_finalizers, version=versions, dry_run=rarely
    )
    def update(
        self, *, kind: Kind, name: str, value: int, labels: Object, finalizers: list[str], version: str, dry_run: bool
    ) -> None:
        body = kind.body(name, value, labels, finalizers)
        body["metadata"] |= self.version(kind, name, version)
        answer = self.ask("PUT", kind, name, body, dry_run=dry_run, fieldManager=UPDATER)
        self.judge(kind, name, self.model.update(kind, name, body), answer, dry_run=dry_run)

    @rule(
        kind=kinds,
        name=names,
        changed=st.dictionaries(st.sampled_from(("labels", "finalizers", "content")), values, min_size=1, max_size=2),
        gone=st.booleans(),
        version=versions,
        strategic=st.booleans(),
        dry_run=rarely,
    )
    def merge(
        self,
        *,
        kind: Kind,
        name: str,
        changed: dict[str, int],
        gone: bool,
        version: str,
        strategic: bool,
        dry_run: bool,
    ) -> None:
        patch: Object = {"metadata": self.version(kind, name, version)}
        if "labels" in changed:
            patch["metadata"]["labels"] = {"l": None if gone else "x", "m": "y"}
        if "finalizers" in changed:
            patch["metadata"]["finalizers"] = None if gone else [f"example.com/{'ab'[changed['finalizers'] % 2]}"]
        if "content" in changed:
            patch |= changed_content(kind, changed["content"], gone=gone)
        media_type = STRATEGIC if strategic else MERGE
        answer = self.ask("PATCH", kind, name, patch, media_type, dry_run=dry_run, fieldManager=UPDATER)
        if strategic and kind.is_custom:
            outcome = model.refused(415, "UnsupportedMediaType")
        else:
            act = model.strategic_merge_patch if strategic else model.merge_patch
            outcome = self.model.patch(kind, name, lambda obj: act(obj, patch))
        self.judge(kind, name, outcome, answer, dry_run=dry_run)

    @rule(
        kind=kinds,
        name=names,
        operations=st.lists(
            st.fixed_dictionaries(
                {
                    "op": st.sampled_from(("add", "replace", "remove", "test")),
                    "path": st.sampled_from(("label", "content")),
                    "value": values,
                }
            ),
            min_size=1,
            max_size=3,
        ),
        dry_run=rarely,
    )
    def json_patch(self, *, kind: Kind, name: str, operations: list[Object], dry_run: bool) -> None:
        patch = [operation_on(kind, operation) for operation in operations]
        answer = self.ask("PATCH", kind, name, patch, JSON_PATCH, dry_run=dry_run, fieldManager=UPDATER)
        outcome = self.model.patch(kind, name, lambda obj: model.json_patch(obj, patch))
        self.judge(kind, name, outcome, answer, dry_run=dry_run)

    @rule(kind=kinds, name=names, value=values, labels=labels, more=st.booleans(), force=st.booleans(), dry_run=rarely)
    def apply(
        self, *, kind: Kind, name: str, value: int, labels: Object, more: bool, force: bool, dry_run: bool
    ) -> None:
        config = kind.body(name, value, labels, [])
        if kind == DEPLOYMENT:
            if (kind, name) not in self.model.objects:
                return  # a part of a Deployment cannot be created
            config["spec"] = {"replicas": value}
            del config["status"]
        elif more:
            config |= (
                {"data": {"b": str(value)}} if kind == CONFIG_MAP else {"spec": {**config["spec"], "gateways": ["g"]}}
            )
        parameters: dict[str, str] = {"fieldManager": APPLIER} | ({"force": "true"} if force else {})
        answer = self.ask("PATCH", kind, name, config, APPLY, dry_run=dry_run, **parameters)
        self.judge(kind, name, self.model.apply(kind, name, config, force=force), answer, dry_run=dry_run)

    @rule(kind=kinds, name=names, policy=policies, version=versions, uid=versions, dry_run=rarely)
    def delete(self, *, kind: Kind, name: str, policy: str | None, version: str, uid: str, dry_run: bool) -> None:
        # A real server that takes finalizers away holds the version against its own new one afterwards.
        preconditions = {} if policy else self.version(kind, name, version)
        present = self.model.objects.get((kind, name))
        if uid != "none" and present:
            preconditions["uid"] = present["metadata"]["uid"] if uid == "right" else str(uuid.UUID(int=0))
        options: Object = {
            "propagationPolicy": policy,
            "preconditions": preconditions or None,
            "dryRun": ["All"] if dry_run else [],
        }
        answer = self.ask("DELETE", kind, name, options)
        self.judge(kind, name, self.model.delete(kind, name, policy, preconditions), answer, dry_run=dry_run)

    @rule(kind=kinds, selector=selectors, policy=policies, dry_run=rarely)
    def delete_collection(self, *, kind: Kind, selector: str, policy: str | None, dry_run: bool) -> None:
        before = self.model.listed(kind, matcher(selector))
        options: Object = {"propagationPolicy": policy, "dryRun": ["All"] if dry_run else []}
        answer = self.ask("DELETE", kind, "", options, labelSelector=selector)
        assert answer.code == 200, answer.text
        assert answer.body["items"] == [as_item(kind, obj) for obj in before]
        if dry_run:
            return
        for obj in before:
            name = obj["metadata"]["name"]
            outcome = self.model.delete(kind, name, policy, {})
            left = None if outcome.removes else self.ask("GET", kind, name).body
            if left is not None:
                assert model.normal(left) == outcome.obj
            self.model.happened(kind, name, outcome, left)

    # Reads.

    @rule(kind=kinds, name=names)
    def get(self, kind: Kind, name: str) -> None:
        answer, present = self.ask("GET", kind, name), self.model.objects.get((kind, name))
        if present is None:
            assert (answer.code, answer.body["reason"]) == (404, "NotFound")
        else:
            assert (answer.code, answer.body) == (200, present)

    @rule(kind=kinds, selector=selectors, field=fields, limit=st.sampled_from((0, 1, 2)))
    def list(self, *, kind: Kind, selector: str, field: str, limit: int) -> None:
        expected = [as_item(kind, obj) for obj in self.model.listed(kind, matcher(selector, field))]
        seen: list[Object] = []
        token = ""
        while True:
            asked = {"labelSelector": selector, "fieldSelector": field, "limit": str(limit), "continue": token}
            answer = self.ask("GET", kind, "", **{name: value for name, value in asked.items() if value})
            assert (answer.code, answer.body["kind"]) == (200, f"{kind.name}List")
            seen += answer.body["items"]
            metadata = answer.body["metadata"]
            assert int(metadata["resourceVersion"]) >= self.newest()
            token = metadata.get("continue", "")
            remaining = len(expected) - len(seen) if token and not selector and not field else 0
            assert metadata.get("remainingItemCount", 0) == remaining
            if not token:
                break
        assert seen == expected

    # Watches.

    @precondition(lambda self: len(self.watches) < MOST_WATCHES)
    @rule(kind=kinds, selector=selectors, mark=st.booleans())
    def watch_from_now(self, kind: Kind, selector: str, mark: bool) -> None:
        """The present objects come first; with `sendInitialEvents`, a bookmark marks their end."""
        asked = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        watch = self.open(kind, selector, len(self.model.log), **(asked if mark else {}))
        present = self.model.listed(kind, matcher(selector))
        assert sorted((watch.next() for _ in present), key=lambda event: event[1]["metadata"]["name"]) == [
            ("ADDED", obj) for obj in present
        ]
        if mark:
            event, bookmark = watch.next()
            assert (event, bookmark["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
            assert int(bookmark["metadata"]["resourceVersion"]) >= self.newest()

    @precondition(lambda self: len(self.watches) < MOST_WATCHES)
    @rule(kind=kinds, selector=selectors, back=st.integers(0, 20))
    def watch_from_a_version(self, kind: Kind, selector: str, back: int) -> None:
        """All that happened since comes first."""
        since, version = 0, self.start
        for index, event in list(enumerate(self.model.log, 1))[: max(0, len(self.model.log) - back)]:
            if event.version is not None:
                since, version = index, event.version
        self.open(kind, selector, since, resourceVersion=str(version))

    @precondition(lambda self: self.watches)
    @rule(which=st.integers(0, MOST_WATCHES - 1))
    def close_watch(self, which: int) -> None:
        self.watches.pop(which % len(self.watches)).close()

    @invariant()
    def every_watch_tells_what_happened(self) -> None:
        """Each event once and in order; what is told too much stands before the next one."""
        type(self).steps += 1
        for watch in self.watches:
            untold = self.model.log[watch.told :]
            watch.told = len(self.model.log)
            for expected, obj, event in model.events_for(untold, watch.kind, matcher(watch.selector)):
                told, seen = watch.next()
                while told == "BOOKMARK":
                    told, seen = watch.next()
                version = int(seen["metadata"]["resourceVersion"])
                if event.version is None:
                    event.version = version
                assert (told, version) == (expected, event.version), (watch.selector, seen, obj)
                assert without_version(seen) == without_version(obj), (told, watch.selector, seen, obj)
        known = [event.version for event in self.model.log if event.version is not None]
        assert known == sorted(set(known))

    def teardown(self) -> None:
        """Delete all, which every open watch tells too, and with it whatever it had told too much."""
        try:
            if sys.exc_info()[0] is None:
                for kind, name in list(self.model.objects):
                    self.merge_away_finalizers(kind, name)
                for kind, name in list(self.model.objects):
                    outcome = self.model.delete(kind, name, None, {})
                    self.judge(kind, name, outcome, self.ask("DELETE", kind, name), dry_run=False)
                self.every_watch_tells_what_happened()
        finally:
            for watch in self.watches:
                watch.close()
            for kind in KINDS:  # what a failure has left
                for item in self.ask("GET", kind, "").body["items"]:
                    self.ask("PATCH", kind, item["metadata"]["name"], {"metadata": {"finalizers": None}}, MERGE)
                    self.ask("DELETE", kind, item["metadata"]["name"])

    def merge_away_finalizers(self, kind: Kind, name: str) -> None:
        patch: Object = {"metadata": {"finalizers": None}}
        answer = self.ask("PATCH", kind, name, patch, MERGE, fieldManager=UPDATER)
        self.judge(
            kind, name, self.model.patch(kind, name, lambda obj: model.merge_patch(obj, patch)), answer, dry_run=False
        )

    # How.

    def ask(
        self,
        method: str,
        kind: Kind,
        name: str,
        body: Any = None,
        media_type: str = "application/json",
        *,
        dry_run: bool = False,
        **parameters: str,
    ) -> Answer:
        asked = {**parameters, **({"dryRun": "All"} if dry_run else {})}
        query = "&".join(f"{key}={quote(value)}" for key, value in asked.items())
        path = kind.path(self.namespace) + (f"/{name}" if name else "") + (f"?{query}" if query else "")
        return self.api.request(method, path, body, media_type)

    def version(self, kind: Kind, name: str, which: str) -> Object:
        present = self.model.objects.get((kind, name))
        if which == "none" or present is None:
            return {}
        return {"resourceVersion": present["metadata"]["resourceVersion"] if which == "right" else "1"}

    def newest(self) -> int:
        return max((event.version for event in self.model.log if event.version is not None), default=self.start)

    def judge(self, kind: Kind, name: str, outcome: Outcome, answer: Answer, *, dry_run: bool) -> None:
        """Hold an answer against what should have come, and note what came of it."""
        body = answer.body
        if outcome.code >= 400:
            assert (answer.code, body.get("reason"), body.get("code")) == (
                outcome.code,
                outcome.reason,
                outcome.code,
            ), answer.text
            if outcome.conflicts:
                causes = {(cause["message"].split('"')[1], cause["field"]) for cause in body["details"]["causes"]}
                assert causes == outcome.conflicts
            return
        assert answer.code == outcome.code, answer.text
        if outcome.obj is None:
            assert (body["kind"], body.get("status")) == ("Status", "Success"), answer.text
            assert outcome.old is not None
            assert (body["details"]["name"], body["details"]["uid"]) == (name, outcome.old["metadata"]["uid"])
        else:
            assert model.normal(body) == outcome.obj, (answer.text, outcome.obj)
            self.judge_metadata(body["metadata"], outcome, dry_run=dry_run)
        if not dry_run:
            self.model.happened(kind, name, outcome, None if outcome.obj is None else body)

    def judge_metadata(self, metadata: Object, outcome: Outcome, *, dry_run: bool) -> None:
        """What the server makes: new of a new object, and kept of one that was there."""
        assert metadata["namespace"] == self.namespace
        if outcome.old is None:
            assert uuid.UUID(metadata["uid"])
            assert metadata["creationTimestamp"]
            assert ("resourceVersion" in metadata) != dry_run
            return
        old = outcome.old["metadata"]
        assert {name: metadata[name] for name in ("uid", "creationTimestamp")} == {
            name: old[name] for name in ("uid", "creationTimestamp")
        }
        if dry_run or not outcome.changes or outcome.removes:
            assert metadata["resourceVersion"] == old["resourceVersion"]

    def open(self, kind: Kind, selector: str, told: int, **parameters: str) -> Watch:
        connection = http.client.HTTPSConnection(self.api.host, context=self.api.tls, timeout=PATIENCE_SECONDS)
        asked = {"watch": "true", "timeoutSeconds": "600", "labelSelector": selector, **parameters}
        query = "&".join(f"{key}={quote(value)}" for key, value in asked.items() if value)
        connection.request("GET", f"{kind.path(self.namespace)}?{query}", headers=self.api.headers)
        watch = Watch(kind, selector, connection, connection.getresponse(), told)
        self.watches.append(watch)
        assert watch.response.status == 200
        return watch


def changed_content(kind: Kind, value: int, *, gone: bool) -> Object:
    if kind == CONFIG_MAP:
        return {"data": {"a": None if gone else str(value), "b": str(value)}}
    if kind == DEPLOYMENT:
        return {"spec": {"replicas": value}}
    return {"spec": {"gateways": None if gone else [f"gateway-{value}"], "hosts": [f"host-{value}"]}}


def operation_on(kind: Kind, operation: Object) -> Object:
    content: dict[Kind, tuple[str, Any]] = {
        CONFIG_MAP: ("/data/a", str(operation["value"])),
        DEPLOYMENT: ("/spec/replicas", operation["value"]),
    }
    path, value = (
        ("/metadata/labels/l", "x") if operation["path"] == "label" else content.get(kind, ("/spec/gateways", ["g"]))
    )
    if operation["op"] == "remove":
        # Nothing is left out that would be filled in again.
        path = path if path != "/spec/replicas" else "/metadata/labels/l"
        return {"op": "remove", "path": path}
    return {"op": operation["op"], "path": path, "value": value}


def as_item(kind: Kind, obj: Object) -> Object:
    """An object in a list: those of built-in kinds do not say what they are."""
    return obj if kind.is_custom else {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}


def without_version(obj: Object) -> Object:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}}


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory, peer_kubeconfig: Path | None, client_of: Callable[[Path], Api]
) -> Iterator[type[ServerAgainstModel]]:
    """The machine, with a server and a namespace of its own."""
    with contextlib.ExitStack() as stack:
        kubeconfig = peer_kubeconfig or stack.enter_context(ServerProcess(tmp_path_factory.mktemp("home"))).kubeconfig
        api, namespace = client_of(kubeconfig), f"model-{uuid.uuid4().hex[:10]}"
        stack.callback(api.close)
        assert api.post("/api/v1/namespaces", {"metadata": {"name": namespace}}).code == 201
        yield type("Asked", (ServerAgainstModel,), {"api": api, "namespace": namespace})
        api.delete(f"/api/v1/namespaces/{namespace}")
        api.put(
            f"/api/v1/namespaces/{namespace}/finalize", {"metadata": {"name": namespace}, "spec": {"finalizers": []}}
        )


def test_the_server_does_what_the_model_says(asked: type[ServerAgainstModel], request: pytest.FixtureRequest) -> None:
    wanted = request.config.getoption("--steps")
    while asked.steps < wanted:
        sequences = max(1, (wanted - asked.steps) // STEPS_OF_A_SEQUENCE)
        chosen = settings(
            max_examples=sequences,
            stateful_step_count=STEPS_OF_A_SEQUENCE,
            database=None,
            deadline=None,
            print_blob=True,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(asked, settings=chosen)
    print(f"{asked.steps} steps")
