"""The kubelet and, for its one node, the scheduler: pods of the API server become running pods.

A pod that is not bound yet is bound here and started at once, without waiting for the watch to tell of the binding.
After a start the pods of an earlier agent are taken over, and processes of pods that are gone are ended.

Not done: resource requests, affinity (but `nodeSelector`), priorities, scheduling gates' events, node leases, and the eviction
of pods that run when a taint comes.

Source: kubernetes 1.34 pkg/kubelet/kubelet.go, pkg/scheduler/schedule_one.go (Events and conditions).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.client import NODES, PODS, SERVICES, ApiError, key_of
from tcpshift_helpers.sandbox.controllers.ownership import is_being_deleted
from tcpshift_helpers.sandbox.controllers.pod_conditions import condition, is_finished, phase
from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.controllers.workqueue import WorkQueue
from tcpshift_helpers.sandbox.node import node_object, processes, programs, scheduling, service_links
from tcpshift_helpers.sandbox.node.addresses import PodAddresses
from tcpshift_helpers.sandbox.node.pod_worker import PodWorker

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.client import Key
    from tcpshift_helpers.sandbox.controllers.context import Context
    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.network import Subnet

log = logging.getLogger(__name__)

_ORPHAN_TERMINATION_SECONDS = 0.5
_DEFAULT_SCHEDULER = "default-scheduler"


class Kubelet:
    """All pods of the node.

    Attributes:
        home: the state directory.
        subnet: the sandbox's network.
        client: the API client.
        addresses: who holds which pod address.
        events: where the kubelet's Events go.
    """

    def __init__(self, context: Context, home: Home, subnet: Subnet) -> None:
        self.home = home
        self.subnet = subnet
        self.client = context.client
        self.addresses = PodAddresses(subnet)
        self.events = context.recorder.source("kubelet", node_object.NAME)
        self._context = context
        self._pods = context.informer(PODS)
        self._nodes = context.informer(NODES)
        self._services = context.informer(SERVICES)
        self._scheduler = context.of("kube-scheduler")
        self._scheduler_events = context.recorder.source(_DEFAULT_SCHEDULER)
        self._workers: dict[str, PodWorker] = {}
        self._discards: set[asyncio.Task[None]] = set()
        self.queue = WorkQueue("kubelet", self.sync)

    async def register(self) -> None:
        """Create the Node, or take it over, and write its status."""
        try:
            await self.client.create(NODES, node_object.node_object())
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        status = node_object.node_status(self.subnet, self.addresses.capacity)
        await self.client.merge_patch(NODES, node_object.NAME, None, {"status": status}, "status")

    async def begin(self) -> None:
        """Take over what an earlier agent left, then follow the pods. The pods must have been listed."""
        programs.install(self.home.programs)
        present = {pod["metadata"]["uid"]: pod for pod in self._pods.objects.values()}
        for uid, pod in present.items():
            address = (pod.get("status") or {}).get("podIP")
            if address and not is_finished(pod) and _is_ours(pod):
                self.addresses.assign(uid, address)
        await self._end_orphans(set(present))
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(lambda _event, _node: self._try_pending_pods())
        for pod in list(self._pods.objects.values()):
            self._pod_changed("ADDED", pod)

    async def _end_orphans(self, present: set[str]) -> None:
        self.home.pods.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(processes.end_unrecorded, self.home)
        folders = [path for path in self.home.pods.iterdir() if path.name not in present]
        if folders:
            await asyncio.to_thread(processes.stop_pods, folders, _ORPHAN_TERMINATION_SECONDS)
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)

    def _pod_changed(self, event_type: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if event_type == "DELETED":
            if worker is not None:
                task = asyncio.create_task(self._discard(uid, worker))
                self._discards.add(task)
                task.add_done_callback(self._discards.discard)
        elif worker is not None:
            worker.update(pod)
        else:
            self.queue.add(key_of(pod))

    async def _discard(self, uid: str, worker: PodWorker) -> None:
        await worker.discard()
        self._workers.pop(uid, None)
        self.release(uid)

    def release(self, uid: str) -> None:
        """Take a pod's address back, and give pods that found none another chance."""
        self.addresses.release(uid)
        self._try_pending_pods()

    def _try_pending_pods(self) -> None:
        for key, pod in self._pods.objects.items():
            if not pod["spec"].get("nodeName"):
                self.queue.add(key)

    async def sync(self, key: Key) -> None:
        """Bind one pod if it is not bound, and start it."""
        pod = self._pods.objects.get(key)
        if pod is None or pod["metadata"]["uid"] in self._workers:
            return
        if not pod["spec"].get("nodeName"):
            if is_being_deleted(pod) or not self._is_mine_to_schedule(pod) or not await self._bind(pod):
                return
            # While the binding was written the pod may have gone.
            current = self._pods.objects.get(key)
            if current is None or current["metadata"]["uid"] != pod["metadata"]["uid"]:
                self.addresses.release(pod["metadata"]["uid"])
                return
            pod = {**current, "spec": {**current["spec"], "nodeName": node_object.NAME}}
        elif not _is_ours(pod):
            return
        self._begin(pod)

    def _begin(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("hostNetwork"):
            address: str | None = self.subnet.api_server
        elif is_finished(pod):  # Kept only for its logs and its deletion.
            address = (pod.get("status") or {}).get("podIP", "")
        else:
            address = self.addresses.assign(uid, (pod.get("status") or {}).get("podIP"))
        if address is None:
            log.warning("pod %s: no address is free", pod["metadata"]["name"])
            return
        worker = self._workers[uid] = PodWorker(self, pod, address)
        worker.begin()

    def _is_mine_to_schedule(self, pod: dict[str, Any]) -> bool:
        spec = pod["spec"]
        return spec.get("schedulerName", _DEFAULT_SCHEDULER) == _DEFAULT_SCHEDULER and not spec.get("schedulingGates")

    async def _bind(self, pod: dict[str, Any]) -> bool:
        obstacle = self._obstacle(pod)
        if obstacle is not None:
            await self._refuse(pod, obstacle)
            return False
        namespace, name = key_of(pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node_object.NAME},
        }
        try:
            await self._scheduler.client.create(PODS, binding, name=name, subresource="binding")
        except ApiError as error:
            self.addresses.release(pod["metadata"]["uid"])
            if error.code == 404:
                return False
            raise
        self._scheduler_events.normal(
            pod, "Scheduled", f"Successfully assigned {namespace}/{name} to {node_object.NAME}"
        )
        return True

    def _obstacle(self, pod: dict[str, Any]) -> str | None:
        """Why the pod cannot run here, in the scheduler's words; None if it can. Reserves its address."""
        node = self._nodes.objects.get(("", node_object.NAME)) or node_object.node_object()
        obstacle = scheduling.obstacle(pod, node)
        if obstacle is not None:
            return obstacle
        if not pod["spec"].get("hostNetwork") and self.addresses.assign(pod["metadata"]["uid"]) is None:
            return "1 Too many pods"
        return None

    async def _refuse(self, pod: dict[str, Any], obstacle: str) -> None:
        message = (
            f"0/1 nodes are available: {obstacle}. no new claims to deallocate, preemption: 0/1 nodes are available: "
        )
        message += "1 Preemption is not helpful for scheduling."
        known = condition(pod, "PodScheduled")
        if known is not None and known.get("message") == message:
            return
        self._scheduler_events.warning(pod, "FailedScheduling", message)
        entry = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "reason": "Unschedulable",
            "message": message,
        }
        await self._scheduler.write_status(PODS, pod, {"phase": phase(pod), "conditions": [entry]})

    async def write_status(self, pod: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        """Write a pod's status."""
        return await self._context.write_status(PODS, pod, status)

    def service_links(self, pod: dict[str, Any]) -> dict[str, str]:
        """The variables by which the pod's containers find the Services that there are now."""
        enabled = bool(pod["spec"].get("enableServiceLinks", True))
        services = self._services.objects.values()
        return service_links.variables(services, pod["metadata"]["namespace"], enabled=enabled)

    def environment_of_istiod(self) -> dict[str, str]:
        """What istiod alone is told: where the state directory is, and how to import this package."""
        extra = {name: os.environ[name] for name in ("PYTHONPATH", "TCPSHIFT_LOG_LEVEL") if name in os.environ}
        return {"TCPSHIFT_HOME": str(self.home.root), "PYTHONUNBUFFERED": "1", **extra}

    def worker_of(self, namespace: str, name: str) -> PodWorker | None:
        """The pod of that name, if it runs here."""
        pod = self._pods.objects.get((namespace, name))
        return self._workers.get(pod["metadata"]["uid"]) if pod is not None else None

    async def shut_down(self, grace_seconds: float) -> None:
        """End all processes; the pods stay, to be started again with the sandbox."""
        await self.queue.close()
        workers = list(self._workers.values())
        await asyncio.gather(*(worker.shut_down(grace_seconds) for worker in workers), return_exceptions=True)
        await asyncio.gather(*self._discards, return_exceptions=True)


def _is_ours(pod: dict[str, Any]) -> bool:
    return bool(pod["spec"].get("nodeName") == node_object.NAME)
