"""Writes, who manages which fields after them, and how they are refused: sequences with the answers of a real kube-apiserver 1.34.

Whole answers are compared, `managedFields` with them, but for times, versions and uids.
"""

from __future__ import annotations

import json

import pytest

from .write_sequences import ANSWERS, SEQUENCES, ask

RECORDED = json.loads(ANSWERS.read_text(encoding="utf-8"))


@pytest.mark.parity("API: server-side apply, managedFields after every write, and warnings", "works")
@pytest.mark.parametrize("name", SEQUENCES)
def test_writes(api, name):
    for number, (answer, recorded) in enumerate(zip(ask(api, name), RECORDED[name], strict=True)):
        assert answer == recorded, SEQUENCES[name][number]
