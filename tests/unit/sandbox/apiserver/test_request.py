"""Paths and options as data."""

from __future__ import annotations

import pytest

from tcpshift_helpers.sandbox.apiserver.request import (
    DeleteOptions,
    ResourcePath,
    delete_options,
    parse_path,
    truthy,
    write_options,
)
from tcpshift_helpers.sandbox.apiserver.status import StatusError


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ResourcePath("", "v1", "pods")),
        ("/api/v1/namespaces", ResourcePath("", "v1", "namespaces")),
        ("/api/v1/namespaces/a", ResourcePath("", "v1", "namespaces", name="a")),
        ("/api/v1/namespaces/a/status", ResourcePath("", "v1", "namespaces", name="a", subresource="status")),
        ("/api/v1/namespaces/a/finalize", ResourcePath("", "v1", "namespaces", name="a", subresource="finalize")),
        ("/api/v1/namespaces/a/pods", ResourcePath("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/", ResourcePath("", "v1", "pods", "a")),
        ("/api/v1/namespaces/a/pods/b", ResourcePath("", "v1", "pods", "a", "b")),
        ("/api/v1/namespaces/a/pods/b/log", ResourcePath("", "v1", "pods", "a", "b", "log")),
        ("/api/v1/namespaces/a/pods/b/proxy/x/y", ResourcePath("", "v1", "pods", "a", "b", "proxy/x/y")),
        ("/api/v1/watch/namespaces/a/pods", ResourcePath("", "v1", "pods", "a", watch=True)),
        ("/apis/apps/v1/deployments", ResourcePath("apps", "v1", "deployments")),
        (
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            ResourcePath("apps", "v1", "deployments", "a", "b", "scale"),
        ),
    ],
)
def test_resource_paths(path, expected):
    assert parse_path(path) == expected


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3", "/api/v1//pods"]
)
def test_other_paths(path):
    assert parse_path(path) is None


def test_truth():
    assert [truthy(text) for text in (None, "", "1", "true", "0", "False", "nonsense")] == [
        False, True, True, True, False, False, True
    ]  # fmt: skip


def test_write_options():
    assert write_options("CreateOptions", {}, []).field_validation == "Warn"
    assert write_options("CreateOptions", {"fieldValidation": "Strict"}, ["All"]).dry_run
    with pytest.raises(StatusError, match="fieldValidation: Unsupported value"):
        write_options("PatchOptions", {"fieldValidation": "strict"}, [])


def test_delete_options_of_the_body_win():
    body = {"gracePeriodSeconds": 3, "preconditions": {"uid": "u"}, "dryRun": ["All"], "propagationPolicy": "Orphan"}
    assert delete_options(body, {"gracePeriodSeconds": "9"}, []) == DeleteOptions(3, "Orphan", "u", None, dry_run=True)


def test_delete_options_of_the_query():
    assert delete_options(None, {"gracePeriodSeconds": "9"}, ["All"]) == DeleteOptions(9, dry_run=True)


@pytest.mark.parametrize(("orphan", "policy"), [(True, "Orphan"), (False, "Background")])
def test_orphan_dependents_is_an_older_word_for_the_policy(orphan, policy):
    options = delete_options({"orphanDependents": orphan}, {}, [])
    assert (options.propagation_policy, options.non_cascading_asked) == (policy, not orphan)


def test_both_words_at_once():
    with pytest.raises(StatusError, match="cannot be both set"):
        delete_options({"orphanDependents": True, "propagationPolicy": "Orphan"}, {}, [])
