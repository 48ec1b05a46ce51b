"""Who is asking: a bearer token or a client certificate of the sandbox's own authority.

There is one kind of user, the sandbox's owner (group system:masters); everybody else is refused. It does not make credentials:
`certificates` does. Only health and version may be read without credentials.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.status import StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping

ADMIN_GROUP = "system:masters"
USER: dict[str, Any] = {"username": "tcpshift-admin", "groups": [ADMIN_GROUP, "system:authenticated"]}
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")


class Authenticator:
    """Lets the owner's requests through."""

    def __init__(self, token: str) -> None:
        """Accept this bearer token, and client certificates whose organization is `system:masters`."""
        self._token = token.encode()

    def check(self, path: str, authorization: str, peer_certificate: Mapping[str, Any] | None) -> None:
        """Let a request pass.

        Args:
            path: URL path.
            authorization: value of the Authorization header, or empty.
            peer_certificate: the verified client certificate as `SSLSocket.getpeercert` gives it.

        Raises:
            StatusError: 401.
        """
        if path in _OPEN_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/")):
            return
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token):
            return
        if not authorization and peer_certificate and ADMIN_GROUP in _organizations(peer_certificate):
            return
        raise StatusError(401, "Unauthorized", "Unauthorized")


def _organizations(certificate: Mapping[str, Any]) -> list[str]:
    return [value for part in certificate.get("subject", ()) for key, value in part if key == "organizationName"]
