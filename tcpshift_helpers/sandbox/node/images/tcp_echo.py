"""Stands in for Istio's tcp-echo-server: each line comes back with a prefix and a space in front of it.

Run as `python -S -E tcp_echo.py 9000,9001,9002 one`. One thread serves all connections of all ports, without asyncio or
ssl, so that a container costs less than 10 MB. A line counts once its newline is there; what follows the last newline gets no
answer. Many lines may follow each other on a connection.

Not as the real one: a line may have at most 1 MiB (Go's `bufio.Reader.ReadBytes` lets it grow without bound), then the
connection is closed; log lines are dropped, not waited for, when nobody takes them.

Source: istio/istio samples/tcp-echo/src/main.go.
"""

import os
import select
import socket
import sys

LONGEST_LINE = 1024 * 1024
_READ_SIZE = 65536
_ENOUGH_UNSENT = 256 * 1024


class Connection:
    """One client: bytes of the line not yet ended, bytes not yet sent."""

    __slots__ = ("ended", "received", "sending", "socket")

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.received = bytearray()
        self.sending = bytearray()
        self.ended = False

    def take(self, data: bytes, prefix: bytes) -> bool:
        """Answer every line that `data` completes; returns False if a line grew too long."""
        self.received += data
        *lines, rest = self.received.split(b"\n")
        for line in map(bytes, lines):
            answer = b"%b %b\n" % (prefix, line)
            log(b"request: %b\nresponse: %b" % (line, answer))
            self.sending += answer
        self.received = rest
        return len(rest) <= LONGEST_LINE


def log(text: bytes) -> None:
    """Write to standard output; dropped if that is full or gone, so that nobody's reading can stop the service."""
    try:  # noqa: SIM105  (contextlib would cost memory in every container)
        os.write(1, text)
    except OSError:
        pass


class Server:
    """All listening sockets and connections of one process."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._poll = select.poll()
        self._listeners: dict[int, socket.socket] = {}
        self._connections: dict[int, Connection] = {}

    def listen(self, address: str, port: int) -> None:
        """Open one port. Raises OSError if it is taken."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(1024)
        listener.setblocking(False)
        self._listeners[listener.fileno()] = listener
        self._poll.register(listener.fileno(), select.POLLIN)
        log(b"listening on [::]:%d, prefix: %b\n" % (port, self._prefix))

    def serve(self) -> None:
        """Serve for ever."""
        while True:
            for descriptor, events in self._poll.poll():
                if descriptor in self._listeners:
                    self._accept(self._listeners[descriptor])
                elif descriptor in self._connections:
                    self._step(descriptor, events)

    def _accept(self, listener: socket.socket) -> None:
        # A burst of connections is taken in one go: it waits in the backlog otherwise.
        for _ in range(64):
            try:
                client, _address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                log(b"failed to accept connection, err: %b\n" % str(error).encode())
                return
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[client.fileno()] = Connection(client)
            self._poll.register(client.fileno(), select.POLLIN)

    def _step(self, descriptor: int, events: int) -> None:
        connection = self._connections[descriptor]
        try:
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR) and not connection.ended:
                self._read(connection)
            if connection.sending:
                sent = connection.socket.send(connection.sending)
                del connection.sending[:sent]
        except BlockingIOError:
            pass
        except OSError as error:
            log(b"failed to read data, err: %b\n" % str(error).encode())
            self._close(descriptor)
            return
        if connection.ended and not connection.sending:
            self._close(descriptor)
            return
        wanted = select.POLLOUT if connection.sending else 0
        # A client that sends without reading is not read from until it does.
        if not connection.ended and len(connection.sending) < _ENOUGH_UNSENT:
            wanted |= select.POLLIN
        self._poll.modify(descriptor, wanted)

    def _read(self, connection: Connection) -> None:
        data = connection.socket.recv(_READ_SIZE)
        if not data:
            connection.ended = True
        elif not connection.take(data, self._prefix):
            log(b"failed to read data, err: line longer than %d bytes\n" % LONGEST_LINE)
            connection.ended = True

    def _close(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self._connections.pop(descriptor).socket.close()


def main(arguments: list[str]) -> int:
    """Serve as the real one does; returns 1 if the arguments are wrong or a port cannot be opened."""
    if len(arguments) != 2:
        log(
            b"you should run it like: 'main [PORTS...] prefix' , please notice PORTS are comma-delineated , "
            b"like  port 1[,port 2]  \n"
        )
        return 1
    _allow_many_connections()
    if hasattr(os, "set_blocking"):
        os.set_blocking(1, False)
    server = Server(arguments[1])
    for port in arguments[0].split(","):
        try:
            server.listen(os.environ.get("POD_LISTEN_ADDRESS", ""), int(port))
        except (OSError, ValueError) as error:
            log(b"failed to create listener, err: listen tcp :%b: %b\n" % (port.encode(), str(error).encode()))
            return 1
    server.serve()
    return 0


def _allow_many_connections() -> None:
    try:
        import resource  # noqa: PLC0415  (Unix only)
    except ImportError:
        return
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:  # noqa: SIM105  (as above)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
