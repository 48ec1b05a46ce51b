"""`supervisor.json`: what the supervisor tells the rest of the world about itself and its parts.

It is written by the supervisor alone, whole and at once. Whether that supervisor still lives is told by its lock,
not by this file: see `lock`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home

STARTING, RUNNING, STOPPING, STOPPED, FAILED = "starting", "running", "stopping", "stopped", "failed"


@dataclass
class Record:
    """The state of the supervisor.

    Attributes:
        state: `starting`, `running` (its parts are started, not necessarily ready), `stopping`, `stopped` or `failed`.
        pid: of the supervisor.
        started_at: Unix seconds.
        api_server: address of the API server; empty until it is chosen.
        gateway: address of the ingress gateway; empty until it is chosen.
        error_type: name of a class of `errors`, when the state is `failed`.
        error: its message.
        parts: one dict a part, see `Part.as_record`.
    """

    state: str
    pid: int
    started_at: float
    api_server: str = ""
    gateway: str = ""
    error_type: str = ""
    error: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)

    def write(self, home: Home) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        temporary = home.supervisor_state.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        temporary.replace(home.supervisor_state)


def read(home: Home) -> Record | None:
    """The last record, or None if there is none or it cannot be understood."""
    try:
        return Record(**json.loads(home.supervisor_state.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
