"""Which image is stood in for by what."""

from __future__ import annotations

import shutil
import sys

import pytest

from tcpshift_helpers.sandbox.node import images


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("docker.io/istio/tcp-echo-server:1.3", "tcp-echo-server"),
        ("tcp-echo-server", "tcp-echo-server"),
        ("localhost:5000/a/b/busybox@sha256:abc", "busybox"),
        ("curlimages/curl:8.16.0", "curl"),
        ("registry.k8s.io/pause:3.10", "pause"),
        ("docker.io/istio/proxyv2:1.31.0", "proxyv2"),
        ("docker.io/istio/pilot", "pilot"),
        ("nginx:1.2", None),
        ("busybox/nginx", None),
    ],
)
def test_only_the_repository_name_counts(reference: str, name: str | None) -> None:
    found = images.find(reference)
    assert (found.name if found else None) == name


def test_command_and_arguments_as_in_a_container() -> None:
    echo, busybox = images.IMAGES["tcp-echo-server"], images.IMAGES["busybox"]
    stand_in = [sys.executable, "-S", "-E", str(images.TCP_ECHO)]
    assert images.command_line(echo, [], ["9000", "one"]) == [*stand_in, "9000", "one"]
    assert images.command_line(echo, ["/bin/tcp-echo"], ["9000", "one"]) == [*stand_in, "9000", "one"]
    assert images.command_line(echo, ["sleep"], ["1"]) == [shutil.which("sleep"), "1"]
    assert images.command_line(busybox, [], []) == [shutil.which("sh")]
    assert images.command_line(images.IMAGES["sleep"], [], []) == [shutil.which("sleep"), "infinity"]


def test_a_program_elsewhere_on_this_computer_is_found() -> None:
    (word,) = images.command_line(images.IMAGES["busybox"], ["/no/such/place/sh"], [])
    assert word == shutil.which("sh")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("/no/such", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("no-such", 'exec: "no-such": executable file not found in $PATH'),
    ],
)
def test_a_missing_program(word: str, words: str) -> None:
    with pytest.raises(images.StartError) as missing:
        images.command_line(images.IMAGES["busybox"], [word], [])
    assert str(missing.value).endswith(words)
