"""What runs: pods with their containers, and the Services that lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import Rectangle

from tcpshift_helpers import distribution as judged
from tcpshift_helpers import palette
from tcpshift_helpers.language import gettext as _
from tcpshift_helpers.language import listed, ngettext, paragraph
from tcpshift_helpers.plots import paper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from tcpshift_helpers.api import Object
    from tcpshift_helpers.palette import Look
    from tcpshift_helpers.plots.paper import Picture

_SERVICE, _POD = (0, 24), (40, 60)  # left edge and width
_POD_INCHES, _MOST_CONTAINERS = 0.85, 3


@paper.style()
def pods(there: Sequence[Object], services: Sequence[Object] = ()) -> Picture:
    """Pods below each other, each with its containers; left of them Services, with a line to each pod that one leads to.

    Args:
        there: pods as the API server gives them.
        services: Services of the same namespace.
    """
    shown = sorted(there, key=lambda pod: str(pod["metadata"]["name"]))
    figure = paper.sheet(_POD_INCHES * max(1, len(shown)) + 0.2, pods_alt_text(shown, services))
    axes = figure.subplots()
    axes.set_xlim(-1, 101)
    axes.set_ylim(max(1, len(shown)), 0)
    axes.axis("off")
    for service in services:
        rows = [row for row, pod in enumerate(shown) if _leads_to(service, pod)]
        middle = sum(rows) / len(rows) + 0.5 if rows else 0.5
        for row in rows:
            axes.plot((sum(_SERVICE), _POD[0]), (middle, row + 0.5), color=palette.AXIS, linewidth=1.5, zorder=1)
        _box(axes, (_SERVICE[0], middle - 0.28, _SERVICE[1], 0.56), f"Service\n{service['metadata']['name']}")
    for row, pod in enumerate(shown):
        axes.add_patch(
            Rectangle((_POD[0], row + 0.06), _POD[1], 0.88, facecolor=palette.PAPER, edgecolor=palette.INK, zorder=2)
        )
        axes.text(_POD[0] + 1, row + 0.21, f"Pod {_short(pod)}", va="center", fontsize=palette.SIZES["small"], zorder=4)
        width = (_POD[1] - 2) / max(_MOST_CONTAINERS - 1, len(_containers(pod)))
        for place, (name, is_ready) in enumerate(_containers(pod)):
            box = (_POD[0] + 1 + place * width, row + 0.38, width - 1, 0.46)
            _box(
                axes,
                box,
                name if is_ready else name + "\n" + _("not ready"),
                _look(pod, name) if is_ready else palette.FAILURE,
            )
    return figure


def pods_alt_text(there: Sequence[Object], services: Sequence[Object]) -> str:
    """The picture in sentences."""
    said = []
    for service in services:
        names = [_short(pod) for pod in there if _leads_to(service, pod)]
        said.append(
            ngettext(
                "Service {name} leads to 1 pod: {pods}.", "Service {name} leads to {count} pods: {pods}.", len(names)
            ).format(name=service["metadata"]["name"], count=len(names), pods=listed(names) or "-")
        )
    for pod in there:
        words = [name if ready else _("{name} (not ready)").format(name=name) for name, ready in _containers(pod)]
        said.append(
            ngettext(
                "Pod {name} has 1 container: {containers}.",
                "Pod {name} has {count} containers: {containers}.",
                len(words),
            ).format(name=_short(pod), count=len(words), containers=listed(words))
        )
    return paragraph(said) if said else _("No pod runs: 0 pods.")


def _containers(pod: Object) -> list[tuple[str, bool]]:
    """Name and readiness; newer Istio has its proxy among the init containers, where what is done does not count."""
    status: dict[str, Any] = pod.get("status") or {}
    told = [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]
    ready = {str(one["name"]): bool(one.get("ready")) for one in told}
    every = [*pod["spec"].get("containers", [])]
    every += [one for one in pod["spec"].get("initContainers") or [] if one.get("restartPolicy") == "Always"]
    return [(str(one["name"]), ready.get(str(one["name"]), False)) for one in every]


def _short(pod: Object) -> str:
    """Its application and version; a pod's own name is another one each time."""
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    words = [labels.get("app", str(pod["metadata"]["name"])), labels.get("version", "")]
    return " ".join(filter(None, words))


def _leads_to(service: Object, pod: Object) -> bool:
    selector: dict[str, str] = service["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _look(pod: Object, container: str) -> Look | None:
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    is_version = container == labels.get("app") and labels.get("version") in judged.ANSWERS
    return palette.LOOKS[judged.ANSWERS[labels["version"]]] if is_version else None


def _box(axes: Axes, box: tuple[float, float, float, float], text: str, look: Look | None = None) -> None:
    x, y, width, height = box
    fill = paper.surface(look) if look else {"facecolor": palette.BLANK, "edgecolor": palette.INK, "linewidth": 0.8}
    axes.add_patch(Rectangle((x, y), width, height, zorder=3, **fill))
    paper.label(axes, x + width / 2, y + height / 2, text)
