"""The kubelet's port, as the API server uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from .conftest import shell

if TYPE_CHECKING:
    from .conftest import Node


async def logs(kubelet: aiohttp.ClientSession, pod: str, container: str = "c", **query: str) -> tuple[int, str]:
    async with kubelet.get(f"/containerLogs/default/{pod}/{container}", params=query) as answer:
        return answer.status, await answer.text()


async def test_logs_and_their_options(node: Node, kubelet: aiohttp.ClientSession, until: Any) -> None:
    await node.run("job", shell("echo one; echo two; echo three"), restartPolicy="Never")
    await until(lambda: node.status("job").get("phase") == "Succeeded", "the end")
    assert await logs(kubelet, "job") == (200, "one\ntwo\nthree\n")
    assert await logs(kubelet, "job", tailLines="2") == (200, "two\nthree\n")
    assert await logs(kubelet, "job", limitBytes="6") == (200, "one\ntw")
    assert await logs(kubelet, "job", sinceSeconds="3600") == (200, "one\ntwo\nthree\n")
    assert await logs(kubelet, "job", follow="true") == (200, "one\ntwo\nthree\n")
    status, text = await logs(kubelet, "job", timestamps="true", tailLines="1")
    assert (status, text.split(" ")[1]) == (200, "three\n")
    assert await logs(kubelet, "job", previous="true") == (
        400,
        'previous terminated container "c" in pod "job" not found',
    )


async def test_the_run_before(node: Node, kubelet: aiohttp.ClientSession, until: Any) -> None:
    await node.run("crash", shell("echo $$$$; exit 1"))
    await until(
        lambda: node.container("crash").get("restartCount") and node.container("crash")["state"].get("waiting"),
        "back-off",
    )
    (_, before), (_, now) = await logs(kubelet, "crash", previous="true"), await logs(kubelet, "crash")
    assert before.strip().isdecimal()
    assert before != now


async def test_following(node: Node, kubelet: aiohttp.ClientSession, until: Any) -> None:
    await node.run(
        "pod", shell("echo first; while ! test -e go; do sleep 0.02; done; echo second"), restartPolicy="Never"
    )
    await until(lambda: node.is_ready("pod"), "the pod to run")
    async with kubelet.get("/containerLogs/default/pod/c", params={"follow": "true"}) as answer:
        assert await asyncio.wait_for(answer.content.readline(), 10) == b"first\n"
        uid = node.pods[("default", "pod")]["metadata"]["uid"]
        (node.home.pod(uid) / "containers" / "c" / "go").touch()
        assert await asyncio.wait_for(answer.content.read(), 10) == b"second\n"


async def test_what_cannot_be_shown(node: Node, kubelet: aiohttp.ClientSession, until: Any) -> None:
    await node.run("bad", {"name": "c", "image": "nginx"})
    await until(lambda: node.container("bad").get("state"), "a state")
    await until(lambda: node.container("bad")["state"]["waiting"]["reason"] == "ErrImagePull", "the error")
    explanation = 'container "c" in pod "bad" is waiting to start: trying and failing to pull image'
    assert await logs(kubelet, "bad") == (400, explanation)
    assert (await logs(kubelet, "bad", "other"))[0] == 404
    assert (await logs(kubelet, "absent"))[0] == 404
    async with kubelet.get("/containerLogs/default/bad/c", headers={"Authorization": "Bearer wrong"}) as answer:
        assert answer.status == 401
    async with kubelet.get("/run/default/bad/c") as answer:
        assert answer.status == 404
