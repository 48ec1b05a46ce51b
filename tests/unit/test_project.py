"""Files around the code that have to agree with each other, and must not tell of the machine they were made on."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COURSE_LOCK, DEVELOPMENT_LOCK = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-dev.lock")
)
both_locks = pytest.mark.parametrize("lock", [COURSE_LOCK, DEVELOPMENT_LOCK], ids=["course", "development"])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement_names(requirements: list[str]) -> set[str]:
    return {_canonical(re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]) for requirement in requirements}


def _locked(lock: str) -> dict[tuple[str, str], str]:
    """Each pinned requirement and its version, with the text that belongs to it; a universal lock may pin two versions."""
    entries = re.split(r"\n(?=[a-zA-Z0-9])", lock)
    pins = (re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", entry) for entry in entries)
    return {(_canonical(pin[1]), pin[2]): entry for pin, entry in zip(pins, entries, strict=True) if pin}


def _names(lock: str) -> set[str]:
    return {name for name, _ in _locked(lock)}


def _tracked_files() -> list[Path]:
    try:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so it cannot be told which files belong to the project")
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_conda_and_binder_install_the_oldest_python_that_will_do_and_what_is_locked() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    dependencies = environment["dependencies"]
    assert environment["name"] == PYPROJECT["project"]["name"]
    # What is locked, and nothing else: a package named here, too, could drift away from it.
    assert [entry for entry in dependencies if not isinstance(entry, str)] == [{"pip": ["-r requirements.lock"]}]
    python, pip = (entry for entry in dependencies if isinstance(entry, str))
    assert pip == "pip"
    # How repo2docker finds the version; where it finds none, it takes Python 3.10.
    # Source: PYTHON_REGEX in repo2docker/buildpacks/conda/__init__.py.
    found = re.match(r"python\s*=+\s*([\d\.]*)", python)
    assert found
    assert f">={found[1]}" == PYPROJECT["project"]["requires-python"]


def test_binder_finds_a_post_build_script_that_can_be_run() -> None:
    assert os.access(ROOT / "postBuild", os.X_OK)
    assert (ROOT / "postBuild").read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    # With one of these, repo2docker would look at nothing else.
    assert [name for name in ("binder", ".binder", "Dockerfile") if (ROOT / name).exists()] == []


def test_every_dependency_is_locked() -> None:
    project = PYPROJECT["project"]
    assert _requirement_names(project["dependencies"]) - _names(COURSE_LOCK) == set()
    assert _requirement_names(project["optional-dependencies"]["dev"]) - _names(DEVELOPMENT_LOCK) == set()


def test_development_runs_on_the_very_versions_that_a_learner_gets() -> None:
    assert _locked(COURSE_LOCK).keys() - _locked(DEVELOPMENT_LOCK).keys() == set()


@both_locks
def test_every_pin_has_a_hash(lock: str) -> None:
    assert len(_locked(lock)) > 50
    assert [pin for pin, entry in _locked(lock).items() if "--hash=sha256:" not in entry] == []


@both_locks
def test_the_lock_names_no_address(lock: str) -> None:
    assert re.findall(r"\S*://\S*|--(?:extra-)?index-url\S*|--find-links\S*", lock) == []


def test_the_version_is_written_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {PYPROJECT['project']['version']}" in changelog


def _lines_with(forbidden: re.Pattern[str]) -> list[str]:
    found = []
    for path in _tracked_files():
        if path == Path(__file__):
            continue  # It names what it forbids.
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line.strip()[:120]}"
            for n, line in enumerate(lines, 1)
            if forbidden.search(line)
        ]
    return found


def test_no_file_tells_of_a_machine_or_a_package_registry() -> None:
    assert _lines_with(re.compile(r"/home/[a-z]|/Users/[A-Za-z]|/root/|/work/|files\.pythonhosted|pypi\.org")) == []


def test_no_merge_was_left_half_done() -> None:
    assert _lines_with(re.compile(r"^(<<<<<<<|=======|>>>>>>>)( |$)")) == []


def test_commands_that_the_readme_shows_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", text, re.MULTILINE)) <= targets, name


def test_both_readmes_have_the_same_sections_and_commands() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))

    def commands(text: str) -> list[str]:
        """What is typed, in order, whatever language it is to be done in."""
        lines = re.findall(r"^ {4}([^\n]+)|^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return [re.sub(r"\s*#.*", "", "".join(line)).replace("zh-CN", "en") for line in lines]

    assert commands(english) == commands(chinese)
    assert len(commands(english)) >= 10
    for mark in ("## ", "| "):
        assert english.count(f"\n{mark}") == chinese.count(f"\n{mark}"), mark


def test_no_source_file_is_too_long_to_see_whole() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "tcpshift_helpers").rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 450
    }
    assert long == {}


def test_each_readme_shows_all_pictures_and_each_in_its_own_language() -> None:
    shown: dict[str, list[str]] = {}
    for language, readme in (("en", "README.md"), ("zh-CN", "README.zh-CN.md")):
        names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / readme).read_text(encoding="utf-8"))
        shown[language] = [name.removesuffix(f"-{language}.png") for name in names]
        assert [name for name in names if not name.endswith(f"-{language}.png")] == []
    assert shown["en"]
    assert shown["en"] == shown["zh-CN"]
    files = {f"{name}-{language}.png" for language, names in shown.items() for name in names}
    assert files == {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.png")}
    for name in files:
        content = (ROOT / name).read_bytes()
        # A PNG, as wide as a page shows it, and no burden to load.
        assert content[:8] == b"\x89PNG\r\n\x1a\n", name
        assert 750 <= int.from_bytes(content[16:20]) <= 1000, name
        assert len(content) <= 150_000, name
