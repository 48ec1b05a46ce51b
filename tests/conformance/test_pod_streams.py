"""exec, attach and port-forward, up to where the kubelet is asked: what the API server refuses by itself, and in which words."""

from __future__ import annotations

import pytest

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
}
SPDY = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}


@pytest.fixture
def ask(api, core):
    """Asks for a pod's subresource; gives code, reason and message."""

    def asked(method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        return api.request(method, f"{core}/pods/{path}", headers={**api.headers, **(headers or {})}).error

    return asked


@pytest.fixture
def node(api, namespace):
    """A node at whose kubelet's port nobody listens."""
    name = f"{namespace}-node"
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 9}},
    }
    assert api.post("/api/v1/nodes", {"metadata": {"name": name}, "status": status}).code == 201
    yield name
    api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def bound(api, core, node):
    return make_pod(api, core, "bound", "c", nodeName=node)


def make_pod(api, core, name, *containers, **spec):
    images = [{"name": container, "image": "busybox"} for container in containers]
    answer = api.post(f"{core}/pods", {"metadata": {"name": name}, "spec": {"containers": images, **spec}})
    assert answer.code == 201, answer.text
    return name


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
def test_no_such_pod(ask, method, subresource):
    assert ask(method, f"absent/{subresource}") == (404, "NotFound", 'pods "absent" not found')


@pytest.mark.parity("API: exec and attach, which container is meant", "works")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("subresource", ["exec", "attach"])
def test_which_container(api, core, ask, method, subresource):
    make_pod(api, core, "two", "c", "d", initContainers=[{"name": "i", "image": "busybox"}])
    words = "a container name must be specified for pod two, choose one of: [i c d]"
    assert ask(method, f"two/{subresource}?command=a") == (400, "BadRequest", words)
    words = "container x is not valid for pod two"
    assert ask(method, f"two/{subresource}?container=x") == (400, "BadRequest", words)


def test_the_only_container_besides_init_containers_is_meant(api, core, ask):
    make_pod(api, core, "one", "c", initContainers=[{"name": "i", "image": "busybox"}])
    words = "pod one does not have a host assigned"
    assert ask("GET", "one/exec") == (400, "BadRequest", words)
    assert ask("GET", "one/exec?container=i") == (400, "BadRequest", words)


@pytest.mark.parity("API: exec, attach and portforward, the pod is on no node", "works")
@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
def test_a_pod_on_no_node(api, core, ask, subresource):
    make_pod(api, core, "loose", "c")
    words = "pod loose does not have a host assigned"
    assert ask("GET", f"loose/{subresource}", WEBSOCKET) == (400, "BadRequest", words)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
def test_without_an_upgrade(bound, ask, method, subresource):
    assert ask(method, f"{bound}/{subresource}?command=a") == (400, "BadRequest", "Upgrade request required")


@pytest.mark.parametrize(
    ("ports", "why"),
    [
        ("x", 'parsing "x": invalid syntax'),
        ("", 'parsing "": invalid syntax'),
        ("-1", 'parsing "-1": invalid syntax'),
        ("70000", 'parsing "70000": value out of range'),
    ],
)
def test_a_port_that_is_none(bound, ask, ports, why):
    words = f"cannot convert to []int32: strconv.ParseUint: {why}"
    assert ask("GET", f"{bound}/portforward?ports={ports}", WEBSOCKET) == (400, "BadRequest", words)


@pytest.mark.parametrize(
    ("method", "subresource", "upgrade"),
    [
        ("GET", "exec?command=a&stdout=1", WEBSOCKET),
        ("POST", "exec?command=a&stdout=1", SPDY),
        ("GET", "attach?stdout=1", WEBSOCKET),
        ("GET", "portforward?ports=80,81", WEBSOCKET),
        ("GET", "portforward", {**WEBSOCKET, "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io"}),
    ],
)
def test_no_kubelet(bound, ask, method, subresource, upgrade):
    code, reason, message = ask(method, f"{bound}/{subresource}", upgrade)
    assert (code, reason) == (500, "")
    assert message.startswith("error dialing backend: dial tcp 127.")
    assert message.endswith(": connect: connection refused")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_verbs(bound, ask, method):
    words = "the server does not allow this method on the requested resource"
    assert ask(method, f"{bound}/exec?command=a", WEBSOCKET) == (405, "MethodNotAllowed", words)


def test_what_discovery_says(api):
    found = {entry["name"]: entry for entry in api.get("/api/v1").body["resources"]}
    for name, kind in {
        "exec": "PodExecOptions",
        "attach": "PodAttachOptions",
        "portforward": "PodPortForwardOptions",
    }.items():
        assert found[f"pods/{name}"] == {
            "name": f"pods/{name}",
            "singularName": "",
            "namespaced": True,
            "kind": kind,
            "verbs": ["create", "get"],
        }
