"""What people read is marked for translation, translated, and in the language of the notebook."""

from __future__ import annotations

import ast
import copy
import re
import string
import subprocess
import sys
from typing import TYPE_CHECKING, TypeGuard

import pytest

from tcpshift_helpers import language
from tcpshift_helpers.errors import UsageError

from ..messages import PACKAGE, TAGS, brought_up, translations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from babel.messages import Message

MARKS = {"_", "gettext", "ngettext", "mark"}
# The command line and what starts the laboratory speak English, as kubectl does, and so does the sandbox; the palette has no
# words but CSS, and the analysis none but istioctl's.
ENGLISH_ALONE = {"analysis.py", "cli.py", "lab.py", "language.py", "palette.py", "sandbox"}
LEARNERS_HALF = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ENGLISH_ALONE
]
each_module = pytest.mark.parametrize("path", LEARNERS_HALF, ids=lambda path: path.relative_to(PACKAGE).as_posix())
each_language = pytest.mark.parametrize("tag", TAGS)
# Texts that begin so are not ours to translate; {} stands for what is put into one.
OTHERS_WORDS = (
    # what is typed
    "$ ",
    "for lane in $(seq ",
    "; do (for n in $(seq ",
    "; done) & done; wait",
    # what a browser reads
    "<t",
    ";border-left",
    "kubectl ",
    "istioctl ",
    "app in (",
    # kubectl's and the API server's
    "Error from server",
    "No resources found",
    "Invalid value: ",
    "command terminated with exit code",
    "Defaulted container ",
    "'{}' already has a value ({}), and --overwrite is false",
    "condition met",
    'deployment "{}" successfully rolled out',
    "ensure CRDs are installed first",
    "no matches for kind",
    "no matching resources found",
    "not labeled",
    'namespaces "{}" not found',
    "resource(s) were provided, but no name was specified",
    "the namespace from the provided object",
    "the server doesn't have a resource type",
    "unable to parse",
    "waiting for deployment spec update to be observed",
    "{} of {} updated replicas are available",
    "{} old replicas are pending termination",
    "{} out of {} new replicas have been updated",
    '{}.{} "{}" not found',
    "{}/{} condition met",
    # Python's, its libraries' and the operating system's
    "Connect call failed",
    "axes fraction",
    "offset points",
    "Connection ",
    "Name or service not known",
    "Network is unreachable",
    "No route to host",
    "Temporary failure in name resolution",
    "module {} has no attribute",
    "mapping values are not allowed",
    "timed out",
    "upper left",
    '<span class="',
)


@pytest.fixture(autouse=True)
def outside_of_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv(language.VARIABLE, raising=False)


def prose_without_mark(path: Path) -> Iterator[str]:
    """Texts that read like words for people and are not marked: two words in a row, docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    excused: set[int] = set()
    for node in ast.walk(tree):
        if is_call_of(node, MARKS):
            excused |= {id(inner) for argument in node.args for inner in ast.walk(argument)}
        if isinstance(node, ast.Expr):  # a docstring
            excused.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            excused |= {id(part) for part in node.values}  # judged as a whole
    for node in ast.walk(tree):
        text = text_of(node)
        if (
            id(node) not in excused
            and re.search(r"[a-z]{2,}[,:;]? [a-z]{2,}", text)
            and not text.strip().startswith(OTHERS_WORDS)
        ):
            yield f"{path.name}:{node.lineno}: {text}"  # type: ignore[attr-defined]


def text_of(node: ast.AST) -> str:
    """The text that a node is, with {} for what is put into it; empty when it is none."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_call_of(node: ast.AST, names: set[str]) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def fields(text: str) -> set[tuple[str, str | None, str | None]]:
    """What is put into a message: names, and how each is written."""
    return {(name, form, conversion) for _, name, form, conversion in string.Formatter().parse(text) if name}


