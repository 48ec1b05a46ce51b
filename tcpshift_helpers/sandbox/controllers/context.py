"""What every controller is given: the client, the shared informers, the event recorder.

One informer a kind, shared by all controllers and the node, so that each object is kept in memory once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.informer import Informer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tcpshift_helpers.sandbox.client import Client, Resource
    from tcpshift_helpers.sandbox.controllers.events import EventRecorder


class Context:
    """Shared by all controllers and the node of one agent.

    Attributes:
        client: the API client.
        recorder: where Events go.
        informers: one for each kind that somebody asked for, to be run by the agent.
    """

    def __init__(
        self, client: Client, recorder: EventRecorder, informers: dict[Resource, Informer] | None = None
    ) -> None:
        self.client = client
        self.recorder = recorder
        self.informers: dict[Resource, Informer] = {} if informers is None else informers

    def of(self, program: str) -> Context:
        """The same for another program: it shares the informers, and `managedFields` name it for what it writes."""
        return Context(self.client.named(program), self.recorder, self.informers)

    def informer(self, resource: Resource) -> Informer:
        """The shared informer of one kind."""
        if resource not in self.informers:
            self.informers[resource] = Informer(self.client, resource)
        return self.informers[resource]

    def in_namespace(self, resource: Resource, namespace: str) -> Iterator[dict[str, Any]]:
        """The known objects of one kind in one namespace."""
        # A copy of the list: callers await between items, and the informer goes on meanwhile.
        for key, obj in list(self.informer(resource).objects.items()):
            if key[0] == namespace:
                yield obj

    async def write_status(
        self,
        resource: Resource,
        obj: dict[str, Any],
        status: dict[str, Any],
        annotations: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Merge `status` into the object's status subresource; a field given as None is removed.

        Annotations written this way leave `metadata.generation` alone, which a write of the object itself would raise.
        """
        metadata = obj["metadata"]
        patch: dict[str, Any] = {"status": status}
        if annotations:
            patch["metadata"] = {"annotations": annotations}
        answer = await self.client.merge_patch(resource, metadata["name"], metadata.get("namespace"), patch, "status")
        if resource in self.informers:
            self.informers[resource].remember(answer)
        return answer
