"""The libraries that people drive a cluster with, each behind the same few verbs, used as their own documentation shows.

Objects go in and come out as dictionaries; nothing here knows what the lesson is about.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import kr8s
import kr8s.asyncio
import lightkube
import lightkube.codecs
import lightkube.generic_resource
from kr8s._async_utils import as_sync_func
from kr8s.asyncio.objects import object_from_spec as async_object_from_spec
from kr8s.objects import object_from_spec
from kubernetes import client, config, dynamic, utils, watch
from lightkube.config.kubeconfig import KubeConfig
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Namespace
from lightkube.types import PatchType

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

Object = dict[str, Any]


class Driver(Protocol):
    """What a lesson needs of a client."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None: ...
    def create(self, obj: Object) -> None:
        """Create one object of any kind."""

    def wait_available(self, deployment: str) -> None:
        """Until the Deployment's condition Available is True."""

    def patch(self, virtual_service: str, body: Object) -> None:
        """JSON merge patch."""

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        """Watch the object until it is so; False if the watch ended before."""

    def delete_namespace(self) -> None:
        """Delete the namespace; it may go on in the background."""

    def close(self) -> None:
        """Let connections go."""


class OfficialTyped:
    """kubernetes: typed calls, `utils.create_from_dict`, `watch.Watch`, custom objects."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.client, self.namespace = config.new_client_from_config(str(kubeconfig)), namespace
        self.custom = client.CustomObjectsApi(self.client)

    def create(self, obj: Object) -> None:
        if obj["apiVersion"].startswith("networking.istio.io"):
            where = ("networking.istio.io", "v1", self.namespace, f"{obj['kind'].lower()}s")
            self.custom.create_namespaced_custom_object(*where, obj)
        elif obj["kind"] == "Namespace":
            utils.create_from_dict(self.client, obj)
        else:
            utils.create_from_dict(self.client, obj, namespace=self.namespace)

    def wait_available(self, deployment: str) -> None:
        listed, field = client.AppsV1Api(self.client).list_namespaced_deployment, f"metadata.name={deployment}"
        stream = watch.Watch().stream(listed, self.namespace, field_selector=field, timeout_seconds=60)
        for event in stream:
            conditions = event["object"].status.conditions or []
            if any(one.type == "Available" and one.status == "True" for one in conditions):
                return
        raise TimeoutError(deployment)

    def patch(self, virtual_service: str, body: Object) -> None:
        where = ("networking.istio.io", "v1", self.namespace, "virtualservices", virtual_service)
        self.custom.patch_namespaced_custom_object(*where, body)

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        listed, field = self.custom.list_namespaced_custom_object, f"metadata.name={virtual_service}"
        where = ("networking.istio.io", "v1", self.namespace, "virtualservices")
        events = watch.Watch().stream(listed, *where, field_selector=field, timeout_seconds=30)
        return any(is_so(event["object"]) for event in events)

    def delete_namespace(self) -> None:
        client.CoreV1Api(self.client).delete_namespace(self.namespace)

    def close(self) -> None:
        self.client.close()
        self.client.rest_client.pool_manager.clear()


class OfficialDynamic:
    """kubernetes.dynamic: kinds found by discovery."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.client, self.namespace = config.new_client_from_config(str(kubeconfig)), namespace
        self.dynamic = dynamic.DynamicClient(self.client)

    def _resource(self, version: str, kind: str) -> Any:
        return self.dynamic.resources.get(api_version=version, kind=kind)

    def create(self, obj: Object) -> None:
        resource = self._resource(obj["apiVersion"], obj["kind"])
        resource.create(body=obj, namespace=self.namespace if resource.namespaced else None)

    def wait_available(self, deployment: str) -> None:
        events = self._resource("apps/v1", "Deployment").watch(
            namespace=self.namespace, field_selector=f"metadata.name={deployment}", timeout=60
        )
        for event in events:
            conditions = event["object"].status.conditions or []
            if any(one.type == "Available" and one.status == "True" for one in conditions):
                return
        raise TimeoutError(deployment)

    def patch(self, virtual_service: str, body: Object) -> None:
        self._resource("networking.istio.io/v1", "VirtualService").patch(
            body=body, name=virtual_service, namespace=self.namespace, content_type="application/merge-patch+json"
        )

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        resource = self._resource("networking.istio.io/v1", "VirtualService")
        field = f"metadata.name={virtual_service}"
        events = resource.watch(namespace=self.namespace, field_selector=field, timeout=30)
        return any(is_so(event["raw_object"]) for event in events)

    def delete_namespace(self) -> None:
        self._resource("v1", "Namespace").delete(name=self.namespace)

    def close(self) -> None:
        self.client.close()
        self.client.rest_client.pool_manager.clear()


