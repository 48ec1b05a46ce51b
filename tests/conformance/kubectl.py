"""The real kubectl, and what the tests let it apply."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """\
apiVersion: v1
kind: Service
metadata:
  name: tcp-echo
  labels: {app: tcp-echo}
spec:
  ports:
  - {name: tcp, port: 9000}
  - {name: tcp-other, port: 9001}
  selector: {app: tcp-echo}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: tcp-echo-v1
  labels: {app: tcp-echo, version: v1}
spec:
  replicas: 1
  selector:
    matchLabels: {app: tcp-echo, version: v1}
  template:
    metadata:
      labels: {app: tcp-echo, version: v1}
    spec:
      containers:
      - name: tcp-echo
        image: docker.io/istio/tcp-echo-server:1.3
        args: ["9000,9001,9002", "one"]
        ports: [{containerPort: 9000}, {containerPort: 9001}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: tcp-echo
spec:
  hosts: ["*"]
  gateways: [tcp-echo-gateway]
  tcp:
  - match: [{port: 31400}]
    route:
    - destination: {host: tcp-echo, port: {number: 9000}, subset: v1}
      weight: 100
"""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl in one namespace of one server.

    Attributes:
        kubeconfig: of the server.
        cache: directory for what kubectl remembers of servers.
        namespace: where it works.
    """

    kubeconfig: Path
    cache: Path
    namespace: str

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0, **environment: str) -> str:
        """What it prints, to either stream, once it ended with this code; the test is skipped where there is no kubectl."""
        if shutil.which("kubectl") is None:
            pytest.skip("needs kubectl")
        head = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.cache), "-n", self.namespace]
        done = subprocess.run(
            [*head, *arguments],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **environment},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr
