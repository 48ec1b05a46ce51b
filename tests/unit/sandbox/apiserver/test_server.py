"""The server as a whole, in this process: credentials, limits, streams that end, logs relayed from a kubelet."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time

import aiohttp
import pytest
from aiohttp import web

from tcpshift_helpers.errors import PortInUseError
from tcpshift_helpers.sandbox import limits
from tcpshift_helpers.sandbox.apiserver import server, streams
from tcpshift_helpers.sandbox.apiserver.handlers import json_response
from tcpshift_helpers.sandbox.apiserver.watch import Wakeups
from tcpshift_helpers.sandbox.home import Home
from tcpshift_helpers.sandbox.network import API_PORT, KUBELET_PORT

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Denying:
    """An admission plug-in that labels what it sees and refuses what is called `no`."""

    name = "validation.example.com"

    def mutate(self, operation, resource, obj, namespace_labels):
        if not resource.namespaced:
            return obj
        labels = {
            **obj["metadata"].get("labels", {}),
            "seen": f"{operation}-{resource.plural}-{'-'.join(namespace_labels.values())}",
        }
        return {**obj, "metadata": {**obj["metadata"], "labels": labels}}

    def validate(self, operation, resource, obj, old):
        return "not this one" if obj["metadata"]["name"] == "no" else None


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
async def subnet(home):
    async with server.serve(home, [Denying()]) as subnet:
        yield subnet


@pytest.fixture
async def client(home, subnet):
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    headers = {"Authorization": f"Bearer {home.token.read_text().strip()}"}
    base = f"https://{subnet.api_server}:{API_PORT}"
    async with aiohttp.ClientSession(base, headers=headers, connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield session


def config_map(name):
    return {"metadata": {"name": name}}


async def settled(condition, seconds=5.0):
    """Wait until a condition of this process holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_health_needs_no_credentials_and_all_else_does(client, subnet, home):
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    async with aiohttp.ClientSession(f"https://{subnet.api_server}:{API_PORT}") as anyone:
        for path in ("/healthz", "/livez", "/readyz", "/version", "/readyz/ping"):
            async with anyone.get(path, ssl=tls) as answer:
                assert answer.status == 200
        for path in ("/api", "/apis", "/api/v1/namespaces", "/openapi/v3", "/"):
            async with anyone.get(path, ssl=tls) as answer:
                assert (answer.status, (await answer.json())["reason"]) == (401, "Unauthorized")


async def test_client_certificate_of_the_owner(subnet, home):
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    tls.load_cert_chain(home.pki / "admin.crt", home.pki / "admin.key")
    async with (
        aiohttp.ClientSession(f"https://{subnet.api_server}:{API_PORT}") as owner,
        owner.get("/api/v1/namespaces", ssl=tls) as answer,
    ):
        assert answer.status == 200


async def test_certificate_of_the_authority_that_is_not_the_owners(subnet, home):
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    tls.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
    async with aiohttp.ClientSession(f"https://{subnet.api_server}:{API_PORT}") as other:
        with contextlib.suppress(aiohttp.ClientConnectionError):  # OpenSSL may refuse a server's certificate by itself
            async with other.get("/api/v1/namespaces", ssl=tls) as answer:
                assert answer.status == 401


async def test_bootstrap(client):
    async with client.get("/api/v1/namespaces") as answer:
        names = [item["metadata"]["name"] for item in (await answer.json())["items"]]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    async with client.get("/api/v1/namespaces/default/services/kubernetes") as answer:
        assert (await answer.json())["spec"]["ports"][0]["targetPort"] == API_PORT


async def test_admission(client):
    async with client.post(CONFIG_MAPS, json=config_map("yes")) as answer:
        assert (await answer.json())["metadata"]["labels"] == {"seen": "CREATE-configmaps-default"}
    async with client.post(CONFIG_MAPS, json=config_map("no")) as answer:
        body = await answer.json()
    words = 'admission webhook "validation.example.com" denied the request: not this one'
    assert (answer.status, body["message"]) == (400, words)
    async with client.get(f"{CONFIG_MAPS}/no") as answer:
        assert answer.status == 404


