"""Who may ask the API server: the sandbox's owner; everybody else is refused, but for health and version.

Source: kubernetes/apiserver pkg/endpoints/filters/authentication.go; measured on kube-apiserver 1.34, whose anonymous user may read the
same paths by the role system:public-info-viewer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tcpshift_helpers.sandbox.apiserver.status import StatusError
from tcpshift_helpers.sandbox.credentials import ADMIN_GROUP, Owner, Shown

if TYPE_CHECKING:
    from collections.abc import Mapping

USER: dict[str, Any] = {"username": "tcpshift-admin", "groups": [ADMIN_GROUP, "system:authenticated"]}
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")
_OPEN_BELOW = ("/healthz/", "/livez/", "/readyz/")


class Authenticator:
    """Lets the owner's requests through."""

    def __init__(self, token: str) -> None:
        """Know the owner by this bearer token, or by a client certificate."""
        self._owner = Owner(token)

    def check(self, path: str, authorization: str, certificate: Mapping[str, Any] | None) -> None:
        """Let a request pass.

        Args:
            path: URL path.
            authorization: value of the Authorization header, or empty.
            certificate: the client's, as `SSLSocket.getpeercert` gives it.

        Raises:
            StatusError: 401. Wrong credentials are refused where none are needed, too.
        """
        shown = self._owner.shown(authorization, certificate, time.time())
        is_open = path in _OPEN_PATHS or path.startswith(_OPEN_BELOW)
        if shown is Shown.WRONG or (shown is Shown.NOTHING and not is_open):
            raise StatusError(401, "Unauthorized", "Unauthorized")
