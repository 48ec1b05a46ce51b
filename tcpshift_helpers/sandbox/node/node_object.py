"""The Node object `sandbox`: what this computer says of itself. Pure but for asking the system.

Source: kubernetes 1.34 pkg/kubelet/nodestatus/setters.go (conditions and their words).
"""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import psutil

from tcpshift_helpers.sandbox.controllers.timestamps import now
from tcpshift_helpers.sandbox.network import KUBELET_PORT

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.network import Subnet

NAME = "sandbox"
KUBELET_VERSION = "v1.34.0"
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node_object() -> dict[str, Any]:
    """The Node as it is registered."""
    labels = {
        "kubernetes.io/arch": architecture(),
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": platform.system().lower(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {},
    }


def architecture() -> str:
    """This computer's architecture in Go's words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def node_status(subnet: Subnet, pods: int) -> dict[str, Any]:
    """Its status: size, addresses, conditions, versions, where logs are asked for."""
    capacity = {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{psutil.virtual_memory().total // 1024}Ki",
        "pods": str(pods),
    }
    moment = now()
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [
            {"type": "InternalIP", "address": subnet.api_server},
            {"type": "Hostname", "address": NAME},
        ],
        "conditions": [
            {
                "type": condition_type,
                "status": status,
                "lastHeartbeatTime": moment,
                "lastTransitionTime": moment,
                "reason": reason,
                "message": message,
            }
            for condition_type, status, reason, message in _HEALTHY
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": {
            "architecture": architecture(),
            "bootID": "",
            "containerRuntimeVersion": "tcpshift://processes",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": "",
            "operatingSystem": platform.system().lower(),
            "osImage": "tcpshift sandbox",
            "systemUUID": "",
        },
    }
