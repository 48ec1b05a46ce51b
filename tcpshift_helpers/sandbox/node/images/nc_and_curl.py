"""Stands in for the `nc` and `curl` of a client's image, so that they know the names of Services.

Run as `python -S -E nc_and_curl.py nc HOST PORT`, or `… curl PATH-OF-THE-HOSTS-CURL ARGUMENT…`. Names are looked up in the file that
`POD_HOSTS_FILE` names, and on the host if they are not there. `nc` is busybox's as a client: what it reads goes to the peer, the end
of it closes that direction alone, and what the peer sends is written until the peer ends. `curl` is the host's own, told where
those names are.

Not done: `nc` as a server, UDP, `-e`; `curl` where the host has none.

Source: busybox 1.37 networking/nc.c (its words, options -w and -z).
"""

import argparse
import os
import select
import socket
import sys

_READ_SIZE = 65536


def hosts() -> dict[str, str]:
    """Address by name; empty without a file."""
    try:
        with open(os.environ.get("POD_HOSTS_FILE", os.devnull), encoding="utf-8") as file:  # noqa: PTH123 (pathlib starts slowly)
            rows = [line.split() for line in file]
    except OSError:
        return {}
    return {name: row[0] for row in reversed(rows) for name in row[1:]}


def nc(arguments: list[str]) -> int:
    """Be `nc`; returns its exit code."""
    parser = argparse.ArgumentParser("nc", usage="nc [-z] [-w SEC] HOST PORT", add_help=False)
    parser.add_argument("-w", type=float, metavar="SEC")
    parser.add_argument("-z", action="store_true")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    asked = parser.parse_args(arguments)
    name = asked.host.rstrip(".").lower()
    try:
        address = socket.gethostbyname(hosts().get(name, asked.host))
    except OSError:
        return _fail(f"bad address '{asked.host}'")
    try:
        peer = socket.create_connection((address, asked.port), asked.w)
    except TimeoutError:
        return _fail("timed out")
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "Invalid argument"
        return _fail(f"can't connect to remote host ({address}): {why}")
    with peer:
        peer.settimeout(None)
        return 0 if asked.z else _carry(peer, asked.w)


def _carry(peer: socket.socket, wait_seconds: float | None) -> int:
    """Carry both ways until the peer ends, or says nothing for `wait_seconds` after the last that was read here."""
    reading: list[socket.socket | int] = [peer, 0]
    try:
        while True:
            ready, _, _ = select.select(reading, [], [], None if 0 in reading else wait_seconds)
            if not ready:
                return _fail("timed out")
            if peer in ready:
                data = peer.recv(_READ_SIZE)
                if not data:
                    return 0
                _write(data)
            if 0 in ready:
                data = os.read(0, _READ_SIZE)
                if data:
                    peer.sendall(data)
                else:
                    reading.remove(0)
                    peer.shutdown(socket.SHUT_WR)
    except BrokenPipeError:
        return 1
    except OSError as error:
        return _fail(f"{error.strerror}")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _fail(words: str) -> int:
    sys.stderr.write(f"nc: {words}\n")
    return 1


def curl(program: str, arguments: list[str]) -> int:
    """Become the host's `curl`; returns only if there is none."""
    if not program:
        sys.stderr.write("curl: this computer has no curl; install it, or use nc\n")
        return 127
    said = " ".join(arguments).lower()
    connections = [f"{name}::{address}:" for name, address in hosts().items() if name in said]
    options = [word for connection in connections for word in ("--connect-to", connection)]
    return os.execv(program, ["curl", *options, *arguments])  # noqa: S606 (that is what it is for)


if __name__ == "__main__":
    if sys.argv[1] == "nc":
        sys.exit(nc(sys.argv[2:]))
    sys.exit(curl(sys.argv[2], sys.argv[3:]))
