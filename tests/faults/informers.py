"""Informers of ConfigMaps, written around the watches of the libraries that people use, as their users have to.

None of these libraries keeps a copy of a kind by itself. So: list, watch from the list's version, go on from the last version seen
when the connection is lost, and list anew when the server says that this version is too old. The sandbox's own informer comes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import httpx2
import kr8s
import kr8s.asyncio
import lightkube
import urllib3
from kr8s._async_utils import as_sync_func
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core import decoders
from lightkube.resources.core_v1 import ConfigMap

from tcpshift_helpers.sandbox.client import CONFIG_MAPS, ApiError, Client, UnreachableError
from tcpshift_helpers.sandbox.informer import Informer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

Object = dict[str, Any]
Event = tuple[str, str, int]
_BACK_OFF_SECONDS = 0.05
BOOKMARK_SECONDS = 3  # a watch that ends after so long is sent a bookmark two seconds before


class ExpiredError(Exception):
    """The server no longer knows what happened since the version: list anew."""


class AwayError(Exception):
    """No answer, or it broke off."""


class Library(Protocol):
    """What an informer needs of a library: a list with its version, and events since a version."""

    goes_on: bool

    def __init__(self, kubeconfig: Path, namespace: str) -> None: ...
    def list(self) -> tuple[list[Object], str]:
        """All objects, and the version of the list."""

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        """Types and objects of events, until the server ends the watch."""

    def close(self) -> None:
        """Let connections go."""


class Official:
    """kubernetes: `watch.Watch`, with bookmarks."""

    goes_on = True

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)
        settings.retries = False
        self.client, self.namespace = client.ApiClient(settings), namespace
        self.api = client.CoreV1Api(self.client)

    def list(self) -> tuple[list[Object], str]:
        with _reworded((urllib3.exceptions.HTTPError,), ApiException, lambda error: error.status):
            answer = self.api.list_namespaced_config_map(self.namespace, _preload_content=False)
        listed = json.loads(answer.data)
        return listed["items"], listed["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        events = watch.Watch().stream(
            self.api.list_namespaced_config_map,
            self.namespace,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=BOOKMARK_SECONDS,
        )
        with (
            contextlib.closing(events),
            _reworded((urllib3.exceptions.HTTPError,), ApiException, lambda error: error.status),
        ):
            for event in events:
                yield event["type"], event["raw_object"]

    def close(self) -> None:
        self.client.close()
        self.client.rest_client.pool_manager.clear()


class Kr8sAsync:
    """kr8s on an event loop. Told that a version is too old it asks for it again, for ever: its users have to list after each loss."""

    goes_on = False

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.runner, self.namespace = asyncio.Runner(), namespace
        self.api = self.runner.run(kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=namespace))

    def list(self) -> tuple[list[Object], str]:
        return self.runner.run(_listed_by_kr8s(self.api, self.namespace))

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        events = self.api.watch("configmaps", namespace=self.namespace, since=version)
        with _reworded((httpx.HTTPError, kr8s.APITimeoutError)):
            for event, obj in _one_by_one(self.runner, events):
                yield event, obj.raw.to_dict()

    def close(self) -> None:
        self.runner.run(self.api._session.aclose())  # it has no other way
        self.runner.close()


class Kr8sSync:
    """kr8s, its synchronous half, which has the low-level calls on its own event loop alone."""

    goes_on = False

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.api, self.namespace = kr8s.api(kubeconfig=str(kubeconfig), namespace=namespace), namespace

    def list(self) -> tuple[list[Object], str]:
        return as_sync_func(_listed_by_kr8s)(self.api, self.namespace)

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        with _reworded((httpx.HTTPError, kr8s.APITimeoutError)):
            for event, obj in self.api.watch("configmaps", namespace=self.namespace, since=version):
                yield event, obj.raw.to_dict()

    def close(self) -> None:
        as_sync_func(self.api._session.aclose)()  # it has no other way


async def _listed_by_kr8s(api: Any, namespace: str) -> tuple[list[Object], str]:
    """Its `get` gives objects without the list's version."""
    with _reworded((httpx.HTTPError, kr8s.APITimeoutError)):
        async with api.call_api("GET", namespace=namespace, url="configmaps") as response:
            listed = response.json()
    return listed["items"], listed["metadata"]["resourceVersion"]


# msgspec, by which lightkube reads, may crash where two threads read a type for the first time at once.
decoders.decode_list(b'{"items": []}', ConfigMap)
decoders.decode_watch_event(b'{"type": "ADDED", "object": {}}')
decoders.decode_status(b"{}")


