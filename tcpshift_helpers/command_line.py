"""A kubectl command line, read and carried out by the helpers of kubectl.py; no kubectl needed.

What it knows is what those helpers do. Any other verb or flag is refused by name, and a terminal with the real kubectl
is the place for it: nothing is passed over in silence.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import TYPE_CHECKING, NoReturn

import yaml

from tcpshift_helpers import kubectl, shown
from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import mark, paragraph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tcpshift_helpers.connection import Cluster

    Verb = Callable[[Cluster, argparse.Namespace], object]

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_ELSEWHERE = mark("For that, open a terminal (File, New, Terminal) and use the real kubectl.")


def run(cluster: Cluster, line: str, standard_input: str = "") -> object:
    """Carry out what follows `kubectl` on a line, and print what kubectl would print.

    Args:
        cluster: where; `-n` on the line wins over its namespace.
        line: for instance `get pods -l app=tcp-echo -o wide`, quoted as for a shell.
        standard_input: what `-f -` reads.

    Returns:
        What the helper returns, such as the objects.

    Raises:
        UsageError: the line cannot be read, or asks for a verb or flag that is not known here.
        TcpShiftError: what the helper raises.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(_("The command line cannot be read: {error}.").format(error=error)) from error
    words, command = _split(words)
    asked = _parser().parse_args(words)
    asked.command, asked.standard_input = command, standard_input
    verb: Verb = asked.verb
    with shown.typed_by_hand():
        return verb(cluster, asked)


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The words before `--`, and the command after it."""
    if "--" not in words:
        return words, []
    place = words.index("--")
    return words[:place], words[place + 1 :]


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an error of ours, where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(_and_where_else(f"{self.prog}: {message}."))


def _and_where_else(refusal: str) -> str:
    return paragraph([refusal, _ELSEWHERE])


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kubectl", add_help=False, allow_abbrev=False)
    parser.add_argument("-n", "--namespace")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)

    def add(name: str, verb: Verb, *positional: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, add_help=False, allow_abbrev=False)
        # SUPPRESS: what stood before the verb is not undone by what does not stand after it.
        one.add_argument("-n", "--namespace", default=argparse.SUPPRESS)
        one.set_defaults(verb=verb)
        for word in positional:
            one.add_argument(word.rstrip("*?"), nargs=word[-1] if word[-1] in "*?" else None)
        return one

    get = add("get", _get, "target*")
    get.add_argument("-l", "--selector", default="")
    get.add_argument("-o", "--output", default="")
    get.add_argument("-A", "--all-namespaces", action="store_true")
    get.add_argument("--show-labels", action="store_true")
    for name, verb in (("apply", _apply), ("create", _create)):
        add(name, verb, *([] if name == "apply" else ["target*"])).add_argument("-f", "--filename")
    delete = add("delete", _delete, "target*")
    delete.add_argument("-f", "--filename")
    delete.add_argument("--ignore-not-found", action="store_true")
    for name, verb in (("label", _label), ("annotate", _annotate)):
        add(name, verb, "target*").add_argument("--overwrite", action="store_true")
    patch = add("patch", _patch, "target*")
    patch.add_argument("-p", "--patch", required=True)
    patch.add_argument("--type", default="strategic", choices=["strategic", "merge", "json"])
    add("scale", _scale, "target*").add_argument("--replicas", type=int, required=True)
    logs = add("logs", _logs, "pod")
    logs.add_argument("-c", "--container")
    logs.add_argument("--tail", type=int)
    logs.add_argument("-p", "--previous", action="store_true")
    wait = add("wait", _wait, "target*")
    wait.add_argument("--for", dest="wait_for", required=True)
    wait.add_argument("--all", action="store_true")
    wait.add_argument("--timeout", type=_seconds, default=30.0)
    execute = add("exec", _exec, "pod")
    execute.add_argument("-c", "--container")
    return parser


def _seconds(text: str) -> float:
    """Seconds of a duration such as `1m30s`."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise argparse.ArgumentTypeError(_("{text!r} is no duration, such as 60s").format(text=text))
    return sum(float(part["number"]) * _SECONDS[part["unit"]] for part in parts)


def _targets(asked: argparse.Namespace) -> list[tuple[str, str | None]]:
    """Kinds and names, written `KIND`, `KIND NAME…`, `KIND,KIND` or `KIND/NAME…`."""
    words: Sequence[str] = asked.target
    if not words:
        raise UsageError(_("You must specify the type of resource, such as pods or deployment/tcp-echo-v1."))
    if "/" in words[0]:
        pairs = [word.partition("/") for word in words]
        return [(kind, name) for kind, _slash, name in pairs]
    names: list[str | None] = [*words[1:]] or [None]
    return [(kind, name) for kind in words[0].split(",") for name in names]


def _one(asked: argparse.Namespace) -> tuple[str, str, list[str]]:
    """The one object that is meant, and the words after it."""
    words: list[str] = asked.target
    if words and "/" in words[0]:
        kind, _slash, name = words[0].partition("/")
        return kind, name, words[1:]
    if len(words) < 2:
        raise UsageError(_("One object is needed, written KIND NAME or KIND/NAME."))
    return words[0], words[1], words[2:]


