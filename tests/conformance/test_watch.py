"""Watches: which events, in which order, with which objects."""

from __future__ import annotations

import json
import threading
import time

import pytest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def config_map(name="a", data=None, **metadata):
    return {"metadata": {"name": name, **metadata}, "data": data or {"k": "v"}}


def events(lines):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in lines]


@pytest.fixture
def path(api, core):
    """ConfigMaps; a real cluster puts one of its own into each namespace, which selectors here leave out."""
    return f"{core}/configmaps"


@pytest.fixture
def version(api, path):
    """The version of the namespace before the test wrote anything."""
    return api.get(path).body["metadata"]["resourceVersion"]


@pytest.mark.parity("API: watch from a version on", "works")
def test_from_a_version_on(api, path, version):
    api.post(path, config_map())
    api.put(f"{path}/a", config_map(data={"k": "w"}))
    api.put(f"{path}/a", config_map(data={"k": "w"}))
    api.delete(f"{path}/a")
    seen = api.watch(path, resourceVersion=version)
    assert events(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)
    assert [event["object"]["data"]["k"] for event in seen] == ["v", "w", "w"]
    assert all((event["object"]["kind"], event["object"]["apiVersion"]) == ("ConfigMap", "v1") for event in seen)


def test_version_is_that_of_the_event_after_which_to_go_on(api, path, version):
    middle = api.post(path, config_map()).body["metadata"]["resourceVersion"]
    api.delete(f"{path}/a")
    assert events(api.watch(path, resourceVersion=middle)) == [("DELETED", "a")]


