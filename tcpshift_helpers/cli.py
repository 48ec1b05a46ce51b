"""`tcpshift`: the command line.

Each command is a thin layer over `sandbox.supervisor`, `lab`, `handout`, `netcat` and `distribution`: it parses, calls and prints.
Heavy modules are imported inside the commands that need them, so that `tcpshift up` answers at once when all is up.
It holds no logic that a notebook could want.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcpshift_helpers import language
from tcpshift_helpers.errors import SandboxError, TcpShiftError
from tcpshift_helpers.handout import Format, Reader

if TYPE_CHECKING:
    from tcpshift_helpers.sandbox.home import Home
    from tcpshift_helpers.sandbox.supervisor import Status

EXIT_ERROR = 1
EXIT_DOWN = 3
EXIT_NOT_READY = 4
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="tcpshift",
    help="Learn and rehearse Istio's TCP traffic shifting: a small local cluster with a real Envoy, and JupyterLab on the course.",
    epilog="State lives in one directory; TCPSHIFT_HOME chooses another. Each command's --help lists its exit codes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def _print_version(wanted: bool) -> None:
    from importlib.metadata import version  # noqa: PLC0415

    if wanted:
        typer.echo(f"tcpshift {version('tcpshift')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What holds for every command; the words about it are the app's."""


@app.command(
    epilog="Exit codes: 0 ready · 1 it could not be started · 2 wrong usage · 130 interrupted, and stopped again."
)
def up() -> None:
    """Start the sandbox and wait until it is ready; does nothing if it is up."""
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    started = time.monotonic()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        typer.echo(f"{line} ({time.monotonic() - started:.1f} s)" if len(lines) > 1 else f"{line} …")

    try:
        supervisor.start(_home(), progress=say)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What was started has been stopped again.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    current = supervisor.status(_home())
    typer.echo("The sandbox is up." if lines else "The sandbox is up already.")
    typer.echo(f"  API server  {current.server}\n  gateway     {current.gateway}\n  kubectl     {_export(_home())}")


@app.command(epilog="Exit codes: 0 nothing of it runs any more · 1 it could not be stopped · 2 wrong usage.")
def down() -> None:
    """Stop the sandbox; no process and no socket of it stays."""
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    was_running = supervisor.stop(_home())
    typer.echo("The sandbox is stopped." if was_running else "The sandbox was not running.")


@app.command(epilog="Exit codes: 0 up · 1 error · 2 wrong usage · 3 down · 4 running, but not ready.")
def status(as_json: _Json = False) -> None:
    """Show what runs, since when, and what was restarted."""
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    current = supervisor.status(_home())
    if as_json:
        typer.echo(json.dumps(asdict(current), indent=2))
    else:
        _print_status(current)
    if current.state != "up":
        raise typer.Exit(EXIT_DOWN if current.state == "down" else EXIT_NOT_READY)


def _print_status(current: Status) -> None:
    typer.echo(
        f"The sandbox is {current.state}."
        + (f" Missing: {', '.join(current.missing)}." if current.missing else "")
        + (" Start it with: tcpshift up" if current.state == "down" else "")
    )
    if current.error:
        typer.echo(f"The last start failed: {current.error}")
    rows = {"state directory": current.home, "API server": current.server, "gateway": current.gateway}
    rows |= {"supervisor": f"pid {current.pid}, {_since(current.started_at)}"} if current.started_at else {}
    for part in current.parts:
        restarts = f", restarted {part['restarts']} times, last: {part['last_exit']}" if part["restarts"] else ""
        runs = f"pid {part['pid']}, {_since(part['started_at'])}" if part["pid"] else "not running"
        rows[part["name"]] = f"{runs}{restarts}"
    for name, value in rows.items():
        if value:
            typer.echo(f"  {name:16} {value}")


@app.command(epilog="Exit codes: 0 done · 1 error · 2 wrong usage.")
def reset() -> None:
    """Forget every object and pod; keep credentials and address. Starts the sandbox again if it was up."""
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    supervisor.reset(_home(), progress=typer.echo)
    typer.echo("The sandbox is empty again.")


