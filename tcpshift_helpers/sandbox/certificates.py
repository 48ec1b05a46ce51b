"""The credentials of the sandbox: its certificates, token and kubeconfig, made when needed and kept private.

Why: kubectl and every Kubernetes client expect TLS and a kubeconfig; a token alone would travel in the clear.
What was issued is noted in `pki/issued.json`, so that the usual start reads small files only.
It installs the authority nowhere: only the kubeconfig names it. The certificates are made in `certificate_authority`.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tcpshift_helpers.sandbox.home import CONTEXT_NAME
from tcpshift_helpers.sandbox.network import API_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tcpshift_helpers.sandbox.home import Home

_VALID_FOR = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)
_FILES = ("ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "admin.crt", "admin.key", "token")


def ensure(home: Home, addresses: Sequence[str]) -> None:
    """Make the authority, the certificates, the token and the kubeconfig, unless good ones are there.

    All are made anew when one is missing or was changed, expires within 30 days, or was issued for other addresses.
    The kubeconfig alone is written again when only it is missing or differs.

    Args:
        home: the state directory; its folders exist.
        addresses: IP addresses of the API server; the first one goes into the kubeconfig.

    Raises:
        OSError: the files cannot be written.
    """
    every_address = _with_localhost(addresses)
    if not _are_good(home, every_address):
        _issue(home, every_address)
    if not _kubeconfig_is_good(home, addresses[0]):
        _write(home.kubeconfig, _kubeconfig(home, addresses[0]))


def are_current(home: Home, addresses: Sequence[str]) -> bool:
    """Whether `ensure` would have nothing to do."""
    return _are_good(home, _with_localhost(addresses)) and _kubeconfig_is_good(home, addresses[0])


def _with_localhost(addresses: Sequence[str]) -> list[str]:
    return [*dict.fromkeys([*addresses, "127.0.0.1"])]


def _are_good(home: Home, addresses: list[str]) -> bool:
    """Whether the note of the last issue fits the files, the addresses and the calendar."""
    try:
        issued = json.loads(_note(home).read_bytes())
        expires = datetime.fromisoformat(issued["not_after"])
        return (
            issued["addresses"] == addresses
            and issued["crc32"] == _checksums(home)
            and expires - _RENEW_BEFORE > datetime.now(UTC)
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _issue(home: Home, addresses: list[str]) -> None:
    from tcpshift_helpers.sandbox.certificate_authority import issue  # noqa: PLC0415 (imports cryptography)

    credentials = issue(addresses, _VALID_FOR)
    # The note goes first and comes back last: a crash in the middle is made good by the next start.
    _note(home).unlink(missing_ok=True)
    for name, content in credentials.files.items():
        _write(home.pki / name, content)
    note = {"addresses": addresses, "not_after": credentials.not_after.isoformat(), "crc32": _checksums(home)}
    _write(_note(home), json.dumps(note, indent=1).encode())


def _note(home: Home) -> Path:
    return home.pki / "issued.json"


def _checksums(home: Home) -> dict[str, int]:
    """Against accidents, not against attackers, who could rewrite the note too (and hashlib brings 4 MB of OpenSSL)."""
    return {name: zlib.crc32((home.pki / name).read_bytes()) for name in _FILES}


def _kubeconfig_is_good(home: Home, address: str) -> bool:
    try:
        is_private = home.kubeconfig.stat().st_mode & 0o077 == 0 or os.name == "nt"
        return is_private and home.kubeconfig.read_bytes() == _kubeconfig(home, address)
    except FileNotFoundError:
        return False


def _kubeconfig(home: Home, address: str) -> bytes:
    """A kubeconfig as JSON, which is YAML too and needs no YAML library here."""
    user = {
        "client-certificate-data": _base64(home.pki / "admin.crt"),
        "client-key-data": _base64(home.pki / "admin.key"),
        "token": home.token.read_text(encoding="utf-8"),
    }
    cluster = {"server": f"https://{address}:{API_PORT}", "certificate-authority-data": _base64(home.pki / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT_NAME, "cluster": cluster}],
        "users": [{"name": CONTEXT_NAME, "user": user}],
        "contexts": [{"name": CONTEXT_NAME, "context": {"cluster": CONTEXT_NAME, "user": CONTEXT_NAME}}],
        "current-context": CONTEXT_NAME,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, never readable by others, not even for a moment."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)
