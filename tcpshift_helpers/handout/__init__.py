"""The course on paper: saved lessons as one printable document, for a learner or for who teaches.

`lessons` reads them, `answers` takes out what a learner must not see, `page` sets them as HTML, `browser` prints that as
PDF, `document` puts these together. Here is only what the command line has to know before it loads any of them.
Nothing is run: what is printed is what the notebooks hold.
"""

from __future__ import annotations

from enum import StrEnum


class Reader(StrEnum):
    """For whom a handout is: answers and times are the instructor's alone."""

    LEARNER = "learner"
    INSTRUCTOR = "instructor"


class Format(StrEnum):
    """What a handout is written as."""

    HTML = "html"
    PDF = "pdf"
