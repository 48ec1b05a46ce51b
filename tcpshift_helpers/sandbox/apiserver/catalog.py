"""The kinds that are served at this moment: the built-in ones, and those that custom resource definitions add.

Whoever needs to know which kinds there are holds this table and asks it anew each time, so that a definition counts from the
next request on. It knows neither HTTP nor storage, and makes no kinds itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.apiserver.resources import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tcpshift_helpers.sandbox.apiserver.resources import ResourceType


class Catalog:
    """A live table of kinds; iterating it gives the kinds, built-in ones first."""

    def __init__(self, custom: Iterable[ResourceType] = (), built_in: Iterable[ResourceType] = BUILT_IN) -> None:
        """Begin with these kinds."""
        self._built_in = tuple(built_in)
        self.set_custom(custom)

    def set_custom(self, custom: Iterable[ResourceType]) -> None:
        """Serve these kinds besides the built-in ones, and no others any more."""
        self._kinds = (*self._built_in, *custom)
        spoken = [(version, kind.at(version)) for kind in self._kinds for version in kind.versions]
        self._by_path = {(kind.group, version, kind.plural): kind for version, kind in spoken}
        self._by_kind = {(kind.group, version, kind.kind): kind for version, kind in spoken}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._kinds)

    def has_group(self, group: str) -> bool:
        """Whether any kind of this API group is served."""
        return any(kind.group == group for kind in self._kinds)

    def by_path(self, group: str, version: str, plural: str) -> ResourceType | None:
        """The kind that a path names, as that version has it, or None."""
        return self._by_path.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> ResourceType | None:
        """The kind that an object names, as that version has it, or None."""
        return self._by_kind.get((group, version, kind))

    def by_group_resource(self, name: str) -> ResourceType:
        """The kind of this name, such as `deployments.apps`.

        Raises:
            LookupError: it is not served.
        """
        for kind in self._kinds:
            if kind.group_resource == name:
                return kind
        raise LookupError(name)