async def test_bootstrap_is_done_once_and_versions_go_on(home):
    async with server.serve(home) as subnet:
        first = subnet
    async with server.serve(home) as subnet:
        assert subnet == first
        tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
        headers = {"Authorization": f"Bearer {home.token.read_text().strip()}"}
        url = f"https://{subnet.api_server}:{API_PORT}/api/v1/namespaces/default"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url, ssl=tls) as answer:
            assert (await answer.json())["metadata"]["resourceVersion"] == "1"


async def test_address_in_use(home, subnet, monkeypatch):
    monkeypatch.setattr(server, "choose_subnet", lambda _: subnet)
    with pytest.raises(PortInUseError, match=f"cannot listen on {subnet.api_server}:{API_PORT}"):
        async with server.serve(home):
            pytest.fail("two servers on one address")


async def test_a_large_list_comes_whole(client):
    for number in range(20):
        body = {"metadata": {"name": f"c{number:02}"}, "data": {"filler": "x" * 20_000}}
        async with client.post(CONFIG_MAPS, json=body) as answer:
            assert answer.status == 201
    async with client.get(CONFIG_MAPS) as answer:
        text = await answer.text()
    assert "Transfer-Encoding" not in answer.headers
    assert (int(answer.headers["Content-Length"]), answer.content_type) == (len(text), "application/json")
    assert [item["metadata"]["name"] for item in json.loads(text)["items"]] == [f"c{number:02}" for number in range(20)]


async def test_a_large_answer_waits_for_its_reader_in_pieces():
    written = []

    class Writer:
        async def write(self, piece):
            written.append(piece)

    await json_response({"filler": "é" * 200_000}).body.write(Writer())
    assert max(map(len, written)) <= 65536
    assert json.loads(b"".join(written)) == {"filler": "é" * 200_000}


async def test_a_mistake_of_ours_is_a_status_too(client, monkeypatch):
    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr("tcpshift_helpers.sandbox.apiserver.registry.Registry.get", broken)
    async with client.get(f"{CONFIG_MAPS}/a") as answer:
        body = await answer.json()
    assert (answer.status, body["reason"], body["message"]) == (
        500,
        "InternalError",
        "Internal error occurred: KeyError: 'oops'",
    )


@pytest.fixture
async def wire(home, subnet):
    """A connection on which anything can be sent."""
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    reader, writer = await asyncio.open_connection(subnet.api_server, API_PORT, ssl=tls)
    yield reader, writer
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET\r\n\r\n", b"400 Bad Request"),
        (b"GET /api HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", b"400 Bad Request"),
        (
            b"GET /api HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_100_000 + b"\r\n\r\n",
            b"431 Request Header Fields Too Large",
        ),
        # Each line alone would do.
        (
            b"GET /api HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 11_000) for n in range(110)),
            b"431 Request Header Fields Too Large",
        ),
        (
            b"GET /api HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
            b"431 Request Header Fields Too Large",
        ),
    ],
    ids=["garbage", "a bad header", "a long header", "many long headers", "many headers"],
)
async def test_what_is_no_request_is_answered_and_not_logged(wire, caplog, sent, said):
    reader, writer = wire
    writer.write(sent)
    answer = await reader.read()
    assert answer.startswith((b"HTTP/1.0 " + said, b"HTTP/1.1 " + said))
    assert answer.endswith(b"\r\n\r\n" + said)
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def get(wire, path="/readyz", body=b""):
    """Send a GET on an open connection; gives status line and body of the answer."""
    reader, writer = wire
    writer.write(b"GET %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    return head.split(b"\r\n")[0], await reader.readexactly(length)


async def test_bodies_are_no_heads(wire):
    """Nor do the heads of several requests add up."""
    for _ in range(3):
        assert await get(wire, body=b"x" * 2_000_000) == (b"HTTP/1.1 200 OK", b"ok")
    for _ in range(4):
        assert await get(wire, "/readyz?x=" + "a" * 500_000) == (b"HTTP/1.1 200 OK", b"ok")


@pytest.fixture
def impatience(monkeypatch):
    """A server that soon expects a request of whoever connects."""
    monkeypatch.setattr(limits, "FIRST_HEAD_SECONDS", 0.05)


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("sent", [b"", b"GET /readyz HTTP/1.1\r\nHost: a\r\n"])
async def test_who_connects_and_asks_nothing_is_sent_away(wire, sent):
    reader, writer = wire
    writer.write(sent)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 30) == b""