class LightkubeSync:
    """lightkube, its synchronous client."""

    goes_on = True

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.client = lightkube.Client(config=KubeConfig.from_file(kubeconfig), namespace=namespace)

    def list(self) -> tuple[list[Object], str]:
        with _reworded((httpx2.HTTPError,), lightkube.ApiError, lambda error: error.status.code):
            listed = self.client.list(ConfigMap)
            return [obj.to_dict() for obj in listed], listed.resourceVersion

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        with _reworded((httpx2.HTTPError,), lightkube.ApiError, lambda error: error.status.code):
            for event, obj in self.client.watch(ConfigMap, resource_version=version):
                yield event, obj.to_dict()

    def close(self) -> None:
        self.client.close()


class LightkubeAsync:
    """lightkube on an event loop."""

    goes_on = True

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.runner = asyncio.Runner()
        self.client = lightkube.AsyncClient(config=KubeConfig.from_file(kubeconfig), namespace=namespace)

    def list(self) -> tuple[list[Object], str]:
        async def every() -> tuple[list[Object], str]:
            listed = self.client.list(ConfigMap)
            return [obj.to_dict() async for obj in listed], listed.resourceVersion

        with _reworded((httpx2.HTTPError,), lightkube.ApiError, lambda error: error.status.code):
            return self.runner.run(every())

    def watch(self, version: str) -> Iterator[tuple[str, Object]]:
        events = self.client.watch(ConfigMap, resource_version=version)
        with _reworded((httpx2.HTTPError,), lightkube.ApiError, lambda error: error.status.code):
            for event, obj in _one_by_one(self.runner, events):
                yield event, obj.to_dict()

    def close(self) -> None:
        self.runner.run(self.client.close())
        self.runner.close()


def _one_by_one(runner: asyncio.Runner, events: AsyncIterator[Any]) -> Iterator[Any]:
    """What an asynchronous iterator gives, for a thread that has nothing else to do."""

    async def following() -> Any:
        return await anext(events, None)

    try:
        while (event := runner.run(following())) is not None:
            yield event
    finally:
        runner.run(events.aclose())  # type: ignore[attr-defined]


@contextlib.contextmanager
def _reworded(
    away: tuple[type[Exception], ...],
    refused: type[Exception] | None = None,
    code: Callable[[Any], int] = lambda _: 0,
) -> Iterator[None]:
    """A library's exceptions as the two that an informer has to tell apart."""
    try:
        yield
    except Exception as error:
        if refused and isinstance(error, refused):
            if code(error) != 410:
                raise
            raise ExpiredError(str(error)) from error
        if isinstance(error, away):
            raise AwayError(repr(error)) from error
        raise


