"""Whatever a client sends, the API server answers in order: no crash, no exception in its log, no leak.

The default run sends some 1,500 requests; the bar is 20,000:

    .venv/bin/pytest tests/fuzz/test_http_surface.py --requests 20000

Each run has a seed of its own, which a failure names; `--seed N` sends the same requests again. Errors of 500 and above are allowed where a
real server makes them, too: those below were measured, most of them in `tests/conformance`.
"""

from __future__ import annotations

import builtins
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from ..server_process import ServerProcess, eventually
from .requests import Requests, places_of, seeds_of
from .wire import Response, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..conftest import Api
    from .requests import Request

pytestmark = pytest.mark.timeout(3600)  # a longer run, or a failure that is being made short

NAMESPACE = "fuzz-requests"
RECORDED = Path(__file__).parents[1] / "unit/sandbox/apiserver/recorded"
WARM_UP = 0.4  # of all requests: by then every module is loaded and every cache is as full as it gets
GROWTH_BYTES = 12 * 1024 * 1024
MOST_COMPLAINTS = 20

# Codes of 500 and above, with the messages that a real server gives with them.
SAID_BY_THE_REAL_SERVER = (
    (
        500,
        r'(resourceVersion: Invalid value: ".*": )?strconv\.ParseUint: parsing ".*": (invalid syntax|value out of range)',
    ),
    (500, r"resourceVersion should not be set on objects to be created"),
    (500, r"failed to create typed patch object .*"),
    (500, r"failed to convert new object .* to proper version: .*"),
    (500, r"failed to create manager for existing fields: .*"),
    (500, r"couldn't get version/kind; json parse error: .*"),  # a DeleteOptions, as all down to the next blank line
    (500, r"(yaml: .*|error converting YAML to JSON: .*)"),
    (500, r"json: cannot unmarshal .*"),
    (500, r'no kind ".*" is registered for version ".*" in scheme "pkg/runtime/scheme\.go:110"'),
    (500, r"proto: .*|unexpected EOF|provided data does not appear to be a protobuf message, .*"),
    (
        500,
        r"(unknown patch type: .* in map: .*|The order in patch list:.*|delete patch type with no merge key defined)",
    ),
    (500, r"(list element types are not identical: .*|lists of lists are not supported)"),
    (500, r"expected a \[\]interface \{\}, but received a .*"),
    (500, r"map: .* does not contain declared merge key: .*"),
    (500, r"target\.name: Required value"),
    (500, r'error dialing backend: .*|Get "https://.*/containerLogs/.*": dial tcp .*'),
    (504, r"Timeout: Too large resource version: \d+, current: \d+"),
)
# Answers to what is no request, or none that Kubernetes knows of, are plain text.
PLAIN_TEXT = re.compile(rb"404 page not found\n|400 Bad Request|431 Request Header Fields Too Large|404: Not Found")
_EXCEPTIONS = [
    name
    for name, one in vars(builtins).items()
    if isinstance(one, type) and issubclass(one, Exception) and not issubclass(one, Warning)
]
PYTHON_WORDS = re.compile(
    r"Traceback|NoneType|has no attribute|object is not|"
    rf"\b(aiohttp|sqlite3|asyncio|tcpshift_helpers|{'|'.join(_EXCEPTIONS)})\b"
)


@dataclass
class Judge:
    """Collects what is wrong with answers."""

    complaints: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)

    def see(self, number: int, request: Request, response: Response, logged: str = "") -> None:
        self.codes[response.code] += 1
        for complaint in (
            *_complaints(request, response),
            *([f"the server's log says: {logged[-3000:]}"] if logged else ()),
        ):
            self.complaints.append(
                f"request {number}: {complaint}\n    {request}\n    {response.code} {response.body[:500]!r}"
            )


