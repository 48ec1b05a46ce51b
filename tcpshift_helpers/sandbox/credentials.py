"""What a client shows to say who it is, judged: the same for the API server and for the kubelet's port.

Pure. There is one user, the sandbox's owner. What follows from the judgement (which paths are open to anybody, in which words the others
are refused) is decided by whoever asks. Credentials are made by `certificates`.

Source: kubernetes/apiserver pkg/authentication/request/{union,x509,bearertoken}; measured on kube-apiserver 1.34.
"""

from __future__ import annotations

import enum
import hmac
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ADMIN_GROUP = "system:masters"

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which `ssl` has no name. With it an expired certificate passes the handshake, so that it can be
# refused as the real server does it: with an answer that says so, and not with a connection that breaks.
NO_CHECK_TIME = 0x200000


class Shown(enum.Enum):
    """What a request's credentials are."""

    OWNER = "the owner's"
    NOTHING = "none"
    WRONG = "not the owner's, or not valid any more"


class Owner:
    """Knows the owner by a bearer token, and by a client certificate."""

    def __init__(self, token: str) -> None:
        """Take this token for the owner's, and certificates whose organization is `system:masters`."""
        self._token = token.encode()

    def shown(self, authorization: str, certificate: Mapping[str, Any] | None, now: float) -> Shown:
        """Judge a request's credentials. One that is good is enough, whatever else is shown.

        Args:
            authorization: value of the Authorization header, or empty.
            certificate: of the client, signed by the sandbox's authority, as `SSLSocket.getpeercert` gives it; its dates are judged here.
            now: seconds since the epoch.
        """
        token = _bearer_token(authorization)
        if certificate and _is_owners(certificate, now):
            return Shown.OWNER
        # As bytes: whatever a header holds that is no text is not the token either.
        if token and hmac.compare_digest(token.encode(errors="surrogateescape"), self._token):
            return Shown.OWNER
        return Shown.WRONG if token or certificate else Shown.NOTHING


def _bearer_token(authorization: str) -> str:
    """The token that a header brings; empty if it brings none, or is of another kind."""
    scheme, *rest = authorization.strip().split(" ", 2)
    return rest[0] if rest and scheme.lower() == "bearer" else ""


def _is_owners(certificate: Mapping[str, Any], now: float) -> bool:
    begins, ends = (ssl.cert_time_to_seconds(certificate[name]) for name in ("notBefore", "notAfter"))
    return begins <= now <= ends and ADMIN_GROUP in _organizations(certificate)


def _organizations(certificate: Mapping[str, Any]) -> list[str]:
    return [value for part in certificate.get("subject", ()) for key, value in part if key == "organizationName"]
