"""Handouts: what a learner's page lacks and an instructor's has, what is missing is named, and no half file stays."""

from __future__ import annotations

import ast
import base64
import html
import os
import re
import shutil
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest

from tcpshift_helpers import cli, lab, language
from tcpshift_helpers.errors import HandoutError, UsageError
from tcpshift_helpers.handout import Format, Reader, browser, document
from tcpshift_helpers.handout.answers import Answer, parted

from .handout_lessons import PIXEL, SECRETS, make, save, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COURSE = Path(__file__).parents[2] / "notebooks"
COURSE_LANGUAGES = sorted(folder.name for folder in COURSE.iterdir() if any(folder.glob("*.ipynb")))
LEARNER, INSTRUCTOR = Reader.LEARNER, Reader.INSTRUCTOR
each_reader = pytest.mark.parametrize("reader", Reader)
each_language = pytest.mark.parametrize("tag", language.LANGUAGES)
each_course_language = pytest.mark.parametrize("tag", COURSE_LANGUAGES)
CHROMIUM = next((name for name in browser.NAMES if shutil.which(name)), None)
makes_pdf = pytest.mark.skipif(
    CHROMIUM is None or shutil.which("pdftotext") is None,
    reason="needs Chromium or Chrome, and pdftotext (Debian: chromium, poppler-utils)",
)


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    for tag in language.LANGUAGES:
        make(tmp_path / "notebooks", tag)
    return tmp_path / "notebooks"


@pytest.fixture
def made(notebooks: Path, tmp_path: Path) -> Callable[..., str]:
    """The HTML of a handout of the small lessons."""

    def make_one(reader: Reader, tag: str = "en", numbers: Sequence[str] = ()) -> str:
        return written(notebooks, tmp_path / "out", reader, tag, numbers)

    return make_one


def written(notebooks: Path, folder: Path, reader: Reader, tag: str, numbers: Sequence[str] = ()) -> str:
    path = document.write(notebooks, tag, reader=reader, form=Format.HTML, numbers=numbers, folder=folder)
    return path.read_text(encoding="utf-8")


