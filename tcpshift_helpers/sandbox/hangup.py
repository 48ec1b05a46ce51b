"""Whether the other end of a connection has gone, asked of the system.

asyncio does not say so where a TLS connection ends without TLS's own goodbye while it is not read from: it stops listening for
good, keeps the connection open, and drops without a word what is written to it. So whoever does not read has to ask.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def has_hung_up(transport: asyncio.BaseTransport | None) -> bool:
    """Whether all that the other end has sent was taken from the system, and no more will come."""
    if transport is None or transport.is_closing():
        return True
    try:
        with transport.get_extra_info("socket").dup() as same:
            return not same.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
