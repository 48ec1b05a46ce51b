"""Create, change, delete: metadata that the server keeps, subresources, generations, dry run."""

from __future__ import annotations

import re

import pytest

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
STRATEGIC = "application/strategic-merge-patch+json"
CONTAINER = {"name": "c", "image": "i"}


def config_map(name="a", data=None, **metadata):
    return {"metadata": {"name": name, **metadata}, "data": data or {"k": "v"}}


def deployment(name="d", **spec):
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [CONTAINER]}}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **spec},
    }


def virtual_service(name="v", **spec):
    base = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name}}
    return {**base, "spec": {"hosts": ["*"], **spec}}


def test_server_sets_metadata(api, core, namespace):
    answer = api.post(f"{core}/configmaps", config_map(uid="mine", creationTimestamp="2000-01-01T00:00:00Z"))
    metadata = answer.body["metadata"]
    assert UID.fullmatch(metadata["uid"])
    assert TIME.fullmatch(metadata["creationTimestamp"])
    assert not metadata["creationTimestamp"].startswith("2000")
    assert metadata["namespace"] == namespace
    assert "generation" not in metadata
    assert int(metadata["resourceVersion"]) > 0
    assert api.get(f"{core}/configmaps/a").body == answer.body


def test_generated_names(api, core):
    names = [
        api.post(f"{core}/configmaps", {"metadata": {"generateName": "web-"}}).body["metadata"]["name"]
        for _ in range(3)
    ]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


def test_long_prefix_of_generated_names_is_cut(api, core):
    name = api.post(f"{core}/configmaps", {"metadata": {"generateName": "a" * 70}}).body["metadata"]["name"]
    assert len(name) == 63


def test_version_counts_up_with_writes_and_only_with_writes(api, core):
    first = api.post(f"{core}/configmaps", config_map()).body["metadata"]["resourceVersion"]
    same = api.put(f"{core}/configmaps/a", config_map())
    assert (same.code, same.body["metadata"]["resourceVersion"]) == (200, first)
    other = api.put(f"{core}/configmaps/a", config_map(data={"k": "w"})).body["metadata"]["resourceVersion"]
    assert int(other) > int(first)


def test_replace_with_the_right_version(api, core):
    created = api.post(f"{core}/configmaps", config_map()).body
    created["data"]["k"] = "w"
    assert api.put(f"{core}/configmaps/a", created).code == 200
    assert api.put(f"{core}/configmaps/a", created).code == 409


def test_system_metadata_cannot_be_changed_by_replace(api, core):
    before = api.post(f"{core}/configmaps", config_map()).body["metadata"]
    wished = config_map(creationTimestamp="2000-01-01T00:00:00Z", generation=7, labels={"x": "y"})
    after = api.put(f"{core}/configmaps/a", wished).body["metadata"]
    assert (after["uid"], after["creationTimestamp"]) == (before["uid"], before["creationTimestamp"])
    assert "generation" not in after


def test_deletion_cannot_be_faked_by_replace(api, core):
    api.post(f"{core}/configmaps", config_map(deletionTimestamp="2000-01-01T00:00:00Z"))
    assert "deletionTimestamp" not in api.get(f"{core}/configmaps/a").body["metadata"]
    answer = api.put(f"{core}/configmaps/a", config_map(deletionTimestamp="2000-01-01T00:00:00Z"))
    words = 'metadata.deletionTimestamp: Invalid value: "2000-01-01T00:00:00Z": field is immutable'
    assert answer.error == (422, "Invalid", f'ConfigMap "a" is invalid: {words}')


@pytest.mark.parity("API: dry run", "works")
def test_dry_run_changes_nothing(api, core):
    answer = api.post(f"{core}/configmaps?dryRun=All", config_map())
    assert answer.code == 201
    assert UID.fullmatch(answer.body["metadata"]["uid"])
    assert "resourceVersion" not in answer.body["metadata"]
    assert api.get(f"{core}/configmaps/a").code == 404
    api.post(f"{core}/configmaps", config_map())
    answer = api.patch(f"{core}/configmaps/a?dryRun=All", {"data": {"k": "w"}})
    assert (answer.code, answer.body["data"]) == (200, {"k": "w"})
    assert api.delete(f"{core}/configmaps/a?dryRun=All").code == 200
    assert api.get(f"{core}/configmaps/a").body["data"] == {"k": "v"}


