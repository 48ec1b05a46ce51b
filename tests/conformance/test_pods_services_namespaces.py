"""Kinds with rules of their own: pods go gracefully, Services get addresses, namespaces are emptied first."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def pod(name="p", **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def service(name="s", **spec):
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def seconds(metadata):
    """From now, roughly: creation is now in these tests."""
    start, end = (datetime.fromisoformat(metadata[field]) for field in ("creationTimestamp", "deletionTimestamp"))
    return (end - start).total_seconds()


def test_pod_starts_pending(api, core):
    created = api.post(f"{core}/pods", {**pod(), "status": {"phase": "Running"}}).body
    assert created["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert created["metadata"]["generation"] == 1


def test_pod_without_node_goes_at_once(api, core):
    api.post(f"{core}/pods", pod())
    answer = api.delete(f"{core}/pods/p")
    assert (answer.code, answer.body["kind"], answer.body["metadata"]["deletionGracePeriodSeconds"]) == (200, "Pod", 0)
    assert api.get(f"{core}/pods/p").code == 404


def test_pod_on_a_node_goes_gracefully(api, core):
    api.post(f"{core}/pods", pod(nodeName="n", terminationGracePeriodSeconds=20))
    marked = api.delete(f"{core}/pods/p").body["metadata"]
    assert (marked["deletionGracePeriodSeconds"], marked["generation"]) == (20, 2)
    assert 20 <= seconds(marked) <= 23
    again = api.delete(f"{core}/pods/p").body["metadata"]
    assert again["resourceVersion"] == marked["resourceVersion"]
    shorter = api.delete(f"{core}/pods/p?gracePeriodSeconds=5").body["metadata"]
    assert (shorter["deletionGracePeriodSeconds"], shorter["generation"]) == (5, 2)
    assert 5 <= seconds(shorter) <= 8
    longer = api.delete(f"{core}/pods/p?gracePeriodSeconds=60").body["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5
    wrong_uid = {"gracePeriodSeconds": 0, "preconditions": {"uid": "z"}}
    assert api.delete(f"{core}/pods/p", wrong_uid).code == 409
    assert api.delete(f"{core}/pods/p", {"gracePeriodSeconds": 0, "preconditions": {"uid": marked["uid"]}}).code == 200
    assert api.get(f"{core}/pods/p").code == 404


def test_finished_pod_goes_at_once(api, core):
    api.post(f"{core}/pods", pod(nodeName="n"))
    api.patch(f"{core}/pods/p/status", {"status": {"phase": "Succeeded"}})
    assert api.delete(f"{core}/pods/p").code == 200
    assert api.get(f"{core}/pods/p").code == 404


def test_pod_status_may_bring_labels(api, core):
    api.post(f"{core}/pods", pod())
    wished = {"metadata": {"labels": {"x": "y"}}, "spec": {"nodeName": "z"}, "status": {"podIP": "10.0.0.1"}}
    after = api.patch(f"{core}/pods/p/status", wished).body
    assert after["metadata"]["labels"] == {"x": "y"}
    assert "nodeName" not in after["spec"]
    assert (after["status"]["podIP"], after["status"]["podIPs"]) == ("10.0.0.1", [{"ip": "10.0.0.1"}])
    after = api.patch(f"{core}/pods/p/status", {"status": {"podIP": "10.0.0.2"}}).body
    assert (after["status"]["podIP"], after["status"]["podIPs"]) == ("10.0.0.2", [{"ip": "10.0.0.2"}])


@pytest.mark.parity("API: binding", "works")
def test_binding(api, core):
    api.post(f"{core}/pods", pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    answer = api.post(f"{core}/pods/p/binding", binding)
    assert (answer.code, answer.body["status"], answer.body["code"]) == (201, "Success", 201)
    bound = api.get(f"{core}/pods/p").body
    assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("n", 1)
    (condition,) = [c for c in bound["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert condition["status"] == "True"
    conflict = 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"'
    assert api.post(f"{core}/pods/p/binding", binding).error == (409, "Conflict", conflict)
    assert api.post(f"{core}/bindings", binding).error == (409, "Conflict", conflict)


def test_binding_that_makes_no_sense(api, core):
    api.post(f"{core}/pods", pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert api.post(f"{core}/pods/q/binding", binding).error == (
        400, "BadRequest", "name in URL does not match name in Binding object"
    )  # fmt: skip
    binding["target"]["name"] = ""
    assert api.post(f"{core}/pods/p/binding", binding).error == (500, "", "target.name: Required value")
    binding["target"] = {"kind": "Foo", "name": "n"}
    why = 'target.kind: Unsupported value: "Foo": supported values: "Node", "<empty>"'
    assert api.post(f"{core}/pods/p/binding", binding).error == (500, "", why)


@pytest.mark.parametrize("subresource", ["eviction", "binding"])
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "name in URL does not match name in KIND object"),
        ({}, "name in URL does not match name in KIND object"),
        ({"name": "other"}, "name in URL does not match name in KIND object"),
        (
            {"name": "p", "namespace": "other"},
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ],
)
def test_nothing_is_done_to_a_pod_that_is_not_named(api, core, subresource, metadata, message):
    api.post(f"{core}/pods", pod())
    body = {"target": {"kind": "Node", "name": "n"}} if subresource == "binding" else {}
    answer = api.post(f"{core}/pods/p/{subresource}", body if metadata is None else {**body, "metadata": metadata})
    assert answer.error == (400, "BadRequest", message.replace("KIND", subresource.capitalize()))
    assert "nodeName" not in api.get(f"{core}/pods/p").body["spec"]


@pytest.mark.parity("API: eviction", "works")
def test_eviction(api, core):
    api.post(f"{core}/pods", pod(nodeName="n"))
    answer = api.post(
        f"{core}/pods/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    )
    assert (answer.code, answer.body["status"]) == (201, "Success")
    evicted = api.get(f"{core}/pods/p").body
    assert "deletionTimestamp" in evicted["metadata"]
    (condition,) = [c for c in evicted["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert (condition["reason"], condition["message"]) == ("EvictionByEvictionAPI", "Eviction API: evicting")


def test_log_of_a_pod_that_cannot_have_one(api, core):
    api.post(f"{core}/pods", pod())
    assert api.get(f"{core}/pods/p/log?container=zz").error == (
        400,
        "BadRequest",
        "container zz is not valid for pod p",
    )
    assert api.get(f"{core}/pods/zz/log").error == (404, "NotFound", 'pods "zz" not found')
    two = pod("two")
    two["spec"]["containers"].append({"name": "d", "image": "i"})
    api.post(f"{core}/pods", two)
    message = "a container name must be specified for pod two, choose one of: [c d]"
    assert api.get(f"{core}/pods/two/log").error == (400, "BadRequest", message)
    on_no_node = api.get(f"{core}/pods/p/log?follow=true&previous=x")
    assert (on_no_node.code, on_no_node.text) == (204, "")


@pytest.mark.parity("API: options of logs that make no sense", "works")
@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("limitBytes=", 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        (
            "sinceSeconds=99999999999999999999",
            400,
            'strconv.ParseInt: parsing "99999999999999999999": value out of range',
        ),
        ("sinceTime=x", 400, 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        (
            "sinceTime=2020-01-01",
            400,
            'parsing time "2020-01-01" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "T"',
        ),
        ("tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (
            "sinceSeconds=5&sinceTime=2020-01-01T00:00:00Z",
            422,
            "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("stream=Stdout", 422, "stream: Forbidden: may not be specified"),
        (
            "tailLines=-1&limitBytes=-1",
            422,
            "[tailLines: Invalid value: -1: must be greater than or equal to 0, "
            "limitBytes: Invalid value: -1: must be greater than 0]",
        ),
    ],
)
def test_options_of_logs_that_make_no_sense(api, core, query, code, message):
    """They are judged before it is known whether there is such a pod."""
    answer = api.get(f"{core}/pods/absent/log?{query}")
    assert (answer.code, answer.body["reason"]) == (code, "Invalid" if code == 422 else "BadRequest")
    assert answer.body["message"] == (f'PodLogOptions "absent" is invalid: {message}' if code == 422 else message)


@pytest.mark.parity("API: addresses of Services", "works")
def test_service_gets_an_address(api, core):
    spec = api.post(f"{core}/services", service()).body["spec"]
    address = spec.pop("clusterIP")
    assert ADDRESS.fullmatch(address)
    assert spec == {
        "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
        "clusterIPs": [address],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    }


def test_service_keeps_its_address(api, core):
    address = api.post(f"{core}/services", service()).body["spec"]["clusterIP"]
    assert api.put(f"{core}/services/s", service(ports=[{"port": 81}])).body["spec"]["clusterIP"] == address
    assert api.patch(f"{core}/services/s", {"spec": {"clusterIP": None}}).body["spec"]["clusterIP"] == address


def test_service_address_cannot_be_changed(api, core):
    address = api.post(f"{core}/services", service()).body["spec"]["clusterIP"]
    other = address.rpartition(".")[0] + ".249"
    message = f'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: ["{other}"]: may not change once set'
    assert api.patch(f"{core}/services/s", {"spec": {"clusterIP": other}}).error == (422, "Invalid", message)


def test_service_address_asked_for(api, core):
    outside = api.post(f"{core}/services", service(clusterIP="192.0.2.1"))
    words = "failed to allocate IP 192.0.2.1: the provided network does not match the current range"
    message = f'Service "s" is invalid: spec.clusterIPs: Invalid value: ["192.0.2.1"]: {words}'
    assert outside.error == (422, "Invalid", message)
    taken = api.get("/api/v1/namespaces/default/services/kubernetes").body["spec"]["clusterIP"]
    words = f"failed to allocate IP {taken}: provided IP is already allocated"
    message = f'Service "s" is invalid: spec.clusterIPs: Invalid value: ["{taken}"]: {words}'
    assert api.post(f"{core}/services", service(clusterIP=taken)).error == (422, "Invalid", message)


def test_service_address_is_free_again_after_deletion(api, core):
    address = api.post(f"{core}/services", service()).body["spec"]["clusterIP"]
    api.delete(f"{core}/services/s")
    assert api.post(f"{core}/services", service("t", clusterIP=address)).code == 201


def test_headless_and_external_services(api, core):
    headless = api.post(f"{core}/services", service(clusterIP="None")).body["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    external = api.post(f"{core}/services", service("e", type="ExternalName", externalName="example.com")).body["spec"]
    assert "clusterIP" not in external


def test_load_balancer(api, core):
    spec = api.post(f"{core}/services", service(type="LoadBalancer")).body["spec"]
    assert 30000 <= spec["ports"][0]["nodePort"] <= 32767
    assert (spec["allocateLoadBalancerNodePorts"], spec["externalTrafficPolicy"]) == (True, "Cluster")
    spec = api.post(f"{core}/services", service("t", type="LoadBalancer", allocateLoadBalancerNodePorts=False)).body[
        "spec"
    ]
    assert "nodePort" not in spec["ports"][0]


def test_service_can_be_created_by_replace(api, core):
    answer = api.put(f"{core}/services/s", service())
    assert (answer.code, answer.body["metadata"]["name"]) == (201, "s")


def test_service_that_turns_external_gives_its_address_back(api, core):
    address = api.post(f"{core}/services", service()).body["spec"]["clusterIP"]
    wished = {"spec": {"type": "ExternalName", "externalName": "example.com"}}
    assert "clusterIP" not in api.patch(f"{core}/services/s", wished).body["spec"]
    assert api.post(f"{core}/services", service("t", clusterIP=address)).code == 201


def test_service_changes_its_type_and_loses_what_belongs_to_the_old_one(api, core):
    path = f"{core}/services"
    api.post(path, service(type="LoadBalancer"))
    status = api.patch(f"{path}/s/status", {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}).body[
        "status"
    ]
    assert status == {"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "VIP"}]}}
    node_port = api.patch(f"{path}/s", {"spec": {"type": "NodePort"}}).body
    assert "allocateLoadBalancerNodePorts" not in node_port["spec"]
    assert (node_port["spec"]["externalTrafficPolicy"], node_port["status"]) == ("Cluster", {"loadBalancer": {}})
    plain = api.patch(f"{path}/s", {"spec": {"type": "ClusterIP"}}).body["spec"]
    assert ("externalTrafficPolicy" in plain, "nodePort" in plain["ports"][0]) == (False, False)
    external = api.patch(f"{path}/s", {"spec": {"type": "ExternalName", "externalName": "a.b"}}).body["spec"]
    assert "clusterIP" not in external
    again = api.patch(f"{path}/s", {"spec": {"type": "ClusterIP", "externalName": None}}).body["spec"]
    assert ADDRESS.fullmatch(again["clusterIP"])


def test_node_brings_its_status(api):
    status = {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}
    created = api.post("/api/v1/nodes", {"metadata": {"name": "conformance"}, "status": status})
    assert created.body["status"]["addresses"] == status["addresses"]
    assert api.delete("/api/v1/nodes/conformance").body["status"] == "Success"


def test_the_api_servers_own_service(api):
    own = api.get("/api/v1/namespaces/default/services/kubernetes").body
    assert own["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    assert own["spec"]["ports"][0].items() >= {"name": "https", "protocol": "TCP", "port": 443}.items()
    slice_ = api.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").body
    assert slice_["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}


@pytest.fixture
def short_lived(api):
    name = "short-lived"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield f"/api/v1/namespaces/{name}"
    api.delete(f"/api/v1/namespaces/{name}/configmaps")
    api.delete(f"/api/v1/namespaces/{name}")
    api.put(f"/api/v1/namespaces/{name}/finalize", {"metadata": {"name": name}})


def test_namespace_is_active(api, short_lived):
    obj = api.get(short_lived).body
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "short-lived"}
    assert (obj["spec"], obj["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


def test_namespace_terminates(api, short_lived):
    api.post(f"{short_lived}/configmaps", {"metadata": {"name": "a"}})
    marked = api.delete(short_lived)
    assert (marked.code, marked.body["status"], marked.body["spec"]) == (
        200, {"phase": "Terminating"}, {"finalizers": ["kubernetes"]}
    )  # fmt: skip
    assert "deletionGracePeriodSeconds" not in marked.body["metadata"]
    again = api.delete(f"{short_lived}?propagationPolicy=Foreground")
    assert (again.code, again.body) == (200, marked.body)
    refused = api.post(f"{short_lived}/configmaps", {"metadata": {"name": "x"}})
    words = "unable to create new content in namespace short-lived because it is being terminated"
    assert refused.error == (403, "Forbidden", f'configmaps "x" is forbidden: {words}')
    assert refused.body["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace short-lived is being terminated",
            "field": "metadata.namespace",
        }
    ]
    finalized = api.put(f"{short_lived}/finalize", {"metadata": {"name": "short-lived"}, "spec": {"finalizers": []}})
    assert (finalized.code, finalized.body["spec"]) == (200, {})
    assert api.get(short_lived).code == 404
    assert api.delete(f"{short_lived}/configmaps").code == 200


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_system_namespaces_stay(api, name):
    message = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert api.delete(f"/api/v1/namespaces/{name}").error == (403, "Forbidden", message)
