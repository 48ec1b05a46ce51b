"""Kinds that kubectl and controllers lean on: Job, Lease, Endpoints."""

from __future__ import annotations

import pytest

CONTAINERS = [{"name": "c", "image": "busybox"}]


def job(name="j", template=None, **spec):
    template = template or {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
    return {"metadata": {"name": name}, "spec": {"suspend": True, "template": template, **spec}}


@pytest.fixture
def jobs(namespace):
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


@pytest.fixture
def leases(namespace):
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


@pytest.mark.parity("API: Job, its defaults, selector and labels", "works")
def test_job_defaults_and_selector(api, jobs):
    created = api.post(jobs, job()).body
    uid = created["metadata"]["uid"]
    labels = {"job-name": "j", "controller-uid": uid}
    labels |= {f"batch.kubernetes.io/{key}": value for key, value in labels.items()}
    assert (created["metadata"]["labels"], created["metadata"]["generation"]) == (labels, 1)
    spec = created["spec"]
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert spec["template"]["metadata"]["labels"] == labels
    assert {key: value for key, value in spec.items() if key not in ("selector", "template")} == {
        **{"parallelism": 1, "completions": 1, "backoffLimit": 6, "manualSelector": False},
        **{"completionMode": "NonIndexed", "suspend": True, "podReplacementPolicy": "TerminatingOrFailed"},
    }


def test_job_labels_come_from_its_template(api, jobs):
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
    labels = api.post(jobs, job(template=template)).body["metadata"]["labels"]
    assert (labels["app"], labels["job-name"]) == ("x", "j")
    own = {**job("own", template), "metadata": {"name": "own", "labels": {"a": "b"}}}
    assert api.post(jobs, own).body["metadata"]["labels"] == {"a": "b"}


def test_job_with_parallelism_alone_counts_no_completions(api, jobs):
    assert "completions" not in api.post(jobs, job(parallelism=2)).body["spec"]


def test_job_that_is_not_valid(api, jobs):
    counts = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    template = {"spec": {"restartPolicy": "Always", "containers": []}}
    refused = api.post(jobs, job(template=template, completionMode="X", **dict.fromkeys(counts, -1)))
    negative = [f"spec.{key}: Invalid value: -1: must be greater than or equal to 0" for key in counts]
    rest = [
        'spec.completionMode: Unsupported value: "X": supported values: "NonIndexed", "Indexed"',
        "spec.template.spec.containers: Required value",
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ]
    assert refused.error == (422, "Invalid", f'Job.batch "j" is invalid: [{", ".join([*negative, *rest])}]')


def test_job_with_a_selector_that_cannot_be_read(api, jobs):
    refused = api.post(jobs, job(selector={"matchExpressions": [{"key": "a", "operator": "In"}]}))
    field = "spec.selector.matchExpressions[0].values"
    sentence = f"{field}: Required value: must be specified when `operator` is 'In' or 'NotIn'"
    assert refused.error == (422, "Invalid", f'Job.batch "j" is invalid: {sentence}')


def test_job_that_promises_a_selector_and_has_none(api, jobs):
    refused = api.post(jobs, job(manualSelector=True))
    unmatched = "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"
    assert refused.error == (422, "Invalid", f'Job.batch "j" is invalid: [spec.selector: Required value, {unmatched}]')


def test_job_with_a_selector_of_its_own(api, jobs):
    words = api.post(jobs, job(selector={"matchLabels": {"a": "b"}})).error[2]
    assert "`selector` not auto-generated" in words
    assert "`selector` does not match template `labels`" in words
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"restartPolicy": "OnFailure", "containers": CONTAINERS},
    }
    chosen = api.post(jobs, job(template=template, manualSelector=True, selector={"matchLabels": {"a": "b"}}))
    assert (chosen.code, chosen.body["metadata"]["labels"]) == (201, {"a": "b"})


def test_what_may_change_in_a_job(api, jobs):
    api.post(jobs, job())
    changed = api.patch(f"{jobs}/j", {"spec": {"parallelism": 3, "backoffLimit": 1}})
    assert (changed.code, changed.body["metadata"]["generation"]) == (200, 2)
    completions = api.patch(f"{jobs}/j", {"spec": {"completions": 3}}).error
    assert completions == (
        422,
        "Invalid",
        'Job.batch "j" is invalid: spec.completions: Invalid value: 3: field is immutable',
    )
    words = api.patch(f"{jobs}/j", {"spec": {"template": {"spec": {"restartPolicy": "OnFailure"}}}}).error[2]
    assert words.startswith('Job.batch "j" is invalid: spec.template: Invalid value: ')
    assert words.endswith("field is immutable")
    mode = api.patch(f"{jobs}/j", {"spec": {"completionMode": "Indexed"}}).error[2]
    assert mode == 'Job.batch "j" is invalid: spec.completionMode: Invalid value: "Indexed": field is immutable'