def test_deployment_generation_counts_changes_of_the_spec(api, apps):
    path = f"{apps}/deployments"
    created = api.post(path, deployment()).body
    assert created["metadata"]["generation"] == 1
    assert api.patch(f"{path}/d", {"metadata": {"labels": {"a": "b"}}}).body["metadata"]["generation"] == 1
    assert api.patch(f"{path}/d", {"spec": {"replicas": 3}}).body["metadata"]["generation"] == 2
    assert api.patch(f"{path}/d", {"spec": {"replicas": 3}}).body["metadata"]["generation"] == 2
    assert api.patch(f"{path}/d/status", {"status": {"replicas": 3}}).body["metadata"]["generation"] == 2


def test_status_belongs_to_its_subresource(api, apps):
    path = f"{apps}/deployments"
    created = api.post(path, {**deployment(), "status": {"replicas": 9}})
    assert created.body["status"] == {}
    assert api.patch(f"{path}/d", {"status": {"replicas": 9}}).body["status"] == {}
    wished = {
        "metadata": {"labels": {"x": "y"}, "annotations": {"q": "r"}},
        "spec": {"replicas": 7},
        "status": {"replicas": 2},
    }
    after = api.patch(f"{path}/d/status", wished).body
    assert (after["status"], after["spec"]["replicas"]) == ({"replicas": 2}, 1)
    assert "labels" not in after["metadata"]
    assert after["metadata"]["annotations"] == {"q": "r"}


def test_custom_resource_generation_and_status(api, virtual_services):
    created = api.post(virtual_services, {**virtual_service(), "status": {"observedGeneration": 9}}).body
    assert created["metadata"]["generation"] == 1
    assert "status" not in created
    assert api.patch(f"{virtual_services}/v", {"spec": {"hosts": ["a"]}}).body["metadata"]["generation"] == 2
    unchanged = api.patch(f"{virtual_services}/v", {"status": {"observedGeneration": 1}}).body
    assert "status" not in unchanged
    wished = {"metadata": {"labels": {"x": "y"}}, "spec": {"hosts": ["b"]}, "status": {"observedGeneration": 1}}
    after = api.patch(f"{virtual_services}/v/status", wished).body
    assert after["status"] == {"observedGeneration": 1}
    assert (after["spec"]["hosts"], after["metadata"]["generation"]) == (["a"], 2)
    assert "labels" not in after["metadata"]


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_custom_resource_in_all_its_versions(api, virtual_services, version):
    api.post(virtual_services, virtual_service())
    path = virtual_services.replace("/v1/", f"/{version}/")
    assert api.get(f"{path}/v").body["apiVersion"] == f"networking.istio.io/{version}"
    listed = api.get(path).body
    assert listed["items"][0]["apiVersion"] == listed["apiVersion"] == f"networking.istio.io/{version}"
    api.post(path, {**virtual_service("w"), "apiVersion": f"networking.istio.io/{version}"})
    assert api.get(f"{virtual_services}/w").body["apiVersion"] == "networking.istio.io/v1"


@pytest.mark.parity("API: scale", "works")
def test_scale(api, apps):
    path = f"{apps}/deployments"
    created = api.post(path, deployment()).body["metadata"]
    kept = {field: created[field] for field in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    assert api.get(f"{path}/d/scale").body == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": 1},
        "status": {"replicas": 0, "selector": "app=d"},
    }
    assert api.patch(f"{path}/d/scale", {"spec": {"replicas": 3}}).body["spec"] == {"replicas": 3}
    after = api.get(f"{path}/d").body
    assert (after["spec"]["replicas"], after["metadata"]["generation"]) == (3, 2)
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": 0}}
    assert api.put(f"{path}/d/scale", scale).body["spec"] == {}
    scale["metadata"]["resourceVersion"] = "1"
    assert api.put(f"{path}/d/scale", scale).error[:2] == (409, "Conflict")


