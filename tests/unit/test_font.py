"""The font that comes with the package has every character that a figure in Chinese can need, and goes with the wheel."""

from __future__ import annotations

import json
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[2]
MAKER: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "font.py"))
FONT: Path = MAKER["FONT"]
MESSAGES = sorted((ROOT / "tcpshift_helpers").glob("locale/zh*/LC_MESSAGES/*.po"))
LESSONS = sorted((ROOT / "notebooks").glob("zh-*/*.ipynb"))


@pytest.fixture(scope="module")
def characters() -> set[str]:
    with TTFont(FONT) as font:
        return {chr(code) for code in font.getBestCmap()}


def said(path: Path) -> str:
    """What a file of translations, or a lesson, says to a reader."""
    if path.suffix == ".po":
        with path.open("rb") as file:
            strings = [message.string for message in read_po(file)]
        return "".join("".join(string) if isinstance(string, (list, tuple)) else string for string in strings[1:])
    return "".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])


def test_it_has_what_it_is_made_to_have(characters: set[str]) -> None:
    assert MAKER["characters"]() - characters == set(), "Run: make font"
    assert len(characters) > 4000
    assert set("权重流量转移入口网关子集：，。“”—…×→≤≥") <= characters


@pytest.mark.parametrize("path", [*MESSAGES, *LESSONS], ids=lambda path: path.name)
def test_it_has_every_character_of_what_is_said_in_chinese(path: Path, characters: set[str]) -> None:
    text = said(path)
    assert any(character > "\u4e00" for character in text)
    assert {c for c in text if c.isprintable() and c > "\u2e80"} - characters == set(), "Add them in docs/font.py"


def test_there_is_something_said_in_chinese() -> None:
    assert MESSAGES


def test_it_is_small_enough_to_travel_with_the_package() -> None:
    assert FONT.stat().st_size < 1_000_000


def test_its_licence_goes_with_it() -> None:
    licence: Path = MAKER["LICENCE"]
    text = licence.read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in text
    assert "Adobe" in text.splitlines()[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0 AND OFL-1.1"
    assert [ROOT / name for name in project["license-files"]] == [ROOT / "LICENSE", licence]


def test_without_debians_font_it_says_which_package_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="apt-get install fonts-noto-cjk"):
        MAKER["main"](tmp_path / "missing.ttc")


def test_the_licence_is_taken_from_debians_copyright_file() -> None:
    debian = "License: GPL-3+\n No.\n\nLicense: SIL-1.1\n First.\n .\n Second.\n\nLicense: MIT\n No.\n"
    assert MAKER["licence"]("© Somebody", debian).splitlines()[-3:] == ["First.", "", "Second."]
    with pytest.raises(LookupError, match="no text of the SIL Open Font License"):
        MAKER["licence"]("© Somebody", "License: MIT\n No.\n")
