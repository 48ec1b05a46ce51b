"""The README's pictures, taken from the lessons' saved outputs, so that they show what a learner will see.

`make pictures` writes them; a test says when they are out of date. It runs nothing: `make notebooks` does that first.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Picture: the lesson, and the variable that the cell of its figure begins with.
PICTURES = {"docs/shift.png": ("notebooks/en/03-shift-20-percent-to-v2.ipynb", "two_hundred")}


def picture(lesson: Path, first_word: str) -> bytes:
    """The PNG that the lesson's cell shows.

    Raises:
        LookupError: no such cell, or it has no saved figure.
    """
    for cell in json.loads(lesson.read_text(encoding="utf-8"))["cells"]:
        if "".join(cell["source"]).startswith(first_word):
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output["data"]["image/png"])
    raise LookupError(f"{lesson.name}: no cell that begins with {first_word} has a saved figure. Run: make notebooks")


if __name__ == "__main__":
    for name, (lesson, first_word) in PICTURES.items():
        (ROOT / name).write_bytes(picture(ROOT / lesson, first_word))
        print(f"{name} written")
