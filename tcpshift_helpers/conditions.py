"""Whether an object is where a `wait` wants it, and what to tell when it is not.

Pure: the API is asked by kubectl.py.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from tcpshift_helpers.errors import UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tcpshift_helpers.api import Object

_STATEMENT = re.compile(r"^condition=(?P<type>[A-Za-z0-9./_-]+)(?:=(?P<status>\w+))?$")
_STEP = re.compile(
    r"""\.?(?P<field>(?:[\w/-]|\\\.)+)|\[(?P<index>-?\d+|\*)\]|\[\?\(@\.(?P<key>[\w.]+)\s*==\s*["']?(?P<value>[^"')]*)["']?\)\]"""
)
_JSONPATH = re.compile(r"^jsonpath=\{?(?P<path>\.[^=}]+)\}?=(?P<value>.+)$")


class Goal(Protocol):
    """What a wait waits for."""

    @property
    def statement(self) -> str:
        """The goal in a phrase, as it was asked for."""

    def holds(self, obj: Object | None) -> bool:
        """Whether it is so."""

    def last_seen(self, obj: Object | None) -> str:
        """The object's present state in a phrase."""


class RolledOut:
    """What `kubectl rollout status deployment/…` waits for: every pod is new, available, and the old ones are gone.

    Source: kubectl, pkg/polymorphichelpers/rollout_status.go.
    """

    statement = mark("the rollout")

    def holds(self, obj: Object | None) -> bool:
        """Whether it is so."""
        return obj is not None and not self.last_seen(obj)

    def last_seen(self, obj: Object | None) -> str:
        """What is missing, in kubectl's words; empty when nothing is."""
        if obj is None:
            return _("it does not exist")
        status, wanted = obj.get("status", {}), int(obj["spec"].get("replicas", 1))
        updated = int(status.get("updatedReplicas", 0))
        if int(status.get("observedGeneration", 0)) < int(obj["metadata"].get("generation", 0)):
            return "waiting for deployment spec update to be observed"
        if updated < wanted:
            return f"{updated} out of {wanted} new replicas have been updated"
        if int(status.get("replicas", 0)) > updated:
            return f"{int(status['replicas']) - updated} old replicas are pending termination"
        if (available := int(status.get("availableReplicas", 0))) < updated:
            return f"{available} of {updated} updated replicas are available"
        return ""


class Wanted:
    """What `kubectl wait --for=…` waits for: `condition=Available`, `jsonpath={.status.phase}=Running`, or `delete`."""

    def __init__(self, statement: str) -> None:
        self.statement = statement
        self.deleted = statement == "delete"
        self._condition = _STATEMENT.match(statement)
        self._jsonpath = _JSONPATH.match(statement)
        if not (self.deleted or self._condition or self._jsonpath):
            raise UsageError(
                _(
                    "wait_for={statement!r} is not understood. Write condition=Available, condition=Ready=False, "
                    "jsonpath={{.status.phase}}=Running, or delete."
                ).format(statement=statement)
            )

    def holds(self, obj: Object | None) -> bool:
        """Whether it is so."""
        if self.deleted or obj is None:
            return self.deleted and obj is None
        if self._jsonpath:
            return str(dig(obj, self._jsonpath["path"])) == self._jsonpath["value"].strip("'\"")
        assert self._condition is not None  # noqa: S101 - __init__ allows nothing else
        found = condition(obj, self._condition["type"])
        status = str(found.get("status", "")).lower()
        # A condition about an older generation says nothing about the present one.
        observed = found.get("observedGeneration", obj.get("status", {}).get("observedGeneration"))
        is_current = observed is None or int(observed) >= int(obj["metadata"].get("generation", 0))
        return is_current and status == (self._condition["status"] or "true").lower()

    def last_seen(self, obj: Object | None) -> str:
        """The object's present state in a phrase."""
        if obj is None:
            return _("it does not exist")
        if self.deleted:
            held = obj["metadata"].get("finalizers") or obj.get("spec", {}).get("finalizers")
            if held:
                return _("it is still there, held by {finalizers}").format(finalizers=listed(held))
            return _("it is still there")
        if self._jsonpath:
            path = self._jsonpath["path"]
            return _("{field} is {value!r}").format(field=path, value=dig(obj, path))
        assert self._condition is not None  # noqa: S101 - see holds
        found = condition(obj, self._condition["type"])
        if not found:
            return _("it has no condition {condition} yet").format(condition=self._condition["type"])
        words = f"{found['type']}={found['status']}"
        details = ": ".join(filter(None, (found.get("reason"), found.get("message"))))
        return f"{words} ({details})" if details else words

    @property
    def result_word(self) -> str:
        """What kubectl's result line ends with."""
        return "condition met"