@app.command(epilog="Exit codes: 0 printed · 1 there is none yet · 2 wrong usage.")
def kubeconfig(
    export: Annotated[bool, typer.Option("--export", help="Print a line for the shell to evaluate.")] = False,
    content: Annotated[bool, typer.Option("--print", help="Print the file itself; it holds credentials.")] = False,
) -> None:
    """Print where the sandbox's kubeconfig is.

    In a shell: eval "$(tcpshift kubeconfig --export)"
    """
    home = _home()
    if not home.kubeconfig.exists():
        raise SandboxError(f"There is no kubeconfig at {home.kubeconfig} yet. The first `tcpshift up` makes it.")
    if content:
        typer.echo(home.kubeconfig.read_text(encoding="utf-8"), nl=False)
    else:
        typer.echo(_export(home) if export else str(home.kubeconfig))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Exit codes: JupyterLab's own, 0 after Ctrl-C · 1 error · 2 wrong usage.",
)
def lab(
    context: typer.Context,
    cluster: Annotated[
        str | None, typer.Option("--context", help="A context of your kubeconfig; no sandbox is started then.")
    ] = None,
    lang: Annotated[
        str | None, typer.Option(help="Open the lessons in en or zh-CN. Default: TCPSHIFT_LANGUAGE, else the locale's.")
    ] = None,
) -> None:
    """Open JupyterLab on the course, with the sandbox as its cluster.

    A sandbox that was not up before goes down with the lab. What follows `--` goes to JupyterLab:
    tcpshift lab -- --no-browser --port 9999
    """
    from tcpshift_helpers import lab as jupyter  # noqa: PLC0415

    words = jupyter.command(jupyter.course_folder(Path.cwd()), context.args, lang)
    if cluster is not None:
        raise typer.Exit(jupyter.run(words, jupyter.environment(None, cluster)))
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    home = _home()
    was_up = supervisor.status(home).state != "down"
    try:
        supervisor.start(home, progress=typer.echo)
        what = "JupyterLab" if was_up else "JupyterLab and the sandbox"
        typer.echo(f"JupyterLab starts. Ctrl-C here stops {what}.")
        code = jupyter.run(words, jupyter.environment(home.kubeconfig, None))
    finally:
        if not was_up:
            typer.echo("Stopping the sandbox that this lab started …")
            supervisor.stop(home)
            typer.echo("The sandbox is stopped.")
    raise typer.Exit(code)


@app.command(epilog="Exit codes: 0 everything is in order · 1 something is not · 2 wrong usage.")
def doctor(as_json: _Json = False) -> None:
    """Look for what could keep the sandbox from starting or working, and say what to do."""
    from tcpshift_helpers.sandbox import doctor as examination  # noqa: PLC0415

    findings = []
    for finding in examination.examine(_home()):
        findings.append(finding)
        if not as_json:
            mark = typer.style("ok  ", fg="green") if finding.ok else typer.style("FAIL", fg="red", bold=True)
            typer.echo(f"{mark} {finding.check}: {finding.detail}")
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_ERROR)