class Informing:
    """An informer that runs in a thread of its own.

    Attributes:
        goes_on: when the server is lost it goes on from the version it has seen; otherwise it lists again.
        told: what its users were told, in order: type, name, version.
        refusals: what the server said when a version was too old.
        away: how often the server was lost.
        lists: how often all objects were read.
        version: the last that the server has spoken of.
        free: it may ask for something new; a test clears this to make it come late.
        waits: it has something to ask, but is not free.
        failure: what ended it before its time.
    """

    goes_on: bool

    def __init__(self, name: str) -> None:
        self.told: list[Event] = []
        self.refusals: list[str] = []
        self.away = self.lists = self.version = 0
        self.free, self.waits = threading.Event(), threading.Event()
        self.free.set()
        self._back_off = threading.Event()
        self._stopping = False
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)

    def objects(self) -> dict[str, Object]:
        """The copy, by name."""
        raise NotImplementedError

    def fresh(self) -> dict[str, Object]:
        """What the server has now, read by the same library."""
        raise NotImplementedError

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End with the next event."""
        self._stopping = True
        self.free.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"{self._thread.name} does not end; it is at\n{self._place()}"
        if self.failure:
            raise self.failure

    def _place(self) -> str:
        frame = sys._current_frames().get(self._thread.ident or 0)
        return "".join(traceback.format_stack(frame)) if frame else "its end"

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.failure = error

    def _run(self) -> None:
        raise NotImplementedError

    def until_free(self) -> None:
        if not self.free.is_set():
            self.waits.set()
            assert self.free.wait(60)
            self.waits.clear()


class InformerOf(Informing):
    """An informer around a library."""

    def __init__(self, library: type[Library], home: Home, namespace: str) -> None:
        super().__init__(library.__name__)
        self.goes_on = library.goes_on
        self._made_by = lambda: library(home.kubeconfig, namespace)
        self._objects: dict[str, Object] = {}

    def objects(self) -> dict[str, Object]:
        return dict(self._objects)

    def fresh(self) -> dict[str, Object]:
        with contextlib.closing(self._made_by()) as library:
            return _by_name(library.list()[0])

    def _run(self) -> None:
        library = self._made_by()  # here, for kr8s has one client for each event loop
        try:
            version = ""
            while not self._stopping:
                try:
                    version = self._follow(library, version)
                except ExpiredError as error:
                    self.refusals.append(str(error))
                    version = ""
                except AwayError:
                    self.away += 1
                    version = str(self.version) if library.goes_on and self.lists else ""
                    self._back_off.wait(_BACK_OFF_SECONDS)
        finally:
            library.close()

    def _follow(self, library: Library, version: str) -> str:
        """List if there is no version to go on from, and watch."""
        self.until_free()
        if not version:
            objs, version = library.list()
            self._replace(objs)
            self.lists += 1
            self.version = int(version)
        with contextlib.closing(library.watch(version)) as events:  # type: ignore[type-var]
            for kind, obj in events:
                version = obj["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._take(kind, obj)
                self.version = int(version)
                if self._stopping:
                    break
        return version if library.goes_on else ""

    def _replace(self, objs: list[Object]) -> None:
        listed = _by_name(objs)
        for name, known in list(self._objects.items()):
            if name not in listed or listed[name]["metadata"]["uid"] != known["metadata"]["uid"]:
                self._take("DELETED", known)
        for name, obj in listed.items():
            known = self._objects.get(name, {"metadata": {"resourceVersion": None}})
            if known["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._take("MODIFIED" if name in self._objects else "ADDED", obj)

    def _take(self, kind: str, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if kind == "DELETED":
            self._objects.pop(name, None)
        else:
            self._objects[name] = obj
        self.told.append((kind, name, int(obj["metadata"]["resourceVersion"])))


class OurOwn(Informing):
    """The informer of the sandbox's own parts, which does all this by itself."""

    goes_on = False

    def __init__(self, home: Home, namespace: str) -> None:
        super().__init__(OurOwn.__name__)
        self._home, self._namespace = home, namespace
        self._informer: Informer | None = None
        self._ended = asyncio.Event()

    def objects(self) -> dict[str, Object]:
        copy = self._informer.objects if self._informer else {}
        return {name: obj for (_, name), obj in list(copy.items())}

    def fresh(self) -> dict[str, Object]:
        async def listed() -> list[Object]:
            async with Client.from_home(self._home) as api:
                return (await api.list(CONFIG_MAPS, self._namespace))[0]

        return _by_name(asyncio.run(listed()))

    def _run(self) -> None:
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        async with _Observed.from_home(self._home) as api:
            api.by = self
            self._informer = Informer(api, CONFIG_MAPS, namespace=self._namespace)
            self._informer.on_change(self._note)
            task = asyncio.create_task(self._informer.run())
            await self._ended.wait()
        # After the session: it lets go of a watch that is open at once, of one that was given back only when the server answers.
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _note(self, kind: str, obj: Object) -> None:
        self.told.append((kind, obj["metadata"]["name"], int(obj["metadata"]["resourceVersion"])))
        if self._stopping:
            self._ended.set()


class _Observed(Client):
    """Tells the test what its informer asks for and hears. Waiting may block: the thread has nothing else to do."""

    by: OurOwn

    async def list(self, *arguments: Any, **options: Any) -> tuple[list[Object], str]:
        objs, version = await super().list(*arguments, **options)
        self.by.lists += 1
        self.by.version = int(version)
        return objs, version

    async def watch(self, *arguments: Any, **options: Any) -> AsyncGenerator[tuple[str, Object], None]:
        self.by.until_free()
        try:
            async with contextlib.aclosing(super().watch(*arguments, **options)) as events:
                async for kind, obj in events:
                    yield kind, obj
                    self.by.version = int(obj["metadata"]["resourceVersion"])
        except ApiError as error:
            self.by.refusals.append(str(error))
            raise
        except UnreachableError:
            self.by.away += 1
            raise


def _by_name(objs: list[Object]) -> dict[str, Object]:
    return {obj["metadata"]["name"]: obj for obj in objs}