def _complaints(request: Request, response: Response) -> Iterator[str]:
    text = response.body.decode(errors="replace")
    if response.code <= 0:
        if not request.malformed:
            yield "no answer"
        return
    if PYTHON_WORDS.search(text) and response.code >= 400:
        yield "the answer speaks Python"
    if response.is_stream or request.method == "HEAD":
        return
    if response.content_type.startswith("application/json"):
        yield from _json_complaints(response, text)
    elif response.code == 406 and request.target.startswith("/openapi/"):
        if response.body:
            yield "more than the real server says"
    elif response.code >= 400 and not PLAIN_TEXT.fullmatch(response.body):
        yield "an error that is no Status"


def _json_complaints(response: Response, text: str) -> Iterator[str]:
    try:
        body = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        yield f"no JSON: {error}"
        return
    if response.code < 400:
        return
    if not isinstance(body, dict) or (body.get("kind"), body.get("status")) != ("Status", "Failure"):
        yield "an error that is no Status"
    elif body.get("code") != response.code:
        yield "the Status has another code"
    elif response.code >= 500 and not any(
        code == response.code and re.fullmatch(words, body["message"], re.DOTALL)
        for code, words in SAID_BY_THE_REAL_SERVER
    ):
        yield "an error that the real server does not make"


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    memory_bytes: int
    descriptors: int
    tasks: int


def footprint(server: ServerProcess) -> Footprint:
    process = psutil.Process(server.process.pid)
    held: Any = process.memory_full_info() if psutil.LINUX else process.memory_info()
    return Footprint(getattr(held, "pss", held.rss), process.num_fds(), server.tasks())


def stream_of_requests(api: Api, seed: int) -> Requests:
    """Drawn from what the server says of itself, and from requests of which it was recorded that a real server understands them."""
    groups = [version["groupVersion"] for group in api.get("/apis").body["groups"] for version in group["versions"]]
    listed = {root: api.get(root).body["resources"] for root in ("/api/v1", *(f"/apis/{group}" for group in groups))}
    definitions: dict[str, Any] = {}
    for document in api.get("/openapi/v3").body["paths"].values():
        definitions.update(api.get(document["serverRelativeURL"]).body.get("components", {}).get("schemas", {}))
    names = ("refusals", "defaults", "decoding", "patches", "selectors")
    recorded = [case for name in names for case in json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))]
    return Requests(seed, places_of(listed, definitions), definitions, seeds_of(recorded), NAMESPACE)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    given = request.config.getoption("--seed")
    return random.randrange(2**32) if given is None else given


@pytest.fixture
def wanted(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--requests")


def test_every_request_is_answered_in_order_and_nothing_is_left(
    tmp_path: Path, client_of: Callable[[Path], Api], seed: int, wanted: int
) -> None:
    judge = Judge()
    with ServerProcess(tmp_path) as server:
        api = client_of(server.kubeconfig)
        assert api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}).code == 201
        requests, wire = stream_of_requests(api, seed), Wire(api.host, api.tls, api.headers["Authorization"])
        api.close()
        at_rest, read = footprint(server), server.log.stat().st_size
        warm = at_rest
        for number in range(wanted):
            request = requests.next()
            response = wire.ask(request)
            judge.see(number, request, response, server.logged_after(read) if server.log.stat().st_size > read else "")
            read = server.log.stat().st_size
            if number == int(wanted * WARM_UP):
                warm, read = footprint(server), server.log.stat().st_size
            if len(judge.complaints) >= MOST_COMPLAINTS:
                break
        wire.close()
        eventually(
            lambda: footprint(server).descriptors <= at_rest.descriptors, "what was opened for clients is closed"
        )
        eventually(lambda: footprint(server).tasks <= at_rest.tasks, "the tasks of clients have ended")
        left = footprint(server)
    told = f"{len(judge.complaints)} complaints; the same requests again: --requests {wanted} --seed {seed}\n\n"
    assert not judge.complaints, told + "\n\n".join(judge.complaints)
    assert left.memory_bytes - warm.memory_bytes < GROWTH_BYTES, f"{at_rest}, {warm}, {left}, --seed {seed}"
    assert min(judge.codes[code] for code in (200, 201, 400, 404, 409, 415, 422)) > 0, judge.codes
    print(f"seed {seed}: {dict(sorted(judge.codes.items()))}; {at_rest}, {warm}, {left}")
