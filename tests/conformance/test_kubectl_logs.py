"""kubectl run, expose, describe and logs, of pods of a running sandbox, and a Job from its start to its end."""

from __future__ import annotations

import re
import threading

import pytest

PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: p}}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: busybox, command: [sh, -c, "echo one; echo two; echo three"]}
  - {name: b, image: busybox, command: [sh, -c, "echo other"]}
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: busybox, command: [sh, -c, "echo run; exit 3"]}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: busybox, command: [sh, -c, "echo begin; until [ -e go ]; do sleep 0.1; done; echo end"]}]
"""
ALL = "one\ntwo\nthree\n"
pytestmark = pytest.mark.skipif("config.getoption('--server') == 'peer'", reason="the peer has no node")


@pytest.fixture
def kubectl(live_kubectl):
    """Runs kubectl where pods have said what they have to say."""
    live_kubectl("apply", "-f", "-", stdin=PODS)
    live_kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=60s")
    return live_kubectl


@pytest.mark.parity("kubectl logs -c, -l, --tail, --since, --timestamps, --prefix", "works")
def test_logs(kubectl):
    assert kubectl("logs", "p", "-c", "a") == ALL
    assert kubectl("logs", "p", "-c", "a", "--tail=1", "--since=1h") == "three\n"
    assert kubectl("logs", "-l", "app=p", "-c", "a", "--tail=-1") == ALL
    assert kubectl("logs", "p", "-c", "b", "--prefix") == "[pod/p/b] other\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z other\n", kubectl("logs", "p", "-c", "b", "--timestamps"))
    assert kubectl("logs", "p", "--since-time=2100-01-01T00:00:00Z", "-c", "a") == ""


@pytest.mark.parity("kubectl logs, which container is meant", "works")
def test_which_container(kubectl):
    assert sorted(kubectl("logs", "p").splitlines()) == sorted(['Defaulted container "a" out of: a, b', *ALL.split()])
    assert sorted(kubectl("logs", "p", "--all-containers").split()) == sorted(["other", *ALL.split()])
    assert kubectl("logs", "p", "-c", "x", code=1) == "error: container x is not valid for pod p\n"
    assert (
        kubectl("logs", "x", code=1)
        == f'error: error from server (NotFound): pods "x" not found in namespace "{kubectl.namespace}"\n'
    )


@pytest.mark.parity("kubectl logs -p", "works")
def test_logs_of_the_run_before(kubectl):
    restarted = "--for=jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=3"
    kubectl("wait", restarted, "pod/again", "--timeout=60s")
    assert kubectl("logs", "again", "-p") == "run\n"
    assert kubectl("logs", "p", "-c", "a", "-p", code=1) == (
        'Error from server (BadRequest): previous terminated container "a" in pod "p" not found\n'
    )


@pytest.mark.parity("kubectl logs -f of a Job, and wait --for=condition=complete", "works")
def test_job(live_kubectl):
    live_kubectl("apply", "-f", "-", stdin=JOB)
    live_kubectl("wait", "--for=jsonpath={.status.ready}=1", "job/j", "--timeout=60s")
    thread = threading.Timer(0.5, live_kubectl, ("exec", "job/j", "--", "touch", "go"))
    thread.start()
    assert live_kubectl("logs", "-f", "job/j") == "begin\nend\n"
    thread.join()
    assert live_kubectl("wait", "--for=condition=complete", "job/j", "--timeout=60s") == "job.batch/j condition met\n"
    assert live_kubectl("get", "jobs", "--no-headers").split()[:3] == ["j", "Complete", "1/1"]
    assert live_kubectl("delete", "job", "j") == 'job.batch "j" deleted\n'
    live_kubectl("wait", "--for=delete", "pod", "-l", "job-name=j", "--timeout=60s")


@pytest.mark.parity("kubectl describe pod, with the Events of its start", "works")
def test_describe_pod(kubectl):
    lines = kubectl("describe", "pod", "p").splitlines()
    assert ["Status:", "Succeeded"] in [line.split() for line in lines]
    told = [line.split(maxsplit=4) for line in lines[lines.index("Events:") + 3 :]]
    assert [(row[1], row[3]) for row in told if row[1] != "Pulling"] == [
        ("Scheduled", "default-scheduler"),
        *[(reason, "kubelet") for _ in "ab" for reason in ("Pulled", "Created", "Started")],
    ]
    assert told[0][4] == f"Successfully assigned {kubectl.namespace}/p to sandbox"


@pytest.mark.parity("kubectl run and expose", "works")
def test_run_and_expose(live_kubectl):
    said = live_kubectl("run", "e", "--image=istio/tcp-echo-server:1.3", "--port=9000", "--", "9000", "hello")
    assert said == "pod/e created\n"
    live_kubectl("wait", "--for=condition=Ready", "pod/e", "--timeout=60s")
    assert live_kubectl("expose", "pod", "e", "--name=s", "--port=9001", "--target-port=9000") == "service/s exposed\n"
    live_kubectl("wait", "--for=jsonpath={.subsets[0].addresses[0].targetRef.name}=e", "endpoints/s", "--timeout=60s")
    asked = "until echo word | nc s 9001; do sleep 0.05; done"
    assert live_kubectl("exec", "e", "--", "sh", "-c", asked).splitlines()[0] == "hello word"


@pytest.mark.parametrize(
    ("away", "back", "why"),
    [
        (("cordon", "sandbox"), ("uncordon", "sandbox"), "1 node(s) were unschedulable"),
        (
            ("taint", "node", "sandbox", "a=b:NoSchedule"),
            ("taint", "node", "sandbox", "a-"),
            "1 node(s) had untolerated taint {a: b}",
        ),
    ],
    ids=["cordon", "taint"],
)
@pytest.mark.parity("kubectl cordon, uncordon, taint", "works")
def test_a_node_that_takes_no_pods(live_kubectl, away, back, why):
    live_kubectl(*away)
    try:
        live_kubectl("run", "p", "--image=busybox", "--restart=Never", "--", "true")
        live_kubectl("wait", "--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "pod/p", "--timeout=60s")
        words = live_kubectl("get", "pod", "p", "-o", "jsonpath={.status.conditions[0].message}")
        assert words.startswith(f"0/1 nodes are available: {why}. ")
    finally:
        live_kubectl(*back)
    live_kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=60s")


@pytest.mark.parity(
    "kubectl run -i, a container's own standard input",
    "known difference: nothing comes in by it; kubectl shows what the container writes",
)
def test_run_with_standard_input(live_kubectl):
    script = ("sh", "-c", "echo begin; cat; echo end")
    words = ("run", "x", "--rm", "-i", "--restart=Never", "--image=busybox", "--", *script)
    lines = live_kubectl(*words, stdin="said\n").splitlines()
    assert [line for line in lines if line in {"begin", "said", "end"}] == ["begin", "end"]
    assert 'pod "x" deleted' in lines
