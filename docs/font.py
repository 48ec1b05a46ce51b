"""The font that comes with the package, cut from Debian's `fonts-noto-cjk` to what the course can need.

`make font` writes it and its licence beside it, after `apt-get install fonts-noto-cjk`; nothing else needs that package.
In it are the characters of GB 2312 that people write every day (level 1, by frequency) with the standard's rows of signs,
ASCII, and a few signs more. A test says when a message or a lesson has a character that is not among them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).resolve().parents[1]
COLLECTION = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
COPYRIGHT = Path("/usr/share/doc/fonts-noto-cjk/copyright")
SIMPLIFIED_CHINESE = 2  # the collection's third font
FONT = ROOT / "tcpshift_helpers" / "fonts" / "NotoSansSC-subset.otf"
LICENCE = FONT.with_name("OFL.txt")

_SIGNS = range(0xA1, 0xA4)  # rows 1 to 3: punctuation, numbers in circles, full-width ASCII
_LEVEL_1 = range(0xB0, 0xD8)
_MORE = "—…·“”‘’×→≤≥▲●○✓"


def characters() -> set[str]:
    """Every character that the font is to have."""
    found = {*map(chr, range(0x20, 0x7F)), *_MORE}
    for row in (*_SIGNS, *_LEVEL_1):
        for cell in range(0xA1, 0xFF):
            found.update(bytes([row, cell]).decode("gb2312", "ignore"))
    return found


def licence(holder: str, debian_copyright: str) -> str:
    """The notice that goes with the font: who holds it, what this is, and the text of the licence.

    Raises:
        LookupError: Debian's file does not have the text where it used to be.
    """
    text = re.search(r"(?m)^License: SIL-1\.1\n((?: .*\n)+)", debian_copyright)
    if not text:
        raise LookupError(f"{COPYRIGHT} has no text of the SIL Open Font License.")
    # The file's format for text: one blank in front of each line, and a dot for an empty one.
    lines = ["" if line == " ." else line.removeprefix(" ") for line in text[1].splitlines()]
    return "\n".join([holder, "", f"{FONT.name} is a subset of Noto Sans CJK SC Regular.", "", *lines, ""])


def main(collection: Path = COLLECTION) -> None:
    """Write the font and its licence.

    Raises:
        SystemExit: the collection is not there; the message says where it comes from.
    """
    if not collection.is_file():
        sys.exit(f"{collection} is not there. It is in a package of Debian's: apt-get install fonts-noto-cjk")
    # Hints and kerning are for printers and for scripts other than these.
    options = subset.Options(hinting=False, layout_features=[])
    with TTFont(collection, fontNumber=SIMPLIFIED_CHINESE, recalcTimestamp=False) as font:
        cut = subset.Subsetter(options)
        cut.populate(text="".join(characters()))
        cut.subset(font)
        subset.save_font(font, str(FONT), options)
        holder = str(font["name"].getDebugName(0))
    LICENCE.write_text(licence(holder, COPYRIGHT.read_text(encoding="utf-8")), encoding="utf-8")
    for path in (FONT, LICENCE):
        print(f"{path.relative_to(ROOT)} written, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
