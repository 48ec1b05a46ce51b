"""Credentials: who can read them, what they are good for, and when they are made anew."""

from __future__ import annotations

import json
import ssl
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tcpshift_helpers.sandbox import certificates
from tcpshift_helpers.sandbox.home import Home

if TYPE_CHECKING:
    from pathlib import Path

ADDRESSES = ["127.61.20.1"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def _contents(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.pki.iterdir()}


def _certificate(home: Home, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((home.pki / name).read_bytes())


def test_every_file_is_private_to_its_owner(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    for path in (*home.pki.iterdir(), home.kubeconfig):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_server_certificate_names_addresses_and_hosts(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    names = _certificate(home, "apiserver.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.61.20.1", "127.0.0.1"]
    assert {"localhost", "kubernetes.default.svc"} <= set(names.get_values_for_type(x509.DNSName))


def test_admin_certificate_names_user_and_group(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    admin = _certificate(home, "admin.crt")
    assert [a.value for a in admin.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["tcpshift-admin"]
    assert [a.value for a in admin.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:masters"]
    usage = admin.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_kubeconfig_has_one_cluster_user_and_context_and_embeds_the_authority(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    document: dict[str, Any] = yaml.safe_load(home.kubeconfig.read_text())
    assert document["current-context"] == "tcpshift-sandbox"
    assert [item["name"] for key in ("clusters", "users", "contexts") for item in document[key]] == [
        "tcpshift-sandbox"
    ] * 3
    assert document["clusters"][0]["cluster"]["server"] == "https://127.61.20.1:6443"
    assert document["users"][0]["user"]["token"] == home.token.read_text()
    assert "certificate-authority" not in document["clusters"][0]["cluster"]


def test_a_strict_client_and_a_server_that_asks_for_certificates_trust_each_other(home: Home) -> None:
    certificates.ensure(home, ["127.0.0.1"])
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(home.pki / "ca.crt"))
    server_side.load_cert_chain(home.pki / "apiserver.crt", home.pki / "apiserver.key")
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    client_side.load_cert_chain(home.pki / "admin.crt", home.pki / "admin.key")

    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.connection.getpeercert())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    from http.client import HTTPSConnection

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = server_side.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        connection = HTTPSConnection("127.0.0.1", server.server_port, context=client_side, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 204
        connection.close()
        thread.join()
    assert (("organizationName", "system:masters"),) in seen[0]["subject"]


def test_a_second_call_changes_nothing_and_does_not_import_cryptography(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    before, kubeconfig = _contents(home), home.kubeconfig.stat()
    program = (
        "import sys; from pathlib import Path\n"
        "from tcpshift_helpers.sandbox import certificates; from tcpshift_helpers.sandbox.home import Home\n"
        f"certificates.ensure(Home(Path({str(home.root)!r})), {ADDRESSES!r})\n"
        "sys.exit('cryptography' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert _contents(home) == before
    assert home.kubeconfig.stat().st_mtime_ns == kubeconfig.st_mtime_ns


def test_a_missing_kubeconfig_is_written_again_with_the_same_credentials(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    before, kubeconfig = _contents(home), home.kubeconfig.read_text()
    home.kubeconfig.unlink()
    certificates.ensure(home, ADDRESSES)
    assert home.kubeconfig.read_text() == kubeconfig
    assert _contents(home) == before


def test_a_kubeconfig_that_others_can_read_is_made_private_again(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    home.kubeconfig.chmod(0o644)
    certificates.ensure(home, ADDRESSES)
    assert stat.S_IMODE(home.kubeconfig.stat().st_mode) == 0o600


@pytest.mark.parametrize("spoil", ["other-address", "soon-expired", "missing-key", "changed-token", "broken-note"])
def test_credentials_are_made_anew_when_they_no_longer_serve(home: Home, spoil: str) -> None:
    certificates.ensure(home, ADDRESSES)
    serial = _certificate(home, "apiserver.crt").serial_number
    addresses, note = ADDRESSES, home.pki / "issued.json"
    if spoil == "other-address":
        addresses = ["127.61.21.1"]
    elif spoil == "soon-expired":
        issued = json.loads(note.read_text())
        issued["not_after"] = (datetime.now(UTC) + timedelta(days=29)).isoformat()
        note.write_text(json.dumps(issued))
    elif spoil == "missing-key":
        (home.pki / "ca.key").unlink()
    elif spoil == "changed-token":
        home.token.write_text("known to somebody else")
    else:
        note.write_text("{")
    certificates.ensure(home, addresses)
    assert _certificate(home, "apiserver.crt").serial_number != serial
    assert home.token.read_text() != "known to somebody else"
    assert f"https://{addresses[0]}:6443" in home.kubeconfig.read_text()


def test_certificates_outlive_the_renewal_margin(home: Home) -> None:
    certificates.ensure(home, ADDRESSES)
    for name in ("ca.crt", "apiserver.crt", "admin.crt"):
        assert _certificate(home, name).not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)