@pytest.mark.parametrize("parameters", [{}, {"resourceVersion": "0"}, {"resourceVersion": ""}])
def test_without_a_version_the_present_objects_come_first(api, path, parameters):
    api.post(path, config_map("a", labels={"mine": "y"}))
    api.post(path, config_map("b", labels={"mine": "y"}))
    assert events(api.watch(path, labelSelector="mine", **parameters)) == [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.parity("API: watch with a label selector", "works")
def test_label_selector_turns_changes_into_arrivals_and_departures(api, path, version):
    api.post(path, config_map(labels={"l": "no"}))
    api.patch(f"{path}/a", {"metadata": {"labels": {"l": "yes"}}})
    api.patch(f"{path}/a", {"data": {"k": "w"}})
    left = api.patch(f"{path}/a", {"metadata": {"labels": {"l": "no"}}, "data": {"k": "x"}}).body["metadata"]
    api.patch(f"{path}/a", {"data": {"k": "y"}})
    api.delete(f"{path}/a")
    seen = api.watch(path, resourceVersion=version, labelSelector="l%3Dyes")
    assert events(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    departed = seen[-1]["object"]
    assert departed["metadata"]["labels"] == {"l": "yes"}
    assert departed["data"] == {"k": "w"}
    assert departed["metadata"]["resourceVersion"] == left["resourceVersion"]


def test_field_selector(api, path, version):
    api.post(path, config_map("a"))
    api.post(path, config_map("b"))
    assert events(api.watch(path, resourceVersion=version, fieldSelector="metadata.name%3Db")) == [("ADDED", "b")]


def test_other_namespaces_are_not_seen(api, path, version):
    api.post("/api/v1/namespaces/default/configmaps", config_map("elsewhere"))
    api.delete("/api/v1/namespaces/default/configmaps/elsewhere")
    assert api.watch(path, resourceVersion=version) == []
    everywhere = api.watch("/api/v1/configmaps", resourceVersion=version, fieldSelector="metadata.name%3Delsewhere")
    assert events(everywhere) == [("ADDED", "elsewhere"), ("DELETED", "elsewhere")]


def test_pod_deletion_is_marked_first(api, core):
    version = api.get(f"{core}/pods").body["metadata"]["resourceVersion"]
    api.post(f"{core}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    api.delete(f"{core}/pods/p")
    seen = api.watch(f"{core}/pods", resourceVersion=version)
    assert events(seen) == [("ADDED", "p"), ("MODIFIED", "p"), ("DELETED", "p")]
    assert [event["object"]["metadata"].get("deletionGracePeriodSeconds") for event in seen] == [None, 0, 0]


def test_removing_the_last_finalizer_is_a_deletion(api, path, version):
    api.post(path, config_map(finalizers=["example.com/x"]))
    api.delete(f"{path}/a")
    api.patch(f"{path}/a", {"metadata": {"finalizers": None}})
    seen = api.watch(path, resourceVersion=version)
    assert events(seen) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_other_version_of_a_custom_resource(api, virtual_services):
    version = api.get(virtual_services).body["metadata"]["resourceVersion"]
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v"}, "spec": {}}
    api.post(virtual_services, base)
    (event,) = api.watch(virtual_services.replace("/v1/", "/v1alpha3/"), resourceVersion=version)
    assert event["object"]["apiVersion"] == "networking.istio.io/v1alpha3"


@pytest.mark.parity("API: watch with initial events", "works")
def test_initial_events_end_with_a_bookmark(api, path):
    api.post(path, config_map(labels={"mine": "y"}))
    parameters = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    seen = api.watch(path, labelSelector="mine", **parameters)
    assert [event["type"] for event in seen[:2]] == ["ADDED", "BOOKMARK"]
    bookmark = seen[1]["object"]
    assert (bookmark["kind"], bookmark["apiVersion"]) == ("ConfigMap", "v1")
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(bookmark["metadata"]["resourceVersion"]) >= int(seen[0]["object"]["metadata"]["resourceVersion"])


def test_bookmark_before_the_end(api, path, version):
    if api.is_peer:
        pytest.skip("a real server sends the first one after about a minute")
    api.post("/api/v1/namespaces/default/configmaps", config_map("elsewhere"))
    api.delete("/api/v1/namespaces/default/configmaps/elsewhere")
    seen = api.watch(path, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=3)
    assert seen
    assert {event["type"] for event in seen} == {"BOOKMARK"}
    assert int(seen[-1]["object"]["metadata"]["resourceVersion"]) > int(version)


def test_without_being_asked_for_there_are_no_bookmarks(api, path, version):
    assert api.watch(path, resourceVersion=version, timeoutSeconds=3) == []


def test_table(api, path, version):
    api.post(path, config_map("a"))
    api.post(path, config_map("b"))
    query = f"{path}?watch=true&timeoutSeconds=1&resourceVersion={version}"
    first, second = (json.loads(line)["object"] for line in api.get(query, accept=TABLE).text.splitlines())
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    (row,) = second["rows"]
    assert (row["cells"][:2], row["object"]["kind"]) == (["b", 1], "PartialObjectMetadata")


def test_deprecated_path(api, core, version):
    api.post(f"{core}/configmaps", config_map())
    path = core.replace("/api/v1/", "/api/v1/watch/")
    answer = api.get(f"{path}/configmaps?timeoutSeconds=1&resourceVersion={version}")
    assert events([json.loads(line) for line in answer.text.splitlines()]) == [("ADDED", "a")]


def test_events_come_while_the_watch_is_open(api, path, version):
    seen: list[tuple[str, str]] = []
    arrived = threading.Event()

    def follow():
        answer = api.watch(path, resourceVersion=version, timeoutSeconds=2)
        seen.extend(events(answer))
        arrived.set()

    other = type(api)(api.kubeconfig, api.is_peer, api.host, api.tls, api.headers)
    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.3)  # not needed for the outcome: it makes the watch likely to be open already
    other.post(path, config_map())
    other.close()
    thread.join()
    assert seen == [("ADDED", "a")]


def test_version_too_old(api, core):
    if api.is_peer:
        pytest.skip("how much history a real server keeps depends on its load")
    path = f"{core}/configmaps"
    version = api.post(path, config_map()).body["metadata"]["resourceVersion"]
    for number in range(5000):
        api.put(f"{path}/a", config_map(data={"k": str(number)}))
    (event,) = api.watch(path, resourceVersion=version)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {version} (")
