"""What both kinds of route have in common: an object that splits TCP connections by weight.

It says what it wants and what its status tells; waiting, printing and patching are done by those who ask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tcpshift_helpers.errors import NotFoundError, UsageError
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tcpshift_helpers.api import Object, Resource
    from tcpshift_helpers.connection import Cluster
    from tcpshift_helpers.routes.splits import Split


class Told(NamedTuple):
    """What a status says of the object as it is now: yes, no, or nothing yet; and its words, if it has any."""

    answer: bool | None
    reason: str = ""
    message: str = ""


class Awaited(NamedTuple):
    """A status to wait for.

    Attributes:
        obj: the object.
        judge: what its status says.
        state: what the object is when the answer is yes.
        required: whether it has to be there.
        advice: where to look when no answer comes.
    """

    obj: Object
    judge: Callable[[Object], Told]
    state: str = mark("in force")
    required: bool = True
    advice: str = mark("Look at: kubectl -n istio-system get pods")


class Served(NamedTuple):
    """What the Envoys of a gateway should have.

    Attributes:
        selector: labels of its pods.
        namespace: of its pods; None for any.
        splits: by listener port; 0 for any port.
    """

    selector: Mapping[str, str]
    namespace: str | None
    splits: Mapping[int, Split]


@dataclass(frozen=True)
class Route(ABC):
    """A route as it was read.

    Attributes:
        cluster: where it is.
        resource: its kind.
        obj: the object.
    """

    cluster: Cluster
    resource: Resource
    obj: Object

    # The kind, and its names as kubectl takes them; the first with the group is its full name.
    GROUP: ClassVar[str]
    KIND: ClassVar[str]
    NAMES: ClassVar[tuple[str, ...]]
    # What to tell where a cluster does not know the kind, and where there is no such object.
    NOT_INSTALLED: ClassVar[str]
    NOT_APPLIED: ClassVar[str]
    # How long a no has to stand before it counts, and what to do about one.
    REFUSAL_SECONDS: ClassVar[float] = 0.0
    AFTER_REFUSAL: ClassVar[str]

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.obj["metadata"]["name"])

    @property
    def label(self) -> str:
        """Kind and name, as kubectl's result lines write them."""
        return f"{self.resource.word}/{self.name}"

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return str(self.obj["metadata"].get("namespace") or self.cluster.namespace)

    @abstractmethod
    def weights(self) -> dict[str, int]:
        """The weights it sets, in the order written.

        Raises:
            UsageError: it has no split of TCP connections.
        """

    @abstractmethod
    def patch(self, new: Mapping[str, int]) -> list[dict[str, Any]]:
        """The JSON patch that states a new split.

        Raises:
            UsageError: the weights cannot be meant, or name what is not there.
        """

    @abstractmethod
    def told(self) -> Told:
        """What its own status says of it as it was read."""

    @abstractmethod
    def statuses(self) -> list[Awaited]:
        """The statuses to wait for, in order, the route's own last; none where the cluster writes none.

        Raises:
            NotFoundError: none of the Gateways that it names is there.
        """

    @property
    @abstractmethod
    def status_is_proof(self) -> bool:
        """Whether a yes of its status means that Envoy has it."""

    @abstractmethod
    def served(self) -> list[Served]:
        """What the Envoys of each of its Gateways should have; no splits where that cannot be told."""


def check_weights(new: Mapping[str, int], *, example: str, all_zero: str, most: int | None = None) -> None:
    """Refuse weights that cannot be meant.

    Args:
        new: weights by name.
        example: what could be written instead.
        all_zero: what to say where no weight is above 0.
        most: the largest weight there may be.

    Raises:
        UsageError: there are none, one is negative, too large or no whole number, or all are 0.
    """
    if not new:
        raise UsageError(_("No weights were given. Write for instance {example}.").format(example=example))
    for name, weight in new.items():
        if isinstance(weight, bool) or not isinstance(weight, int):
            message = _(
                "The weight of {name} is {weight!r}: weights are whole numbers, such as 80. Nothing was changed."
            )
            raise UsageError(message.format(name=name, weight=weight))
        if weight < 0:
            message = _("The weight of {name} is {weight} < 0: weights are 0 or more. Nothing was changed.")
            raise UsageError(message.format(name=name, weight=weight))
        if most is not None and weight > most:
            message = _("The weight of {name} is {weight} > {most}, the largest there is. Nothing was changed.")
            raise UsageError(message.format(name=name, weight=weight, most=most))
    if not any(new.values()):
        raise UsageError(_("{refusal} Nothing was changed.").format(refusal=all_zero))


def gateways_named(route: Route, group: str, names: Iterable[tuple[str, str]]) -> list[Object]:
    """The Gateways that a route names, as (namespace, name).

    Raises:
        NotFoundError: it names some, and none of them is there.
    """
    resource = route.cluster.api.resource_named(f"gateways.{group}")
    wanted = list(dict.fromkeys(names))
    read = (route.cluster.read_or_none(resource, name, namespace) for namespace, name in wanted)
    found = [gateway for gateway in read if gateway is not None]
    if wanted and not found:
        raise NotFoundError(
            404,
            "NotFound",
            f'{resource.plural}.{resource.group} "{wanted[0][1]}" not found',
            _("{kind} {name} names it, so no connection comes to its routes. Apply it first.").format(
                kind=route.resource.kind, name=route.name
            ),
        )
    return found
