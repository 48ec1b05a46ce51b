"""What goes over the websocket, byte by byte as a cluster sends it."""

from __future__ import annotations

import json

import pytest

from tcpshift_helpers.sandbox.node.streaming import channels


def test_the_first_offer_that_is_known_is_taken():
    assert (
        channels.negotiate(["v9.channel.k8s.io", channels.V4, channels.V5], [channels.V5, channels.V4]) == channels.V4
    )
    assert channels.negotiate([""], [channels.V5]) is None


def test_success():
    assert channels.succeeded() == b'{"metadata":{},"status":"Success"}'


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (channels.V4, "error executing command [sh -c exit 3], exit code 3"),
        (channels.V5, "command terminated with exit code 3"),
    ],
)
def test_an_exit_code(protocol, words):
    assert json.loads(channels.exited(["sh", "-c", "exit 3"], 3, protocol)) == {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {words}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }


@pytest.mark.parametrize(("protocol", "cause"), [(channels.V4, "no"), (channels.V5, "Internal error occurred: no")])
def test_a_failure(protocol, cause):
    assert json.loads(channels.failed("no", protocol)) == {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {cause}",
        "reason": "InternalError",
        "details": {"causes": [{"message": cause}]},
        "code": 500,
    }


@pytest.mark.parametrize("protocol", [channels.V4, channels.V5])
def test_the_last_message_is_a_status(protocol):
    assert channels.last_message(channels.succeeded(), protocol) == channels.succeeded()


@pytest.mark.parametrize("protocol", [channels.UNNAMED, channels.V1])
def test_the_last_message_of_old_is_what_went_wrong(protocol):
    assert channels.last_message(channels.succeeded(), protocol) is None
    words = b"command terminated with non-zero exit code: error executing command [false], exit code 1"
    assert channels.last_message(channels.exited(["false"], 1, protocol), protocol) == words


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (b'{"Width":80,"Height":24}', (24, 80)),
        (b'{"Width":80,"Height":24}\n', (24, 80)),
        (b'{"Width":0,"Height":0}', None),
        (b'{"Width":70000,"Height":1}', None),
        (b'{"Width":null,"Height":1}', None),
        (b'{"Width":80}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_the_size_of_a_terminal(message, size):
    assert channels.terminal_size(message) == size