def test_scale_below_zero(api, apps):
    api.post(f"{apps}/deployments", deployment())
    answer = api.patch(f"{apps}/deployments/d/scale", {"spec": {"replicas": -1}})
    message = 'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    assert answer.error == (422, "Invalid", message)


def test_delete_answers_with_a_status_or_the_object(api, core, apps):
    created = api.post(f"{core}/configmaps", config_map()).body["metadata"]
    answer = api.delete(f"{core}/configmaps/a")
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": created["uid"]},
    }
    api.post(f"{apps}/deployments", deployment())
    assert api.delete(f"{apps}/deployments/d").body["details"]["group"] == "apps"
    api.post(f"{core}/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    assert api.delete(f"{core}/services/s").body["kind"] == "Service"
    api.post(f"{core}/serviceaccounts", {"metadata": {"name": "s"}})
    assert api.delete(f"{core}/serviceaccounts/s").body["kind"] == "ServiceAccount"


@pytest.mark.parity("API: deletion with preconditions", "works")
def test_delete_preconditions(api, core):
    created = api.post(f"{core}/configmaps", config_map()).body["metadata"]
    assert api.delete(f"{core}/configmaps/a", {"preconditions": {"uid": "z"}}).error == (
        409,
        "Conflict",
        f'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (z) does not match '
        f"the UID in record ({created['uid']}). The object might have been deleted and then recreated",
    )
    assert api.delete(f"{core}/configmaps/a", {"preconditions": {"resourceVersion": "1"}}).error == (
        409,
        "Conflict",
        f'Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not match '
        f"the ResourceVersion in record ({created['resourceVersion']}). The object might have been modified",
    )
    assert api.delete(f"{core}/configmaps/a", {"preconditions": {"uid": created["uid"]}}).code == 200


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
@pytest.mark.parity("API: deletion propagation policies", "works")
def test_propagation_leaves_a_finalizer_to_the_garbage_collector(api, apps, policy, finalizer):
    path = f"{apps}/deployments"
    api.post(path, deployment())
    answer = api.delete(f"{path}/d?propagationPolicy={policy}")
    metadata = answer.body["metadata"]
    assert (answer.code, metadata["finalizers"], metadata["generation"]) == (200, [finalizer], 2)
    assert metadata["deletionGracePeriodSeconds"] == 0
    assert TIME.fullmatch(metadata["deletionTimestamp"])
    again = api.delete(f"{path}/d").body["metadata"]
    assert again["resourceVersion"] == metadata["resourceVersion"]
    gone = api.patch(f"{path}/d", {"metadata": {"finalizers": None}})
    assert (gone.code, gone.body["metadata"]["resourceVersion"]) == (200, metadata["resourceVersion"])
    assert api.get(f"{path}/d").code == 404


def test_background_propagation_deletes_at_once(api, apps):
    api.post(f"{apps}/deployments", deployment())
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert api.delete(f"{apps}/deployments/d", options).body["status"] == "Success"
    assert api.get(f"{apps}/deployments/d").code == 404


@pytest.mark.parity("API: finalizers", "works")
def test_own_finalizer_holds_an_object(api, core):
    api.post(f"{core}/configmaps", config_map(finalizers=["example.com/x"]))
    held = api.delete(f"{core}/configmaps/a")
    assert (held.code, held.body["metadata"]["finalizers"]) == (200, ["example.com/x"])
    assert api.get(f"{core}/configmaps/a").code == 200
    assert api.patch(f"{core}/configmaps/a", {"metadata": {"finalizers": []}}).code == 200
    assert api.get(f"{core}/configmaps/a").code == 404


def test_no_new_finalizer_holds_what_is_being_deleted(api, core):
    path = f"{core}/configmaps/a"
    api.post(f"{core}/configmaps", config_map(finalizers=["example.com/x", "example.com/w"]))
    api.delete(path)
    said = (
        'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being '
        'deleted, found new finalizers []string{"example.com/a", "example.com/b"}'
    )
    for names in (["example.com/b", "example.com/a"], ["example.com/x", "example.com/b", "example.com/a"]):
        assert api.patch(path, {"metadata": {"finalizers": names}}).error == (422, "Invalid", said)
    fewer = api.patch(path, {"metadata": {"finalizers": ["example.com/w"]}})
    assert (fewer.code, fewer.body["metadata"]["finalizers"]) == (200, ["example.com/w"])
    api.patch(path, {"metadata": {"finalizers": []}})


def test_orphan_dependents_false_answers_accepted_while_held(api, core):
    api.post(f"{core}/configmaps", config_map(finalizers=["example.com/x"]))
    assert api.delete(f"{core}/configmaps/a", {"orphanDependents": False}).code == 202
    api.patch(f"{core}/configmaps/a", {"metadata": {"finalizers": []}})


@pytest.mark.parity("API: deletecollection", "works")
def test_delete_collection(api, core):
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        api.post(f"{core}/configmaps", config_map(name, labels={"l": label}))
    answer = api.delete(f"{core}/configmaps?labelSelector=l%3Dx")
    assert answer.code == 200
    assert (answer.body["kind"], [item["metadata"]["name"] for item in answer.body["items"]]) == (
        "ConfigMapList",
        ["a", "b"],
    )
    left = api.get(f"{core}/configmaps").body["items"]
    assert "c" in [item["metadata"]["name"] for item in left]
    assert "a" not in [item["metadata"]["name"] for item in left]


def test_unknown_fields_warn_by_default_and_are_not_stored(api, virtual_services, core):
    wrong = virtual_service(tcp=[{"route": [{"destination": {"host": "a"}, "wieght": 1}]}])
    answer = api.post(virtual_services, wrong)
    assert answer.code == 201
    assert answer.warnings == ['299 - "unknown field \\"spec.tcp[0].route[0].wieght\\""']
    assert answer.body["spec"]["tcp"] == [{"route": [{"destination": {"host": "a"}}]}]
    answer = api.post(f"{core}/configmaps", {"metadata": {"name": "a"}, "dada": {"x": "y"}})
    assert answer.warnings == ['299 - "unknown field \\"dada\\""']
    assert "dada" not in answer.body


def test_warnings_come_with_refusals_too(api, core):
    api.post(f"{core}/configmaps", config_map())
    answer = api.post(f"{core}/configmaps", {**config_map(), "dada": 1})
    assert (answer.code, answer.warnings) == (409, ['299 - "unknown field \\"dada\\""'])


def test_unknown_fields_ignored(api, core):
    answer = api.post(f"{core}/configmaps?fieldValidation=Ignore", {"metadata": {"name": "a"}, "dada": {"x": "y"}})
    assert (answer.code, answer.warnings) == (201, [])
    assert "dada" not in answer.body


@pytest.mark.parity("API: field validation, unknown fields", "works")
def test_unknown_fields_strict(api, virtual_services, core):
    wrong = virtual_service(tcp=[{"route": [{"destination": {"host": "a"}, "wieght": 1}]}])
    assert api.post(f"{virtual_services}?fieldValidation=Strict", wrong).error == (
        400,
        "BadRequest",
        'VirtualService in version "v1" cannot be handled as a VirtualService: '
        'strict decoding error: unknown field "spec.tcp[0].route[0].wieght"',
    )
    answer = api.post(f"{core}/configmaps?fieldValidation=Strict", {"metadata": {"name": "a", "nmae": "b"}, "dada": {}})
    assert answer.error == (
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
        'strict decoding error: unknown field "metadata.nmae", unknown field "dada"',
    )


def test_strict_patch_quotes_the_whole_object(api, core):
    api.post(f"{core}/configmaps", config_map())
    code, reason, message = api.patch(f"{core}/configmaps/a?fieldValidation=Strict", {"dada": {}}).error
    assert (code, reason) == (422, "Invalid")
    assert message.startswith(' "" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\"')
    assert message.endswith('}": strict decoding error: unknown field "dada"')
