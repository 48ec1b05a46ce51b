"""Reading manifests: where they are found, and one clear error for each way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tcpshift_helpers import manifests
from tcpshift_helpers.errors import ManifestError

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"


def test_finds_the_courses_own_by_bare_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = manifests.load("tcp-echo-services.yaml")
    assert loaded.shown_as == "manifests/tcp-echo-services.yaml"
    assert [obj["kind"] for obj in loaded.objects] == ["Service", "Deployment", "Deployment"]


def test_takes_paths_texts_objects_and_lists(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(POD)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    for source, shown in ((file, str(file)), (str(file), str(file)), (POD, "-"), (pod, "-"), ([pod], "-")):
        loaded = manifests.load(source)
        assert loaded.objects == (pod,)
        assert loaded.shown_as == shown
    assert manifests.load(pod).objects[0] is not pod


def test_skips_empty_documents_and_opens_lists() -> None:
    items = '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}}]}'
    names = [obj["metadata"]["name"] for obj in manifests.parse(f"---\n---\n{POD}---\n# nothing\n---\n{items}\n", "x")]
    assert names == ["p", "q"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\n\tx: 1\n", ["x.yaml, line 2, column 1", "malformed YAML", "YAML does not allow tabs"]),
        ("a: b\n  c: d\n", ["line 2", "mapping values are not allowed here", "indented differently"]),
        ("a: [1, 2\n", ["malformed YAML", "unclosed quote or bracket"]),
        (f"{POD}---\nkind: Pod\nmetadata: {{}}\n", ["x.yaml, line 5", "apiVersion and metadata.name missing"]),
        ("- 1\n", ["x.yaml, line 1", "expected an object", "got a list"]),
        ("hello\n", ["got 'hello'"]),
        ("# nothing\n", ["no objects in it"]),
        (f"{POD}kind: Service\n", ["x.yaml, line 4", 'key "kind" already set in map']),
        (f"{POD}spec: {{since: 2020-01-01}}\n", ["a value that JSON cannot carry", "Put it in quotes"]),
        ("!!python/object/apply:os.system ['true']\n", ["malformed YAML"]),
    ],
)
def test_an_error_names_file_line_and_remedy(text: str, words: list[str]) -> None:
    with pytest.raises(ManifestError) as caught:
        manifests.parse(text, "x.yaml")
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file_lists_the_courses_own(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"There is no file nope.yaml .*\nThe course has: .*tcp-echo-services.yaml"):
        manifests.load("nope.yaml")
    with pytest.raises(ManifestError, match="cannot be read"):
        binary = tmp_path / "x.yaml"
        binary.write_bytes(b"\xff\xfe\x00")
        manifests.load(binary)


def test_prints_yaml_as_kubectl_does() -> None:
    obj = {"b": ["*", "2020-01-01T00:00:00Z", "12", "true", "plain", ""], "a": "two\nlines\n", "c": {}, "d": 1}
    assert manifests.to_yaml(obj) == (
        'a: |\n  two\n  lines\nb:\n- \'*\'\n- "2020-01-01T00:00:00Z"\n- "12"\n- "true"\n- plain\n- \'\'\nc: {}\nd: 1\n'
    )
