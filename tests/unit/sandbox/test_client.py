"""The parts' API client and informer, against the sandbox's own API server and against one that misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from tcpshift_helpers.sandbox.apiserver import server
from tcpshift_helpers.sandbox.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    ApiError,
    Client,
    UnreachableError,
    key_of,
)
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.informer import Informer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@contextlib.asynccontextmanager
async def running(informer: Informer) -> AsyncIterator[Informer]:
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), 10)
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_paths_of_both_kinds_of_group() -> None:
    assert PODS.path("a", "b", "log") == "/api/v1/namespaces/a/pods/b/log"
    assert DEPLOYMENTS.path() == "/apis/apps/v1/deployments"
    assert NAMESPACES.path(None, "a", "finalize") == "/api/v1/namespaces/a/finalize"
    assert NAMESPACES.path("ignored", "a") == "/api/v1/namespaces/a"


async def test_verbs(api: Client) -> None:
    made = await api.create(CONFIG_MAPS, config_map("a", one="1", two="2"))
    assert (await api.get(CONFIG_MAPS, "a", "default"))["data"] == {"one": "1", "two": "2"}
    patched = await api.merge_patch(CONFIG_MAPS, "a", "default", {"data": {"two": None, "three": "3"}})
    assert patched["data"] == {"one": "1", "three": "3"}
    items, version = await api.list(CONFIG_MAPS, "default", field_selector="metadata.name=a")
    assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in items] == [
        ("ConfigMap", "v1", "a")
    ]
    assert int(version) >= int(patched["metadata"]["resourceVersion"])
    with pytest.raises(ApiError) as stale:
        await api.replace(CONFIG_MAPS, made)
    assert (stale.value.code, stale.value.reason) == (409, "Conflict")
    with pytest.raises(ApiError) as other:
        await api.delete(CONFIG_MAPS, "a", "default", uid="another")
    assert other.value.code == 409
    await api.delete(CONFIG_MAPS, "a", "default", uid=made["metadata"]["uid"])
    with pytest.raises(ApiError) as gone:
        await api.get(CONFIG_MAPS, "a", "default")
    assert (gone.value.code, gone.value.reason, gone.value.message) == (404, "NotFound", 'configmaps "a" not found')


async def test_watch_gives_objects_longer_than_a_network_buffer(api: Client) -> None:
    long = "x" * 300_000
    _, version = await api.list(CONFIG_MAPS)
    await api.create(CONFIG_MAPS, config_map("long", text=long))
    async with contextlib.aclosing(api.watch(CONFIG_MAPS, version)) as events:
        event_type, obj = await anext(events)
        while event_type == "BOOKMARK":
            event_type, obj = await anext(events)
    assert (event_type, obj["data"]["text"]) == ("ADDED", long)


async def test_nothing_listening_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Client(f"https://127.0.0.1:{port}", "token", ssl.create_default_context()) as client:
        with pytest.raises(UnreachableError):
            await client.get(PODS, "a", "default")


async def test_informer_follows_and_knows_its_own_writes(api: Client, until: Any) -> None:
    seen: list[tuple[str, str]] = []
    async with running(Informer(api, CONFIG_MAPS, namespace="default")) as informer:
        informer.on_change(lambda event_type, obj: seen.append((event_type, obj["metadata"]["name"])))
        made = await api.create(CONFIG_MAPS, config_map("a"))
        informer.remember(made)
        assert key_of(made) in informer.objects
        changed = await api.merge_patch(CONFIG_MAPS, "a", "default", {"data": {"x": "1"}})
        await until(lambda: informer.objects[("default", "a")].get("data") == {"x": "1"}, "the change")
        informer.remember(made)  # older than what it knows
        assert informer.objects[("default", "a")]["data"] == {"x": "1"}
        await api.delete(CONFIG_MAPS, "a", "default")
        await until(lambda: ("default", "a") not in informer.objects, "the end")
        informer.remember(changed)  # the answer of a write that came after the news of the deletion
        assert ("default", "a") not in informer.objects
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_broken_subscriber_does_not_end_the_informer(api: Client, until: Any) -> None:
    def broken(event_type: str, obj: dict[str, Any]) -> None:
        raise ValueError("broken")

    async with running(Informer(api, CONFIG_MAPS, namespace="default")) as informer:
        informer.on_change(broken)
        await api.create(CONFIG_MAPS, config_map("a"))
        await api.create(CONFIG_MAPS, config_map("b"))
        await until(lambda: {("default", "a"), ("default", "b")} <= set(informer.objects), "both")


async def test_informer_rides_out_a_restart_of_the_server(tmp_path: Path, until: Any) -> None:
    home = Home(tmp_path / "home")
    home.create()
    seen: list[tuple[str, str]] = []
    async with contextlib.AsyncExitStack() as rest:
        async with server.serve(home):
            client = await rest.enter_async_context(Client.from_home(home))
            await client.create(CONFIG_MAPS, config_map("kept"))
            await client.create(CONFIG_MAPS, config_map("deleted"))
            informer = await rest.enter_async_context(running(Informer(client, CONFIG_MAPS, namespace="default")))
            informer.on_change(lambda event_type, obj: seen.append((event_type, obj["metadata"]["name"])))
        async with server.serve(home), Client.from_home(home) as other:
            await other.delete(CONFIG_MAPS, "deleted", "default")
            await other.create(CONFIG_MAPS, config_map("added"))
            await until(lambda: ("default", "added") in informer.objects, "the new object")
            await until(lambda: ("default", "deleted") not in informer.objects, "the deleted object to go")
    assert sorted(seen) == [("ADDED", "added"), ("DELETED", "deleted")]


class ScriptedServer:
    """Answers each list with the next set of objects and each watch with the next set of lines."""

    def __init__(self, lists: list[list[dict[str, Any]]], watches: list[list[dict[str, Any]]]) -> None:
        self.lists = lists
        self.watches = watches
        self.asked: list[str] = []
        self.watched_from: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
        self.asked.append("watch" if "watch=true" in request else "list")
        if "watch=true" in request:
            self.watched_from.append(re.findall(r"resourceVersion=(\d+)", request)[0])
            lines = self.watches.pop(0) if self.watches else []
            body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        else:
            items = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
            listed = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "5"}, "items": items}
            body = json.dumps(listed).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % len(body))
        writer.write(b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()


async def test_informer_lists_again_when_its_version_is_too_old(until: Any) -> None:
    def known(name: str, version: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": version}}

    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    scripted = ScriptedServer([[known("a", "1"), known("b", "2")], [known("b", "4"), known("c", "3")]], [[expired]])
    listening = await asyncio.start_server(scripted.answer, "127.0.0.1", 0)
    seen: list[tuple[str, str]] = []
    async with listening, Client(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "t", _no_tls()) as client:
        informer = Informer(client, CONFIG_MAPS)
        informer.on_change(lambda event_type, obj: seen.append((event_type, obj["metadata"]["name"])))
        async with running(informer):
            await until(lambda: ("default", "c") in informer.objects, "the second list")
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("MODIFIED", "b"), ("ADDED", "c")]
    assert scripted.asked[:3] == ["list", "watch", "list"]
    assert all(obj["kind"] == "ConfigMap" for obj in informer.objects.values())


async def test_informer_goes_on_from_where_a_bookmark_says(until: Any) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": "9"}}}
    scripted = ScriptedServer([[]], [[bookmark]])
    listening = await asyncio.start_server(scripted.answer, "127.0.0.1", 0)
    seen: list[str] = []
    async with listening, Client(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", "t", _no_tls()) as client:
        informer = Informer(client, CONFIG_MAPS)
        informer.on_change(lambda event_type, _: seen.append(event_type))
        async with running(informer):
            await until(lambda: len(scripted.watched_from) > 1, "the second watch")
    assert scripted.watched_from[:2] == ["5", "9"]
    assert seen == []
    assert scripted.asked[:3] == ["list", "watch", "watch"]


def _no_tls() -> ssl.SSLContext:
    return ssl.create_default_context()
