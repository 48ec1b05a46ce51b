"""Makes a certificate authority, the certificates it signs and a bearer token, in memory.

Why apart from `certificates`: this module imports `cryptography`, which costs a tenth of a second and 15 MB;
it is loaded once a year. It writes no files and keeps nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tcpshift_helpers.sandbox.credentials import ADMIN_GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ADMIN_NAME = "tcpshift-admin"

_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Credentials:
    """What was issued.

    Attributes:
        files: contents by file name: PEM of `ca`, `apiserver` and `admin`, each as `.crt` and `.key`; and `token`.
        not_after: when all certificates expire.
    """

    files: dict[str, bytes]
    not_after: datetime


def issue(addresses: Sequence[str], valid_for: timedelta) -> Credentials:
    """Make an authority, a server certificate for `addresses` and `SERVER_NAMES`, the administrator's client certificate, and a token.

    Source: the names and groups are those kubeadm gives to `apiserver.crt` and to `admin.conf`.
    """
    not_after = datetime.now(UTC) + valid_for
    keys = {part: ec.generate_private_key(ec.SECP256R1()) for part in ("ca", "apiserver", "admin")}
    signer = _Signer(_name("tcpshift-sandbox-ca"), keys["ca"], not_after)
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
    alternatives += [x509.IPAddress(ip_address(address)) for address in addresses]
    server = signer.leaf(_name("kube-apiserver"), keys["apiserver"], ExtendedKeyUsageOID.SERVER_AUTH)
    admin = signer.leaf(_name(ADMIN_NAME, ADMIN_GROUP), keys["admin"], ExtendedKeyUsageOID.CLIENT_AUTH)
    certificates = {
        "ca": signer.sign(signer.authority()),
        "apiserver": signer.sign(server.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)),
        "admin": signer.sign(admin),
    }
    files = {f"{part}.crt": certificate.public_bytes(Encoding.PEM) for part, certificate in certificates.items()}
    for part, key in keys.items():
        files[f"{part}.key"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files["token"] = secrets.token_urlsafe(32).encode()
    return Credentials(files, not_after)


@dataclass(frozen=True)
class _Signer:
    """Puts certificates together, with every extension that RFC 5280 asks for: Python 3.13 verifies strictly."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    not_after: datetime

    def authority(self) -> x509.CertificateBuilder:
        return (
            self._base(self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
        )

    def leaf(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        return (
            self._base(subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, hashes.SHA256())

    def _base(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - _CLOCK_SKEW)
            .not_valid_after(self.not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
