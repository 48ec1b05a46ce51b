"""What all figures share: their type, their PNG, and that neither touches the settings of whoever draws."""

from __future__ import annotations

import base64
import io
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from tcpshift_helpers import palette, plots
from tcpshift_helpers.plots import paper

from .conftest import SPLIT, drawn, frame

Shown = list[tuple[dict[str, str], dict[str, Any]]]
CHINESE = "权重、流量转移：入口网关与子集（20%）"


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Data and metadata of all that was displayed."""
    found: Shown = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata=None, raw=False: found.append((data, metadata))
    )
    return found


def test_show_gives_a_notebook_a_png_with_words(shown: Shown) -> None:
    figure = plots.strip(frame("one"))
    plots.show(figure)
    plots.show(figure, alt="in <other> words")
    (png, size_and_words), (words, _), (_, other), (in_words, _) = shown
    assert opened(base64.b64decode(png["image/png"])).format == "PNG"
    assert png["text/plain"] == "<Figure>"
    assert [metadata["image/png"]["alt"] for metadata in (size_and_words, other)] == [
        "1 probe: 1 one.",
        "in <other> words",
    ]
    # JupyterLab leaves out the picture's own.
    assert words["text/html"] == "<details><summary>In words</summary>1 probe: 1 one.</details>"
    assert "in &lt;other&gt; words" in in_words["text/html"]
    assert figure.alt == "1 probe: 1 one."


def test_as_the_last_line_of_a_cell_it_shows_itself(shown: Shown) -> None:
    from IPython.core.formatters import IPythonDisplayFormatter

    assert IPythonDisplayFormatter()(plots.strip(frame("one"))) is True  # type: ignore[no-untyped-call]
    assert [list(data) for data, _ in shown] == [["image/png", "text/plain"], ["text/html"]]


def test_the_png_has_two_pixels_to_the_dot_and_is_shown_at_the_size_of_the_figure(
    shown: Shown,
) -> None:
    plots.show(plots.strip(frame("one")))
    data, metadata = shown[0]
    width, height = opened(base64.b64decode(data["image/png"])).size
    assert width == 2 * metadata["image/png"]["width"] == 1650
    assert height == pytest.approx(2 * metadata["image/png"]["height"], abs=1)


def test_the_png_keeps_the_palettes_colours() -> None:
    image = opened(plots.bars(frame(*["one"] * 3, "two"), SPLIT).png()).convert("RGB")
    colours = {f"#{r:02X}{g:02X}{b:02X}" for _, (r, g, b) in image.getcolors(1 << 20) or []}  # type: ignore[misc]
    assert {palette.PAPER, palette.LOOKS["one"].colour, palette.LOOKS["two"].colour} <= colours


def test_the_same_figure_is_the_same_png() -> None:
    assert plots.strip(frame("one", "two")).png() == plots.strip(frame("one", "two")).png()


def test_a_saved_figure_of_the_core_lesson_stays_small() -> None:
    png = plots.distribution(frame(*["one", "one", "two", "one", "one"] * 40), SPLIT).png()
    assert len(png) < 60_000


def test_the_settings_of_whoever_draws_are_neither_changed_nor_heeded() -> None:
    plain = plots.distribution(frame("one", "two"), SPLIT).png()
    with mpl.rc_context({"font.family": ["serif"], "axes.facecolor": "black", "savefig.dpi": 50, "text.color": "red"}):
        before = dict(mpl.rcParams)
        styled = plots.distribution(frame("one", "two"), SPLIT).png()
        assert dict(mpl.rcParams) == before
    assert styled == plain


def test_whoever_draws_a_figure_draws_it_in_the_courses_style() -> None:
    def pixels() -> bytes:
        canvas = FigureCanvasAgg(plots.bars(frame("one", "two"), SPLIT))
        with mpl.rc_context(settings):
            canvas.draw()
        return bytes(canvas.buffer_rgba())

    settings: dict[str, object] = {}
    plain = pixels()
    settings = {"path.snap": False, "text.hinting": "none"}
    assert pixels() == plain


def test_chinese_is_drawn_from_the_font_that_comes_along(caplog: pytest.LogCaptureFixture) -> None:
    figure = plots.strip(frame("one"))
    figure.axes[0].set_xlabel(CHINESE)
    # Labels of axes are made when it is drawn, whoever draws it: here nobody has set a style.
    figure.axes[0].set_xticks([0], labels=[CHINESE])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(figure)
        figure.png()
    assert caplog.messages == []
    ours = [Path(entry.fname).name for entry in font_manager.fontManager.ttflist if entry.name == palette.FONTS[1]]
    assert ours.count("NotoSansSC-subset.otf") == 1


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        ([80.0, 20.0], [80.0, 20.0]),
        ([50.0, 50.0], [50.0, 36.0]),
        ([100.0, 95.0], [100.0, 86.0]),
        ([0.0, 0.0, 100.0], [14.0, 0.0, 100.0]),
        ([5.0, 0.0], [14.0, 0.0]),
    ],
)
def test_labels_are_spread_and_stay_near_and_within(wanted: list[float], found: list[float]) -> None:
    assert paper.spread(wanted, 14, 100) == found
