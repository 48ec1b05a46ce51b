"""One pod on this node: its containers in their order, its status, its end.

Source: kubernetes 1.34 pkg/kubelet/pod_workers.go, kubelet.go (SyncPod, SyncTerminatingPod), kuberuntime_manager.go.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox import envoy
from tcpshift_helpers.sandbox.client import PODS, ApiError, UnreachableError, key_of
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.pod_conditions import is_finished
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.network import ENVOY_ADMIN_PORT, ENVOY_STATUS_PORT, behind_sidecar
from tcpshift_helpers.sandbox.node import environment, images, processes, programs
from tcpshift_helpers.sandbox.node import status as pod_status
from tcpshift_helpers.sandbox.node.container import Container

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from tcpshift_helpers.sandbox.node.kubelet import Kubelet

log = logging.getLogger(__name__)

PROXY_CONTAINER = "istio-proxy"
INJECTED = "sidecar.istio.io/status"
_FIRST_RETRY_SECONDS = 0.02
_LONGEST_RETRY_SECONDS = 0.5


class PodWorker:
    """Makes one pod run, and tells the API server about it.

    Attributes:
        pod: the pod as last seen.
        address: its address.
        directory: its place in the state directory.
        admin_socket: its Envoy's, if it has one.
        containers: its containers by name, init containers first.
    """

    def __init__(self, kubelet: Kubelet, pod: dict[str, Any], address: str) -> None:
        self.pod = pod
        self.address = address
        self.directory: Path = kubelet.home.pod(pod["metadata"]["uid"])
        self.admin_socket: Path = kubelet.home.admin_socket(pod["metadata"]["uid"])
        self._kubelet = kubelet
        self._start_time = (pod.get("status") or {}).get("startTime") or now()
        spec = pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        reason = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self._init = [
            Container(
                self,
                entry,
                restart_policy=_init_policy(entry, policy),
                waiting_reason=reason,
                runs_to_completion=not pod_status.is_sidecar(entry),
            )
            for entry in spec.get("initContainers") or []
        ]
        self._main = [
            Container(self, entry, restart_policy=policy, waiting_reason=reason) for entry in spec["containers"]
        ]
        self.containers = {container.name: container for container in [*self._init, *self._main]}
        self._changed = asyncio.Event()
        self._sent: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._life: asyncio.Task[None] | None = None
        self._end: asyncio.Task[None] | None = None
        self._ending = False

    # What containers ask of it.

    @property
    def has_sidecar(self) -> bool:
        """Whether its application stands behind an injected proxy."""
        annotations = self.pod["metadata"].get("annotations") or {}
        return INJECTED in annotations and PROXY_CONTAINER in self.containers

    @property
    def grace_seconds(self) -> float:
        """How long its containers may take to end."""
        seconds = self.pod["metadata"].get("deletionGracePeriodSeconds")
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30) if seconds is None else seconds)

    @property
    def listen_address(self) -> str:
        """Where its application listens."""
        return behind_sidecar(self.address) if self.has_sidecar else self.address

    def probe_address(self, container: str) -> str:
        """Where a container's ports are."""
        return self.address if container == PROXY_CONTAINER else self.listen_address

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to a port as from within the pod: to the application, or to Envoy's own ports.

        Raises:
            OSError: nobody listens there.
        """
        if port == ENVOY_ADMIN_PORT and self.admin_socket.exists():
            return await envoy.open_admin(self.admin_socket)
        address = self.address if port == ENVOY_STATUS_PORT else self.listen_address
        return await asyncio.open_connection(address, port)

    def working_directory(self, container: str) -> Path:
        """Where a container runs; made if need be."""
        path = self.directory / "containers" / container
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    async def environment_of(self, container: Mapping[str, Any]) -> dict[str, str]:
        """A container's whole environment. Raises `environment.ConfigError` if it refers to what is not there."""
        metadata = self.pod["metadata"]
        pod = {**self.pod, "status": {**(self.pod.get("status") or {}), **self._addresses()}}
        image = images.find(container["image"])
        name = image.name if image is not None else ""
        fixed = {
            **programs.first_on_path(self._kubelet.home.programs, environment.from_host(), name),
            "HOME": str(self.working_directory(container["name"])),
            "HOSTNAME": metadata["name"],
            "POD_NAME": metadata["name"],
            "POD_NAMESPACE": metadata["namespace"],
            "POD_IP": self.address,
            "POD_LISTEN_ADDRESS": self.listen_address,
            "POD_HOSTS_FILE": str(self._kubelet.home.hosts_of(metadata["namespace"])),
        }
        if image is not None and image.kind == images.ENVOY:
            fixed["ENVOY_ADMIN_SOCKET"] = str(self.admin_socket)
        if image is not None and image.kind == images.ISTIOD:
            fixed |= self._kubelet.environment_of_istiod()
        links = self._kubelet.service_links(pod)
        return fixed | await environment.of_container(self._kubelet.client, pod, container, links)

    def event(self, event_type: str, reason: str, message: str, container: Container | None = None) -> None:
        """Tell people something about the pod or one of its containers."""
        field = ""
        if container is not None:
            field = f"spec.{'initContainers' if container in self._init else 'containers'}{{{container.name}}}"
        tell = self._kubelet.events.normal if event_type == "Normal" else self._kubelet.events.warning
        tell(self.pod, reason, message, field)

    def changed(self) -> None:
        """Have the status written soon."""
        self._changed.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the pod's life, ended with it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Its life.

    def begin(self) -> None:
        """Start to live, or go on where an earlier agent stopped."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._restore()
        if not is_finished(self.pod):
            self._life = asyncio.create_task(self._live(), name=f"pod {self.pod['metadata']['name']}")
        if is_being_deleted(self.pod):
            self.update(self.pod)

    def update(self, pod: dict[str, Any]) -> None:
        """Take in the pod as it is now."""
        self.pod = pod
        if is_being_deleted(pod) and self._end is None:
            self._ending = True
            self._end = asyncio.create_task(self._terminate(), name=f"end of pod {pod['metadata']['name']}")
        elif pod["spec"].get("readinessGates"):
            self.changed()

    def _restore(self) -> None:
        status = self.pod.get("status") or {}
        records = {record.container: record for record in processes.read_records(self.directory)}
        known = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        anew = False
        for entry in known:
            container = self.containers.get(entry["name"])
            if container is not None:
                container.restore(entry, records.get(container.name))
                anew = anew or (container.process is None and "running" in (entry.get("state") or {}))
        if anew and not is_being_deleted(self.pod):
            self.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")

    async def _live(self) -> None:
        self._tell_of_unmounted_volumes()
        # The address must be known before anything runs: istiod and probes go by it.
        await self._write_status()
        self.spawn(self._keep_status_written())
        for container in self._init:
            task = container.begin()
            if container.name in _sidecars(self.pod):
                await container.started.wait()
                continue
            await task
            if container.status()["state"].get("terminated", {}).get("exitCode") != 0:
                self.changed()
                return
        await asyncio.gather(*(container.begin() for container in self._main))
        for container in self._init:
            await container.stop(self.grace_seconds)
        self.changed()

    def _tell_of_unmounted_volumes(self) -> None:
        if (self.pod.get("status") or {}).get("podIP"):
            return
        names = [volume["name"] for volume in self.pod["spec"].get("volumes") or [] if "projected" not in volume]
        if names:
            message = (
                f"this sandbox mounts no volumes: containers see the host's files; not mounted: {', '.join(names)}"
            )
            self.event("Warning", "FailedMount", message)

    # Its end.

    async def _terminate(self) -> None:
        await asyncio.gather(*(container.stop(self.grace_seconds) for container in self.containers.values()))
        await self._cancel_life()
        await self._write_status()
        namespace, name = key_of(self.pod)
        await self._persist(
            lambda: self._kubelet.client.delete(
                PODS, name, namespace, grace_period_seconds=0, uid=self.pod["metadata"]["uid"]
            )
        )

    async def discard(self) -> None:
        """The pod is gone from the API server: end what still runs, at once, and forget it."""
        await asyncio.gather(*(container.finish() for container in self.containers.values()))
        if self._end is not None:
            self._end.cancel()
        await self._cancel_life()
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)

    async def shut_down(self, grace_seconds: float) -> None:
        """End its processes without telling the API server: the sandbox stops, the pod stays."""
        for task in self._tasks:
            task.cancel()
        grace = min(grace_seconds, self.grace_seconds)
        await asyncio.gather(*(container.stop(grace) for container in self.containers.values()))
        await self._cancel_life()

    async def _cancel_life(self) -> None:
        tasks = [task for task in (self._life, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Its status.

    def _addresses(self) -> dict[str, Any]:
        host = self._kubelet.subnet.api_server
        return {
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
        }

    def _status(self) -> dict[str, Any]:
        init = [container.status() for container in self._init]
        main = [container.status() for container in self._main]
        pod = {**self.pod, "status": {**(self.pod.get("status") or {}), **self._addresses()}}
        if self._sent is not None:
            # What was written last, even if the watch has not told of it yet: times of transitions go by it.
            pod["status"]["conditions"] = self._sent["conditions"]
        phase = pod_status.phase(pod["spec"], init, main, ending=self._ending)
        status: dict[str, Any] = {
            "phase": phase,
            "conditions": pod_status.conditions(pod, phase, init, main),
            **self._addresses(),
            "startTime": self._start_time,
            "containerStatuses": main,
        }
        if init:
            status["initContainerStatuses"] = init
        if self.pod["metadata"].get("generation"):
            status["observedGeneration"] = self.pod["metadata"]["generation"]
        return status

    async def _keep_status_written(self) -> None:
        while True:
            await self._changed.wait()
            await self._write_status()

    async def _write_status(self) -> None:
        self._changed.clear()
        status = self._status()
        if status == self._sent:
            return
        before, self._sent = self._sent, status
        answer = await self._persist(lambda: self._kubelet.write_status(self.pod, status))
        if answer is None:
            self._sent = before
        elif is_finished(answer):
            self._kubelet.release(self.pod["metadata"]["uid"])

    async def _persist(self, write: Any) -> Any:
        """Write until the API server takes it; None if it refuses or the pod is gone."""
        pause = _FIRST_RETRY_SECONDS
        while True:
            try:
                return await write()
            except UnreachableError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
            except ApiError as error:
                if error.code not in (404, 409):
                    log.warning("pod %s: %s", self.pod["metadata"]["name"], error)
                return None


def _init_policy(container: Mapping[str, Any], pod_policy: str) -> str:
    if pod_status.is_sidecar(container):
        return "Always"
    return "Never" if pod_policy == "Never" else "OnFailure"


def _sidecars(pod: Mapping[str, Any]) -> set[str]:
    return {entry["name"] for entry in pod["spec"].get("initContainers") or [] if pod_status.is_sidecar(entry)}
