"""Where others met the same, in public: issues and pull requests that were read and are about it."""

from __future__ import annotations

from tcpshift_helpers.language import gettext as _

_ISTIO, _DOCS = "https://github.com/istio/istio/issues", "https://github.com/istio/istio.io/issues"

NO_KINDS = (f"{_ISTIO}/24085",)  # no matches for kind "Gateway" and "VirtualService"
ISTIOD_NOT_READY = (f"{_ISTIO}/27974",)  # istioctl install fails with timeouts
GATEWAY_NOT_READY = (f"{_ISTIO}/38871",)  # the ingress gateway's pod does not become ready
NO_TCP_PORT = (
    f"{_DOCS}/7270",
    f"{_ISTIO}/19995",
)  # the task does not say that the port is missing outside of profile demo
NO_ADDRESS = (f"{_ISTIO}/40324", f"{_ISTIO}/27283")  # kind: pending; minikube: port against nodePort
NOT_REACHED = (f"{_ISTIO}/27283", f"{_DOCS}/14792")  # minikube: refused, and node ports that work
PORT_OF_OTHERS = (f"{_ISTIO}/35001",)  # of several VirtualServices at one TCP port only one counts
NAMESPACE_STAYS = ("https://github.com/kubernetes/kubernetes/issues/60807",)  # stuck at Terminating
NO_GATEWAY_API = ("https://github.com/istio/istio.io/pull/13780", f"{_ISTIO}/51903")  # alpha CRDs and a flag are needed


def sentence(threads: tuple[str, ...]) -> str:
    """The threads, as a line of an error's message."""
    return _("Others met this: {threads}").format(threads=" ".join(threads))
