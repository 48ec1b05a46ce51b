"""Which way connections went: client, gateway and versions, with counts. The still picture of the live view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.plots import paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tcpshift_helpers.palette import Look
    from tcpshift_helpers.plots.paper import Picture

_HEIGHT_INCHES = 2.4
_BOX_WIDTH, _BOX_HEIGHT = 20, 26
_CLIENT, _GATEWAY = (12, 50), (46, 50)
_VERSIONS = {"v1": (86, 76), "v2": (86, 24)}


@paper.style()
def traffic(counted: judged.Counts) -> Picture:
    """Where connections of a client ended, behind the gateway or at it.

    Args:
        counted: from `distribution.counts`.
    """
    figure = paper.sheet(_HEIGHT_INCHES, traffic_alt_text(counted))
    axes = figure.subplots()
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.axis("off")
    for start, end in ((_CLIENT, _GATEWAY), *((_GATEWAY, place) for place in _VERSIONS.values())):
        axes.plot(*zip(start, end, strict=True), color=palette.AXIS, linewidth=1.5, zorder=1)
    _box(axes, _CLIENT, _("client"))
    failed = "\n" + _("{count} failed").format(count=counted.failed) if counted.failed else ""
    _box(axes, _GATEWAY, _("gateway") + failed)
    for version, place in _VERSIONS.items():
        word = judged.ANSWERS[version]
        _box(axes, place, f"{version}\n{word}: {counted.answers.get(word, 0)}", palette.LOOKS[word])
    return figure


def traffic_alt_text(counted: judged.Counts) -> str:
    """The picture in a sentence."""
    return _("Connections from the client through the gateway to v1 and v2: {counts}.").format(counts=counted)


def _box(axes: Axes, place: tuple[float, float], text: str, look: Look | None = None) -> None:
    corner = (place[0] - _BOX_WIDTH / 2, place[1] - _BOX_HEIGHT / 2)
    fill = paper.surface(look) if look else {"facecolor": palette.BLANK, "edgecolor": palette.INK, "linewidth": 0.8}
    axes.add_patch(Rectangle(corner, _BOX_WIDTH, _BOX_HEIGHT, zorder=2, **fill))
    paper.label(axes, *place, text)