class Kr8sSync:
    """kr8s, its synchronous half."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.api, self.namespace = kr8s.api(kubeconfig=str(kubeconfig), namespace=namespace), namespace

    def create(self, obj: Object) -> None:
        object_from_spec(self._placed(obj), api=self.api, allow_unknown_type=True).create()

    def _placed(self, obj: Object) -> Object:
        if obj["kind"] == "Namespace":
            return obj
        return {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}

    def wait_available(self, deployment: str) -> None:
        next(iter(self.api.get("deployments", deployment))).wait("condition=Available", timeout=60)

    def patch(self, virtual_service: str, body: Object) -> None:
        next(iter(self.api.get("virtualservices.networking.istio.io", virtual_service))).patch(body, type="merge")

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        selector = {"metadata.name": virtual_service}
        kind = "virtualservices.networking.istio.io"
        events = self.api.watch(kind, namespace=self.namespace, field_selector=selector)
        return any(is_so(obj.raw.to_dict()) for _, obj in events)

    def delete_namespace(self) -> None:
        next(iter(self.api.get("namespaces", self.namespace))).delete()

    def close(self) -> None:
        as_sync_func(self.api._session.aclose)()  # it has no other way


class Kr8sAsync:
    """kr8s on an event loop."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.runner, self.namespace = asyncio.Runner(), namespace
        self.api = self._run(kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=namespace))

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def create(self, obj: Object) -> None:
        async def create() -> None:
            placed = {**obj, "metadata": {**obj["metadata"], "namespace": self.namespace}}
            made = await async_object_from_spec(
                obj if obj["kind"] == "Namespace" else placed, api=self.api, allow_unknown_type=True
            )
            await made.create()

        self._run(create())

    async def _get(self, kind: str, name: str) -> Any:
        return await anext(self.api.get(kind, name))

    def wait_available(self, deployment: str) -> None:
        async def wait() -> None:
            await (await self._get("deployments", deployment)).wait("condition=Available", timeout=60)

        self._run(wait())

    def patch(self, virtual_service: str, body: Object) -> None:
        async def patch() -> None:
            await (await self._get("virtualservices.networking.istio.io", virtual_service)).patch(body, type="merge")

        self._run(patch())

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        async def watch_until() -> bool:
            kind, selector = "virtualservices.networking.istio.io", {"metadata.name": virtual_service}
            events = self.api.watch(kind, namespace=self.namespace, field_selector=selector)
            async with contextlib.aclosing(events):
                async for _, obj in events:
                    if is_so(obj.raw.to_dict()):
                        return True
            return False

        return bool(self._run(watch_until()))

    def delete_namespace(self) -> None:
        async def delete() -> None:
            await (await self._get("namespaces", self.namespace)).delete()

        self._run(delete())

    def close(self) -> None:
        self._run(self.api._session.aclose())  # it has no other way
        self.runner.close()


def istio_kinds_of_lightkube() -> dict[str, Any]:
    """Istio's kinds, made known to lightkube: it reads objects of no other."""
    make = lightkube.generic_resource.create_namespaced_resource
    kinds = ("Gateway", "DestinationRule", "VirtualService")
    return {kind: make("networking.istio.io", "v1", kind, f"{kind.lower()}s") for kind in kinds}


class LightkubeSync:
    """lightkube, its synchronous client."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self.client = lightkube.Client(config=KubeConfig.from_file(kubeconfig), namespace=namespace)
        self.virtual_service = istio_kinds_of_lightkube()["VirtualService"]

    def create(self, obj: Object) -> None:
        self.client.create(lightkube.codecs.from_dict(obj))

    def wait_available(self, deployment: str) -> None:
        self.client.wait(Deployment, deployment, for_conditions=["Available"])

    def patch(self, virtual_service: str, body: Object) -> None:
        self.client.patch(self.virtual_service, virtual_service, body, patch_type=PatchType.MERGE)

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        fields = {"metadata.name": virtual_service}
        events = self.client.watch(self.virtual_service, fields=fields, server_timeout=30)
        return any(is_so(obj.to_dict()) for _, obj in events)

    def delete_namespace(self) -> None:
        self.client.delete(Namespace, self.namespace)

    def close(self) -> None:
        self.client.close()


class LightkubeAsync:
    """lightkube on an event loop."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.runner, self.namespace = asyncio.Runner(), namespace
        self.client = lightkube.AsyncClient(config=KubeConfig.from_file(kubeconfig), namespace=namespace)
        self.virtual_service = istio_kinds_of_lightkube()["VirtualService"]

    def create(self, obj: Object) -> None:
        self.runner.run(self.client.create(lightkube.codecs.from_dict(obj)))

    def wait_available(self, deployment: str) -> None:
        self.runner.run(self.client.wait(Deployment, deployment, for_conditions=["Available"]))

    def patch(self, virtual_service: str, body: Object) -> None:
        self.runner.run(self.client.patch(self.virtual_service, virtual_service, body, patch_type=PatchType.MERGE))

    def watch_until(self, virtual_service: str, is_so: Callable[[Object], bool]) -> bool:
        async def watch_until() -> bool:
            fields = {"metadata.name": virtual_service}
            events = self.client.watch(self.virtual_service, fields=fields, server_timeout=30)
            async with contextlib.aclosing(events):
                async for _, obj in events:
                    if is_so(obj.to_dict()):
                        return True
            return False

        return self.runner.run(watch_until())

    def delete_namespace(self) -> None:
        self.runner.run(self.client.delete(Namespace, self.namespace))

    def close(self) -> None:
        self.runner.run(self.client.close())
        self.runner.close()