def texts(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


@each_module
def test_every_sentence_is_marked(path: Path) -> None:
    assert list(prose_without_mark(path)) == []


@each_module
def test_what_is_marked_can_be_found_by_who_collects_messages(path: Path) -> None:
    """Neither in an f-string nor as one: that is put together before anybody could look a translation up."""
    found = [
        inner.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for inner in ast.walk(node)
        if (isinstance(node, ast.JoinedStr) and is_call_of(inner, MARKS))
        or (is_call_of(node, MARKS) and isinstance(inner, ast.JoinedStr))
    ]
    assert found == []


@each_module
def test_where_words_are_translated_the_name_for_it_is_not_used_for_what_nobody_needs(path: Path) -> None:
    """`name, _, rest = …` makes `_` a local name of the whole function, and `_("…")` a call of a text."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes = list(ast.walk(function))
            stored = any(
                isinstance(each, ast.Name) and each.id == "_" and isinstance(each.ctx, ast.Store) for each in nodes
            )
            assert not (stored and any(is_call_of(each, {"_"}) for each in nodes)), f"{path.name}: {function.name}"


@each_language
def test_the_file_of_translations_is_in_step_with_the_source(tag: str) -> None:
    assert language.file_of(tag).read_text(encoding="utf-8") == brought_up(tag), "run: make messages"


@each_language
def test_every_message_is_translated_with_the_same_fields(tag: str) -> None:
    for message in translations(tag):
        if message.id:
            assert not message.fuzzy, f"look at the translation of {message.id!r}, and take the mark away"
            english = message.id if isinstance(message.id, str) else message.id[-1]
            for text in texts(message):
                assert text, f"no translation of {message.id!r}"
                assert fields(text) == fields(english), message.id


def test_english_outside_of_a_language_s_folder() -> None:
    assert language.current() == "en"
    assert language.gettext("NOT YET") == "NOT YET"


def test_the_notebook_s_folder_names_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "zh-CN"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert language.current() == "zh-CN"


def test_the_server_s_word_on_the_notebook_wins_over_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "zh-CN"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JPY_SESSION_NAME", "course/en/03-shift-20-percent-to-v2.ipynb")
    assert language.current() == "en"


def test_the_variable_wins_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "course/en/03-shift-20-percent-to-v2.ipynb")
    monkeypatch.setenv(language.VARIABLE, "zh-CN")
    assert language.current() == "zh-CN"


def test_a_language_that_nobody_translated_into_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "xx")
    with pytest.raises(UsageError, match=r"TCPSHIFT_LANGUAGE is 'xx', .*Set it to en or zh-CN, or unset it\."):
        language.current()


def test_a_working_directory_that_is_gone_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert language.current() == "en"


@each_language
def test_messages_come_in_the_language_and_unknown_ones_in_english(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, tag)
    for message in translations(tag):
        if isinstance(message.id, str) and message.id:
            assert language.gettext(message.id) == message.string != message.id
    assert language.gettext("nobody says this") == "nobody says this"


def test_numbers_choose_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = ("1 probe", "{count} probes in order")
    assert [language.ngettext(*forms, number) for number in (0, 1, 2)] == [forms[1], forms[0], forms[1]]
    monkeypatch.setenv(language.VARIABLE, "zh-CN")
    assert len({language.ngettext(*forms, number) for number in (0, 1, 2)}) == 1


def test_a_constant_is_english_to_code_and_translated_where_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    title = language.mark("{count} of {count} fresh probes are answered by v1", count=20)
    assert title == str(title) == "20 of 20 fresh probes are answered by v1"
    monkeypatch.setenv(language.VARIABLE, "zh-CN")
    assert title == "20 of 20 fresh probes are answered by v1"
    assert str(title) == f"{title}" == str(copy.deepcopy(title)) == "新做的 20 次探测全部由 v1 应答"


def test_one_language_alone_wins_over_everything_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "zh-CN")
    with language.only("en"):
        assert language.current() == "en"
    assert language.current() == "zh-CN"
    with pytest.raises(UsageError), language.only("xx"):
        raise AssertionError
    assert language.current() == "zh-CN"


def test_who_reads_english_does_not_wait_for_babel() -> None:
    code = "import sys; from tcpshift_helpers import cli, netcat; netcat.date_line; print('babel' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