class Text(HTMLParser):
    """What a reader sees of a page, and all addresses that it names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen, self.addresses, self.ids = "", [], set[str]()
        self._within_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._within_style = tag in {"style", "title"}
        self.addresses += [named[name] or "" for name in ("href", "src") if name in named]
        self.ids |= {named["id"] or ""} if "id" in named else set()

    def handle_endtag(self, tag: str) -> None:
        self._within_style = False

    def handle_data(self, data: str) -> None:
        if not self._within_style:
            self.seen += data


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


# What a learner must not see


@each_language
def test_a_learner_gets_room_to_write_where_the_instructor_has_the_answer(made: Callable[..., str], tag: str) -> None:
    with language.only(tag):
        room = language.gettext("Your answer:")
    learner, instructor = made(LEARNER, tag), made(INSTRUCTOR, tag)
    assert [secret for secret in SECRETS[tag] if secret in learner] == []
    assert [secret for secret in SECRETS[tag] if secret not in instructor] == []
    assert room in learner
    assert learner.count('class="line"') >= 3
    assert room not in instructor
    assert 'class="line"' not in instructor


@each_course_language
def test_no_line_of_an_answer_of_the_course_is_anywhere_in_a_learners_document(tmp_path: Path, tag: str) -> None:
    """Not to be seen, nor in its source; lines that the lessons say openly, too, are no secret."""
    learner = squeezed(html.unescape(re.sub("<[^>]*>", "", written(COURSE, tmp_path, LEARNER, tag))))
    instructor = squeezed(html.unescape(re.sub("<[^>]*>", "", written(COURSE, tmp_path, INSTRUCTOR, tag))))
    openly, secret = "", []
    for path in sorted((COURSE / tag).glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            parts = parted(cell.source) if cell.cell_type == "markdown" else [cell.source]
            openly += "".join(part for part in parts if isinstance(part, str))
            secret += [line for part in parts if isinstance(part, Answer) for line in part.body.splitlines()]
    lines = {squeezed(re.sub(r"[`*]", "", line)) for line in secret if not line.startswith("```")} - {""}
    hidden = {line for line in lines if line not in squeezed(re.sub(r"[`*]", "", openly))}
    assert hidden
    assert [line for line in hidden if line in learner] == []
    assert [line for line in hidden if line not in instructor] == []


@each_course_language
def test_a_learner_writes_predictions_where_a_screen_has_a_field_for_them(tmp_path: Path, tag: str) -> None:
    asked = sum(
        cell.cell_type == "code" and "widgets.predict(" in cell.source
        for path in (COURSE / tag).glob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
    )
    with language.only(tag):
        room = f'<p class="asked">{language.gettext("Your answer:")}</p>'
    assert asked
    assert written(COURSE, tmp_path, LEARNER, tag).count(room) == asked
    assert room not in written(COURSE, tmp_path, INSTRUCTOR, tag)


@each_language
def test_how_long_it_takes_is_for_the_instructor(made: Callable[..., str], tag: str) -> None:
    minutes = re.compile(r"(\d+) (?:minutes|分钟)")
    assert minutes.findall(made(LEARNER, tag)) == []
    # All of it, each in the contents, each at its head.
    assert minutes.findall(made(INSTRUCTOR, tag)) == ["12", "7", "5", "7", "5"]


@each_course_language
def test_every_lesson_of_the_course_says_how_long_it_takes_to_the_instructor_alone(tmp_path: Path, tag: str) -> None:
    lessons = len(list((COURSE / tag).glob("*.ipynb")))
    assert written(COURSE, tmp_path, INSTRUCTOR, tag).count('<p class="minutes">') == lessons
    learner = Text(written(COURSE, tmp_path, LEARNER, tag)).seen
    assert re.findall(r"^\D{0,20}\d+ *(?:minutes|分钟)\W*$", learner, re.MULTILINE) == []


@pytest.mark.parametrize(
    "text",
    [
        "<details><summary>A</summary>never closed",
        "<details>no summary</details>",
        "<details><summary>A</summary>x<details><summary>B</summary>y</details></details>",
        "closed twice</details>",
    ],
)
def test_an_answer_that_cannot_be_told_from_the_text_is_an_error_and_no_leak(
    notebooks: Path, tmp_path: Path, text: str
) -> None:
    save(notebooks / "en" / "03-broken.ipynb", [nbformat.v4.new_markdown_cell(text)])
    with pytest.raises(HandoutError, match=r"03-broken\.ipynb: A <details> in it"):
        written(notebooks, tmp_path / "out", LEARNER, "en")
    assert not (tmp_path / "out").exists()


def test_text_around_an_answer_keeps_its_order() -> None:
    assert parted("a\n<DETAILS open><summary>S</summary>\n\nx\n</DETAILS>\nb") == ["a\n", Answer("S", "x"), "\nb"]


# What varies


@each_reader
@each_language
def test_what_varies_from_run_to_run_says_so(made: Callable[..., str], tag: str, reader: Reader) -> None:
    runs = [run.partition("</section>")[0] for run in made(reader, tag).split('<div class="run">')[1:]]
    with language.only(tag):
        words = language.gettext("one run; yours will differ")
    labelled = {text: words in run for run in runs for text in ("same each", "lots drawn", "3 of 7") if text in run}
    assert labelled == {"same each": False, "lots drawn": True, "3 of 7": True}


def test_the_words_are_those_agreed_on() -> None:
    with language.only("zh-CN"):
        assert language.gettext("one run; yours will differ") == "一次运行的结果，你的会不同"


@each_course_language
def test_every_figure_and_every_output_that_nobody_compares_is_labelled(tmp_path: Path, tag: str) -> None:
    expected = 0
    for path in (COURSE / tag).glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            outputs = cell.get("outputs", [])
            figure = any("image/png" in output.get("data", {}) for output in outputs)
            expected += bool(outputs) and (figure or "nbval-ignore-output" in cell.metadata.get("tags", []))
    assert expected
    assert written(COURSE, tmp_path, LEARNER, tag).count('<p class="varies">') == expected


# The page


@each_reader
@each_course_language
def test_a_page_needs_nothing_beside_itself(tmp_path: Path, tag: str, reader: Reader) -> None:
    page = written(COURSE, tmp_path, reader, tag)
    text = Text(page)
    assert [url for url in text.addresses if not url.startswith(("data:", "#", "https://"))] == []
    assert [url for url in text.addresses if url.startswith("#") and url[1:] not in text.ids] == []
    assert re.findall(r"<(?:script|link|iframe|details)\b", page) == []
    assert "default-src 'none'" in page
    assert [url[:40] for url in re.findall(r"url\(([^)]*)", page) if not url.startswith("data:font/otf")] == []


def test_the_chinese_font_comes_with_chinese_alone(made: Callable[..., str]) -> None:
    assert "@font-face" in made(LEARNER, "zh-CN")
    assert "@font-face" not in made(LEARNER, "en")


def test_links_lead_somewhere_on_paper(made: Callable[..., str]) -> None:
    both, alone = made(LEARNER), made(LEARNER, numbers=["1"])
    assert '<a href="https://istio.io/task">the task</a><sup>1</sup>' in both
    assert "<li>https://istio.io/task</li>" in both
    assert '<a href="#lesson-02">Next</a>' in both
    assert '<a href="#lesson-01">First</a>' in both
    assert "Next <i>(lesson 02)</i>" in alone
    assert ".ipynb" not in both + alone


def test_steps_are_cut_at_headings_and_not_at_what_looks_like_one(made: Callable[..., str]) -> None:
    sections = made(LEARNER, numbers=["01"]).split("<section")[1:]
    assert [re.findall("<h[12]>(.*?)</h", section) for section in sections] == [
        ["First steps"],
        ["1. Predict"],
        ["2. Run"],
        ["3. Your turn"],
        ["Links"],
    ]


def test_outputs_are_text_and_figures_have_theirs(made: Callable[..., str]) -> None:
    page = made(LEARNER)
    assert "<pre>same each time &lt;1&gt;</pre>" in page
    assert re.search(r'<img src="data:image/png;base64,\w[^"]*" alt="3 &amp; 4" width="9">', page)
    assert '<p class="in-words"><b>In words</b> 3 of 7</p>' in page
    assert "p {}" not in page
    assert "Your code here" not in page


def test_a_tag_within_a_text_encloses_what_the_lesson_has_in_it(notebooks: Path, tmp_path: Path) -> None:
    picture = notebooks / "en" / "dot.png"
    picture.write_bytes(base64.b64decode(PIXEL))
    text = '# Keys\n\nPress <kbd>Shift</kbd>+<kbd>Enter</kbd> at <img src="dot.png">.'
    save(notebooks / "en" / "03-keys.ipynb", [nbformat.v4.new_markdown_cell(text)])
    page = written(notebooks, tmp_path / "out", LEARNER, "en", ["03"])
    assert "Press <kbd>Shift</kbd>+<kbd>Enter</kbd> at" in page
    assert '<img src="data:image/png;base64,' in page


def test_titles_cannot_end_the_style_that_they_run_in(notebooks: Path, tmp_path: Path) -> None:
    save(notebooks / "en" / "03-odd.ipynb", [nbformat.v4.new_markdown_cell('# A "B" </style> \\ C')])
    page = written(notebooks, tmp_path / "out", LEARNER, "en")
    assert page.count("</style>") == 1 + page.partition("</head>")[2].count("</style>")
    assert r'"03 A \22 B\22 ' in page


# What is missing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lang", "fr"], "There is no language 'fr'. Languages: en, zh-CN."),
        (["--lang", "zh-CN"], "There are no lessons in zh-CN yet. Languages with lessons: en."),
        (["--lesson", "9", "--lesson", "01"], "There is no lesson 09 in en. Lessons: 01, 02."),
        (["--lesson", ""], "There is no lesson '' in en. Lessons: 01, 02."),
        (["--lesson", "abc"], "There is no lesson abc in en. Lessons: 01, 02."),
    ],
)
def test_what_is_missing_is_named_with_what_there_is(
    notebooks: Path, tcpshift: Callable[..., tuple[int, str, str]], arguments: list[str], words: str
) -> None:
    shutil.rmtree(notebooks / "zh-CN")
    folder = notebooks.parent / "out"
    assert tcpshift("handout", *arguments, "--output", str(folder)) == (1, "", f"error: {words}\n")
    assert not folder.exists()


def test_who_it_is_for_is_one_of_two(tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = tcpshift("handout", "--for", "parrot")
    assert code == 2
    assert "'learner'" in err
    assert "'instructor'" in err


def test_a_file_that_is_no_notebook_is_named(notebooks: Path, tmp_path: Path) -> None:
    (notebooks / "en" / "03-no.ipynb").write_text("{")
    with pytest.raises(HandoutError, match=r"03-no\.ipynb cannot be read as a notebook"):
        written(notebooks, tmp_path, LEARNER, "en")


def test_the_command_writes_what_was_asked_for_and_says_where(
    notebooks: Path, tmp_path: Path, tcpshift: Callable[..., tuple[int, str, str]]
) -> None:
    folder = tmp_path / "new" / "folder"
    code, out, err = tcpshift(
        "handout", "--lang", "zh-CN", "--for", "instructor", "--lesson", "2", "--output", str(folder)
    )
    assert (code, out, err) == (0, f"{folder / 'tcpshift-instructor-zh-CN-02.html'}\n", "")
    assert [path.name for path in folder.iterdir()] == ["tcpshift-instructor-zh-CN-02.html"]
    page = Path(out.strip()).read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert "教师讲义" in page


@pytest.fixture
def tcpshift(
    notebooks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line on the small lessons; gives exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(lab, "notebooks", lambda: notebooks)
        monkeypatch.setattr(sys, "argv", ["tcpshift", *arguments])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        return int(caught.value.code or 0), output.out, output.err

    return run


# The browser


def program(folder: Path, name: str, source: str) -> None:
    """A program on the PATH that is called like a browser."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own, with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.mark.usefixtures("path")
