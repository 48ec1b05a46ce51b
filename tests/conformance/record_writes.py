"""Asks a real kube-apiserver all sequences of `writes.yaml`, and writes its answers to `writes.json`.

    python -m tests.conformance.record_writes path/to/kubeconfig

It needs a kube-apiserver 1.34 with Istio's custom resource definitions and without controllers, which would write to the objects, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import api_of

from .write_sequences import ANSWERS, SEQUENCES, ask


def main(kubeconfig: str) -> None:
    """Ask and write."""
    api = api_of(Path(kubeconfig), is_peer=True)
    answers = {name: ask(api, name) for name in SEQUENCES}
    ANSWERS.write_text(json.dumps(answers, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