def test_job_status_that_cannot_be(api, jobs):
    api.post(jobs, job())
    conditions = [{"type": "Complete", "status": "True"}]
    wished = {"status": {"completionTime": "2026-01-01T00:00:00Z", "conditions": conditions}}
    assert api.patch(f"{jobs}/j/status", wished).error[2] == (
        'Job.batch "j" is invalid: [status.conditions: Invalid value: cannot set Complete=True condition '
        "without the SuccessCriteriaMet=true condition, status.startTime: Required value: startTime is required for finished job]"
    )


def test_deleting_a_job_orphans_its_pods_unless_told_otherwise(api, jobs):
    api.post(jobs, job())
    answer = api.delete(f"{jobs}/j")
    assert answer.body["metadata"]["finalizers"] == ["orphan"]
    assert answer.warnings == [
        '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove '
        'them or set propagationPolicy=Orphan to suppress this warning"'
    ]
    api.post(jobs, job("other"))
    answer = api.delete(f"{jobs}/other?propagationPolicy=Background")
    assert (answer.body["status"], answer.warnings) == ("Success", [])


def test_job_table(api, jobs):
    api.post(jobs, job(parallelism=2))
    shown = api.get(jobs, "application/json;as=Table;v=v1;g=meta.k8s.io").body
    names = ["Name", "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector"]
    assert [column["name"] for column in shown["columnDefinitions"]] == names
    cells = shown["rows"][0]["cells"]
    assert (cells[0], cells[2], cells[5], cells[6]) == ("j", "0/1 of 2", "c", "busybox")
    assert cells[1] in ("Running", "Suspended")  # the second once a controller has seen it


def test_jobs_by_field(api, jobs):
    api.post(jobs, job())
    assert len(api.get(f"{jobs}?fieldSelector=status.successful%3D0").body["items"]) == 1
    assert api.get(f"{jobs}?fieldSelector=status.successful%3D1").body["items"] == []


@pytest.mark.parity("API: Lease", "works")
def test_lease(api, leases):
    assert api.post(leases, {"metadata": {"name": "l"}}).body["spec"] == {}
    spec = {"holderIdentity": "", "leaseDurationSeconds": 0, "leaseTransitions": -1}
    assert api.post(leases, {"metadata": {"name": "x"}, "spec": spec}).error[2] == (
        'Lease.coordination.k8s.io "x" is invalid: [spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, '
        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]"
    )
    renewed = "2026-01-01T00:00:00.000000Z"
    kept = api.patch(f"{leases}/l", {"spec": {"holderIdentity": "me", "renewTime": renewed}}).body
    assert kept["spec"] == {"holderIdentity": "me", "renewTime": renewed}
    shown = api.get(leases, "application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Holder", "Age"]
    assert shown["rows"][0]["cells"][:2] == ["l", "me"]


def test_lease_is_made_by_put_and_changed_only_by_version(api, leases):
    named = {"metadata": {"name": "l"}}
    assert api.put(f"{leases}/l", named).code == 201
    refused = api.put(f"{leases}/l", named)
    assert (refused.code, refused.body["reason"]) == (422, "Invalid")


@pytest.mark.parity("API: Endpoints", "works")
def test_endpoints(api, core):
    subsets = [
        {
            "addresses": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}],
            "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}],
        },
        {"notReadyAddresses": [{"ip": "10.0.0.3"}], "ports": [{"port": 80}]},
    ]
    assert "subsets" not in api.post(f"{core}/endpoints", {"metadata": {"name": "a"}}).body
    created = api.post(f"{core}/endpoints", {"metadata": {"name": "e"}, "subsets": subsets}).body
    assert [port["protocol"] for subset in created["subsets"] for port in subset["ports"]] == ["TCP"] * 3
    shown = api.get(f"{core}/endpoints", "application/json;as=Table;v=v1;g=meta.k8s.io").body
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Endpoints", "Age"]
    assert [row["cells"][:2] for row in shown["rows"] if row["cells"][0] in "ae"] == [
        ["a", "<none>"],
        ["e", "10.0.0.2:80,10.0.0.1:80,10.0.0.2:81 + 1 more..."],
    ]


def test_endpoints_that_are_not_valid(api, core):
    subsets = [
        {"addresses": [{"ip": "zz"}, {"ip": "0.0.0.0"}], "ports": [{"port": 80}, {"name": "b", "port": 0}]},
        {},
    ]
    assert api.post(f"{core}/endpoints", {"metadata": {"name": "e"}, "subsets": subsets}).error[2] == (
        'Endpoints "e" is invalid: ['
        'subsets[0].addresses[0].ip: Invalid value: "zz": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), '
        'subsets[0].addresses[0].ip: Invalid value: "zz": must be a valid IP address, '
        'subsets[0].addresses[1].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0), '
        "subsets[0].ports[0].name: Required value, "
        "subsets[0].ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive, "
        "subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`]"
    )