def test_without_a_browser_it_says_what_to_do(tmp_path: Path, tcpshift: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = tcpshift("handout", "--format", "pdf", "--output", str(tmp_path / "out"))
    assert (code, out) == (1, "")
    assert err.startswith("error: No browser that makes PDF is on the PATH (chromium, ")
    assert err.endswith("Install chromium, or use --format html and print that from any browser.\n")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def pdf(notebooks: Path, folder: Path) -> Path:
    return document.write(notebooks, "en", reader=LEARNER, form=Format.PDF, folder=folder)


WRITE = "import sys; target = next(w for w in sys.argv if w.startswith('--print-to-pdf=')).partition('=')[2]\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys; sys.exit('no walls here')", "did not make the PDF: no walls here. Use --format html"),
        ("", "did not make the PDF: it wrote no PDF. Use --format html"),
        (WRITE + "open(target, 'wb').write(b'%PDF-1.4 half')", "did not make the PDF: it wrote no PDF"),
    ],
    ids=["fails", "writes nothing", "writes half"],
)
def test_a_browser_that_fails_leaves_nothing_and_what_was_there_before(
    notebooks: Path, tmp_path: Path, path: Path, source: str, words: str
) -> None:
    program(path, "chromium", source)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "tcpshift-learner-en.pdf").write_text("the last one")
    with pytest.raises(HandoutError) as caught:
        pdf(notebooks, folder)
    assert words in str(caught.value)
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("tcpshift-learner-en.pdf", "the last one")]


