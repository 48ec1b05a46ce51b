"""Who is let in: tokens, client certificates, and what those are told who bring neither or the wrong one.

What a certificate is worth can be asked of a peer beside whose kubeconfig lie `client-ca.crt` and `client-ca.key`, the authority of its
`--client-ca-file`; what is told to nobody in particular, of one with `--anonymous-auth=false`.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

UNAUTHORIZED = (401, "Unauthorized", "Unauthorized")
WRONG = {"Authorization": "Bearer wrong"}
POD = "/api/v1/namespaces/default/pods/p"
ASKED = [
    ("GET", "/api/v1/pods"),
    ("GET", "/api/v1/pods?watch=true"),
    ("GET", POD),
    ("POST", "/api/v1/namespaces/default/pods"),
    ("PUT", POD),
    ("PATCH", POD),
    ("DELETE", POD),
    ("GET", f"{POD}/log?follow=true"),
    *((method, f"{POD}/{verb}") for method in ("GET", "POST") for verb in ("exec?command=a", "attach", "portforward")),
    ("GET", "/apis"),
    ("GET", "/openapi/v3"),
    ("GET", "/nope"),
]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


@pytest.fixture
def anybody(api):
    """Headers without credentials, where the server lets nobody in without any."""
    if api.is_peer and api.request("GET", "/api", headers={}).code != 401:
        pytest.skip("this peer has an anonymous user: start it with --anonymous-auth=false")
    return {}


@pytest.fixture
def certified(api, home_directory, tmp_path):
    """Makes a client that shows a certificate of the authority that the server trusts, valid for some days from some day on."""
    place, name = (api.kubeconfig.parent, "client-ca") if api.is_peer else (home_directory / "pki", "ca")
    if not (place / f"{name}.key").exists():
        pytest.skip("the authority of the peer's client certificates is not beside its kubeconfig")
    authority = x509.load_pem_x509_certificate((place / f"{name}.crt").read_bytes())
    signing = load_pem_private_key((place / f"{name}.key").read_bytes(), None)
    made = []

    def client(first_day, days):
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        attributes = [(NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, "owner")]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=first_day))
            .not_valid_after(now + timedelta(days=first_day + days))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
            .sign(signing, hashes.SHA256())
        )
        file = tmp_path / "client.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # who the server is is not the question here
        tls.load_cert_chain(file)
        made.append(replace(api, tls=tls, headers={}, _connection=None))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.mark.parity("API: a wrong token, for every verb, watch, log, exec, attach and portforward", "works")
@pytest.mark.parametrize(("method", "path"), ASKED)
def test_a_wrong_token(api, method, path):
    answer = api.request(method, path, headers={**WRONG, **UPGRADE} if "/p/" in path else WRONG)
    assert answer.error == UNAUTHORIZED
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


@pytest.mark.parity("API: no credentials, for every verb, watch, log, exec, attach and portforward", "works")
@pytest.mark.parametrize(("method", "path"), ASKED)
def test_no_credentials(api, anybody, method, path):
    assert api.request(method, path, headers={**anybody, **UPGRADE} if "/p/" in path else anybody).error == UNAUTHORIZED


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping", "/version"])
def test_wrong_credentials_are_refused_where_none_are_needed(api, path):
    assert api.request("GET", path, headers=WRONG).error == UNAUTHORIZED


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "  Bearer "])
def test_the_token_is_what_follows_the_scheme(api, scheme):
    token = api.headers["Authorization"].removeprefix("Bearer ")
    for rest in ("", " and more"):
        headers = {"Authorization": f"{scheme}{token}{rest}"}
        assert api.request("GET", "/api", headers=headers).code == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer  TOKEN", "TOKEN", "Basic TOKEN", "Token TOKEN"])
def test_a_header_that_brings_no_token(api, anybody, value):
    del anybody
    token = api.headers["Authorization"].removeprefix("Bearer ")
    headers = {"Authorization": value.replace("TOKEN", token)}
    assert api.request("GET", "/api", headers=headers).error == UNAUTHORIZED


@pytest.mark.parametrize("end", ["x", "\xff\xfe", "\t"])
def test_a_token_that_is_almost_right(api, end):
    headers = {"Authorization": f"{api.headers['Authorization']}{end}x"}
    assert api.request("GET", "/api", headers=headers).error == UNAUTHORIZED


def test_without_tls(api):
    connection = http.client.HTTPConnection(api.host, timeout=10)
    connection.request("GET", "/api", headers=api.headers)
    if api.is_peer:
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (400, b"Client sent an HTTP request to an HTTPS server.\n")
    else:
        with pytest.raises((OSError, http.client.HTTPException)):  # the connection is closed without a word
            connection.getresponse()
    connection.close()


def test_a_valid_certificate(certified):
    owner = certified(-1, 2)
    assert owner.get("/api/v1/namespaces/default").code == 200
    # One credential that is good is enough.
    assert owner.request("GET", "/api/v1/namespaces/default", headers=WRONG).code == 200


@pytest.mark.parity("API: an expired client certificate", "works")
@pytest.mark.parametrize("first_day", [-2, 1], ids=["expired", "not yet valid"])
def test_a_certificate_out_of_its_time(api, certified, first_day):
    client = certified(first_day, 1)
    assert client.get("/api/v1/namespaces/default").error == UNAUTHORIZED
    assert client.request("GET", "/readyz", headers=WRONG).error == UNAUTHORIZED
    assert client.get("/readyz").error == UNAUTHORIZED
    # One credential that is good is enough.
    assert client.request("GET", "/api/v1/namespaces/default", headers=api.headers).code == 200


@pytest.mark.parity("kubectl, with a wrong token or an expired certificate", "works")
@pytest.mark.parametrize("wrong", ["token", "certificate"])
def test_kubectl(request, api, kubectl, tmp_path, wrong):
    config = yaml.safe_load(api.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    if wrong == "certificate":
        request.getfixturevalue("certified")(-2, 1)
        file = str(tmp_path / "client.pem")
        config["users"][0]["user"] = {"client-certificate": file, "client-key": file}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    stranger = replace(kubectl, kubeconfig=tmp_path / "kubeconfig")
    said = "error: You must be logged in to the server"
    assert stranger("get", "--raw", "/api/v1/pods", code=1) == f"{said} (Unauthorized)\n"
    words = "the server has asked for the client to provide credentials"
    assert stranger("get", "pods", code=1).endswith(f"{said} ({words})\n")
