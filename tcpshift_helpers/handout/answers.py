"""Where the answers are in a lesson's text: what stands in `<details>`, folded away on the screen.

Pure. It fails rather than guesses: a `<details>` that it cannot part from the text around it is an error, for on paper
nothing is folded, and the answer would be there to read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tcpshift_helpers.errors import HandoutError
from tcpshift_helpers.language import gettext as _

_FOLDED = re.compile(r"<details\b[^>]*>\s*<summary\b[^>]*>(.*?)</summary>(.*?)</details\s*>", re.DOTALL | re.IGNORECASE)
_LEFT_OVER = re.compile(r"</?(details|summary)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """An answer, or a hint: what a reader unfolds.

    Attributes:
        summary: what is there to be read before, such as `A solution`.
        body: the answer, in Markdown or, from an output, in HTML.
    """

    summary: str
    body: str


def parted(text: str) -> list[str | Answer]:
    """A text, parted into what is open and what is folded away, in order; empty texts are left out.

    Raises:
        HandoutError: a `<details>` is not closed, has no summary, or holds another one.
    """
    parts: list[str | Answer] = []
    end = 0
    for match in _FOLDED.finditer(text):
        parts += [text[end : match.start()], Answer(match[1].strip(), match[2].strip())]
        end = match.end()
    parts.append(text[end:])
    for part in parts:
        if _LEFT_OVER.search(part if isinstance(part, str) else f"{part.summary}{part.body}"):
            raise HandoutError(
                _(
                    "A <details> in it is not closed, has no <summary>, or holds another one, so its answer cannot be told from the text."
                )
            )
    return [part for part in parts if isinstance(part, Answer) or part.strip()]
