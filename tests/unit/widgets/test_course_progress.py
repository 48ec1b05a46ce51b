"""Progress: what the lessons ask for, answered by the cluster as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tcpshift_helpers import course, steps, widgets
from tcpshift_helpers.widgets import course_progress

from .conftest import threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tcpshift_helpers.connection import Cluster

    from .conftest import Page


def test_the_checks_are_those_of_the_lessons() -> None:
    found = {lesson.number: lesson for lesson in course_progress.lessons()}
    assert found["01"].checks == ("namespace-there", "namespace", "client", "deployed", "sidecars")
    assert found["01"].title == "Deploy tcp-echo"
    assert {name for lesson in found.values() for name in lesson.checks} <= set(steps.CHECKS)
    assert list(found) == [f"{number:02d}" for number in range(12)]


def test_a_cell_that_is_no_python_has_no_checks() -> None:
    assert list(course_progress._checks_in("%%bash\nls (")) == []


@pytest.mark.sandbox
@pytest.mark.timeout(180)
def test_it_follows_the_cluster_and_says_nothing_in_the_notebook(
    sandbox: Cluster, page: Callable[..., Page], capsys: pytest.CaptureFixture[str]
) -> None:
    course.begin(sandbox, "02")
    capsys.readouterr()
    bars = widgets.progress(sandbox)
    shown = page(bars)
    text = bars._repr_mimebundle_()[0]["text/plain"].splitlines()
    assert text[1:3] == ["00 Start here: 3 of 3 checks pass", "01 Deploy tcp-echo: 5 of 5 checks pass"]
    assert text[3].endswith(": 0 of 5 checks pass")
    assert threads() == []
    shown.say("hello")
    done = shown.wait_for(lambda state: not state["busy"])
    assert [lesson["line"] for lesson in done["lessons"]] == text[1:]
    assert done["lessons"][2]["checks"][0]["text"].startswith("NOT YET the rule sends every connection to v1")
    course.begin(sandbox, "03")
    capsys.readouterr()
    shown.say("again")
    shown.wait_for(lambda state: state["busy"])
    again = shown.wait_for(lambda state: not state["busy"])
    assert again["lessons"][2]["passed"] == again["lessons"][2]["of"] == 5
    assert capsys.readouterr().out == ""
