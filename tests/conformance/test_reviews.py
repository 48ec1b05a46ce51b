"""Questions a client asks about itself: what kubectl's `auth can-i` and `auth whoami` rest on."""

from __future__ import annotations

import pytest

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"
ACCESS = f"{AUTHORIZATION}/selfsubjectaccessreviews"


@pytest.mark.parametrize(
    "spec",
    [
        {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}},
        {"nonResourceAttributes": {"path": "/version", "verb": "get"}},
    ],
)
@pytest.mark.parity("API: SelfSubjectAccessReview", "works")
def test_may_i(api, spec):
    answer = api.post(ACCESS, {"spec": spec})
    assert answer.code == 201
    assert answer.body["kind"] == "SelfSubjectAccessReview"
    assert (answer.body["spec"], answer.body["status"]) == (spec, {"allowed": True})


def test_may_i_do_what(api):
    assert api.post(ACCESS, {}).error == (
        422,
        "Invalid",
        '.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: '
        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    )
    both = {"nonResourceAttributes": {"path": "/", "verb": "get"}, "resourceAttributes": {"verb": "get"}}
    assert api.post(ACCESS, {"spec": both}).error[2] == (
        '.authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"Path":"/","Verb":"get"}: '
        "cannot be specified in combination with resourceAttributes"
    )


@pytest.mark.parity("API: SelfSubjectRulesReview", "works")
def test_which_rules_are_mine(api):
    status = api.post(f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}).body["status"]
    assert status == {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }
    refused = api.post(f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {}})
    assert refused.error == (400, "BadRequest", "no namespace on request")


@pytest.mark.parity("API: SelfSubjectReview", "works")
def test_who_am_i(api):
    answer = api.post(f"{AUTHENTICATION}/selfsubjectreviews", {})
    assert answer.code == 201
    assert answer.body["status"]["userInfo"]["groups"] == ["system:masters", "system:authenticated"]
    assert answer.body["status"]["userInfo"]["username"]


def test_reviews_are_not_kept(api):
    assert api.get(ACCESS).error[:2] == (405, "MethodNotAllowed")
    assert api.get(f"{ACCESS}/x").error[:2] == (404, "NotFound")
    (entry,) = (one for one in api.get(AUTHENTICATION).body["resources"] if one["name"] == "selfsubjectreviews")
    assert (entry["verbs"], entry["namespaced"]) == (["create"], False)