@app.command(
    epilog="Exit codes: 0 every probe was answered, and fits the weights · 1 it does not, or an error · 2 wrong usage · 130 interrupted."
)
def probe(  # noqa: PLR0917 (the options of a command line)
    host: Annotated[str | None, typer.Argument(help="Default: the sandbox's ingress gateway.")] = None,
    port: Annotated[int, typer.Argument(min=1, max=65535)] = 31400,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many probes.")] = 10,
    at_once: Annotated[int, typer.Option(min=1, help="How many connections at the same time.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds for each probe.")] = 5.0,
    weights: Annotated[str, typer.Option(help="Judge the answers by these weights, such as v1=80,v2=20.")] = "",
    show_lines: Annotated[bool, typer.Option("--lines", help="Print each answer, as nc would.")] = False,
    as_json: _Json = False,
) -> None:
    """Open connections to the gateway, send a line on each, and count who answers."""
    expected = _parse_weights(weights)
    if host is None:
        host = _gateway_host()
    from tcpshift_helpers import distribution, judgement, netcat  # noqa: PLC0415 (pandas and scipy: a second)

    frame = netcat.probe(host, port, count, at_once=at_once, timeout_seconds=timeout, progress=not as_json)
    counted = distribution.counts(frame)
    verdict = distribution.verdict(counted, expected) if expected else None
    if as_json:
        judged = asdict(verdict) if verdict else None
        report = {"host": host, "port": port, **asdict(counted), "verdict": judged}
        typer.echo(json.dumps(report | {"median_latency_ms": _finite(frame["latency_ms"].median())}, indent=2))
    else:
        if show_lines:
            netcat.lines(frame)
        typer.echo(f"{host}:{port}: {counted}")
        if verdict:
            # A FAIL's advice is for a notebook.
            too_few = verdict.word == judgement.TOO_FEW
            typer.echo(str(verdict) if too_few else f"{verdict.word}: {verdict.reason}")
        if not counted.answered:
            typer.echo("  do: see which routes there are: kubectl get gw,vs -A (lesson 02 makes the first)")
    if frame.attrs["interrupted"]:
        raise typer.Exit(EXIT_INTERRUPTED)
    if counted.failed or (verdict and verdict.word == judgement.FAIL):
        raise typer.Exit(EXIT_ERROR)


@app.command(epilog="Exit codes: 0 written · 1 it could not be · 2 wrong usage.")
def handout(
    lang: Annotated[str, typer.Option(help="Language of the lessons: en or zh-CN.")] = "en",
    reader: Annotated[
        Reader, typer.Option("--for", help="The instructor's has the answers and how long each lesson takes.")
    ] = Reader.LEARNER,
    form: Annotated[Format, typer.Option("--format", help="PDF needs Chromium or Chrome.")] = Format.HTML,
    lesson: Annotated[list[str] | None, typer.Option(help="Such as 03; may be repeated. Default: all.")] = None,
    output: Annotated[Path, typer.Option(help="The folder that it is written to.")] = Path(),
) -> None:
    """Write the lessons, as they were saved, to a file for printing."""
    from tcpshift_helpers import lab as jupyter  # noqa: PLC0415
    from tcpshift_helpers.handout import document  # noqa: PLC0415 (psutil)

    path = document.write(jupyter.notebooks(), lang, reader=reader, form=form, numbers=lesson or (), folder=output)
    typer.echo(path)


def _parse_weights(text: str) -> dict[str, int]:
    try:
        return {
            name.strip(): int(weight) for name, _, weight in (part.partition("=") for part in text.split(",") if part)
        }
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form v1=80,v2=20", param_hint="--weights") from None


def _gateway_host() -> str:
    from tcpshift_helpers.sandbox import supervisor  # noqa: PLC0415

    gateway = supervisor.status(_home()).gateway
    if gateway is None:
        raise SandboxError(
            "The sandbox is down, so there is no gateway to probe. Start it (tcpshift up), or name a host."
        )
    return gateway.rpartition(":")[0]


def _finite(number: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(number) else round(number, 3)


def _home() -> Home:
    from tcpshift_helpers.sandbox.home import Home  # noqa: PLC0415

    return Home.from_environment()


def _export(home: Home) -> str:
    import shlex  # noqa: PLC0415

    return f"export KUBECONFIG={shlex.quote(str(home.kubeconfig))}"


def _since(unix_seconds: float) -> str:
    return f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(unix_seconds))}"


def _end(number: int, _: object) -> None:
    """Let SIGTERM and a closed terminal unwind the stack, so that what a command started is stopped."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point: run a command; an error becomes one message on stderr and exit code 1, never a traceback."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    try:
        with language.only("en"):
            app()
    except TcpShiftError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        sys.stderr.close()
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
