"""`python -m tcpshift_helpers.sandbox PART`: the composition root, the one place that knows every part.

Besides the four parts of ARCHITECTURE.md there is `certificates`, which makes them and ends.
A part finds its state by `TCPSHIFT_HOME` and runs until SIGTERM or SIGINT. With `--until-stdin-closes` it also
ends when its standard input does: the supervisor holds the other end, so no part outlives it, not even after
`kill -9`. It restarts nothing and writes no state.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# Longer than a part needs to stop in order, shorter than a learner's patience.
STOP_GRACE_SECONDS = 15.0


def main(arguments: list[str] | None = None) -> int:
    """Run one part to its end; the exit code is 0 after an orderly stop."""
    parser = argparse.ArgumentParser(
        prog="python -m tcpshift_helpers.sandbox", description="Run one part of the sandbox."
    )
    parser.add_argument("part", choices=sorted(_PARTS))
    parser.add_argument("--until-stdin-closes", action="store_true", help="end, too, when standard input ends")
    options = parser.parse_args(arguments)
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, name="until-stdin-closes", daemon=True).start()
    return _PARTS[options.part](Home.from_environment())


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        # To the main thread by name: only there a signal ends the system call it sleeps in.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(STOP_GRACE_SECONDS)
    print("This part did not stop in time and ends at once.", file=sys.stderr, flush=True)
    os._exit(70)


def _supervisor(home: Home) -> int:
    from tcpshift_helpers.sandbox.supervise import supervise  # noqa: PLC0415 (each process imports its own part alone)

    return supervise(home)


def _certificates(home: Home) -> int:
    from tcpshift_helpers.sandbox import certificates, network  # noqa: PLC0415

    certificates.ensure(home, [network.load_subnet(home).api_server])
    return 0


def _apiserver(home: Home) -> int:
    from tcpshift_helpers.sandbox.apiserver import server  # noqa: PLC0415
    from tcpshift_helpers.sandbox.mesh.injection import SidecarInjector  # noqa: PLC0415
    from tcpshift_helpers.sandbox.mesh.validation import IstioValidator  # noqa: PLC0415

    return _run(lambda: server.run(home, admission=[SidecarInjector(), IstioValidator()]))


def _agent(home: Home) -> int:
    from tcpshift_helpers.sandbox import agent  # noqa: PLC0415

    return _run(lambda: agent.run(home))


def _istiod(home: Home) -> int:
    from tcpshift_helpers.sandbox.mesh import istiod  # noqa: PLC0415

    return _run(lambda: istiod.run(home))


def _run(part: Callable[[], Coroutine[object, object, None]]) -> int:
    import asyncio  # noqa: PLC0415 (the supervisor does without: 7 MB)
    import logging  # noqa: PLC0415

    logging.basicConfig(
        level=os.environ.get("TCPSHIFT_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    asyncio.run(part())
    return 0


_PARTS: dict[str, Callable[[Home], int]] = {
    "supervisor": _supervisor,
    "certificates": _certificates,
    "apiserver": _apiserver,
    "agent": _agent,
    "istiod": _istiod,
}

if __name__ == "__main__":
    sys.exit(main())
