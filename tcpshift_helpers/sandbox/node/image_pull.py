"""Pulling an image: a look at the table, told in the kubelet's words.

An image without a stand-in is asked for again and again with growing pauses, as the real one does, and each time the
Event lists the images there are.

Source: kubernetes 1.34 pkg/kubelet/images/image_manager.go.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Protocol

from tcpshift_helpers.sandbox.node import images

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
_ERROR_SHOWN_SECONDS = 1.0
_NAME = re.compile(r"[a-z0-9._:/-]+(:[\w.-]+)?(@[\w:+.-]+)?", re.ASCII)


class Teller(Protocol):
    """Who pulls: it is told what to say."""

    def tell(self, event_type: str, reason: str, message: str) -> None:
        """Record an Event."""

    def wait(self, reason: str, message: str) -> None:
        """Be in the state `waiting`."""


async def pull(container: Mapping[str, Any], teller: Teller) -> images.Image:
    """The stand-in for the container's image; without one this goes on for ever, until it is cancelled."""
    name = container["image"]
    pause = FIRST_PAUSE_SECONDS
    while True:
        image = images.find(name)
        if image is not None:
            teller.tell("Normal", "Pulled", f'Container image "{name}" already present on machine')
            return image
        reason, message = _failure(name, container.get("imagePullPolicy"), teller)
        teller.tell("Warning", "Failed", f"Error: {reason}")
        teller.wait(reason, message)
        await asyncio.sleep(_ERROR_SHOWN_SECONDS)
        if reason == "ErrImagePull":
            back_off = f'Back-off pulling image "{name}"'
            teller.tell("Normal", "BackOff", back_off)
            teller.tell("Warning", "Failed", "Error: ImagePullBackOff")
            teller.wait("ImagePullBackOff", f"{back_off}: ErrImagePull: {message}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _failure(name: str, policy: str | None, teller: Teller) -> tuple[str, str]:
    if not _NAME.fullmatch(name):
        message = (
            f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": invalid reference format'
        )
        teller.tell("Warning", "InspectFailed", message)
        return "InvalidImageName", message
    if policy == "Never":
        message = f'Container image "{name}" is not present with pull policy of Never'
        teller.tell("Warning", "ErrImageNeverPull", message)
        return "ErrImageNeverPull", message
    error = (
        f"nothing in this sandbox stands in for {name}: no images are downloaded here. "
        f"Images there are: {images.available()}"
    )
    teller.tell("Normal", "Pulling", f'Pulling image "{name}"')
    teller.tell("Warning", "Failed", f'Failed to pull image "{name}": {error}')
    return "ErrImagePull", error