@pytest.mark.usefixtures("impatience")
async def test_who_has_asked_is_not_sent_away(client):
    async with client.get(f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1&resourceVersion=1") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


@pytest.fixture
def wakeups(monkeypatch):
    """The server's register of watchers, seen from outside."""
    made = []

    class Seen(Wakeups):
        def __init__(self, store):
            super().__init__(store)
            made.append(self)

    monkeypatch.setattr(streams, "Wakeups", Seen)
    return made


async def test_watchers_that_hang_up_leave_nothing(wakeups, client):
    answers = [await client.get(f"{CONFIG_MAPS}?watch=true") for _ in range(20)]
    await settled(lambda: wakeups[0].count() == 20)
    for answer in answers:
        answer.close()
    await settled(lambda: wakeups[0].count() == 0)


TOO_MANY = (429, "1", "text/plain", "nosniff", "Too many requests, please try again later.\n")


async def refusal(answer):
    headers = answer.headers
    return (
        answer.status,
        headers["Retry-After"],
        answer.content_type,
        headers["X-Content-Type-Options"],
        await answer.text(),
    )


@pytest.fixture
def room_for_two(monkeypatch):
    """A server that lets two watches, two logs and two writes be open at a time."""
    monkeypatch.setattr(limits, "MOST_WRITES", 2)
    monkeypatch.setattr(limits, "MOST_WATCHES", 2)
    monkeypatch.setattr(limits, "MOST_LOGS", 2)


@pytest.mark.usefixtures("room_for_two")
async def test_no_more_watches_than_fit(wakeups, client):
    held = [await client.get(f"{CONFIG_MAPS}?watch=true"), await client.get("/api/v1/watch/namespaces/default")]
    await settled(lambda: wakeups[0].count() == 2)
    for path in (f"{CONFIG_MAPS}?watch=true", "/api/v1/watch/pods", "/apis/apps/v1/deployments?watch=1"):
        async with client.get(path) as answer:
            assert await refusal(answer) == TOO_MANY
    # What is no watch is answered as ever, and one that cannot be is told so.
    async with client.get(CONFIG_MAPS) as answer:
        assert answer.status == 200
    async with client.get(f"{CONFIG_MAPS}?watch=true&resourceVersion=x") as answer:
        assert answer.status == 500
    held.pop(0).close()
    await settled(lambda: wakeups[0].count() == 1)
    held.append(await client.get(f"{CONFIG_MAPS}?watch=true"))
    assert held[-1].status == 200
    # One that ends by itself makes room, too.
    held.pop().close()
    await settled(lambda: wakeups[0].count() == 1)
    async with client.get(f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1") as answer:
        await answer.read()
    async with client.get(f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1") as answer:
        assert answer.status == 200
    for answer in held:
        answer.close()


async def test_watcher_that_does_not_read_costs_nobody_anything(wakeups, client, subnet, home):
    stalled = await client.get(f"{CONFIG_MAPS}?watch=true", timeout=aiohttp.ClientTimeout(total=None))
    await settled(lambda: wakeups[0].count() == 1)
    async with client.post(CONFIG_MAPS, json=config_map("big")) as answer:
        assert answer.status == 201
    for number in range(60):
        body = {"data": {"filler": str(number) + "x" * 100_000}}
        headers = {"Content-Type": "application/merge-patch+json"}
        async with client.patch(f"{CONFIG_MAPS}/big", data=json.dumps(body), headers=headers) as answer:
            assert answer.status == 200
    stalled.close()
    await settled(lambda: wakeups[0].count() == 0)


async def test_stop_ends_watches_without_waiting(home, wakeups):
    async with server.serve(home) as subnet:
        tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
        headers = {"Authorization": f"Bearer {home.token.read_text().strip()}"}
        session = aiohttp.ClientSession(f"https://{subnet.api_server}:{API_PORT}", headers=headers)
        answer = await session.get(f"{CONFIG_MAPS}?watch=true&resourceVersion=1", ssl=tls)
        await settled(lambda: wakeups[0].count() == 1)
    assert await answer.content.read() == b""
    await session.close()


@pytest.fixture
async def kubelet(home, subnet):
    """A kubelet that follows for ever, and says how many requests it is serving."""
    seen = {"open": 0, "queries": []}

    async def logs(request):
        seen["queries"].append((request.path, dict(request.query), request.headers["Authorization"]))
        if request.match_info["pod"] == "starting":
            words = 'container "c" in pod "starting" is waiting to start: ContainerCreating'
            return web.Response(status=400, text=words)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        if request.query.get("follow") == "true":
            seen["open"] += 1
            try:
                await asyncio.sleep(3600)
            finally:
                seen["open"] -= 1
        return response

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
    await web.TCPSite(runner, subnet.api_server, KUBELET_PORT, ssl_context=tls).start()
    yield seen
    await runner.cleanup()


async def start_pod(client, name, **spec):
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    async with client.post("/api/v1/namespaces/default/pods", json=body) as answer:
        assert answer.status == 201, await answer.text()
    return f"/api/v1/namespaces/default/pods/{name}/log"


async def test_log(client, kubelet, home):
    path = await start_pod(client, "p", nodeName="n")
    async with client.get(f"{path}?tailLines=5&timestamps=true") as answer:
        assert (answer.status, answer.content_type, await answer.text()) == (200, "text/plain", "one\n")
    token = home.token.read_text().strip()
    query = {"tailLines": "5", "timestamps": "true"}
    assert kubelet["queries"] == [("/containerLogs/default/p/c", query, f"Bearer {token}")]


async def test_log_that_is_followed_ends_with_its_reader(client, kubelet):
    path = await start_pod(client, "p", nodeName="n")
    answer = await client.get(f"{path}?follow=true")
    assert await answer.content.readline() == b"one\n"
    assert kubelet["open"] == 1
    answer.close()
    await settled(lambda: kubelet["open"] == 0)


async def unfinished(subnet, home):
    """A connection on which a ConfigMap called `late` is being sent; the rest of its body is missing."""
    tls = ssl.create_default_context(cafile=home.pki / "ca.crt")
    reader, writer = await asyncio.open_connection(subnet.api_server, API_PORT, ssl=tls)
    token, body = home.token.read_text().strip(), json.dumps(config_map("late"))
    head = f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write((head + body[:5]).encode())
    return reader, writer, body[5:].encode()


@pytest.mark.usefixtures("room_for_two")
async def test_no_more_writes_than_fit(client, subnet, home):
    async def write():
        async with client.post(f"{CONFIG_MAPS}?dryRun=All", json=config_map("a")) as answer:
            return await refusal(answer) if answer.status == 429 else answer.status

    async def becomes(outcome):
        async with asyncio.timeout(10):
            while await write() != outcome:
                pass

    assert await write() == 201
    reader, writer, rest = await unfinished(subnet, home)
    _, other, _ = await unfinished(subnet, home)
    await becomes(TOO_MANY)
    async with client.get(CONFIG_MAPS) as answer:
        assert answer.status == 200
    other.transport.abort()
    await becomes(201)
    writer.write(rest)
    assert (await reader.readline()).startswith(b"HTTP/1.1 201 ")
    writer.close()


@pytest.mark.usefixtures("room_for_two")
async def test_no_more_logs_than_fit(client, kubelet):
    path = await start_pod(client, "p", nodeName="n")
    held = [await client.get(f"{path}?follow=true") for _ in range(2)]
    for answer in held:
        assert await answer.content.readline() == b"one\n"
    for query in ("follow=true", "tailLines=1"):
        async with client.get(f"{path}?{query}") as answer:
            assert await refusal(answer) == TOO_MANY
    held.pop().close()
    await settled(lambda: kubelet["open"] == 1)
    async with client.get(path) as answer:
        assert (answer.status, await answer.text()) == (200, "one\n")
    held.pop().close()


async def test_what_the_kubelet_says_is_passed_on(client, kubelet):
    path = await start_pod(client, "starting", nodeName="n")
    async with client.get(path) as answer:
        body = await answer.json()
    words = 'container "c" in pod "starting" is waiting to start: ContainerCreating'
    assert (answer.status, body["reason"], body["message"]) == (400, "BadRequest", words)


async def test_log_without_node_or_kubelet(client):
    async with client.get(await start_pod(client, "p")) as answer:
        assert (answer.status, await answer.read()) == (204, b"")
    async with client.get(await start_pod(client, "q", nodeName="n")) as answer:
        message = (await answer.json())["message"]
    assert answer.status == 500
    assert message.startswith('Get "https://')