def _file(asked: argparse.Namespace) -> str:
    if not asked.filename:
        raise UsageError(_("must specify -f with a file of the course, a path, or - for the cell's own lines."))
    if asked.filename != "-":
        return str(asked.filename)
    if not asked.standard_input.strip():
        raise UsageError(_("-f - reads the lines under %%kubectl in the same cell; there are none."))
    return str(asked.standard_input)


def _get(cluster: Cluster, asked: argparse.Namespace) -> object:
    (kind, name), *others = _targets(asked)
    if others:
        raise UsageError(
            _and_where_else(
                _("kubectl get of several kinds or names in one line is not known here: one, or all of a kind.")
            )
        )
    return kubectl.get(
        cluster,
        kind,
        name,
        namespace=asked.namespace,
        all_namespaces=asked.all_namespaces,
        selector=asked.selector,
        output=asked.output,
        show_labels=asked.show_labels,
    )


def _apply(cluster: Cluster, asked: argparse.Namespace) -> object:
    return kubectl.apply(cluster, _file(asked), namespace=asked.namespace)


def _create(cluster: Cluster, asked: argparse.Namespace) -> object:
    if not asked.target:
        return kubectl.create(cluster, _file(asked), namespace=asked.namespace)
    kind, name, rest = _one(asked)
    if kind not in {"namespace", "ns"} or rest:
        raise UsageError(
            _and_where_else(
                _("kubectl create {kind} is not known here: create knows -f FILE and namespace NAME.").format(kind=kind)
            )
        )
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return kubectl.create(cluster, body)


def _delete(cluster: Cluster, asked: argparse.Namespace) -> None:
    if asked.filename:
        kubectl.delete_manifest(
            cluster, _file(asked), namespace=asked.namespace, ignore_not_found=asked.ignore_not_found
        )
        return
    for kind, name in _targets(asked):
        if name is None:
            raise UsageError("resource(s) were provided, but no name was specified")
        kubectl.delete(cluster, kind, name, namespace=asked.namespace, ignore_not_found=asked.ignore_not_found)


def _label(cluster: Cluster, asked: argparse.Namespace) -> object:
    kind, name, marks = _marks(cluster, asked, "labels")
    return kubectl.label(cluster, kind, name, marks, namespace=asked.namespace)


def _annotate(cluster: Cluster, asked: argparse.Namespace) -> object:
    kind, name, marks = _marks(cluster, asked, "annotations")
    return kubectl.annotate(cluster, kind, name, marks, namespace=asked.namespace)


def _marks(cluster: Cluster, asked: argparse.Namespace, field: str) -> tuple[str, str, dict[str, str | None]]:
    """Kind, name, and the labels or annotations to set; None removes one."""
    kind, name, words = _one(asked)
    marks: dict[str, str | None] = {}
    for word in words:
        key, is_set, value = word.partition("=")
        if not is_set and not word.endswith("-"):
            raise UsageError(_("{word!r} is neither KEY=VALUE nor KEY- (which removes it).").format(word=word))
        marks[key if is_set else word[:-1]] = value if is_set else None
    if not marks:
        raise UsageError(_("At least one KEY=VALUE, or KEY- to remove it, is needed."))
    if not asked.overwrite:
        there = cluster.read(cluster.api.resource_named(kind), name, asked.namespace)["metadata"].get(field) or {}
        for key, wanted in marks.items():
            if wanted is not None and there.get(key, wanted) != wanted:
                raise UsageError(f"'{key}' already has a value ({there[key]}), and --overwrite is false")
    return kind, name, marks


def _patch(cluster: Cluster, asked: argparse.Namespace) -> object:
    kind, name, _ = _one(asked)
    try:
        body = yaml.safe_load(asked.patch)
    except yaml.YAMLError as error:
        raise UsageError(f"unable to parse {json.dumps(asked.patch)}: {error}") from error
    return kubectl.patch(cluster, kind, name, body, patch_type=asked.type, namespace=asked.namespace)


def _scale(cluster: Cluster, asked: argparse.Namespace) -> object:
    kind, name, _rest = _one(asked)
    if cluster.api.resource_named(kind).kind != "Deployment":
        raise UsageError(
            _and_where_else(_("kubectl scale {kind} is not known here: scale knows deployments.").format(kind=kind))
        )
    return kubectl.scale(cluster, name, asked.replicas, namespace=asked.namespace)


def _logs(cluster: Cluster, asked: argparse.Namespace) -> object:
    return kubectl.logs(
        cluster,
        asked.pod,
        container=asked.container,
        namespace=asked.namespace,
        tail=asked.tail,
        previous=asked.previous,
    )


def _wait(cluster: Cluster, asked: argparse.Namespace) -> object:
    result = shown.Objects()
    for kind, name in _targets(asked):
        if name is None and not asked.all:
            raise UsageError(_("resource(s) were provided, but no name was specified; add --all to wait for each."))
        result += kubectl.wait(
            cluster,
            f"{kind}/{name}" if name else kind,
            wait_for=asked.wait_for,
            namespace=asked.namespace,
            timeout_seconds=asked.timeout,
        )
    return result


def _exec(cluster: Cluster, asked: argparse.Namespace) -> object:
    if not asked.command:
        raise UsageError(_("you must specify at least one command for the container, after --"))
    return kubectl.exec(cluster, asked.pod, asked.command, container=asked.container, namespace=asked.namespace)
