"""All controllers over the sandbox's own API server, in the test's process; no node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers.sandbox.controllers.context import Context
from tcpshift_helpers.sandbox.controllers.deployment import DeploymentController
from tcpshift_helpers.sandbox.controllers.endpoints import EndpointsController
from tcpshift_helpers.sandbox.controllers.endpointslice import EndpointSliceController
from tcpshift_helpers.sandbox.controllers.events import EventRecorder
from tcpshift_helpers.sandbox.controllers.garbage import GarbageCollector
from tcpshift_helpers.sandbox.controllers.job import JobController
from tcpshift_helpers.sandbox.controllers.namespace import NamespaceController
from tcpshift_helpers.sandbox.controllers.replicaset import ReplicaSetController
from tcpshift_helpers.sandbox.controllers.service import ServiceController
from tcpshift_helpers.sandbox.network import Subnet, load_subnet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tcpshift_helpers.sandbox.client import Client
    from tcpshift_helpers.sandbox.home import Home

ROOT_CERTIFICATE = "the certificate"


@dataclass
class Controllers:
    """What runs."""

    client: Client
    context: Context
    recorder: EventRecorder
    subnet: Subnet


@pytest.fixture
async def controllers(api_home: Home, api: Client) -> AsyncIterator[Controllers]:
    """Controllers that run, with a client to watch them by."""
    recorder = EventRecorder(api)
    context = Context(api, recorder)
    subnet = load_subnet(api_home)
    running = (
        DeploymentController(context),
        ReplicaSetController(context),
        JobController(context),
        EndpointSliceController(context),
        EndpointsController(context),
        ServiceController(context, subnet),
        NamespaceController(context, ROOT_CERTIFICATE),
        GarbageCollector(context),
    )
    tasks = [asyncio.create_task(work.run()) for work in (recorder, *context.informers.values())]
    for informer in context.informers.values():
        await asyncio.wait_for(informer.synced.wait(), 10)
    yield Controllers(api, context, recorder, subnet)
    for controller in running:
        await controller.queue.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