def condition(obj: Object, kind: str) -> dict[str, Any]:
    """The condition of that type in the object's status; empty when there is none."""
    for entry in obj.get("status", {}).get("conditions") or []:
        if str(entry.get("type", "")).lower() == kind.lower():
            return dict(entry)
    return {}


def dig(obj: Any, path: str) -> Any:
    """The first value at a jsonpath such as `.spec.ports[0].port`; None when there is none."""
    return next(iter(find(obj, path)), None)


def find(obj: Any, path: str) -> list[Any]:
    """Every value at a jsonpath: fields, indexes, `[*]`, and filters such as `[?(@.name=="tcp")]`.

    Raises:
        UsageError: the path has something else in it.
    """
    values = [obj]
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise UsageError(
                _("jsonpath {path!r} is not understood from {rest!r} on.").format(path=path, rest=path[position:])
            )
        values = [inner for value in values for inner in _step(value, step)]
        position = step.end()
    return values


def fill(template: str, obj: Any) -> str:
    """A text with what each `{jsonpath}` in it finds, as `kubectl get -o jsonpath=…` prints it.

    Raises:
        UsageError: a path has something in it that is not understood, such as `range`.
    """

    def found(expression: re.Match[str]) -> str:
        path = expression[1].removeprefix("$").removeprefix("@")
        return " ".join(_printed(value) for value in find(obj, path))

    return re.sub(r"\{([^}]*)\}", found, template)


def _printed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _step(value: Any, step: re.Match[str]) -> list[Any]:
    if step["field"]:
        name = step["field"].replace("\\.", ".")
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    if step["key"]:
        return [item for item in value if str(dig(item, f".{step['key']}")) == step["value"]]
    if step["index"] == "*":
        return value
    index = int(step["index"])
    return [value[index]] if -len(value) <= index < len(value) else []


def pod_troubles(pods: Iterable[Object]) -> list[str]:
    """Why pods are not ready: one line for each container that waits or ended, or the scheduling problem."""
    troubles = []
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        found = False
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            for state in ("waiting", "terminated"):
                details = container.get("state", {}).get(state)
                if details and not (state == "terminated" and details.get("exitCode") == 0):
                    words = ": ".join(filter(None, (details.get("reason"), details.get("message"))))
                    troubles.append(
                        _("pod {pod}, container {container}: {trouble}").format(
                            pod=name, container=container["name"], trouble=words or state
                        )
                    )
                    found = True
            if container.get("state", {}).get("running") and not container.get("ready"):
                troubles.append(
                    _("pod {pod}, container {container}: running, not ready yet").format(
                        pod=name, container=container["name"]
                    )
                )
                found = True
        scheduled = condition(pod, "PodScheduled")
        if not found and scheduled.get("status") == "False":
            reason = scheduled.get("reason") or _("not scheduled")
            details = f"{reason}: {scheduled.get('message', '')}"
            troubles.append(_("pod {pod}: {trouble}").format(pod=name, trouble=details))
        elif not found and status.get("phase") == "Pending":
            troubles.append(_("pod {pod}: {trouble}").format(pod=name, trouble="Pending"))
    return troubles