HANG = """import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
with open(os.environ["TOLD"] + ".new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.replace(os.environ["TOLD"] + ".new", os.environ["TOLD"])
time.sleep(300)
"""


@pytest.mark.parametrize("interrupted", [False, True], ids=["too long", "interrupted"])
def test_a_browser_that_hangs_is_ended_with_what_it_started(
    notebooks: Path, tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("TOLD", str(told))
    program(path, "google-chrome", HANG)

    def wait(process: Any, timeout: float | None = None) -> int:
        if timeout is None:
            return real(process)
        while not told.exists():
            assert process.poll() is None
        if interrupted:
            raise KeyboardInterrupt
        raise subprocess.TimeoutExpired("chromium", timeout)

    real = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    with pytest.raises(KeyboardInterrupt if interrupted else HandoutError) as caught:
        pdf(notebooks, tmp_path / "out")
    assert interrupted or "it was not done after 120 seconds" in str(caught.value)
    pids = [int(pid) for pid in told.read_text().split()]
    assert len(pids) == 2
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert alive == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_named(notebooks: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HandoutError, match=r"cannot be written: .*Choose another folder with --output"):
        written(notebooks, tmp_path / "file" / "out", LEARNER, "en")


def test_a_disk_that_fills_up_leaves_what_was_there_before(
    notebooks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    written(notebooks, folder, LEARNER, "en", ["02"])
    before = {file.name: file.read_text() for file in folder.iterdir()}
    make_full(monkeypatch)
    with pytest.raises(HandoutError, match="No space left on device"):
        written(notebooks, folder, LEARNER, "en", ["02"])
    assert {file.name: file.read_text() for file in folder.iterdir()} == before


def make_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half(self: Path, text: str, **_: Any) -> int:
        with self.open("w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_half)


def test_the_browser_is_told_to_stay_off_the_network_and_away_from_the_users_profile(
    notebooks: Path, tmp_path: Path, path: Path
) -> None:
    program(path, "chromium", WRITE + "open(target, 'w').write(repr(sys.argv) + '\\n%%EOF')")
    words = ast.literal_eval(pdf(notebooks, tmp_path / "out").read_text().partition("\n")[0])
    assert {"--headless", "--no-pdf-header-footer", "--host-resolver-rules=MAP * ~NOTFOUND"} <= set(words)
    profile = next(word.partition("=")[2] for word in words if word.startswith("--user-data-dir="))
    assert not Path(profile).exists()
    assert ("--no-sandbox" in words) is (os.geteuid() == 0)


# The PDF itself


@makes_pdf
@each_language
def test_a_pdf_has_the_words_page_numbers_and_no_answers(notebooks: Path, tmp_path: Path, tag: str) -> None:
    pages = {reader: pages_of(notebooks, tmp_path, reader, tag) for reader in Reader}
    learner, instructor = ("".join(map(squeezed, pages[reader])) for reader in Reader)
    assert [secret for secret in SECRETS[tag] if secret in learner] == []
    assert [secret for secret in SECRETS[tag] if secret not in instructor] == []
    assert len(pages[LEARNER]) == 3  # the contents, and a page for each lesson
    assert [squeezed(page).endswith(f"{n}/3") for n, page in enumerate(pages[LEARNER], start=1)] == [True] * 3
    if tag == "zh-CN":
        for words in ("流量转移", "把权重设为20。", "你的答案：", "一次运行的结果，你的会不同", "01流量转移"):
            assert words in learner


@makes_pdf
def test_what_is_wider_than_a_page_is_broken_and_shrinks_nothing(notebooks: Path, tmp_path: Path) -> None:
    table = f"<table><tr><td style='white-space:pre;padding:0 1em'>{'wide' * 60}</td><td>other</td></tr></table>"
    outputs = [nbformat.v4.new_output("display_data", {"text/html": table}), stream("long" * 60)]
    cells = [nbformat.v4.new_markdown_cell("# Wide"), nbformat.v4.new_code_cell("show()", outputs=outputs)]
    save(notebooks / "en" / "03-wide.ipynb", cells)
    words = {number: words_of(notebooks, tmp_path, number) for number in ("02", "03")}
    right_margin = 18 / 25.4 * 72
    assert max(right for _, right, _ in words["03"]) <= 595.92 - right_margin + 1
    # Headings are as large as where nothing is wide.
    assert len({max(height for *_, height in words[number]) for number in words}) == 1
    assert "".join(word for word, *_ in words["03"]).count("wide") >= 55  # less those that a line's end divides


@makes_pdf
def test_an_option_of_a_command_is_not_broken_after_its_first_hyphen(notebooks: Path, tmp_path: Path) -> None:
    lines = "".join(f"$ {'x' * length} --timeout=60s <1>\n" for length in range(60, 130))
    cells = [nbformat.v4.new_markdown_cell("# Options"), nbformat.v4.new_code_cell("run()", outputs=[stream(lines)])]
    save(notebooks / "en" / "03-options.ipynb", cells)
    words = [word for word, *_ in words_of(notebooks, tmp_path, "03")]
    assert words.count("--timeout=60s") == words.count("<1>") == 70


@makes_pdf
def test_of_two_texts_beside_each_other_the_longer_one_leaves_room_to_the_other(
    notebooks: Path, tmp_path: Path
) -> None:
    rows = "<tr><td>short-enough-line</td><td></td></tr>" + f"<tr><td></td><td>{'wide ' * 60}</td></tr>"
    table = f"<table><thead><tr><th>left</th><th>right</th></tr></thead><tbody>{rows}</tbody></table>"
    outputs = [nbformat.v4.new_output("display_data", {"text/html": table})]
    cells = [nbformat.v4.new_markdown_cell("# Two"), nbformat.v4.new_code_cell("show()", outputs=outputs)]
    save(notebooks / "en" / "03-two.ipynb", cells)
    assert "short-enough-line" in [word for word, *_ in words_of(notebooks, tmp_path, "03")]


def words_of(notebooks: Path, folder: Path, number: str) -> list[tuple[str, float, float]]:
    """Each word of a lesson's PDF, where it ends on the right, and its height; in points."""
    path = document.write(notebooks, "en", reader=LEARNER, form=Format.PDF, numbers=[number], folder=folder)
    said = subprocess.run(["pdftotext", "-bbox", path, "-"], capture_output=True, check=True).stdout.decode()
    found = re.findall(r'yMin="(\S+)" xMax="(\S+)" yMax="(\S+)">(.*?)</word>', said)
    return [
        (html.unescape(word), float(right), round(float(bottom) - float(top), 2)) for top, right, bottom, word in found
    ]


@makes_pdf
@each_course_language
def test_the_course_fits_on_a_sensible_number_of_pages(tmp_path: Path, tag: str) -> None:
    lessons = len(list((COURSE / tag).glob("*.ipynb")))
    pages = pages_of(COURSE, tmp_path, LEARNER, tag)
    assert lessons < len(pages) <= 8 * lessons
    assert [n for n, page in enumerate(pages, start=1) if not page.strip()] == []


def pages_of(notebooks: Path, folder: Path, reader: Reader, tag: str) -> list[str]:
    path = document.write(notebooks, tag, reader=reader, form=Format.PDF, folder=folder)
    said = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True).stdout
    return said.decode().removesuffix("\f").split("\f")


def test_an_unknown_language_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Languages: en, zh-CN"):
        written(tmp_path / "nowhere", tmp_path, LEARNER, "../en")
